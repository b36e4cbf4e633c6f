// Two queries on the map: under a handle that swipes, side by side on linked maps, or as the
// difference of their ranks.

import * as L from "../leaflet/leaflet-src.esm.js";
import { Basemaps } from "./basemaps.js";
import { Context } from "./context.js";
import { makePanes } from "./frame.js";
import { Footprints, Heat, TileMark } from "./layers.js";
import { Grid } from "./mars.js";
import { PLANET, poleOf } from "./polar.js";
import { ask, element, footprints, isAbandoned, route, template, withCut } from "./server.js";
import { Tip } from "./tip.js";

const STEP = 0.02;
const SETS = { "only-b": "--mm-only-b", "only-a": "--mm-only-a", both: "--mm-both" };
const POLAR_ZOOM = 4;

/** The difference of two queries in place of a heat map; its query holds both. */
class Difference extends Heat {
  make(query) {
    const options = { opacity: 0, pane: this.pane, className: "mm-heat" };
    const pole = poleOf(this.map);
    if (pole) {
      const address = template(`polar/${pole}/difference/{z}/{x}/{y}.png`, query);
      return [L.tileLayer(address, { ...options, maxNativeZoom: POLAR_ZOOM })];
    }
    const address = route("difference.png", query);
    return [-360, 360, 0].map((shift) => {
      const bounds = PLANET.map(([lat, lon]) => [lat, lon + shift]);
      return L.imageOverlay(address, bounds, options);
    });
  }
}

export class Comparison {
  /** map: with `leaflet`, `host`, `canvas`, `grid`, `preferences`, `clicked` and `notice`. */
  constructor(map, layers) {
    this.map = map;
    this.layers = layers;
    this.share = 0.5;
    this.shown = "";
    this.divider = this.makeDivider();
    this.legend = element("div", { className: "mm-card mm-difference", hidden: true });
    map.host.append(this.divider, this.legend);
    this.over = this.layersOn(map.leaflet, 1);
    this.difference = new Difference(map.leaflet, pane(map.leaflet, "difference", 302));
    this.sets = Object.keys(SETS).map((_, i) => {
      const name = pane(map.leaflet, `set-${i}`, 391 + i);
      return new Footprints({ pane: name }).addTo(map.leaflet);
    });
    map.leaflet.on("move zoom resize viewreset", () => this.clip());
    map.preferences.watch((changes) => this.preferenceChanged(changes));
    this.fade();
  }

  /** The other query's heat map and hits on a map; above: how far over the first one's. */
  layersOn(leaflet, above) {
    const heat = new Heat(leaflet, pane(leaflet, "heat-b", 300 + above));
    const hits = new Footprints({ pane: pane(leaflet, "footprints-b", 390 + above) });
    return { heat, hits: hits.addTo(leaflet) };
  }

  /** compare: as mars_map.ui.map.Compare has it, or null; selected: number of a tile, or null. */
  update(compare, selected) {
    this.second?.mark.mark(selected === null ? null : this.map.grid.bounds(selected));
    this.selected = selected;
    const wanted = JSON.stringify(compare);
    if (wanted === this.shown) return;
    this.shown = wanted;
    this.compare = compare;
    const mode = compare?.mode ?? "";
    this.map.host.dataset.compare = mode;
    this.name(compare?.names ?? []);
    this.divider.hidden = !compare || mode === "difference";
    this.legend.hidden = mode !== "difference";
    this.arrange(mode);
    this.draw(wanted);
  }

  /** Give the second map its half, or take it back. */
  arrange(mode) {
    const beside = mode === "side";
    if (beside) this.second ??= this.openSecond();
    if (this.second) this.second.node.hidden = !beside;
    this.setHandle(beside ? 0.5 : this.share);
    for (const name of ["heat", "footprints"])
      this.map.leaflet.getPane(name).style.display = mode === "difference" ? "none" : "";
    this.showHits();
    this.clip();
  }

  async draw(wanted) {
    const { compare, map } = this;
    const mode = compare?.mode;
    const current = () => this.shown === wanted;
    try {
      await Promise.all([
        this.drawOther(this.over, mode === "swipe" ? compare.other : ""),
        this.second && this.drawOther(this.second, mode === "side" ? compare.other : ""),
        this.drawDifference(mode === "difference" ? both(compare) : "", current),
      ]);
      if (!current()) return;
      map.host.dataset.compared = compare ? `${mode} ${compare.other}` : "";
      if (compare) this.prepareDifference(both(compare));
    } catch (error) {
      if (current() && !isAbandoned(error)) map.notice(error.message);
    }
  }

  async drawOther(drawn, query) {
    if (drawn.query === query) return;
    drawn.query = query;
    const [found] = await Promise.all([query ? footprints(query) : null, drawn.heat.show(query)]);
    const grid = query ? await this.gridOf(query) : this.map.grid;
    if (drawn.query !== query) return;
    drawn.hits.show(this.boxes(found?.tiles ?? [], grid), this.colour("--mm-hit"));
  }

