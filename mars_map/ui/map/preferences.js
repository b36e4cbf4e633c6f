// The part of the map that concerns no one but the visitor: where it looks, which basemap, how
// strong the heat map. It lives behind the # of the address, so that a reload or a shared link gives
// the same picture and the server is not asked.

import { LONGITUDE_STYLES } from "./mars.js";

const DEFAULTS = { base: "", heat: 70, graticule: true, hits: true, lon: "180" };
const REST_MS = 150;

export class Preferences {
  constructor() {
    this.listeners = [];
    this.problem = "";
    const given = new URLSearchParams(location.hash.slice(1));
    Object.assign(this, DEFAULTS, { view: null });
    if (given.has("base")) this.base = given.get("base").slice(0, 40);
    this.heat = this.number(given, "heat", 0, 100, DEFAULTS.heat);
    this.graticule = given.get("graticule") !== "off";
    this.hits = given.get("hits") !== "off";
    if (LONGITUDE_STYLES.includes(given.get("style"))) this.lon = given.get("style");
    this.readView(given);
  }

  readView(given) {
    if (!["at", "z"].some((name) => given.has(name))) return;
    const [lon, lat] = (given.get("at") ?? "").split(",").map((v) => (v.trim() ? +v : NaN));
    const zoom = this.number(given, "z", 0, 12, 2);
    if (Math.abs(lon) <= 360 && Math.abs(lat) <= 90) this.view = { lon, lat, zoom };
    else this.problem = "The address names no place on Mars; the whole planet is shown.";
  }

  number(given, name, least, most, fallback) {
    if (!given.has(name)) return fallback;
    const text = given.get(name).trim();
    const value = text ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    this.problem = `"${name}" in the address must be a number from ${least} to ${most}.`;
    return fallback;
  }

  /** Change some of them; the address and whoever watches follow. */
  set(changes) {
    Object.assign(this, changes);
    for (const listener of this.listeners) listener(changes);
    this.write();
  }

  watch(listener) {
    this.listeners.push(listener);
  }

  /** Write the address soon; many changes in a row become one. */
  write() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.writeNow(), REST_MS);
  }

  writeNow() {
    const text = this.text();
    const hash = text && `#${text}`;
    if (hash === location.hash) return;
    // Streamlit keeps its own mark in the history entry; it must stay.
    history.replaceState(history.state, "", location.pathname + location.search + hash);
  }

  text() {
    const parts = [];
    if (this.view) {
      const { lon, lat, zoom } = this.view;
      parts.push(`at=${+lon.toFixed(3)},${+lat.toFixed(3)}`, `z=${+zoom.toFixed(2)}`);
    }
    if (this.base) parts.push(`base=${encodeURIComponent(this.base)}`);
    if (this.heat !== DEFAULTS.heat) parts.push(`heat=${this.heat}`);
    if (!this.graticule) parts.push("graticule=off");
    if (!this.hits) parts.push("hits=off");
    if (this.lon !== DEFAULTS.lon) parts.push(`style=${this.lon}`);
    return parts.join("&");
  }
}
