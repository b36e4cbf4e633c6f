// What Leaflet draws of an answer: footprints of hits, the heat map, the tile that is looked at.

import * as L from "../leaflet/leaflet-src.esm.js";
import { CanvasTiles, Shapes } from "./canvas.js";
import { straightPath } from "./mars.js";
import { PLANET, copies, pixelsPerDegree, poleOf, repeated } from "./polar.js";
import { route, template, withCut } from "./server.js";

const SMALL_PIXELS = 10;
const LEAST_PIXELS = 2.5;
const MARK = { interactive: false, fill: false, className: "mm-selected", pane: "selected" };
/** Finest level of the polar heat map: its pixels are 3 km. */
const POLAR_HEAT_ZOOM = 4;

/** Outlines of the hits: 20,000 draw in one pass. */
export const Footprints = CanvasTiles.extend({
  options: { pane: "footprints" },

  /** boxes: Float64Array of west, south, east, north, best hit first. */
  show(boxes, colour) {
    this.boxes = boxes;
    this.colour = colour;
    this.project();
  },

  /** Draw anew, in the projection that the map has now. */
  project() {
    this.shapes = undefined;
    this.redraw();
  },

  makeShapes() {
    const { crs } = this._map.options;
    const paths = [];
    // The best hit is drawn last, above the others.
    for (let i = this.boxes.length - 4; i >= 0; i -= 4) paths.push(this.outline(i));
    return new Shapes(crs, paths);
  },

  outline(i) {
    const [west, south, east, north] = this.boxes.subarray(i, i + 4);
    const ring = ringOf([west, south, east, north]);
    // On the planet's map the sides are straight; from above a pole they are arcs.
    return poleOf(this._map) ? straightPath(ring, true) : ring.map(([lon, lat]) => [lat, lon]);
  },

  paint(context, frame) {
    if (!this.boxes?.length) return;
    this.shapes ??= this.makeShapes();
    const { shapes } = this;
    const height = (this.boxes[3] - this.boxes[1]) * pixelsPerDegree(this._map, this._tileZoom);
    context.beginPath();
    for (const [path, shift] of this.onTile(shapes, frame, 4)) {
      if (height < SMALL_PIXELS) this.dot(context, shapes, path, shift, frame);
      else shapes.trace(context, path, frame, shift, true);
    }
    this.finish(context, height);
  },

  /** From far away a tile is smaller than a pixel; a hit must still be seen. */
  dot(context, shapes, path, shift, { left, top, scale }) {
    const [x0, y0, x1, y1] = shapes.boxes.subarray(4 * path, 4 * path + 4);
    const width = Math.max((x1 - x0) * scale, LEAST_PIXELS);
    const height = Math.max((y1 - y0) * scale, LEAST_PIXELS);
    const x = ((x0 + x1) / 2 + shift) * scale - left;
    const y = ((y0 + y1) / 2) * scale - top;
    context.rect(x - width / 2, y - height / 2, width, height);
  },

  /** From near, outlines; from afar one flat shape, since outlines would add up to a blot. */
  finish(context, height) {
    if (height >= SMALL_PIXELS) {
      context.strokeStyle = this.colour;
      context.lineWidth = 1.25;
      context.stroke();
    } else {
      context.fillStyle = this.colour;
      context.globalAlpha = 0.65;
      context.fill();
    }
  },
});

/** The outline of one tile, and a ring around it where the tile itself is too small to see. */
export const TileMark = L.LayerGroup.extend({
  onAdd(map) {
    L.LayerGroup.prototype.onAdd.call(this, map);
    map.on("zoomend", this.draw, this);
  },

  /** bounds: west, south, east, north in degrees, or null for none. */
  mark(bounds) {
    this.bounds = bounds;
    this.draw();
  },

  draw() {
    this.clearLayers();
    if (!this.bounds) return;
    const [west, south, east, north] = this.bounds;
    L.polygon(repeated(this._map, straightPath(ringOf(this.bounds), true)), MARK).addTo(this);
    if ((north - south) * pixelsPerDegree(this._map) >= SMALL_PIXELS) return;
    for (const shift of copies(this._map))
      L.circleMarker([(south + north) / 2, (west + east) / 2 + shift], { ...MARK, radius: 9 }).addTo(this);
  },
});

/** The heat map. The old one stays until the new one has arrived. */
export class Heat {
  constructor(map, pane = "heat") {
    this.map = map;
    this.pane = pane;
    this.opacity = 0.7;
    this.images = [];
  }

  /** query: address parameters of the query, or "" for none. Resolves when it is painted. */
  show(asked) {
    // How many hits there are changes no colour: the picture that is there stays.
    const query = withCut(asked);
    if (query === this.query) return this.shown;
    this.query = query;
    this.shown = query ? this.load(query) : Promise.resolve(this.replace([]));
    return this.shown;
  }

  /** Draw anew, in the projection that the map has now. */
  project() {
    this.replace([]);
    if (this.query) this.shown = this.load(this.query);
  }

  async load(query) {
    const system = this.map.options.crs;
    const next = this.make(query);
    for (const image of next) image.addTo(this.map);
    await loaded(next.at(-1));
    const current = this.query === query && this.map.options.crs === system;
    if (current) this.replace(next);
    else for (const image of next) image.remove();
  }

  /** The layers of a heat map, the one that tells when it has come as the last. */
  make(query) {
    const options = { opacity: 0, pane: this.pane, className: "mm-heat" };
    const pole = poleOf(this.map);
    if (pole) {
      const address = template(`polar/${pole}/heat/{z}/{x}/{y}.png`, query);
      return [L.tileLayer(address, { ...options, maxNativeZoom: POLAR_HEAT_ZOOM })];
    }
    // The planet's repetitions show the same picture, which the browser fetches once.
    const address = route("heat.png", query);
    return [-360, 360, 0].map((shift) => {
      const bounds = PLANET.map(([lat, lon]) => [lat, lon + shift]);
      const className = shift ? "mm-heat-copy" : "mm-heat";
      return L.imageOverlay(address, bounds, { ...options, className });
    });
  }

  replace(next) {
    for (const image of next) image.setOpacity(this.opacity);
    for (const image of this.images) image.remove();
    this.images = next;
  }

  setOpacity(opacity) {
    this.opacity = opacity;
    for (const image of this.images) image.setOpacity(opacity);
  }
}

/** Resolves when a picture has come, or will not. */
function loaded(layer) {
  return new Promise((resolve) => layer.once("load error", resolve));
}

/** Corners [lon, lat] of west, south, east, north. */
export function ringOf([west, south, east, north]) {
  return [
    [west, south],
    [east, south],
    [east, north],
    [west, north],
  ];
}

/** Leaflet's corner pairs of west, south, east, north. */
export function corners([west, south, east, north]) {
  return [
    [south, west],
    [north, east],
  ];
}
