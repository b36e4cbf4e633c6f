// The panel below the map: length and elevation profile of a line, or area and perimeter of a polygon.

import * as L from "../leaflet/leaflet-src.esm.js";
import { formatLatitude, formatLongitude } from "./mars.js";
import { copies } from "./polar.js";
import { ask, element, route } from "./server.js";

const SAMPLES = 512;
const HEIGHT = { least: 110, first: 180, most: 480, step: 20 };
const MARGIN = { left: 58, right: 14, top: 8, bottom: 20 };
const TICK_PIXELS = { x: 90, y: 26 };
const MARKER = { pane: "selected", interactive: false, radius: 5, className: "mm-on-line" };
const SVG = "http://www.w3.org/2000/svg";

/** A length or an area for people: three digits or more, never false precision. */
export function number(value) {
  const digits = value < 10 ? 2 : value < 1000 ? 1 : 0;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

const metres = (value) => `${Math.round(value).toLocaleString("en").replace("-", "−")} m`;

export class Profile {
  /** closed: called when somebody closes the panel. */
  constructor(map, preferences, closed, notice) {
    this.map = map;
    this.preferences = preferences;
    this.closed = closed;
    this.notice = notice;
    this.markers = L.layerGroup().addTo(map);
    this.title = element("b");
    this.facts = element("span", { className: "mm-facts" });
    this.save = element("a", { textContent: "Save as CSV", download: "mars_profile.csv" });
    const close = element("button", { type: "button", textContent: "×", title: "Close (Esc)" });
    close.setAttribute("aria-label", "Close the measurement");
    close.onclick = () => closed();
    const head = element("div", { className: "mm-profile-head" }, [this.title, this.facts, this.save, close]);
    this.chart = svg("svg", { tabindex: 0, role: "img", class: "mm-chart" });
    this.node = element("section", { className: "mm-profile mm-card", hidden: true }, [
      this.grip(),
      head,
      this.chart,
    ]);
    this.node.setAttribute("aria-label", "Measurement");
    this.height = HEIGHT.first;
    this.listen();
  }

  listen() {
    new ResizeObserver(() => this.draw()).observe(this.chart);
    this.chart.addEventListener("pointermove", (event) => this.point(this.sampleAt(event.offsetX)));
    this.chart.addEventListener("pointerleave", () => this.point(null));
    this.chart.addEventListener("keydown", (event) => this.key(event));
    this.preferences.watch((changes) => "lon" in changes && this.point(this.pointed ?? null));
    // Before anybody else: the drawer closes by the same key.
    this.escape = (event) => {
      const elsewhere = event.target.closest?.("input, textarea, select");
      if (event.key !== "Escape" || elsewhere) return;
      event.preventDefault();
      event.stopPropagation();
      this.closed();
    };
  }

  /** The upper edge, by which the panel is made higher or lower. */
  grip() {
    const node = element("div", { className: "mm-grip", tabIndex: 0, title: "Drag to change the height" });
    node.setAttribute("role", "separator");
    node.setAttribute("aria-orientation", "horizontal");
    node.setAttribute("aria-label", "Height of the profile");
    node.onpointerdown = (event) => {
      node.setPointerCapture(event.pointerId);
      const [from, height] = [event.clientY, this.height];
      node.onpointermove = (moved) => this.resize(height + from - moved.clientY);
    };
    node.onpointerup = () => (node.onpointermove = null);
    node.onkeydown = (event) => {
      const steps = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      if (!steps) return;
      event.preventDefault();
      this.resize(this.height + steps * HEIGHT.step);
    };
    return node;
  }

  resize(height) {
    const most = Math.min(HEIGHT.most, this.map.getSize().y - 120);
    this.height = Math.max(Math.min(height, most), HEIGHT.least);
    this.node.style.height = this.data ? `${this.height}px` : "";
  }

  open() {
    this.node.hidden = false;
    this.node.classList.toggle("mm-area", !this.data);
    window.addEventListener("keydown", this.escape, { capture: true });
    this.resize(this.height);
  }

  hide() {
    this.data = undefined;
    this.asked = undefined;
    this.node.hidden = true;
    this.markers.clearLayers();
    window.removeEventListener("keydown", this.escape, { capture: true });
  }

  /** area: km²; perimeter: km. */
  showArea(area, perimeter) {
    this.data = undefined;
    this.chart.toggleAttribute("hidden", true);
    this.save.hidden = true;
    this.title.textContent = `Area ${number(area)} km²`;
    this.facts.textContent = `perimeter ${number(perimeter)} km`;
    this.open();
  }

  /** corners: [[lon, lat], ...]; length: km. */
  async showLine(corners, length) {
    const line = corners.map((corner) => corner.join(",")).join(";");
    const query = new URLSearchParams({ line, n: SAMPLES });
    this.title.textContent = `Line ${number(length)} km`;
    this.facts.textContent = "";
    const asked = (this.asked = ask("profile", query));
    try {
      const data = await asked;
      if (this.asked !== asked) return;
      this.data = data;
    } catch (error) {
      this.notice(error.message);
      return;
    }
    this.save.href = route("profile", `${query}&format=csv`);
    this.save.hidden = false;
    this.chart.toggleAttribute("hidden", false);
    this.open();
    this.point(null);
    this.draw();
  }

  /** Draw the marker anew, in the projection that the map has now. */
  project() {
    this.point(this.pointed ?? null);
  }

  draw() {
    const { width, height } = this.chart.getBoundingClientRect();
    if (!this.data || !width || !height) return;
    const { distance_km: x, elevation_m: y, length_km: length } = this.data;
    const [low, high] = [Math.min(...y), Math.max(...y)];
    const pad = Math.max((high - low) * 0.06, 1);
    this.frame = {
      x: scale(0, length, MARGIN.left, width - MARGIN.right),
      y: scale(low - pad, high + pad, height - MARGIN.bottom, MARGIN.top),
      bottom: height - MARGIN.bottom,
    };
    const { frame } = this;
    const points = x.map((km, i) => `${frame.x(km).toFixed(1)},${frame.y(y[i]).toFixed(1)}`);
    const ground = `${frame.x(0)},${frame.bottom} ${points.join(" ")} ${frame.x(length)},${frame.bottom}`;
    this.cursor = svg("g", { class: "mm-cursor", visibility: "hidden" }, [
      svg("line", { y1: MARGIN.top, y2: frame.bottom }),
      svg("circle", { r: 3.5 }),
    ]);
    this.chart.replaceChildren(
      ...this.axes([low, high], length, width, height),
      svg("polygon", { class: "mm-ground", points: ground }),
      svg("polyline", { class: "mm-height", points: points.join(" ") }),
      this.cursor,
    );
    const range = `${metres(low)} to ${metres(high)}`;
    this.chart.setAttribute("aria-label", `Elevation along ${number(length)} km: ${range}. Arrow keys move along it.`);
  }

  axes([low, high], length, width, height) {
    const { x, y, bottom } = this.frame;
    const across = ticks(0, length, (width - MARGIN.left - MARGIN.right) / TICK_PIXELS.x);
    const up = ticks(low, high, (height - MARGIN.top - MARGIN.bottom) / TICK_PIXELS.y);
    return [
      ...up.flatMap((value) => [
        svg("line", { class: "mm-tick", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
        text(metres(value), { x: MARGIN.left - 6, y: y(value) + 3.5, "text-anchor": "end" }),
      ]),
      ...across.map((value, i) => {
        const words = `${value.toLocaleString("en")}${i === across.length - 1 ? " km" : ""}`;
        return text(words, { x: x(value), y: bottom + 14, "text-anchor": value ? "middle" : "start" });
      }),
    ];
  }

  sampleAt(pixel) {
    if (!this.data || !this.frame) return null;
    const last = this.data.distance_km.length - 1;
    const share = (pixel - this.frame.x(0)) / (this.frame.x(this.data.length_km) - this.frame.x(0));
    return Math.round(Math.min(Math.max(share, 0), 1) * last);
  }

  key(event) {
    const steps = { ArrowRight: 4, ArrowLeft: -4, Home: -SAMPLES, End: SAMPLES }[event.key];
    if (!steps || !this.data) return;
    event.preventDefault();
    event.stopPropagation();
    const last = this.data.distance_km.length - 1;
    this.point(Math.min(Math.max((this.pointed ?? 0) + steps, 0), last));
  }

  /** Show a sample of the line in the chart, in words and on the map; null for none. */
  point(sample) {
    this.pointed = sample ?? undefined;
    this.markers.clearLayers();
    if (!this.data) return;
    this.cursor?.setAttribute("visibility", sample === null ? "hidden" : "visible");
    this.facts.textContent = sample === null ? this.summary() : this.describe(sample);
    if (sample === null) return;
    const { lon, lat, distance_km: distance, elevation_m: elevation } = this.data;
    const [line, circle] = this.cursor?.children ?? [];
    const x = this.frame?.x(distance[sample]);
    for (const name of ["x1", "x2"]) line?.setAttribute(name, x);
    circle?.setAttribute("cx", x);
    circle?.setAttribute("cy", this.frame?.y(elevation[sample]));
    for (const shift of copies(this.map))
      L.circleMarker([lat[sample], lon[sample] + shift], MARKER).addTo(this.markers);
  }

  summary() {
    const { elevation_m: y } = this.data;
    const [low, high] = [Math.min(...y), Math.max(...y)];
    return `lowest ${metres(low)} · highest ${metres(high)} · relief ${metres(high - low)}`;
  }

  describe(sample) {
    const { lon, lat, distance_km: distance, elevation_m: elevation } = this.data;
    const place = `${formatLatitude(lat[sample])}, ${formatLongitude(lon[sample], this.preferences.lon)}`;
    return `${number(distance[sample])} km · ${metres(elevation[sample])} · ${place}`;
  }
}

function svg(tag, attributes = {}, children = []) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function text(words, attributes) {
  const node = svg("text", attributes);
  node.textContent = words;
  return node;
}

const scale = (low, high, start, end) => (value) =>
  start + ((value - low) / (high - low || 1)) * (end - start);

/** Round values from low to high, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low || 1) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((s) => s * power >= rough) * power;
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(+(i * step).toPrecision(12));
  return found;
}
