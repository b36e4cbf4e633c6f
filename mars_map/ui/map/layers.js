// What Leaflet draws: footprints of hits, the heat map, the graticule and outlines.

import * as L from "../leaflet/leaflet-src.esm.js";
import { formatLatitude, formatLongitude } from "./mars.js";
import { route } from "./server.js";

export const PLANET = [
  [-90, -180],
  [90, 180],
];
const STEPS = [60, 30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1];
const LINE_SPACING_PIXELS = 110;
const SMALL_PIXELS = 10;
const MARK = { interactive: false, fill: false, className: "mm-selected" };

/** Outlines of the hits on canvas tiles: 20,000 draw in one pass, and a pan draws only new ones. */
export const Footprints = L.GridLayer.extend({
  options: { tileSize: 512, pane: "footprints", noWrap: true, bounds: PLANET },

  /** boxes: Float64Array of west, south, east, north, best hit first. */
  show(boxes, colour) {
    this.boxes = boxes;
    this.colour = colour;
    this.redraw();
  },

  createTile(coords) {
    const size = this.getTileSize();
    const ratio = window.devicePixelRatio || 1;
    const canvas = document.createElement("canvas");
    canvas.width = size.x * ratio;
    canvas.height = size.y * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    if (this.boxes) this.drawTile(context, coords, size);
    return canvas;
  },

  drawTile(context, coords, size) {
    const perDegree = (256 * 2 ** this._tileZoom) / 180;
    const left = coords.x * size.x;
    const top = coords.y * size.y;
    context.beginPath();
    for (let i = this.boxes.length - 4; i >= 0; i -= 4) {
      const x = (this.boxes[i] + 180) * perDegree - left;
      const y = (90 - this.boxes[i + 3]) * perDegree - top;
      const width = (this.boxes[i + 2] - this.boxes[i]) * perDegree;
      const tall = (this.boxes[i + 3] - this.boxes[i + 1]) * perDegree;
      if (x > size.x + 4 || y > size.y + 4 || x + width < -4 || y + tall < -4) continue;
      // From far away a tile is smaller than a pixel; a hit must still be seen.
      const least = 2.5;
      const dx = Math.max(least - width, 0) / 2;
      const dy = Math.max(least - tall, 0) / 2;
      context.rect(x - dx, y - dy, width + 2 * dx, tall + 2 * dy);
    }
    this.paint(context, (this.boxes[3] - this.boxes[1]) * perDegree);
  },

  /** From near, outlines; from afar one flat shape, since outlines would add up to a blot. */
  paint(context, height) {
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
export const TileMark = L.FeatureGroup.extend({
  onAdd(map) {
    this.box = L.rectangle(PLANET, { ...MARK, pane: "selected" });
    this.ring = L.circleMarker([0, 0], { ...MARK, pane: "selected", radius: 9 });
    map.on("zoomend", this.fit, this);
  },

  /** bounds: west, south, east, north in degrees, or null for none. */
  mark(bounds) {
    this.clearLayers();
    this.bounds = bounds;
    if (!bounds) return;
    this.box.setBounds(corners(bounds)).addTo(this);
    this.ring.setLatLng(this.box.getBounds().getCenter());
    this.fit();
  },

  fit() {
    if (!this.bounds) return;
    const pixels = ((this.bounds[3] - this.bounds[1]) * 256 * 2 ** this._map.getZoom()) / 180;
    if (pixels < SMALL_PIXELS) this.ring.addTo(this);
    else this.removeLayer(this.ring);
  },
});

/** The heat map. The old image stays until the new one has arrived. */
export class Heat {
  constructor(map) {
    this.map = map;
    this.opacity = 0.7;
  }

  /** query: address parameters of the query, or "" for none. Resolves when it is painted. */
  show(query) {
    if (query === this.query) return this.shown;
    this.query = query;
    this.shown = query ? this.load(query) : Promise.resolve(this.replace(null));
    return this.shown;
  }

  load(query) {
    const options = { opacity: 0, pane: "heat", className: "mm-heat" };
    const next = L.imageOverlay(route("heat.png", query), PLANET, options);
    return new Promise((resolve) => {
      next.on("load", () => {
        if (this.query === query) this.replace(next);
        else next.remove();
        resolve();
      });
      next.on("error", () => {
        next.remove();
        resolve();
      });
      next.addTo(this.map);
    });
  }

  replace(next) {
    next?.setOpacity(this.opacity);
    this.image?.remove();
    this.image = next;
  }

  setOpacity(opacity) {
    this.opacity = opacity;
    this.image?.setOpacity(opacity);
  }
}

/** Meridians and parallels with labels at the edge of the view, as many as fit. */
export const Graticule = L.Layer.extend({
  initialize(preferences) {
    this.preferences = preferences;
  },

  onAdd(map) {
    this.lines = L.layerGroup().addTo(map);
    this.labels = L.DomUtil.create("div", "mm-graticule", map.getContainer());
    map.on("moveend zoomend resize", this.draw, this);
    map.on("move", this.place, this);
    this.draw();
  },

  onRemove(map) {
    map.off("moveend zoomend resize", this.draw, this);
    map.off("move", this.place, this);
    this.lines.remove();
    this.labels.remove();
  },

  draw() {
    const perDegree = (256 * 2 ** this._map.getZoom()) / 180;
    const step = STEPS.findLast((s) => s * perDegree >= LINE_SPACING_PIXELS) ?? STEPS[0];
    const view = this._map.getBounds().pad(0.3);
    this.lines.clearLayers();
    this.labels.replaceChildren();
    this.marks = [];
    for (const lon of multiples(step, Math.max(view.getWest(), -180), Math.min(view.getEast(), 180)))
      this.line([[-90, lon], [90, lon]], { lon }, step);
    for (const lat of multiples(step, Math.max(view.getSouth(), -90), Math.min(view.getNorth(), 90)))
      this.line([[lat, -180], [lat, 180]], { lat }, step);
    this.place();
  },

  line(points, at, step) {
    const options = { pane: "graticule", interactive: false, className: "mm-line", weight: 1 };
    L.polyline(points, options).addTo(this.lines);
    const digits = step < 1 ? 1 : 0;
    const label = L.DomUtil.create("span", "", this.labels);
    label.textContent =
      at.lon === undefined
        ? formatLatitude(at.lat, digits)
        : formatLongitude(at.lon, this.preferences.lon, digits);
    this.marks.push({ label, at });
  },

  place() {
    for (const { label, at } of this.marks ?? []) {
      const { x, y } = this._map.latLngToContainerPoint([at.lat ?? 0, at.lon ?? 0]);
      label.style.transform =
        at.lon === undefined ? `translate(4px, ${y - 15}px)` : `translate(${x + 4}px, 0)`;
      label.className = at.lon === undefined ? "mm-parallel" : "mm-meridian";
    }
  },
});

function multiples(step, from, to) {
  const found = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + 1e-9; i++) found.push(i * step);
  return found;
}

/** Leaflet's corner pairs of west, south, east, north. */
export function corners([west, south, east, north]) {
  return [
    [south, west],
    [north, east],
  ];
}
