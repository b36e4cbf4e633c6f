// Drawing on the map: a box or a freehand outline that is dragged, a line or a polygon whose corners
// are clicked. One drawing at a time, whoever asked for it.

import * as L from "../leaflet/leaflet-src.esm.js";
import { ringOf } from "./layers.js";
import { straightPath } from "./mars.js";

const STYLE = { pane: "region", interactive: false, className: "mm-draft" };
const DRAGGED = ["box", "lasso"];
const CLOSED = ["box", "lasso", "polygon"];
const LEAST = { box: 2, line: 2, lasso: 3, polygon: 3 };
const LASSO_STEP_PIXELS = 4;

export const clampLat = (lat) => Math.min(Math.max(lat, -90), 90);
/** A coordinate with as many digits as a click is worth. */
export const round = (value) => Math.round(value * 1e4) / 1e4;
const ignore = () => {};

export class Drawing {
  constructor(map) {
    this.map = map;
  }

  get active() {
    return Boolean(this.task);
  }

  /**
   * Let the user draw one shape. Whatever was being drawn is given up.
   *
   * shape: "box" or "lasso", which are dragged; "line" or "polygon", whose corners are clicked and
   * which a double-click or Enter ends; Backspace takes the last corner back.
   * done: called with the shape as [[lon, lat], ...]: the corners; of a box, the south-western and
   * the north-eastern one. Longitudes run on past 180 where the shape does.
   * changed: called with what is drawn so far and with where the pointer is.
   * failed: called instead of `done` where there are too few corners.
   * ended: called when drawing is over, whether done or given up.
   * path: makes the [lat, lon] points of the drawn outline from corners and "is it closed".
   */
  start(shape, { done, changed = ignore, failed = ignore, ended = ignore, path = straightPath }) {
    this.stop();
    this.task = { shape, done, changed, failed, ended, path };
    this.points = [];
    const { map } = this;
    map.getContainer().classList.add("mm-drawing");
    if (DRAGGED.includes(shape)) map.dragging.disable();
    else map.doubleClickZoom.disable();
    map.on(this.handlers(shape), this);
    this.keys = (event) => this.key(event);
    window.addEventListener("keydown", this.keys, { capture: true });
  }

  handlers(shape) {
    const { pressed, dragged, released, clicked, pointed, finish } = this;
    return DRAGGED.includes(shape)
      ? { mousedown: pressed, mousemove: dragged, mouseup: released }
      : { click: clicked, mousemove: pointed, dblclick: finish };
  }

  /** Give up drawing. Returns whether there was anything to give up. */
  stop() {
    if (!this.task) return false;
    const { shape, ended } = this.task;
    this.task = undefined;
    this.draft?.remove();
    this.draft = undefined;
    window.removeEventListener("keydown", this.keys, { capture: true });
    const { map } = this;
    map.off(this.handlers(shape), this);
    map.dragging.enable();
    map.doubleClickZoom.enable();
    map.getContainer().classList.remove("mm-drawing");
    ended();
    return true;
  }

  finish() {
    const { task } = this;
    const corners = this.points.filter((p, i, all) => i === 0 || String(p) !== String(all[i - 1]));
    // The click that ends the drawing must not pick a tile: stay in drawing mode until it is over.
    setTimeout(() => this.task === task && this.stop(), 0);
    if (corners.length < LEAST[task.shape]) task.failed();
    else task.done(task.shape === "box" ? boxOf(corners) : corners);
  }

  key(event) {
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    if (event.key === "Escape") this.stop();
    else if (event.key === "Enter" && this.points.length && !isButton(event.target)) this.finish();
    else if (event.key === "Backspace" && this.points.length) this.points.pop(), this.show();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  pressed({ latlng }) {
    this.points = [this.place(latlng)];
    this.lassoPoint = undefined;
    this.show();
  }

  dragged(event) {
    if (!this.points.length) return;
    if (!event.originalEvent.buttons) this.released();
    else if (this.task.shape === "box") this.points = [this.points[0], this.place(event.latlng)];
    else if (this.hasMoved(event.containerPoint)) this.points.push(this.place(event.latlng));
    if (this.task) this.show();
  }

  /** Whether a freehand line has gone far enough for another corner. */
  hasMoved(point) {
    if (this.lassoPoint?.distanceTo(point) < LASSO_STEP_PIXELS) return false;
    this.lassoPoint = point;
    return true;
  }

  released() {
    if (this.points.length) this.finish();
  }

  clicked({ latlng }) {
    this.points.push(this.place(latlng));
    this.show();
  }

  pointed({ latlng }) {
    if (this.points.length) this.show(this.place(latlng));
  }

  /** The point as [lon, lat], its longitude less than half a turn from the corner before. */
  place({ lng, lat }) {
    const before = this.points.at(-1)?.[0] ?? lng;
    const whole = this.map.options.crs.wrapLng ? 0 : 360 * Math.round((before - lng) / 360);
    return [round(lng + whole), round(clampLat(lat))];
  }

  /** pointer: where the next corner would be; none while nothing is pointed at. */
  show(pointer) {
    const { shape, changed, path } = this.task;
    const points = pointer ? [...this.points, pointer] : this.points;
    const closed = CLOSED.includes(shape);
    const outline = shape === "box" && points.length > 1 ? ringOf(boxOf(points).flat()) : points;
    this.draft?.remove();
    const style = { ...STYLE, fill: closed };
    const make = closed ? L.polygon : L.polyline;
    this.draft = make(path(outline, closed), style).addTo(this.map);
    changed(points);
  }
}

const isButton = (node) => node.tagName === "BUTTON";

/** South-western and north-eastern corner of two opposite ones. */
function boxOf([[lon1, lat1], [lon2, lat2]]) {
  return [
    [Math.min(lon1, lon2), Math.min(lat1, lat2)],
    [Math.max(lon1, lon2), Math.max(lat1, lat2)],
  ];
}
