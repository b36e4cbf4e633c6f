// Where the map looks: at first, after a "go to", and when it is given more or less room.

import { nearestCopy, pixelsPerDegree, poleOf } from "./polar.js";
import { wrapLongitude } from "./mars.js";

const SECONDS = 0.8;
/** Share of the view's shorter side that what is flown to may fill. */
const FILLED = 0.5;

export class Flight {
  constructor(map, views, preferences) {
    this.map = map;
    this.views = views;
    this.preferences = preferences;
    this.restore();
    const touched = () => {
      this.moved = true;
      this.target = undefined;
    };
    for (const kind of ["pointerdown", "wheel", "keydown"])
      map.getContainer().addEventListener(kind, touched, { capture: true, passive: true });
    map.on("moveend", () => this.ended());
    this.resizes = new ResizeObserver(() => this.resized());
    this.resizes.observe(map.getContainer());
  }

  close() {
    this.resizes.disconnect();
  }

  /** Show the place that the address names, or everything. */
  restore() {
    const { view } = this.preferences;
    this.views.home();
    if (view) this.map.setView([view.lat, view.lon], view.zoom, { animate: false });
  }

  /**
   * The drawer or the window took or gave room. Until somebody moves the map it shows again what it
   * is meant to show: at first the view of the address, later the place that it flew to.
   */
  resized() {
    this.map.invalidateSize({ pan: false, animate: false });
    if (this.target) this.fly(this.target);
    else if (!this.moved) this.restore();
    else this.views.limitZoom();
  }

  /** Fly to a point and show so many degrees of latitude round it, no closer than `maxZoom`. */
  to(lon, lat, degrees, maxZoom) {
    this.moved = true;
    const { sign } = this.map.options.crs;
    // From above a pole the rest of the planet is far away or out of sight.
    if (sign && sign * lat < 0) this.preferences.set({ pole: "planet" });
    this.target = { lon, lat, degrees, maxZoom };
    this.fly(this.target);
  }

  fly({ lon, lat, degrees, maxZoom }) {
    const { map } = this;
    const { x, y } = map.getSize();
    // The planet's map stretches parallels.
    const across = poleOf(map) ? 1 : Math.max(Math.cos((lat * Math.PI) / 180), 0.2);
    const room = FILLED * Math.min(x * across, y);
    const fits = Math.log2(room / (degrees * pixelsPerDegree(map, 0)));
    const zoom = Math.min(Math.max(Math.floor(fits * 4) / 4, map.getMinZoom()), maxZoom);
    map.flyTo([lat, nearestCopy(map, lon)], zoom, {
      duration: SECONDS,
      animate: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    });
  }

  ended() {
    if (!this.moved) return;
    this.views.keepInFrame();
    this.remember();
  }

  /** Put the view into the address. */
  remember() {
    const { lng, lat } = this.map.getCenter();
    const lon = poleOf(this.map) ? lng : wrapLongitude(lng);
    this.preferences.set({ view: { lon, lat, zoom: this.map.getZoom() } });
  }
}
