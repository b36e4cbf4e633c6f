// Limiting the search to a part of the planet: this view, a box dragged, or a polygon clicked.

import * as L from "../leaflet/leaflet-src.esm.js";
import { clampLat, round } from "./drawing.js";
import { straightPath, wrapLongitude } from "./mars.js";
import { flatRing, repeated, visibleRange } from "./polar.js";
import { element } from "./server.js";

/** "Limit to": this view, a box, a polygon, or the whole planet again. */
export class RegionTools {
  /** choose: called with `{box: [w, s, e, n]}`, `{polygon: [[lon, lat], ...]}` or `{clear: true}`. */
  constructor(map, drawing, choose, notice) {
    this.map = map;
    this.drawing = drawing;
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
    this.rings = rings;
    for (const border of rings.flatMap(bordersOf))
      for (const copy of repeated(this.map, border)) L.polyline(copy, style).addTo(this.outline);
  }

  /** Draw the region anew, in the projection that the map has now. */
  project() {
    this.show(this.rings ?? []);
  }

  useView() {
    this.chooseBox(visibleRange(this.map));
  }

  chooseBox([west, south, east, north]) {
    if (west >= east || south >= north) return;
    const whole = east - west >= 360;
    const [w, e] = whole ? [-180, 180] : [wrapLongitude(west), wrapLongitude(east)];
    this.choose({ box: [w, clampLat(south), e, clampLat(north)].map(round) });
  }

  start(shape) {
    const button = this.buttons[shape];
    if (button.classList.contains("mm-active")) {
      this.drawing.stop();
      return;
    }
    this.drawing.start(shape, {
      done: (points) => this.drawn(shape, points),
      failed: () => shape === "polygon" && this.notice("A polygon needs at least three corners."),
      ended: () => button.classList.remove("mm-active"),
    });
    button.classList.add("mm-active");
  }

  drawn(shape, points) {
    if (shape === "box") this.chooseBox(points.flat());
    else this.choose({ polygon: flatRing(this.map, points).map(onPlanet) });
  }
}

const onPlanet = ([lon, lat]) => [round(Math.abs(lon) > 180 ? wrapLongitude(lon) : lon), round(lat)];

/** The lines of a ring [[lat, lon], ...] that are borders, not the seam where it was cut at 180 degrees. */
function bordersOf(ring) {
  const borders = [];
  let line = [];
  const seam = ([lat1, lon1], [lat2, lon2]) =>
    (Math.abs(lon1) === 180 && lon1 === lon2) || (Math.abs(lat1) === 90 && lat1 === lat2);
  ring.forEach((corner, i) => {
    const next = ring[(i + 1) % ring.length];
    if (line.length === 0) line.push(corner);
    if (!seam(corner, next)) {
      line.push(next);
      return;
    }
    borders.push(line);
    line = [];
  });
  const lines = [...borders, line].filter((points) => points.length > 1);
  return lines.map((points) => straightPath(points.map(([lat, lon]) => [lon, lat])));
}