  /** The grid of the other query, which may search another index. */
  async gridOf(query) {
    const index = new URLSearchParams(query).get("index");
    return index ? new Grid((await ask("index", `index=${encodeURIComponent(index)}`)).grid) : this.map.grid;
  }

  /** Whoever compares wants the difference next: it is there before it is asked for. */
  prepareDifference(query) {
    if (this.prepared === query) return;
    this.prepared = query;
    requestIdleCallback(() => {
      this.agreement(query).catch(() => {});
      if (!poleOf(this.map.leaflet)) new Image().src = route("difference.png", withCut(query));
    });
  }

  /** How far two queries agree, asked once. */
  agreement(query) {
    if (this.asked?.query === query) return this.asked.found;
    const found = ask("compare", query);
    this.asked = { query, found };
    found.catch(() => (this.asked = undefined));
    return found;
  }

  async drawDifference(query, current) {
    const [found] = await Promise.all([query ? this.agreement(query) : null, this.difference.show(query)]);
    if (!current()) return;
    Object.entries(SETS).forEach(([which, colour], i) => {
      this.sets[i].show(this.boxes(found?.hits[which] ?? []), this.colour(colour));
    });
    if (found) this.explain(found);
  }

  boxes(tiles, grid = this.map.grid) {
    const boxes = new Float64Array(tiles.length * 4);
    tiles.forEach((tile, i) => boxes.set(grid.bounds(tile), i * 4));
    return boxes;
  }

  colour(name) {
    return getComputedStyle(this.map.host).getPropertyValue(name).trim();
  }

  /** Say what the colours of the difference mean. */
  explain({ colours, span, sets }) {
    const ramp = element("div", { className: "mm-ramp" });
    ramp.style.background = `linear-gradient(to right, ${colours.join(", ")})`;
    const points = `${Math.round(100 * span)} %`;
    const key = (which, text) =>
      element("span", {}, [
        element("i", { className: `mm-set mm-set-${which}` }),
        `${text} ${sets[which].tiles.toLocaleString("en")}`,
      ]);
    this.legend.replaceChildren(
      element("div", { className: "mm-title", textContent: "Difference of ranks" }),
      ramp,
      element("div", { className: "mm-ends" }, [
        element("span", { textContent: `B by ${points}` }),
        element("span", { textContent: "both high" }),
        element("span", { textContent: `A by ${points}` }),
      ]),
      element("div", { className: "mm-keys" }, [
        key("only-b", "Only B"),
        key("both", "Both"),
        key("only-a", "Only A"),
      ]),
      element("div", {
        className: "mm-hint",
        textContent: "Clear: in the best quarter of neither. Outlines: hits.",
      }),
    );
  }

  /** Another map in the right half, which looks where the first one looks. */
  openSecond() {
    const { map } = this;
    const node = element("div", { className: "mm-canvas mm-second" });
    map.canvas.after(node);
    const { crs, maxZoom, zoomSnap, wheelPxPerZoomLevel } = map.leaflet.options;
    const options = { crs, maxZoom, zoomSnap, wheelPxPerZoomLevel, minZoom: 0 };
    const still = { attributionControl: false, zoomControl: false, fadeAnimation: false, boxZoom: false };
    const leaflet = L.map(node, { ...options, ...still, zoomAnimation: false });
    leaflet.setView(map.leaflet.getCenter(), map.leaflet.getZoom());
    makePanes(leaflet);
    const notice = (text) => map.notice(text);
    const basemaps = new Basemaps(leaflet, this.layers, map.preferences, notice);
    const context = new Context(leaflet, map.preferences, notice);
    node.append(new Tip(leaflet, [context.names, context.overlays]).node);
    const mark = new TileMark().addTo(leaflet);
    if (this.selected !== null) mark.mark(map.grid.bounds(this.selected));
    const drawn = this.layersOn(leaflet, 0);
    drawn.heat.setOpacity(map.preferences.heat / 100);
    leaflet.on("click", (event) => map.clicked(event.latlng));
    link(map.leaflet, leaflet);
    const resizes = new ResizeObserver(() => {
      if (node.hidden) return;
      leaflet.invalidateSize({ pan: false, animate: false });
      leaflet.setView(map.leaflet.getCenter(), map.leaflet.getZoom(), { animate: false });
    });
    resizes.observe(node);
    return { node, leaflet, basemaps, context, mark, resizes, query: "", ...drawn };
  }

