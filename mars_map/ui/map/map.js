// The map of the page. One Leaflet map lives as long as the page; an update swaps what changed.

import { DomEvent } from "../leaflet/leaflet-src.esm.js";
import { Basemaps } from "./basemaps.js";
import { Comparison } from "./compare.js";
import { Context } from "./context.js";
import { Drawing } from "./drawing.js";
import { Flight } from "./flight.js";
import { leaveWords, showFromTop, typeWords } from "./focus.js";
import { MAX_ZOOM, inCorner, makeLeaflet, stylesheet, toggle } from "./frame.js";
import { Footprints, Heat, TileMark } from "./layers.js";
import { Labels } from "./labels.js";
import { Legend } from "./legend.js";
import { Grid, wrapLongitude } from "./mars.js";
import { Measures } from "./measure.js";
import { Places } from "./places.js";
import { Views } from "./polar.js";
import { Preferences, beginWith } from "./preferences.js";
import { RegionTools } from "./region.js";
import { StatusLine } from "./scale.js";
import { abandon, bus, describeIndex, element, footprints, tell } from "./server.js";
import { Tip } from "./tip.js";
import { Units } from "./units.js";

const TILE_ZOOM = 5;
const NOTICE_MS = 7000;
const DEGREES_KM = 59.27;
const maps = new WeakMap();

/** Called by Streamlit with every change of the component's data. */
export function render({ data, parentElement, setTriggerValue }) {
  let map = maps.get(parentElement);
  if (!map) {
    map = MarsMap.open(parentElement);
    maps.set(parentElement, map);
  }
  map.then((opened) => opened?.update(data, setTriggerValue));
  return () => {
    const last = maps.get(parentElement);
    maps.delete(parentElement);
    last?.then((opened) => opened?.close());
  };
}

/** Number of the view that was begun anew with; a reload of the page starts from 0 as Python does. */
let begun = 0;

/** Open another map in the place of one, with what a session's file says behind the #. */
function beginAnew(map, data, send) {
  begun = data.view.number;
  const address = location.pathname + location.search;
  beginWith(data.view.text);
  history.replaceState(history.state, "", data.view.text ? `${address}#${data.view.text}` : address);
  const parent = map.host.parentElement;
  map.close();
  const next = MarsMap.open(parent);
  maps.set(parent, next);
  next.then((opened) => opened?.update(data, send));
}

class MarsMap {
  static async open(parent) {
    const host = element("div", { className: "mm-map" });
    parent.append(host);
    try {
      const styles = [stylesheet("leaflet/leaflet.css"), stylesheet("component/map.css")];
      const [description] = await Promise.all([describeIndex(), ...styles]);
      return new MarsMap(host, description);
    } catch (error) {
      host.append(element("p", { className: "mm-failure", textContent: error.message }));
      return null;
    }
  }

  constructor(host, description) {
    this.host = host;
    this.canvas = element("div", { className: "mm-canvas" });
    host.append(this.canvas);
    this.grid = new Grid(description.grid);
    this.preferences = new Preferences();
    this.leaflet = makeLeaflet(this.canvas);
    this.views = new Views(this.leaflet, this.preferences, () => this.project());
    this.flight = new Flight(this.leaflet, this.views, this.preferences);
    this.addLayers(description);
    this.addControls({ ...description, step: this.grid.step, count: this.grid.count });
    this.listen();
    if (this.preferences.problem) this.notice(this.preferences.problem);
  }

  addLayers(description) {
    const { leaflet, preferences } = this;
    const notice = (text) => this.notice(text);
    this.noticeBox = element("div", { className: "mm-notice mm-card", hidden: true });
    this.noticeBox.setAttribute("role", "status");
    this.basemaps = new Basemaps(leaflet, description.layers, preferences, notice);
    this.heat = new Heat(leaflet);
    this.heat.setOpacity(preferences.heat / 100);
    this.footprints = new Footprints({ pane: "footprints" });
    this.mark = new TileMark().addTo(leaflet);
    toggle(leaflet, this.footprints, preferences.hits);
    this.context = new Context(leaflet, preferences, notice);
  }

  addControls(description) {
    const notice = (text) => this.notice(text);
    this.legend = new Legend(description, this.preferences, this.context.overlays);
    this.places = new Places((place) => this.goToPlace(place), this.preferences, notice);
    this.drawing = new Drawing(this.leaflet);
    const choose = (region) => this.send("region", region);
    this.tools = new RegionTools(this.leaflet, this.drawing, choose, notice);
    this.labels = new Labels(this, (called) => this.send("call", called));
    this.measures = new Measures(this.leaflet, this.drawing, this.preferences, notice);
    inCorner(this.leaflet, this.views.node);
    inCorner(this.leaflet, this.measures.node);
    const { names, overlays } = this.context;
    this.tip = new Tip(this.leaflet, [this.measures, names, overlays]);
    this.status = new StatusLine(this.leaflet, description, this.preferences);
    const bar = element("div", { className: "mm-top" }, [this.places.node, this.tools.node]);
    this.busy = element("div", { className: "mm-busy", hidden: true });
    const corners = [this.legend.node, this.labels.node, this.measures.profile.node];
    const nodes = [bar, ...corners, this.noticeBox, this.busy];
    for (const node of nodes) {
      DomEvent.disableClickPropagation(node);
      DomEvent.disableScrollPropagation(node);
    }
    this.host.append(...nodes, this.tip.node, this.status.node);
    this.units = new Units(this);
    this.comparison = new Comparison(this, description.layers);
  }

