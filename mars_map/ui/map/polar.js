// The planet seen from above a pole: true stereographic maps, as mars_map.planet.polar defines them.

import * as L from "../leaflet/leaflet-src.esm.js";
import { RADIUS_KM, closing, wrapLongitude } from "./mars.js";
import { element } from "./server.js";

/** Half the width of the square that is drawn, metres: the equator touches its sides. */
const HALF_WIDTH_M = 2000 * RADIUS_KM;
/** Latitude, seen from the pole, beyond which nothing is projected: the other pole is infinitely far. */
const FARTHEST = -60;
/** Latitude to which a polar map shows the planet at first. */
const FIRST_VIEW = 60;
/** Zoom of that view at most, on large screens: its tiles are those that the server has made ready. */
const NEAREST_FIRST = 3.25;
const RADIANS = Math.PI / 180;

export const PLANET = [
  [-90, -180],
  [90, 180],
];
/** Where one may pan: the planet once more on each side, so that 180 degrees is no border. */
const PANNABLE = [
  [-90, -540],
  [90, 540],
];

/** The polar stereographic system of one pole; sign: 1 for the northern, -1 for the southern. */
function polarSystem(pole, code, sign) {
  const projection = {
    project({ lat, lng }) {
      const height = Math.max(sign * lat, FARTHEST);
      const distance = HALF_WIDTH_M * Math.tan(((90 - height) / 2) * RADIANS);
      const angle = lng * RADIANS;
      return L.point(distance * Math.sin(angle), -sign * distance * Math.cos(angle));
    },
    unproject({ x, y }) {
      const lat = 90 - (2 * Math.atan(Math.hypot(x, y) / HALF_WIDTH_M)) / RADIANS;
      const lng = x || y ? Math.atan2(x, -sign * y) / RADIANS : 0;
      return L.latLng(sign * lat, lng);
    },
    bounds: L.bounds([-HALF_WIDTH_M, -HALF_WIDTH_M], [HALF_WIDTH_M, HALF_WIDTH_M]),
  };
  const scale = 1 / (2 * HALF_WIDTH_M);
  const transformation = L.transformation(scale, 0.5, -scale, 0.5);
  return L.Util.extend({}, L.CRS, { code, pole, sign, projection, transformation });
}

export const SYSTEMS = {
  planet: L.CRS.EPSG4326,
  north: polarSystem("north", "IAU_2015:49930", 1),
  south: polarSystem("south", "IAU_2015:49935", -1),
};

/** "north" or "south" where the map is seen from above a pole, else undefined. */
export const poleOf = (map) => map.options.crs.pole;

/** Pixels of one degree of latitude: anywhere on the planet's map, at the pole of a polar one. */
export function pixelsPerDegree(map, zoom = map.getZoom()) {
  const world = 256 * 2 ** zoom;
  return poleOf(map) ? (world * RADIANS) / 4 : world / 180;
}

/** By how many degrees of longitude what lies on the planet is repeated. */
export const copies = (map) => (poleOf(map) ? [0] : [-360, 0, 360]);

/** [lat, lon] points once for each repetition of the planet. */
export function repeated(map, path) {
  return copies(map).map((shift) => path.map(([lat, lon]) => [lat, lon + shift]));
}

/** Longitude of the repetition that lies nearest to the middle of the map. */
export function nearestCopy(map, lon) {
  if (poleOf(map)) return lon;
  const shift = 360 * Math.round((map.getCenter().lng - lon) / 360);
  return Math.abs(lon + shift) <= 360 ? lon + shift : lon;
}

/**
 * West, south, east and north of what is in sight, in degrees; on a polar map with its pole in sight
 * that is every longitude.
 */
export function visibleRange(map) {
  const { sign } = map.options.crs;
  if (!sign) {
    const view = map.getBounds();
    return [view.getWest(), view.getSouth(), view.getEast(), view.getNorth()];
  }
  const edge = outline(map);
  const lats = edge.map(({ lat }) => lat);
  const [south, north] = [Math.min(...lats), Math.max(...lats)];
  if (isPoleVisible(map)) return sign > 0 ? [-180, south, 180, 90] : [-180, -90, 180, north];
  const middle = map.getCenter().lng;
  const lons = edge.map(({ lng }) => middle + ((((lng - middle + 180) % 360) + 360) % 360) - 180);
  return [Math.min(...lons), south, Math.max(...lons), north];
}

export function isPoleVisible(map) {
  const { sign } = map.options.crs;
  if (!sign) return false;
  const size = map.getSize();
  const { x, y } = map.latLngToContainerPoint([sign * 90, 0]);
  return x >= 0 && y >= 0 && x <= size.x && y <= size.y;
}

