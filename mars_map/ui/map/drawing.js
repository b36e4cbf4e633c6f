// Limiting the search to a part of the planet: this view, a box dragged, or a polygon clicked.

import * as L from "../leaflet/leaflet-src.esm.js";
import { element } from "./server.js";

const STYLE = { pane: "region", interactive: false, className: "mm-draft" };
const clampLat = (lat) => Math.min(Math.max(lat, -90), 90);
const clampLon = (lon) => Math.min(Math.max(lon, -180), 180);
const round = (value) => Math.round(value * 1e4) / 1e4;

export class RegionTools {
  /** choose: called with `{box: [w, s, e, n]}`, `{polygon: [[lon, lat], ...]}` or `{clear: true}`. */
  constructor(map, choose, notice) {
    this.map = map;
    this.choose = choose;
    this.notice = notice;
    this.buttons = {
      view: this.button("This view", "Search only what the map shows now", () => this.useView()),
      box: this.button("Box", "Drag a box on the map", () => this.start("box")),
      polygon: this.button(
        "Polygon",
        "Click the corners on the map; double-click to close, Esc to give up",
        () => this.start("polygon"),
      ),
      clear: this.button("Clear", "Search the whole planet again", () => choose({ clear: true })),
    };
    this.buttons.clear.hidden = true;
    this.node = element("div", { className: "mm-tools mm-card", title: "Region" }, [
      element("span", { textContent: "Limit to" }),
      ...Object.values(this.buttons),
    ]);
    this.outline = L.layerGroup().addTo(map);
  }

  button(textContent, title, onclick) {
    return element("button", { type: "button", textContent, title, onclick });
  }

  /** rings: the region's outlines as [[lat, lon], ...] each; empty for the whole planet. */
  show(rings) {
    this.outline.clearLayers();
    this.buttons.clear.hidden = rings.length === 0;
    const style = { pane: "region", interactive: false, fill: false, className: "mm-region" };
    for (const ring of rings) L.polygon(ring, style).addTo(this.outline);
  }

  get active() {
    return Boolean(this.mode);
  }

  useView() {
    const view = this.map.getBounds();
    const box = [view.getWest(), view.getSouth(), view.getEast(), view.getNorth()];
    this.chooseBox(box);
  }

  chooseBox([west, south, east, north]) {
    const box = [clampLon(west), clampLat(south), clampLon(east), clampLat(north)].map(round);
    if (box[0] < box[2] && box[1] < box[3]) this.choose({ box });
  }

  start(mode) {
    const again = this.mode === mode;
    this.stop();
    if (again) return;
    this.mode = mode;
    this.buttons[mode].classList.add("mm-active");
    this.map.getContainer().classList.add("mm-drawing");
    if (mode === "box") {
      this.map.dragging.disable();
      this.map.once("mousedown", this.boxStart, this);
    } else {
      this.points = [];
      this.map.doubleClickZoom.disable();
      this.map.on("click", this.addCorner, this);
      this.map.on("dblclick", this.closePolygon, this);
    }
  }

  /** Give up drawing. Returns whether there was anything to give up. */
  stop() {
    if (!this.mode) return false;
    this.buttons[this.mode].classList.remove("mm-active");
    this.mode = undefined;
    this.draft?.remove();
    this.draft = undefined;
    this.map.off("mousedown", this.boxStart, this);
    this.map.off("mousemove", this.boxMove, this);
    this.map.off("mouseup", this.boxEnd, this);
    this.map.off("click", this.addCorner, this);
    this.map.off("dblclick", this.closePolygon, this);
    this.map.dragging.enable();
    this.map.doubleClickZoom.enable();
    this.map.getContainer().classList.remove("mm-drawing");
    return true;
  }

  boxStart({ latlng }) {
    this.corner = latlng;
    this.draft = L.rectangle([latlng, latlng], STYLE).addTo(this.map);
    this.map.on("mousemove", this.boxMove, this);
    this.map.once("mouseup", this.boxEnd, this);
  }

  boxMove({ latlng }) {
    this.draft.setBounds([this.corner, latlng]);
  }

  boxEnd() {
    const drawn = this.draft.getBounds();
    // The click that ends the drag must not pick a tile: stay in drawing mode until it is over.
    setTimeout(() => this.stop(), 0);
    this.chooseBox([drawn.getWest(), drawn.getSouth(), drawn.getEast(), drawn.getNorth()]);
  }

  addCorner({ latlng }) {
    this.points.push([round(clampLon(latlng.lng)), round(clampLat(latlng.lat))]);
    this.draft?.remove();
    this.draft = L.polygon(this.points.map(([lon, lat]) => [lat, lon]), STYLE).addTo(this.map);
  }

  closePolygon() {
    const seen = new Set();
    const polygon = this.points.filter((p) => !seen.has(String(p)) && seen.add(String(p)));
    setTimeout(() => this.stop(), 0);
    if (polygon.length < 3) this.notice("A polygon needs at least three corners.");
    else this.choose({ polygon });
  }
}
