// Units of hits that touch: their outlines, without the edges between their tiles.

import { CanvasTiles, Shapes } from "./canvas.js";
import { straightPath } from "./mars.js";
import { poleOf } from "./polar.js";
import { ask } from "./server.js";

const WIDTH = 1.6;
const HALO = 2;

const Outlines = CanvasTiles.extend({
  /** paths: lines of [lon, lat]. */
  show(paths) {
    this.paths = paths;
    this.project();
  },

  /** Draw anew, in the projection that the map has now. */
  project() {
    this.shapes = undefined;
    if (this._map) this.redraw();
  },

  makeShapes() {
    const line = poleOf(this._map)
      ? (path) => straightPath(path)
      : (path) => path.map(([lon, lat]) => [lat, lon]);
    return new Shapes(this._map.options.crs, this.paths.map(line));
  },

  paint(context, frame) {
    if (!this.paths?.length) return;
    this.shapes ??= this.makeShapes();
    context.beginPath();
    for (const [path, shift] of this.onTile(this.shapes, frame))
      this.shapes.trace(context, path, frame, shift, false);
    context.lineJoin = "round";
    for (const [colour, width] of [["rgb(0 0 0 / 0.6)", WIDTH + HALO], ["#fff", WIDTH]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke();
    }
  },
});

export class Units {
  /** map: with `leaflet`, `host` and `notice`. */
  constructor(map) {
    this.map = map;
    const pane = map.leaflet.createPane("units");
    pane.style.zIndex = 395;
    pane.style.pointerEvents = "none";
    this.outlines = new Outlines({ pane: "units" });
    this.shown = "";
  }

  /** query: address parameters; least: smallest area in km², null for no units. */
  async update(query, least) {
    const wanted = query && least !== null ? `${query}&least=${least}` : "";
    if (wanted === this.shown) return;
    this.shown = wanted;
    if (!wanted) {
      this.outlines.remove();
      delete this.map.host.dataset.units;
      return;
    }
    try {
      const { features } = await ask("units", wanted);
      if (this.shown !== wanted) return;
      this.outlines.addTo(this.map.leaflet);
      this.outlines.show(features.flatMap(({ geometry }) => borders(geometry)));
      this.map.host.dataset.units = features.length;
    } catch (error) {
      if (this.shown === wanted) this.map.notice(error.message);
    }
  }

  project() {
    this.outlines.project();
  }
}

/** The rings of a MultiPolygon, open where they run along 180 degrees or stand on a pole. */
function borders({ coordinates }) {
  return coordinates.flat().flatMap((ring) => {
    const lines = [[ring[0]]];
    for (let i = 1; i < ring.length; i++) {
      if (isSeam(ring[i - 1], ring[i])) lines.push([ring[i]]);
      else lines.at(-1).push(ring[i]);
    }
    return lines.filter((line) => line.length > 1);
  });
}

/** Whether an edge is there only because the polygon had to be cut. */
function isSeam([lon1, lat1], [lon2, lat2]) {
  const along = (a, b, limit) => Math.abs(a) === limit && a === b;
  return along(lon1, lon2, 180) || along(lat1, lat2, 90);
}