  /** Draw anew what does not follow by itself when the map has another projection. */
  project() {
    const { basemaps, heat, footprints, tools, context, measures, units, comparison } = this;
    for (const part of [basemaps, heat, footprints, tools, context, measures, units, comparison])
      part.project();
    this.mark.draw();
    this.labels.draw();
    this.status.drawScale();
  }

  listen() {
    this.leaflet.on("click", (event) => this.clicked(event.latlng));
    this.preferences.watch((changes) => this.preferenceChanged(changes));
    this.ends = new AbortController();
    const options = { signal: this.ends.signal };
    bus.addEventListener("goto", (event) => this.goToTile(event.detail), options);
    bus.addEventListener("cut", (event) => this.preview(event.detail), options);
    window.addEventListener("popstate", () => this.send("navigated", location.search), options);
    window.addEventListener("keydown", (event) => this.key(event), options);
    window.addEventListener("click", showFromTop, { ...options, capture: true });
  }

  close() {
    this.ends.abort();
    this.drawing.stop();
    this.measures.profile.hide();
    this.preferences.close();
    this.flight.close();
    this.comparison.close();
    this.leaflet.remove();
    this.host.remove();
  }

  /** data: what mars_map.ui.map.payload documents. */
  update(data, send) {
    if (data.view && data.view.number !== begun) return beginAnew(this, data, send);
    this.sender = send;
    this.lendColours();
    this.select(data.selected);
    this.tools.show(data.region);
    this.labels.update(data.query, data.selected, data.layers);
    this.legend.showLabels(data.layers, (asked) => this.send("layer", asked));
    // What the browser keeps holds; the page learns of it here and whenever it changes.
    if (data.longitudes !== this.preferences.lon) this.send("longitudes", this.preferences.lon);
    if (data.query !== this.query) this.answer(data.query);
    this.units.update(data.query, data.units);
    this.comparison.update(data.compare, data.selected);
    if (data.go && data.go.number !== this.gone) {
      this.gone = data.go.number;
      this.goToTile(data.go.tile);
    }
    this.preferences.write();
  }

  /** Streamlit gives its theme to components only; the page's style sheet needs two colours too. */
  lendColours() {
    const theme = getComputedStyle(this.host);
    for (const name of ["background-color", "border-color"])
      document.body.style.setProperty(`--mars-${name}`, theme.getPropertyValue(`--st-${name}`));
  }

  send(event, value) {
    this.sender?.(event, value);
  }

  /** Show the answer to a query; what was there stays until the new one has come. */
  async answer(query) {
    abandon(this.query);
    this.query = query;
    const current = () => this.query === query;
    this.busy.hidden = !query;
    try {
      const [found] = await Promise.all([query ? footprints(query) : null, this.heat.show(query)]);
      if (!current()) return;
      this.drawHits(found);
      this.legend.show(found);
      this.host.dataset.painted = query;
    } catch (error) {
      if (current()) this.notice(error.message);
    }
    if (current()) this.busy.hidden = true;
  }

  /** Show the hits of a query that Python is about to ask for; its answer then is here already. */
  async preview(query) {
    const present = this.query;
    // What cannot be answered is told when Python asks for it.
    const found = await footprints(query).catch(() => null);
    if (found && this.query === present) this.drawHits(found);
  }

  drawHits(found) {
    this.footprints.show(found && boxesOf(this.grid, found.tiles), this.accent());
  }

  accent() {
    return getComputedStyle(this.host).getPropertyValue("--mm-hit").trim() || "#35d0e4";
  }

  clicked({ lng, lat }) {
    if (this.drawing.active) return;
    const tile = this.grid.tileAt(lng, lat);
    if (tile < 0) return;
    this.select(tile);
    this.send("pick", this.grid.name(tile));
  }

  select(tile) {
    if (tile === this.selected) return;
    this.selected = tile;
    this.mark.mark(tile === null ? null : this.grid.bounds(tile));
  }

  goToTile(tile) {
    this.select(tile);
    const [lon, lat] = this.grid.center(tile);
    this.flight.to(lon, lat, this.grid.step, Math.max(this.leaflet.getZoom(), TILE_ZOOM));
  }

  goToPlace({ lon, lat, diameter_km: diameter }) {
    this.flight.to(lon, lat, Math.max((diameter ?? 0) / DEGREES_KM, 2), MAX_ZOOM);
  }

  preferenceChanged(changes) {
    if ("heat" in changes) this.heat.setOpacity(changes.heat / 100);
    if ("lon" in changes) this.send("longitudes", changes.lon);
    if ("hits" in changes) toggle(this.leaflet, this.footprints, changes.hits);
  }

  key(event) {
    leaveWords(event);
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      event.preventDefault();
      typeWords();
    }
    this.labels.key(event);
    if (event.key === "n" || event.key === "p") tell("walk", event.key === "n" ? 1 : -1);
  }

  notice(text) {
    this.noticeBox.textContent = text;
    this.noticeBox.hidden = false;
    clearTimeout(this.noticeTimer);
    this.noticeTimer = setTimeout(() => (this.noticeBox.hidden = true), NOTICE_MS);
  }
}

function boxesOf(grid, tiles) {
  const boxes = new Float64Array(tiles.length * 4);
  tiles.forEach((tile, i) => boxes.set(grid.bounds(tile), i * 4));
  return boxes;
}
