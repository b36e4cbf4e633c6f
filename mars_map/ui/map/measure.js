// Measuring on the sphere: a line with its elevation profile, and the area of a polygon. Edges are great
// circles; they are drawn as such.

import * as L from "../leaflet/leaflet-src.esm.js";
import { areaKm2, closing, greatCirclePath, lengthKm, wrapLongitude } from "./mars.js";
import { poleOf, repeated } from "./polar.js";
import { Profile, number } from "./profile.js";
import { element } from "./server.js";

const STYLE = { pane: "region", interactive: false, className: "mm-measured" };
const RULER = "M2 13 13 2l4 4L6 17zM5 10l2 2m1-5 3 3m0-6 2 2";
const AREA = "M3 6 10 2l7 5-2 9H5z";
const NEEDS = { line: "A line needs at least two corners.", polygon: "An area needs three corners." };

export class Measures {
  constructor(map, drawing, preferences, notice) {
    this.map = map;
    this.drawing = drawing;
    this.preferences = preferences;
    this.notice = notice;
    this.shapes = L.layerGroup().addTo(map);
    // Esc gives up what is being drawn before it takes away what was measured.
    const close = () => drawing.active || this.clear();
    this.profile = new Profile(map, preferences, close, notice);
    this.buttons = {
      line: this.button("line", RULER, "Measure a line and its elevation profile"),
      polygon: this.button("polygon", AREA, "Measure an area"),
    };
    const { line, polygon } = this.buttons;
    this.node = element("div", { className: "mm-bar-of-buttons mm-card" }, [line, polygon]);
    this.node.setAttribute("role", "group");
    this.node.setAttribute("aria-label", "Measure");
    if (preferences.measured) this.show(preferences.measured);
  }

  button(shape, path, title) {
    const hint = "click the corners, double-click or Enter to end, Esc to give up";
    const node = element("button", { type: "button", title: `${title}: ${hint}` });
    node.onclick = () => this.start(shape);
    node.setAttribute("aria-label", title);
    node.innerHTML =
      `<svg viewBox="0 0 19 19" width="19" height="19" fill="none" stroke="currentColor" ` +
      `stroke-width="1.5" aria-hidden="true"><path d="${path}"/></svg>`;
    return node;
  }

  start(shape) {
    const button = this.buttons[shape];
    if (button.classList.contains("mm-active")) {
      this.drawing.stop();
      return;
    }
    this.clear();
    this.drawing.start(shape, {
      path: greatCirclePath,
      changed: (points) => (this.live = wordsFor(shape, points)),
      done: (points) => this.take({ shape, points }),
      failed: () => this.notice(NEEDS[shape]),
      ended: () => {
        this.live = null;
        button.classList.remove("mm-active");
      },
    });
    button.classList.add("mm-active");
  }

  take(measured) {
    this.preferences.set({ measured });
    this.show(measured);
  }

  /** measured: `{shape, points}`, a "line" or a "polygon" through [lon, lat]. */
  show(measured) {
    this.measured = measured;
    this.project();
    const { shape, points } = measured;
    const round = points.map(([lon, lat]) => [wrapLongitude(lon), lat]);
    if (shape === "line") this.profile.showLine(round, lengthKm(points));
    else this.profile.showArea(areaKm2(points), lengthKm([...points, points[0]]));
  }

  /** Draw anew, in the projection that the map has now. */
  project() {
    this.shapes.clearLayers();
    if (!this.measured) return;
    const { shape, points } = this.measured;
    const closed = shape === "polygon";
    const path = greatCirclePath(closed ? [...points, closing(points)] : points);
    // Round a pole an outline ends a whole turn from where it began: on the planet's map it is open.
    const open = !poleOf(this.map) && Math.abs(path.at(-1)[1] - path[0][1]) > 180;
    const fill = closed && !open;
    for (const copy of repeated(this.map, path)) L.polyline(copy, { ...STYLE, fill }).addTo(this.shapes);
    this.profile.project();
  }

  clear() {
    this.shapes.clearLayers();
    this.measured = undefined;
    this.profile.hide();
    if (this.preferences.measured) this.preferences.set({ measured: null });
  }

  /** How long or large what is being drawn is, beside the pointer. */
  at() {
    return this.live ?? null;
  }
}

/** Length or area of what is drawn so far, or null where there is nothing to tell. */
function wordsFor(shape, points) {
  if (shape === "line" && points.length > 1) return [`${number(lengthKm(points))} km`];
  if (shape === "polygon" && points.length > 2) return [`${number(areaKm2(points))} km²`];
  return null;
}