/** Points round the edge of what is in sight. */
function outline(map, perSide = 12) {
  const { x, y } = map.getSize();
  const share = Array.from({ length: perSide }, (_, i) => i / perSide);
  const sides = [
    ...share.map((s) => [s * x, 0]),
    ...share.map((s) => [x, s * y]),
    ...share.map((s) => [x - s * x, y]),
    ...share.map((s) => [0, y - s * y]),
  ];
  return sides.map((point) => map.containerPointToLatLng(point));
}

/**
 * A ring [[lon, lat], ...] as a polygon in the plane of longitudes and latitudes. One that runs round
 * the pole in the middle of the map is cut at 180 degrees and led along the pole, which is a line there.
 */
export function flatRing(map, points) {
  const closed = [...points, closing(points)];
  const { sign } = map.options.crs;
  const turned = closed.at(-1)[0] - closed[0][0];
  if (!sign || !turned) return points;
  if (turned < 0) closed.reverse();
  const seam = 180 + 360 * Math.ceil((closed[0][0] - 180) / 360);
  const after = closed.findIndex(([lon], i) => i > 0 && lon >= seam);
  const [[lon1, lat1], [lon2, lat2]] = [closed[after - 1], closed[after]];
  const lat = lat1 + ((seam - lon1) / (lon2 - lon1)) * (lat2 - lat1);
  const corners = [...closed.slice(after, -1), ...closed.slice(0, after)];
  const along = corners.map(([lon, lat]) => [wrapLongitude(lon), lat]);
  const pole = [180, 60, -60, -180].map((lon) => [lon, sign * 90]);
  return [[-180, lat], ...along, [180, lat], ...pole];
}

/** "Planet", "N", "S": from where the planet is seen. */
export class Views {
  /** adapt: called when the map has another projection, for what does not follow by itself. */
  constructor(map, preferences, adapt) {
    this.map = map;
    this.preferences = preferences;
    this.adapt = adapt;
    const button = (pole, textContent, title) => {
      const onclick = () => preferences.set({ pole });
      const node = element("button", { type: "button", textContent, title, onclick });
      node.setAttribute("aria-label", title);
      node.dataset.view = pole;
      return node;
    };
    this.node = element("div", { className: "mm-bar-of-buttons mm-views mm-card" }, [
      button("planet", "All", "See the whole planet"),
      button("north", "N", "See the north pole from above"),
      button("south", "S", "See the south pole from above"),
    ]);
    this.node.setAttribute("role", "group");
    this.node.setAttribute("aria-label", "View");
    preferences.watch((changes) => "pole" in changes && this.show(changes.pole));
    this.apply(preferences.pole);
  }

  /** Take another projection and keep looking at the same place where that can be. */
  show(view) {
    if (SYSTEMS[view] === this.map.options.crs) return;
    const { lat, lng } = this.map.getCenter();
    const zoom = this.map.getZoom();
    this.apply(view);
    const { sign } = this.map.options.crs;
    const stays = sign ? sign * lat > FIRST_VIEW : Math.abs(lat) < 85;
    if (stays) this.map.setView([lat, lng], zoom, { reset: true, animate: false });
    else this.home({ reset: true });
    this.adapt();
  }

  apply(view) {
    const { map } = this;
    map.stop();
    map.options.crs = SYSTEMS[view];
    // A box of latitudes and longitudes is no frame for a polar map.
    map.setMaxBounds(view === "planet" ? PANNABLE : null);
    for (const button of this.node.children)
      button.setAttribute("aria-pressed", button.dataset.view === view);
  }

  /** Show everything: the planet, or the pole and what lies round it. */
  home(options = {}) {
    const { map } = this;
    this.limitZoom();
    const { sign } = map.options.crs;
    if (sign) map.setView([sign * 90, 0], this.polarZoom(), { animate: false, ...options });
    else map.setView([0, 0], map.getBoundsZoom(PLANET), { animate: false, ...options });
  }

  polarZoom() {
    const { x, y } = this.map.getSize();
    const share = Math.tan(((90 - FIRST_VIEW) / 2) * RADIANS);
    const zoom = Math.log2((0.96 * Math.min(x, y)) / (256 * share));
    return Math.min(Math.max(Math.floor(zoom * 4) / 4, 0), NEAREST_FIRST);
  }

  /** Nobody needs to be so far away that the planet is there more than about twice. */
  limitZoom() {
    const { map } = this;
    map.options.minZoom = 0;
    if (!poleOf(map)) map.setMinZoom(Math.max(map.getBoundsZoom(PLANET), 0));
  }

  /** A polar map cannot be pushed out of its frame. */
  keepInFrame() {
    if (!poleOf(this.map)) return;
    const { crs } = this.map.options;
    const at = crs.projection.project(this.map.getCenter());
    const limit = 0.75 * HALF_WIDTH_M;
    const inside = L.point(Math.min(Math.max(at.x, -limit), limit), Math.min(Math.max(at.y, -limit), limit));
    if (inside.distanceTo(at) > 1) this.map.panTo(crs.projection.unproject(inside));
  }
}
