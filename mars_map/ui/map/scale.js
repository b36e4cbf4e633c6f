// The scale bar and the line below the map: coordinates, elevation, grid, index and model.

import { KM_PER_DEGREE, LONGITUDE_STYLES, formatLatitude, formatLongitude, wrapLongitude } from "./mars.js";
import { pixelsPerDegree } from "./polar.js";
import { ask, element } from "./server.js";

const POINTER_REST_MS = 120;
const BAR_PIXELS = 130;

/** Largest of 1, 2, 5 x 10^n that is not above the value. */
export function roundLength(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [5, 2, 1].find((step) => step * power <= value) * power;
}

/**
 * Ground kilometres of one pixel at a latitude: along the parallel of the planet's map, which is plate
 * carree, and in every direction of a polar one, which is conformal.
 */
export function kilometresPerPixel(map, lat) {
  const { sign } = map.options.crs;
  const along = sign
    ? (1 + Math.sin((sign * lat * Math.PI) / 180)) / 2
    : Math.max(Math.cos((lat * Math.PI) / 180), 1e-6);
  return (KM_PER_DEGREE * along) / pixelsPerDegree(map);
}

export class StatusLine {
  constructor(map, description, preferences) {
    this.map = map;
    this.preferences = preferences;
    this.point = element("button", {
      className: "mm-point",
      type: "button",
      title: "East and west of 180°, 0 to 360° east, or 0 to 360° west: click to change",
      onclick: () => this.nextStyle(),
    });
    this.height = element("span", { className: "mm-elevation" });
    this.bar = element("span", { className: "mm-bar" });
    this.length = element("span", { className: "mm-length" });
    const { count, step, model, digest } = description;
    const tiles = `${count.toLocaleString("en")} tiles of ${+step.toFixed(3)}°`;
    this.node = element("div", { className: "mm-status" }, [
      this.point,
      this.height,
      element("span", { className: "mm-scale" }, [this.bar, this.length]),
      element("span", {
        className: "mm-about",
        textContent: `${tiles} · ${model} · ${digest.slice(0, 8)}`,
        title: "Tiles, model and digest of the index",
      }),
    ]);
    map.on("mousemove", (event) => this.moved(event.latlng));
    // Without a pointer over it the map has moved by itself: then its middle is the place.
    map.on("mouseover mouseout", (event) => (this.pointed = event.type === "mouseover"));
    map.on("moveend", () => this.pointed || this.moved(map.getCenter()));
    map.on("move zoom resize", () => this.drawScale());
    this.drawScale();
    this.showPoint(map.getCenter());
  }

  moved(point) {
    this.showPoint(point);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.askElevation(point), POINTER_REST_MS);
  }

  showPoint(point) {
    this.last = point;
    if (Math.abs(point.lat) > 90) {
      this.point.textContent = "beyond the map";
      return;
    }
    const lon = formatLongitude(point.lng, this.preferences.lon);
    this.point.textContent = `${formatLatitude(point.lat)}, ${lon}`;
  }

  nextStyle() {
    const next = LONGITUDE_STYLES.indexOf(this.preferences.lon) + 1;
    this.preferences.set({ lon: LONGITUDE_STYLES[next % LONGITUDE_STYLES.length] });
    this.showPoint(this.last);
  }

  async askElevation({ lng, lat }) {
    this.pending?.abort();
    if (Math.abs(lat) > 90) {
      this.height.textContent = "";
      return;
    }
    this.pending = new AbortController();
    try {
      const query = `lon=${wrapLongitude(lng).toFixed(4)}&lat=${lat.toFixed(4)}`;
      const { elevation_m } = await ask("elevation", query, this.pending.signal);
      const metres = Math.round(elevation_m).toLocaleString("en").replace("-", "−");
      this.height.textContent = elevation_m === null ? "" : `${metres} m`;
    } catch (error) {
      if (error.name !== "AbortError") this.height.textContent = "";
    }
  }

  drawScale() {
    const lat = this.map.getCenter().lat;
    const perPixel = kilometresPerPixel(this.map, lat);
    const kilometres = roundLength(BAR_PIXELS * perPixel);
    this.bar.style.width = `${kilometres / perPixel}px`;
    const length =
      kilometres >= 1 ? `${kilometres.toLocaleString("en")} km` : `${kilometres * 1000} m`;
    this.length.textContent = `${length} at ${formatLatitude(lat, 0)}`;
  }
}
