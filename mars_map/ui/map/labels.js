// Tiles called right and wrong, on the map: their outlines with a mark, buttons and keys for the
// tile that is looked at, and a lasso for many. The layer that the query uses is blue and orange with
// a ring in its colour; the others are drawn in their colours, below it.

import * as L from "../leaflet/leaflet-src.esm.js";
import { MARKS, answerButtons, labelsOf, toggled } from "./answers.js";
import { ringOf } from "./layers.js";
import { straightPath } from "./mars.js";
import { copies, flatRing, pixelsPerDegree, repeated } from "./polar.js";
import { element } from "./server.js";

const KEYS = { y: "yes", x: "no" };
/** Marks of more tiles than this would hide each other where tiles are smaller than a mark. */
const FEW = 30;
const MARK_PIXELS = 14;

export class Labels {
  /**
   * map: with `leaflet`, `grid`, `drawing` and `notice`.
   * call: called with `{tiles: [name, ...], answer}`, `{outline: [[lon, lat], ...], answer}` or
   * `{step: -1}`, the wish to undo.
   */
  constructor(map, call) {
    this.map = map;
    this.call = call;
    this.labels = new Map();
    this.layers = [];
    this.outlines = L.layerGroup().addTo(map.leaflet);
    map.leaflet.on("zoomend", () => this.draw());
    this.tile = element("span", { className: "mm-answer-tile" });
    this.lassos = ["yes", "no"].map((answer) => this.lassoButton(answer));
    this.node = element("div", { className: "mm-labels mm-card", title: "Yes and no" }, [
      this.tile,
      element("span", { textContent: "Lasso" }),
      ...this.lassos,
    ]);
  }

  lassoButton(answer) {
    const button = element("button", {
      type: "button",
      className: `mm-answer mm-${answer}`,
      textContent: MARKS[answer],
      title: `Drag round tiles to call all of them ${answer === "yes" ? "right" : "wrong"}`,
      onclick: () => this.lasso(answer, button),
    });
    button.setAttribute("aria-label", `Lasso: ${answer}`);
    return button;
  }

  lasso(answer, button) {
    const { drawing } = this.map;
    if (button.classList.contains("mm-active")) {
      drawing.stop();
      return;
    }
    drawing.start("lasso", {
      done: (ring) => this.call({ outline: flatRing(this.map.leaflet, ring), answer }),
      failed: () => this.map.notice("Drag round the tiles that you mean."),
      ended: () => button.classList.remove("mm-active"),
    });
    button.classList.add("mm-active");
  }

  /**
   * query: address parameters, which hold the labels of the open layer; selected: number of a tile,
   * or null; layers: as mars_map.ui.map.Layer has them.
   */
  update(query, selected, layers) {
    const changed = query !== this.query || JSON.stringify(layers) !== JSON.stringify(this.layers);
    if (!changed && selected === this.selected) return;
    if (query !== this.query) this.labels = labelsOf(query);
    this.query = query;
    this.selected = selected;
    this.layers = layers;
    if (changed) this.draw();
    const name = this.name;
    const text = element("span", { textContent: name ? `Tile ${name}` : "Click a tile" });
    const buttons = name ? [answerButtons(name, this.labels, this.call)] : [];
    this.tile.replaceChildren(text, ...buttons);
  }

  /** The tile that is looked at; the map knows it before Python does. */
  get name() {
    const tile = this.map.selected ?? null;
    return tile === null ? "" : this.map.grid.name(tile);
  }

  /** Draw the labels anew, in the projection that the map has now. */
  draw() {
    this.outlines.clearLayers();
    const { leaflet, grid } = this.map;
    const pixels = pixelsPerDegree(leaflet) * grid.step;
    const shown = this.layers.filter((layer) => layer.shown);
    // The open one last, above the others.
    for (const layer of shown.sort((a, b) => a.open - b.open)) {
      const tiles = layer.open ? this.openTiles() : tilesOf(layer);
      const marked = tiles.length <= FEW || pixels >= MARK_PIXELS;
      for (const [tile, answer] of tiles) this.outline(tile, answer, marked, layer);
    }
  }

  /** The tiles of the layer that the query uses, as [number, answer]. */
  openTiles() {
    const tiles = [...this.labels].map(([name, answer]) => [numberOf(this.map.grid, name), answer]);
    return tiles.filter(([tile]) => tile >= 0);
  }

  /** marked: whether the tile gets its tick or cross; else it is filled. */
  outline(tile, answer, marked, { open, colour }) {
    const { grid, leaflet } = this.map;
    const [lon, lat] = grid.center(tile);
    const className = open ? `mm-label-${answer}` : `mm-label-${answer} mm-other-layer`;
    const options = { pane: "footprints", interactive: false, fill: !marked, fillOpacity: 0.6 };
    const style = { ...options, className: marked ? className : `${className} mm-crowded` };
    const ring = straightPath(ringOf(grid.bounds(tile)), true);
    const polygon = L.polygon(repeated(leaflet, ring), style).addTo(this.outlines);
    polygon.getElement()?.style.setProperty("--mm-layer", colour);
    for (const shift of marked ? copies(leaflet) : []) {
      const html = element("i", { className, textContent: MARKS[answer] });
      html.style.setProperty("--mm-layer", colour);
      const icon = L.divIcon({ className: "mm-label", html, iconSize: [14, 14] });
      const place = { icon, pane: "selected", interactive: false, keyboard: false };
      L.marker([lat, lon + shift], place).addTo(this.outlines);
    }
  }

  /** y and x answer to the tile that is looked at, u takes the last step back. */
  key({ key }) {
    if (key === "u") this.call({ step: -1 });
    else if (key in KEYS && this.name) this.call(toggled(this.name, KEYS[key], this.labels));
  }
}

/** The tiles of a layer that the query does not use, as [number, answer]. */
const tilesOf = (layer) => Object.keys(MARKS).flatMap((answer) => layer[answer].map((tile) => [tile, answer]));

/** Number of the tile with an id, -1 where the grid has none. */
function numberOf(grid, name) {
  const [row, column] = (/^r(\d+)c(\d+)$/.exec(name) ?? []).slice(1).map(Number);
  return column < grid.columns[row] ? grid.starts[row] + column : -1;
}
