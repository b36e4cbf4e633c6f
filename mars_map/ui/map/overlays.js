// Published catalogues and geology over the map, each to be switched on; canvas tiles draw them.

import * as L from "../leaflet/leaflet-src.esm.js";
import { CanvasTiles, Shapes } from "./canvas.js";
import { straightPath } from "./mars.js";
import { poleOf } from "./polar.js";
import { ask, route } from "./server.js";
import { byImportance, thinned } from "./thinning.js";

/** Colours that differ for colour-blind eyes too (after Okabe and Ito), and shapes that differ. */
const STYLES = {
  landslides: { colour: "#e69f00", symbol: "triangle" },
  glaciers: { colour: "#56b4e9", symbol: "square" },
  dunes: { colour: "#f0e442", fill: true },
  ridges: { colour: "#ff8a5c" },
  graben: { colour: "#2fd6a6", dash: [5, 3] },
  ejecta: { colour: "#ffffff", symbol: "ring" },
  minerals: { colour: "#a5b8ff", symbol: "dot" },
  contacts: { colour: "#ffffff", dash: [2, 2], width: 1 },
};
const OTHER = { colour: "#cccccc", symbol: "dot" };
const HALO = "rgb(0 0 0 / 0.55)";
const REACH_PIXELS = 7;

/** Colours without a key: nothing more can be said of them than this. */
export const GEOLOGY = {
  key: "geology",
  title: "Geologic units",
  credit: "Skinner et al. 2006",
  source: "USGS I-1802, digital renovation by Skinner et al. (2006)",
  doi: "",
  licence: "public domain (USGS)",
  care: "the colours have no key; they only tell one unit from the next",
};
const GEOLOGY_ZOOM = 3;
const GEOLOGY_OPACITY = 0.45;

const loads = new Map();

/** Features of a catalogue: `{kinds, kind, size, paths, owners}`; paths are [[lat, lon], ...]. */
function load(key) {
  if (!loads.has(key)) {
    const asked = ask(`overlay/${key}`).then(decode);
    asked.catch(() => loads.delete(key));
    loads.set(key, asked);
  }
  return loads.get(key);
}

function decode({ scale, kinds, kind, size, paths }) {
  const owners = [];
  const decoded = [];
  paths.forEach((own, feature) => {
    for (const steps of own) {
      owners.push(feature);
      decoded.push(pathOf(steps, scale));
    }
  });
  return { kinds, kind, size, paths: decoded, owners: Int32Array.from(owners) };
}

function pathOf(steps, scale) {
  const path = [];
  let [x, y] = [0, 0];
  for (let i = 0; i < steps.length; i += 2) {
    x += steps[i];
    y += steps[i + 1];
    path.push([y / scale, x / scale]);
  }
  return path;
}

/** The features of one catalogue. */
const Catalogue = CanvasTiles.extend({
  options: { pane: "overlays" },

  initialize(entry, features) {
    this.entry = entry;
    this.features = features;
    this.style = STYLES[entry.key] ?? OTHER;
    this.crowd = 1;
    this.thin = new Map();
  },

  project() {
    this.shapes = undefined;
    this.thin.clear();
    this.redraw();
  },

  /** crowd: how many catalogues share the map. */
  share(crowd) {
    if (crowd === this.crowd) return;
    this.crowd = crowd;
    this.thin.clear();
    this.redraw();
  },

  /** The features that are drawn at a zoom, as `thinned` has them. */
  keptAt(zoom) {
    this.shapes ??= this.makeShapes();
    this.order ??= byImportance(this.shapes, this.features.size);
    if (!this.thin.has(zoom))
      this.thin.set(zoom, thinned(this.shapes, this.order, this.entry.geometry, zoom, this.crowd));
    return this.thin.get(zoom);
  },

  /** How many features there are for each that is drawn now. */
  oneIn() {
    const kept = this.keptAt(Math.round(this._map.getZoom()));
    return kept ? kept.length / Math.max(kept.reduce((sum, one) => sum + one, 0), 1) : 1;
  },

  makeShapes() {
    const { paths, owners } = this.features;
    const polar = poleOf(this._map) && this.entry.geometry !== "point";
    const bent = polar ? paths.map((path) => straightPath(path.map(([lat, lon]) => [lon, lat]))) : paths;
    return new Shapes(this._map.options.crs, bent, owners);
  },

  paint(context, frame) {
    const kept = this.keptAt(this._tileZoom);
    this.shapes.kept = kept;
    const near = [...this.onTile(this.shapes, frame)];
    if (this.entry.geometry === "point") this.paintPoints(context, frame, near);
    else this.paintLines(context, frame, near);
  },

  paintPoints(context, { left, top, scale }, near) {
    const radius = Math.min(Math.max(1.6 + 0.5 * this._tileZoom, 2), 5);
    const { points, starts } = this.shapes;
    context.beginPath();
    for (const [path, shift] of near) {
      const at = 2 * starts[path];
      const [x, y] = [(points[at] + shift) * scale - left, points[at + 1] * scale - top];
      traceSymbol(context, this.style.symbol, x, y, radius);
    }
    finish(context, this.style);
  },

  paintLines(context, frame, near) {
    const closed = this.entry.geometry === "polygon";
    context.beginPath();
    for (const [path, shift] of near) this.shapes.trace(context, path, frame, shift, closed);
    finish(context, this.style);
  },

  /** What lies under a point of the map: lines of text, or null. */
  at(latlng) {
    if (!this.shapes) return null;
    const point = this._map.options.crs.latLngToPoint(latlng, 0);
    const reach = REACH_PIXELS / 2 ** this._map.getZoom();
    const path = this.shapes.nearest(point, reach, this.entry.geometry === "polygon");
    return path < 0 ? null : this.describe(this.shapes.owners[path]);
  },

  describe(feature) {
    const { kinds, kind, size } = this.features;
    const [name, unit] = this.entry.measure.split(", ");
    const measure = size[feature] === null ? "" : `${name} ${size[feature].toLocaleString("en")} ${unit}`;
    const facts = [kinds[kind[feature]], measure].filter(Boolean).join(" · ");
    return [this.entry.title, facts, this.entry.credit].filter(Boolean);
  },
});