  /** The line between both, whose handle takes it along. */
  makeDivider() {
    this.tags = ["a", "b"].map((side) => element("span", { className: `mm-tag mm-tag-${side}` }));
    this.handle = element("button", { type: "button", className: "mm-swipe", textContent: "⇔" });
    this.handle.setAttribute("role", "slider");
    this.handle.setAttribute("aria-label", "Swipe between A and B");
    this.handle.setAttribute("aria-valuemin", 0);
    this.handle.setAttribute("aria-valuemax", 100);
    this.handle.addEventListener("pointerdown", (event) => {
      this.handle.setPointerCapture(event.pointerId);
      this.held = true;
    });
    this.handle.addEventListener("pointermove", (event) => this.held && this.follow(event));
    for (const kind of ["pointerup", "pointercancel"])
      this.handle.addEventListener(kind, () => (this.held = false));
    this.handle.addEventListener("keydown", (event) => this.key(event));
    const node = element("div", { className: "mm-divider", hidden: true }, [this.handle, ...this.tags]);
    L.DomEvent.disableClickPropagation(node);
    return node;
  }

  follow({ clientX }) {
    const { left, width } = this.map.host.getBoundingClientRect();
    this.swipe((clientX - left) / width);
  }

  key(event) {
    const steps = { ArrowLeft: -STEP, ArrowRight: STEP, Home: -1, End: 1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation();
    this.swipe(this.share + steps[event.key]);
  }

  swipe(share) {
    this.share = Math.min(Math.max(share, 0.02), 0.98);
    this.setHandle(this.share);
    this.clip();
  }

  setHandle(share) {
    this.divider.style.left = `${100 * share}%`;
    this.handle.setAttribute("aria-valuenow", Math.round(100 * share));
  }

  name([a = "", b = ""]) {
    const [first, second] = this.tags;
    first.replaceChildren(element("b", { textContent: "A" }), ` ${a}`);
    second.replaceChildren(element("b", { textContent: "B" }), ` ${b}`);
  }

  /** Show each query on its side of the handle only. */
  clip() {
    const { leaflet } = this.map;
    const swiping = this.compare?.mode === "swipe";
    const { x: width, y: height } = leaflet.getSize();
    const { x: left, y: top } = leaflet.containerPointToLayerPoint([0, 0]);
    const split = left + this.share * width;
    const box = (from, to) => {
      const [low, high] = [`${top}px`, `${top + height}px`];
      return `polygon(${from}px ${low}, ${to}px ${low}, ${to}px ${high}, ${from}px ${high})`;
    };
    const sides = { "": box(left, split), "-b": box(split, left + width) };
    for (const [suffix, shape] of Object.entries(sides))
      for (const name of ["heat", "footprints"])
        leaflet.getPane(name + suffix).style.clipPath = swiping ? shape : "";
  }

  preferenceChanged(changes) {
    if ("heat" in changes) this.fade();
    if ("hits" in changes) this.showHits();
  }

  fade() {
    const opacity = this.map.preferences.heat / 100;
    for (const heat of [this.over.heat, this.second?.heat, this.difference]) heat?.setOpacity(opacity);
  }

  showHits() {
    const display = this.map.preferences.hits ? "" : "none";
    const { leaflet } = this.map;
    const panes = ["footprints-b", ...this.sets.map((_, i) => `set-${i}`)];
    for (const name of panes) leaflet.getPane(name).style.display = display;
    const beside = this.second?.leaflet.getPane("footprints-b");
    if (beside) beside.style.display = display;
  }

  /** Draw anew, in the projection that the map has now. */
  project() {
    const { second } = this;
    if (second) {
      second.leaflet.options.crs = this.map.leaflet.options.crs;
      const { leaflet } = this.map;
      second.leaflet.setView(leaflet.getCenter(), leaflet.getZoom(), { reset: true, animate: false });
      for (const part of [second.basemaps, second.context]) part.project();
      second.mark.draw();
    }
    const drawn = [this.over, second].filter(Boolean);
    for (const { heat, hits } of drawn) for (const part of [heat, hits]) part.project();
    for (const part of [this.difference, ...this.sets]) part.project();
    this.clip();
  }

  close() {
    this.second?.resizes.disconnect();
    this.second?.leaflet.remove();
  }
}

/** Address parameters that name both queries. */
function both({ query, other }) {
  return `${query}&b=${encodeURIComponent(other)}`;
}

function pane(leaflet, name, z) {
  const { style } = leaflet.getPane(name) ?? leaflet.createPane(name);
  style.zIndex = z;
  style.pointerEvents = "none";
  return name;
}

/** Two maps that look at the same place, whichever is moved. */
function link(first, second) {
  let following = false;
  const follow = (leader, other) => () => {
    // A map without room tells of a move too, when it takes or gives up its half.
    if (following || [leader, other].some((map) => map.getContainer().hidden)) return;
    following = true;
    other.setView(leader.getCenter(), leader.getZoom(), { animate: false });
    following = false;
  };
  first.on("move zoomend", follow(first, second));
  second.on("move zoomend", follow(second, first));
}
