// The part of the map that concerns no one but the visitor: where it looks, which basemap, how
// strong the heat map. It lives behind the # of the address, so that a reload or a shared link gives
// the same picture and the server is not asked.

import { LONGITUDE_STYLES } from "./mars.js";
import { tell } from "./server.js";

const DEFAULTS = { base: "", heat: 70, lon: "180", pole: "planet", over: [] };
/** What is shown unless the address says "off". */
const SWITCHES = ["graticule", "hits", "names", "legend"];
const VIEWS = ["planet", "north", "south"];
const MOST_OVERLAYS = 20;
const STYLE_KEY = "mars_map.longitudes";
const MOST_CORNERS = 200;
const REST_MS = 150;

/**
 * What stood behind the # last. Streamlit writes addresses without it, and a map that begins anew just
 * then goes on from here.
 */
let latest = "";

/** Let the next map begin with a text behind the #, which may be empty. */
export function beginWith(text) {
  latest = text;
}

const hashText = () => location.hash.slice(1) || latest;

/** Names in the address of what is measured. */
const MEASURED = { line: "line", polygon: "area" };

/** What was measured, `{shape, points}`, as the address has it; null for nothing. */
function measuredFrom(given) {
  for (const [shape, least] of [["line", 2], ["polygon", 3]]) {
    const corners = (given.get(MEASURED[shape]) ?? "").split(";").slice(0, MOST_CORNERS);
    const points = corners.map((corner) => corner.split(",").map(Number));
    const sound = points.every(([lon, lat]) => Math.abs(lon) <= 540 && Math.abs(lat) <= 90);
    if (sound && points.length >= least) return { shape, points };
  }
  return null;
}

/** How this visitor wants longitudes to be written, whatever page of ours asked. */
export function longitudeStyle() {
  const given = new URLSearchParams(hashText()).get("style") ?? stored();
  return LONGITUDE_STYLES.includes(given) ? given : DEFAULTS.lon;
}

/** A browser may forbid to store; then the choice lasts as long as the address. */
function stored() {
  try {
    return localStorage.getItem(STYLE_KEY);
  } catch {
    return null;
  }
}

function store(style) {
  try {
    localStorage.setItem(STYLE_KEY, style);
  } catch {
    // As above.
  }
}

export class Preferences {
  constructor() {
    this.listeners = [];
    this.problem = "";
    const given = new URLSearchParams(hashText());
    Object.assign(this, DEFAULTS, { view: null });
    if (given.has("base")) this.base = given.get("base").slice(0, 40);
    this.heat = this.number(given, "heat", 0, 100, DEFAULTS.heat);
    for (const name of SWITCHES) this[name] = given.get(name) !== "off";
    this.lon = longitudeStyle();
    if (VIEWS.includes(given.get("view"))) this.pole = given.get("view");
    this.over = (given.get("over") ?? "").split(",").filter(Boolean).slice(0, MOST_OVERLAYS);
    this.measured = measuredFrom(given);
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
    if ("lon" in changes) {
      store(changes.lon);
      this.writeNow();
      tell("longitudes", changes.lon);
    }
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

  /** Write no more: another map has taken over the address. */
  close() {
    clearTimeout(this.timer);
    this.write = this.writeNow = () => {};
  }

  writeNow() {
    const text = (latest = this.text());
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
    if (this.pole !== DEFAULTS.pole) parts.push(`view=${this.pole}`);
    if (this.over.length) parts.push(`over=${this.over.map(encodeURIComponent).join(",")}`);
    if (this.measured) {
      const { shape, points } = this.measured;
      parts.push(`${MEASURED[shape]}=${points.map(([lon, lat]) => `${lon},${lat}`).join(";")}`);
    }
    for (const name of SWITCHES) if (!this[name]) parts.push(`${name}=off`);
    if (this.lon !== DEFAULTS.lon) parts.push(`style=${this.lon}`);
    return parts.join("&");
  }
}
