// Meridians and parallels with labels at the edge of the view, as many as fit, in any projection.

import * as L from "../leaflet/leaflet-src.esm.js";
import { formatLatitude, formatLongitude, straightPath } from "./mars.js";
import { isPoleVisible, pixelsPerDegree, visibleRange } from "./polar.js";

const STEPS = [60, 30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1];
const SPACING_PIXELS = 110;
/** Meridians of a polar map begin at this latitude, seen from its pole. */
const POLAR_REACH = -20;
const EDGE_PIXELS = 18;
/** Below what stands at the top of the map. */
const TOP_PIXELS = 58;

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
    this.lines.clearLayers();
    this.labels.replaceChildren();
    this.marks = [];
    const { sign } = this._map.options.crs;
    const [west, south, east, north] = padded(visibleRange(this._map), sign);
    const step = stepFor(pixelsPerDegree(this._map));
    const lonStep = sign ? this.polarLonStep(south, north) : step;
    const [low, high] = sign > 0 ? [POLAR_REACH, 90] : sign < 0 ? [-90, -POLAR_REACH] : [-90, 90];
    for (const lon of multiples(lonStep, west, east))
      if (!sign || lon > -180 + 1e-9) this.line([[lon, low], [lon, high]], { lon }, lonStep);
    for (const lat of multiples(step, Math.max(south, low), Math.min(north, high)))
      this.line([[west, lat], [east, lat]], { lat }, step);
    this.place();
  },

  polarLonStep(south, north) {
    if (isPoleVisible(this._map)) return 30;
    const { sign } = this._map.options.crs;
    const distance = 90 - (sign > 0 ? south : -north);
    return stepFor(pixelsPerDegree(this._map) * Math.sin((distance * Math.PI) / 180));
  },

  line(ends, at, step) {
    const options = { pane: "graticule", interactive: false, className: "mm-line", weight: 1 };
    L.polyline(straightPath(ends), options).addTo(this.lines);
    const digits = step < 1 ? 1 : 0;
    const label = L.DomUtil.create("span", "", this.labels);
    label.textContent =
      at.lon === undefined
        ? formatLatitude(at.lat, digits)
        : formatLongitude(at.lon, this.preferences.lon, digits);
    this.marks.push({ label, at });
  },

  place() {
    const { sign } = this._map.options.crs;
    for (const { label, at } of this.marks ?? []) {
      if (sign) this.placePolar(label, at, sign);
      else this.placeAtEdge(label, at);
    }
  },

  placeAtEdge(label, at) {
    const { x, y } = this._map.latLngToContainerPoint([at.lat ?? 0, at.lon ?? 0]);
    label.style.transform =
      at.lon === undefined ? `translate(4px, ${y - 15}px)` : `translate(${x + 4}px, 0)`;
    label.className = at.lon === undefined ? "mm-parallel" : "mm-meridian";
  },

  /** On a meridian the outermost point in sight; on a parallel where it meets the middle meridian. */
  placePolar(label, at, sign) {
    const middle = isPoleVisible(this._map) ? 15 : this._map.getCenter().lng;
    const inSight = at.lon === undefined ? this.inSight([at.lat, middle]) : this.lastInSight(at.lon, sign);
    label.className = "mm-floating";
    label.hidden = !inSight;
    if (inSight) label.style.transform = `translate(${inSight.x + 3}px, ${inSight.y - 14}px)`;
  },

  lastInSight(lon, sign) {
    let last = null;
    for (let distance = 1; distance < 100; distance += distance < 10 ? 0.25 : 0.5)
      last = this.inSight([sign * (90 - distance), lon]) ?? last;
    return last;
  },

  inSight(latlng) {
    const size = this._map.getSize();
    const point = this._map.latLngToContainerPoint(latlng);
    const inside =
      point.x > EDGE_PIXELS &&
      point.y > TOP_PIXELS &&
      point.x < size.x - 3 * EDGE_PIXELS &&
      point.y < size.y - EDGE_PIXELS;
    return inside ? point : null;
  },
});

const stepFor = (perDegree) => STEPS.findLast((s) => s * perDegree >= SPACING_PIXELS) ?? STEPS[0];

/** A range with a margin, so that lines reach beyond the edge while the map is being moved. */
function padded([west, south, east, north], sign) {
  const [dx, dy] = [0.3 * (east - west), 0.3 * (north - south)];
  const lons = sign && east - west >= 360 ? [-180, 180] : [west - dx, east + dx];
  return [lons[0], Math.max(south - dy, -90), lons[1], Math.min(north + dy, 90)];
}

function multiples(step, from, to) {
  const found = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + 1e-9; i++) found.push(i * step);
  return found;
}