/** Add the outline of a symbol round a point to a drawing context. */
function traceSymbol(context, symbol, x, y, radius) {
  if (symbol === "triangle") {
    context.moveTo(x, y - 1.2 * radius);
    context.lineTo(x + 1.1 * radius, y + 0.8 * radius);
    context.lineTo(x - 1.1 * radius, y + 0.8 * radius);
    context.closePath();
  } else if (symbol === "square") {
    context.rect(x - 0.85 * radius, y - 0.85 * radius, 1.7 * radius, 1.7 * radius);
  } else {
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, 2 * Math.PI);
  }
}

/** Draw what was traced, with a dark edge that shows on bright ground. */
function finish(context, { colour, symbol, fill, dash = [], width = 1.5 }) {
  const filled = symbol && symbol !== "ring";
  context.strokeStyle = HALO;
  context.lineWidth = filled ? 1.5 : width + 1.5;
  context.stroke();
  context.fillStyle = colour;
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.setLineDash(dash);
  if (fill) {
    context.globalAlpha = 0.3;
    context.fill();
    context.globalAlpha = 1;
  }
  if (filled) context.fill();
  else context.stroke();
}

/** A small picture of how a catalogue is drawn, for the legend. */
export function swatch(entry) {
  const canvas = document.createElement("canvas");
  canvas.className = "mm-swatch";
  const ratio = window.devicePixelRatio || 1;
  canvas.width = 20 * ratio;
  canvas.height = 12 * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const style = STYLES[entry.key] ?? OTHER;
  context.beginPath();
  if (entry.geometry === "point") traceSymbol(context, style.symbol, 10, 6, 4);
  else if (entry.geometry === "polygon") context.rect(2, 2, 16, 8);
  else context.moveTo(1, 9), context.lineTo(8, 4), context.lineTo(19, 6);
  finish(context, style);
  return canvas;
}

/** The overlays that are switched on. */
export class Overlays {
  constructor(map, preferences, notice) {
    this.map = map;
    this.preferences = preferences;
    this.notice = notice;
    this.layers = new Map();
    this.listed = ask("overlay").catch((error) => {
      notice(error.message);
      return [];
    });
    this.listeners = [];
    preferences.watch((changes) => "over" in changes && this.update());
    map.on("zoomend", () => this.tell());
    this.update();
  }

  /** listener: called when it may have changed how many features are drawn. */
  watch(listener) {
    this.listeners.push(listener);
  }

  tell() {
    for (const listener of this.listeners) listener();
  }

  /** How many features of a catalogue there are for each that is drawn; 1 where all are. */
  oneIn(key) {
    return this.layers.get(key)?.oneIn?.() ?? 1;
  }

  /** Catalogues that are on share the room. */
  share() {
    const catalogues = [...this.layers.values()].filter((layer) => layer.share);
    for (const layer of catalogues) layer.share(catalogues.length);
    this.map.getContainer().dataset.overlays = [...this.layers.keys()].join(",");
    this.tell();
  }

  /** Show what the preferences name, and nothing else. */
  async update() {
    const listed = await this.listed;
    const wanted = new Set(this.preferences.over);
    for (const [key, layer] of this.layers) if (!wanted.has(key)) this.drop(key, layer);
    if (wanted.has(GEOLOGY.key) && !this.layers.has(GEOLOGY.key)) this.addGeology();
    const missing = listed.filter(({ key }) => wanted.has(key) && !this.layers.has(key));
    await Promise.all(missing.map((entry) => this.add(entry)));
  }

  async add(entry) {
    try {
      const features = await load(entry.key);
      const wanted = this.preferences.over.includes(entry.key);
      if (!wanted || this.layers.has(entry.key)) return;
      this.layers.set(entry.key, new Catalogue(entry, features).addTo(this.map));
      this.share();
    } catch (error) {
      this.notice(error.message);
    }
  }

  drop(key, layer) {
    layer.remove();
    this.layers.delete(key);
    this.share();
  }

  addGeology() {
    const pole = poleOf(this.map);
    const path = pole ? `polar/${pole}/geology` : "overlay/geology";
    const address = decodeURI(route(`${path}/{z}/{x}/{y}.jpg`));
    const options = { pane: "geology", opacity: GEOLOGY_OPACITY, maxNativeZoom: GEOLOGY_ZOOM };
    this.layers.set(GEOLOGY.key, L.tileLayer(address, options).addTo(this.map));
  }

  /** Draw anew, in the projection that the map has now. */
  project() {
    const geology = this.layers.get(GEOLOGY.key);
    if (geology) {
      this.drop(GEOLOGY.key, geology);
      this.addGeology();
    }
    for (const layer of this.layers.values()) layer.project?.();
  }

  /** What lies under a point, as lines of text, or null. */
  at(latlng) {
    for (const layer of [...this.layers.values()].reverse()) {
      const found = layer.at?.(latlng);
      if (found) return found;
    }
    return null;
  }
}
