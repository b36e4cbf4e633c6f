// Names of features: the large ones first, never one on another, more of them as the map comes nearer.

import * as L from "../leaflet/leaflet-src.esm.js";
import { copies, pixelsPerDegree } from "./polar.js";
import { KM_PER_DEGREE } from "./mars.js";
import { ask } from "./server.js";

/** Features smaller than this on the screen have no name yet. */
const LEAST_PIXELS = 26;
/** Names of bright and dark ground are from another age and lie on other things. */
const LEFT_OUT = "albedo feature";
const UNKNOWN_KM = 5;
/** How much of a feature's extent counts: mountains are landmarks, long thin things are not. */
const WEIGHTS = { mons: 2.5, planitia: 1, terra: 1, planum: 1, vastitas: 1, chasma: 1, crater: 1, vallis: 0.6 };
const OTHER_WEIGHT = 0.4;
const FONT_PIXELS = { least: 11, most: 15 };
const GAP_PIXELS = 7;
const CELL_PIXELS = 128;
const DOT_PIXELS = 1.6;

export const Names = L.Renderer.extend({
  options: { pane: "labels", padding: 0.25 },

  initialize() {
    L.Renderer.prototype.initialize.call(this);
    this.features = [];
    this.placed = new Map();
    this.asked = ask("overlay/names").then((columns) => this.take(columns));
  },

  take(columns) {
    this.features = columns.name.map((name, i) => ({
      name,
      kind: columns.kind[i],
      lat: columns.lat[i],
      lng: columns.lon[i],
      size: columns.diameter_km[i],
    }));
    this.features = this.features.filter(({ kind }) => kind !== LEFT_OUT);
    this.features.sort((a, b) => prominence(b) - prominence(a));
    this.project();
  },

  /** Draw anew, in the projection that the map has now. */
  project() {
    this.placed.clear();
    if (this._map) this._update();
  },

  _initContainer() {
    this._container = document.createElement("canvas");
    this._container.className = "mm-names";
    this.context = this._container.getContext("2d");
  },

  _destroyContainer() {
    this._container.remove();
    delete this._container;
  },

  // Leaflet calls this whenever the view has come to rest.
  _update() {
    if (this._map._animatingZoom && this._bounds) return;
    L.Renderer.prototype._update.call(this);
    const { min } = this._bounds;
    const size = this._bounds.getSize();
    const ratio = window.devicePixelRatio || 1;
    L.DomUtil.setPosition(this._container, min);
    this._container.width = size.x * ratio;
    this._container.height = size.y * ratio;
    this._container.style.width = `${size.x}px`;
    this._container.style.height = `${size.y}px`;
    this.context.setTransform(ratio, 0, 0, ratio, -min.x * ratio, -min.y * ratio);
    this.draw();
  },

  draw() {
    this.shown = [];
    for (const label of this.layout()) {
      for (const shift of copies(this._map)) {
        const { lat, lng } = label.feature;
        const point = this._map.latLngToLayerPoint([lat, lng + shift]);
        if (this._bounds.contains(point)) this.write(label, point);
      }
    }
  },

  write({ feature, font, width, dot }, { x, y }) {
    const { context } = this;
    context.font = fontOf(font);
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.strokeStyle = "rgb(0 0 0 / 0.75)";
    context.lineWidth = 3;
    context.fillStyle = "#fff";
    const left = dot ? x + 5 : x - width / 2;
    context.strokeText(feature.name, left, y);
    context.fillText(feature.name, left, y);
    if (dot) {
      context.beginPath();
      context.arc(x, y, DOT_PIXELS, 0, 2 * Math.PI);
      context.lineWidth = 1.5;
      context.stroke();
      context.fill();
    }
    const box = L.bounds([dot ? x - 4 : left, y - font / 2 - 2], [left + width, y + font / 2 + 2]);
    this.shown.push({ feature, box });
  },

  /** The labels of this zoom, the same ones wherever the map is moved. */
  layout() {
    const zoom = this._map.getZoom();
    if (!this.placed.has(zoom)) {
      if (this.placed.size > 8) this.placed.clear();
      this.placed.set(zoom, this.place(zoom));
    }
    return this.placed.get(zoom);
  },

  place(zoom) {
    const perKm = pixelsPerDegree(this._map, zoom) / KM_PER_DEGREE;
    const world = 512 * 2 ** zoom;
    const shifts = copies(this._map).length > 1 ? [0, -world, world] : [0];
    const taken = new Taken(shifts);
    const labels = [];
    for (const feature of this.features) {
      if (prominence(feature) * perKm < LEAST_PIXELS) break;
      const label = this.measure(feature, (feature.size ?? UNKNOWN_KM) * perKm);
      const { x, y } = this._map.project([feature.lat, feature.lng], zoom);
      const left = label.dot ? x - 4 : x - label.width / 2;
      const right = label.dot ? x + 5 + label.width : x + label.width / 2;
      if (taken.take(left, y - label.font / 2, right, y + label.font / 2)) labels.push(label);
    }
    return labels;
  },

  /** Names of large areas lie in their middle, names of others beside a dot. */
  measure(feature, pixels) {
    const { least, most } = FONT_PIXELS;
    const font = Math.round(Math.min(Math.max(least, pixels / 18), most));
    this.context.font = fontOf(font);
    const { width } = this.context.measureText(feature.name);
    return { feature, font, width, dot: pixels < width };
  },

  /** The feature whose name lies under a point of the map, as lines of text, or null. */
  at(latlng) {
    const point = this._map?.latLngToLayerPoint(latlng);
    const found = point && this.shown?.find(({ box }) => box.contains(point));
    if (!found) return null;
    const { name, kind, size } = found.feature;
    const across = size ? ` · ${size.toLocaleString("en", { maximumFractionDigits: 1 })} km` : "";
    return [name, kind + across, "IAU/USGS Gazetteer"];
  },
});

const prominence = ({ kind, size }) => (WEIGHTS[kind] ?? OTHER_WEIGHT) * (size ?? UNKNOWN_KM);
const fontOf = (pixels) => `${pixels}px ${getComputedStyle(document.body).fontFamily}`;

/** Boxes that are taken, found by the cells of a grid. */
class Taken {
  /** shifts: how far to the right each box is there again. */
  constructor(shifts) {
    this.shifts = shifts;
    this.cells = new Map();
  }

  /** Take a box unless another is in the way; returns whether it was free. */
  take(left, top, right, bottom) {
    const box = [left - GAP_PIXELS, top - GAP_PIXELS, right + GAP_PIXELS, bottom + GAP_PIXELS];
    for (const key of cellsOf(box))
      if (this.cells.get(key)?.some((other) => overlap(box, other))) return false;
    for (const shift of this.shifts) this.fill([box[0] + shift, box[1], box[2] + shift, box[3]]);
    return true;
  }

  fill(box) {
    for (const key of cellsOf(box)) {
      if (!this.cells.has(key)) this.cells.set(key, []);
      this.cells.get(key).push(box);
    }
  }
}

function* cellsOf([left, top, right, bottom]) {
  const cell = (value) => Math.floor(value / CELL_PIXELS);
  for (let x = cell(left); x <= cell(right); x++)
    for (let y = cell(top); y <= cell(bottom); y++) yield `${x},${y}`;
}

const overlap = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
