// The map of the page. One Leaflet map lives as long as the page; an update swaps what changed.

import * as L from "../leaflet/leaflet-src.esm.js";
import { Basemaps } from "./basemaps.js";
import { Drawing, RegionTools } from "./drawing.js";
import { Footprints, Graticule, Heat, PLANET, TileMark, corners } from "./layers.js";
import { Legend } from "./legend.js";
import { Grid } from "./mars.js";
import { Places } from "./places.js";
import { Preferences } from "./preferences.js";
import { StatusLine } from "./scale.js";
import { bus, describeIndex, element, footprints, route, tell } from "./server.js";

const MAX_ZOOM = 9;
const TILE_ZOOM = 5;
const NOTICE_MS = 7000;
const PANES = { heat: 300, graticule: 350, region: 380, footprints: 390, selected: 420 };

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
    maps.delete(parentElement);
    map.then((opened) => opened?.close());
  };
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
    this.restoreView();
    for (const [name, z] of Object.entries(PANES)) {
      const pane = this.leaflet.createPane(name);
      pane.style.zIndex = z;
      pane.style.pointerEvents = "none";
    }
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
    this.footprints = new Footprints();
    this.mark = new TileMark().addTo(leaflet);
    this.graticule = new Graticule(preferences);
    if (preferences.graticule) this.graticule.addTo(leaflet);
    if (preferences.hits) this.footprints.addTo(leaflet);
  }

  addControls(description) {
    const notice = (text) => this.notice(text);
    this.legend = new Legend(description, this.preferences);
    this.places = new Places((place) => this.goToPlace(place), notice);
    this.drawing = new Drawing(this.leaflet);
    const choose = (region) => this.send("region", region);
    this.tools = new RegionTools(this.leaflet, this.drawing, choose, notice);
    this.status = new StatusLine(this.leaflet, description, this.preferences);
    const bar = element("div", { className: "mm-top" }, [this.places.node, this.tools.node]);
    this.busy = element("div", { className: "mm-busy", hidden: true });
    const nodes = [bar, this.legend.node, this.noticeBox, this.busy];
    for (const node of nodes) {
      L.DomEvent.disableClickPropagation(node);
      L.DomEvent.disableScrollPropagation(node);
    }
    this.host.append(...nodes, this.status.node);
  }

  /**
   * Show the place that the address names, or the whole planet. Until somebody moves the map this
   * is done again whenever the drawer or the window takes or gives room.
   */
  restoreView() {
    const { view } = this.preferences;
    if (view) this.leaflet.setView([view.lat, view.lon], view.zoom, { animate: false });
    else this.leaflet.fitBounds(PLANET, { animate: false });
  }

  resized() {
    this.leaflet.invalidateSize({ pan: false, animate: false });
    if (!this.moved) this.restoreView();
  }

  listen() {
    const { leaflet } = this;
    leaflet.on("click", (event) => this.clicked(event.latlng));
    leaflet.on("moveend", () => this.moved && this.rememberView());
    const touched = () => (this.moved = true);
    for (const kind of ["pointerdown", "wheel", "keydown"])
      this.canvas.addEventListener(kind, touched, { capture: true, passive: true });
    this.preferences.watch((changes) => this.preferenceChanged(changes));
    this.resizes = new ResizeObserver(() => this.resized());
    this.resizes.observe(this.canvas);
    this.ends = new AbortController();
    const options = { signal: this.ends.signal };
    bus.addEventListener("goto", (event) => this.goToTile(event.detail), options);
    window.addEventListener("popstate", () => this.send("navigated", location.search), options);
    window.addEventListener("keydown", (event) => this.key(event), options);
  }

  close() {
    this.ends.abort();
    this.resizes.disconnect();
    this.leaflet.remove();
    this.host.remove();
  }

  /** data: what mars_map.ui.map.payload documents. */
  update(data, send) {
    this.sender = send;
    this.lendColours();
    this.select(data.selected);
    this.tools.show(data.region);
    if (data.query !== this.query) this.answer(data.query);
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
    this.query = query;
    const current = () => this.query === query;
    this.busy.hidden = !query;
    try {
      const [found] = await Promise.all([query ? footprints(query) : null, this.heat.show(query)]);
      if (!current()) return;
      this.footprints.show(found && boxesOf(this.grid, found.tiles), this.accent());
      this.legend.show(found);
      this.host.dataset.painted = query;
    } catch (error) {
      if (current()) this.notice(error.message);
    }
    if (current()) this.busy.hidden = true;
  }

  accent() {
    return getComputedStyle(this.host).getPropertyValue("--mm-hit").trim() || "#35d0e4";
  }

  clicked({ lng, lat }) {
    if (this.drawing.active) return;
    const tile = this.grid.tileAt(lng, lat);
    if (tile < 0 || Math.abs(lng) > 180) return;
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
    const bounds = L.latLngBounds(corners(this.grid.bounds(tile)));
    this.flyTo(bounds, Math.max(this.leaflet.getZoom(), TILE_ZOOM));
  }

  goToPlace({ lon, lat, diameter_km: diameter }) {
    const half = Math.max((diameter ?? 0) / 2 / 59.27, 1);
    const width = half / Math.max(Math.cos((lat * Math.PI) / 180), 0.2);
    const bounds = corners([lon - width, lat - half, lon + width, lat + half]);
    this.flyTo(L.latLngBounds(bounds).pad(0.5), MAX_ZOOM);
  }

  flyTo(bounds, maxZoom) {
    this.moved = true;
    this.leaflet.flyToBounds(bounds, {
      maxZoom,
      paddingTopLeft: [30, 60],
      paddingBottomRight: [30, 50],
      duration: 0.8,
      animate: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    });
  }

  rememberView() {
    const { lng, lat } = this.leaflet.getCenter();
    this.preferences.set({ view: { lon: lng, lat, zoom: this.leaflet.getZoom() } });
  }

  preferenceChanged(changes) {
    if ("heat" in changes) this.heat.setOpacity(changes.heat / 100);
    if ("lon" in changes && this.preferences.graticule) this.graticule.draw();
    if ("graticule" in changes) toggle(this.leaflet, this.graticule, changes.graticule);
    if ("hits" in changes) toggle(this.leaflet, this.footprints, changes.hits);
  }

  key(event) {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      event.preventDefault();
      document.querySelector(".st-key-mars-words input")?.focus();
    }
    if (event.key === "n" || event.key === "p") tell("walk", event.key === "n" ? 1 : -1);
  }

  notice(text) {
    this.noticeBox.textContent = text;
    this.noticeBox.hidden = false;
    clearTimeout(this.noticeTimer);
    this.noticeTimer = setTimeout(() => (this.noticeBox.hidden = true), NOTICE_MS);
  }
}

function makeLeaflet(host) {
  const map = L.map(host, {
    crs: L.CRS.EPSG4326,
    minZoom: 0,
    maxZoom: MAX_ZOOM,
    zoomSnap: 0.25,
    zoomDelta: 1,
    wheelPxPerZoomLevel: 90,
    maxBounds: PLANET,
    maxBoundsViscosity: 0.8,
    attributionControl: false,
    zoomControl: false,
    fadeAnimation: false,
    boxZoom: false,
  });
  L.control.zoom({ position: "topleft" }).addTo(map);
  return map;
}

function boxesOf(grid, tiles) {
  const boxes = new Float64Array(tiles.length * 4);
  tiles.forEach((tile, i) => boxes.set(grid.bounds(tile), i * 4));
  return boxes;
}

function toggle(map, layer, shown) {
  if (shown) layer.addTo(map);
  else layer.remove();
}

function stylesheet(path) {
  const href = route(path);
  const there = [...document.styleSheets].some((sheet) => sheet.href === href);
  if (there) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const onerror = () => reject(new Error("The map's style sheet cannot be loaded; reload."));
    document.head.append(element("link", { rel: "stylesheet", href, onload: resolve, onerror }));
  });
}
