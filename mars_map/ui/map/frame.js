// The Leaflet map itself: how it moves, in which order it draws, where its buttons go.

import * as L from "../leaflet/leaflet-src.esm.js";
import { element, route } from "./server.js";

export const MAX_ZOOM = 9;
/** What lies on what: the higher number above. */
const PANES = {
  geology: 290,
  heat: 300,
  graticule: 350,
  overlays: 360,
  region: 380,
  footprints: 390,
  labels: 410,
  selected: 420,
};

export function makeLeaflet(host) {
  const map = L.map(host, {
    crs: L.CRS.EPSG4326,
    minZoom: 0,
    maxZoom: MAX_ZOOM,
    zoomSnap: 0.25,
    zoomDelta: 1,
    wheelPxPerZoomLevel: 90,
    maxBoundsViscosity: 0.8,
    attributionControl: false,
    zoomControl: false,
    fadeAnimation: false,
    boxZoom: false,
  });
  L.control.zoom({ position: "topleft" }).addTo(map);
  makePanes(map);
  return map;
}

/** Give a map the panes that its layers lie in. */
export function makePanes(map) {
  for (const [name, z] of Object.entries(PANES)) {
    const pane = map.createPane(name);
    pane.style.zIndex = z;
    pane.style.pointerEvents = "none";
  }
}

/** Put buttons below those that zoom. */
export function inCorner(map, node) {
  const Corner = L.Control.extend({ options: { position: "topleft" }, onAdd: () => node });
  map.addControl(new Corner());
  L.DomEvent.disableClickPropagation(node);
}

/** Add a layer to a map, or take it away. */
export function toggle(map, layer, shown) {
  if (shown) layer.addTo(map);
  else layer.remove();
}

/** Load a style sheet of ours once; resolves when it is there. */
export function stylesheet(path) {
  const href = route(path);
  const there = [...document.styleSheets].some((sheet) => sheet.href === href);
  if (there) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const onerror = () => reject(new Error("The map's style sheet cannot be loaded; reload."));
    document.head.append(element("link", { rel: "stylesheet", href, onload: resolve, onerror }));
  });
}
