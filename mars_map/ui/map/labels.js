// Tiles called right and wrong, on the map: their outlines with a mark, buttons and keys for the
// tile that is looked at, and a lasso for many.

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
   * query: address parameters, which hold the labels; selected: number of a tile, or null; ring: the
   * colour of their layer.
   */
  update(query, selected, ring) {
    this.map.host.style.setProperty("--mm-layer", ring || "#fff");
    if (query !== this.query) this.labels = labelsOf(query);
    if (query === this.query && selected === this.selected) return;
    this.query = query;
    this.selected = selected;
    this.draw();
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
    const marked = this.labels.size <= FEW || pixels >= MARK_PIXELS;
    for (const [name, answer] of this.labels) {
      const tile = numberOf(this.map.grid, name);
      if (tile >= 0) this.outline(tile, answer, marked);
    }
  }

  /** marked: whether the tile gets its tick or cross; else it is filled. */
  outline(tile, answer, marked) {
    const { grid, leaflet } = this.map;
    const [lon, lat] = grid.center(tile);
    const className = `mm-label-${answer}`;
    const options = { pane: "footprints", interactive: false, fill: !marked, fillOpacity: 0.6 };
    const style = { ...options, className: marked ? className : `${className} mm-crowded` };
    const ring = straightPath(ringOf(grid.bounds(tile)), true);
    L.polygon(repeated(leaflet, ring), style).addTo(this.outlines);
    for (const shift of marked ? copies(leaflet) : []) {
      const html = element("i", { className, textContent: MARKS[answer] });
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

/** Number of the tile with an id, -1 where the grid has none. */
function numberOf(grid, name) {
  const [row, column] = (/^r(\d+)c(\d+)$/.exec(name) ?? []).slice(1).map(Number);
  return column < grid.columns[row] ? grid.starts[row] + column : -1;
}
