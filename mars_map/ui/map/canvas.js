// Shapes on canvas tiles: each is projected once, a pan draws only new tiles, and a zoom scales what
// is there until the new ones are drawn.

import * as L from "../leaflet/leaflet-src.esm.js";

/** Paths in the pixels of zoom 0 of a map's projection. */
export class Shapes {
  /** paths: [[lat, lon], ...] each; owners: number of the feature of each path, its own if absent. */
  constructor(crs, paths, owners = undefined) {
    const count = paths.reduce((sum, path) => sum + path.length, 0);
    this.points = new Float64Array(2 * count);
    this.starts = new Int32Array(paths.length + 1);
    this.boxes = new Float64Array(4 * paths.length);
    this.owners = owners ?? Int32Array.from(paths, (_, i) => i);
    /** Which paths there are for now, 1 or 0 each; null for all. */
    this.kept = null;
    this.world = crs.wrapLng ? 512 : 0;
    let at = 0;
    paths.forEach((path, i) => {
      this.boxes.set([Infinity, Infinity, -Infinity, -Infinity], 4 * i);
      for (const [lat, lng] of path) this.add(i, at++, crs.latLngToPoint({ lat, lng }, 0));
      this.starts[i + 1] = at;
    });
  }

  add(path, at, { x, y }) {
    const { boxes } = this;
    this.points[2 * at] = x;
    this.points[2 * at + 1] = y;
    boxes[4 * path] = Math.min(boxes[4 * path], x);
    boxes[4 * path + 1] = Math.min(boxes[4 * path + 1], y);
    boxes[4 * path + 2] = Math.max(boxes[4 * path + 2], x);
    boxes[4 * path + 3] = Math.max(boxes[4 * path + 3], y);
  }

  get length() {
    return this.starts.length - 1;
  }

  /** Call `visit(path, shift)` for each path that touches a box, the planet's repetitions included. */
  *touching(left, top, right, bottom) {
    const shifts = this.world ? [0, -this.world, this.world] : [0];
    for (const shift of shifts) {
      // Shapes may reach a little beyond 180 degrees, and their symbols do.
      if (right < shift - 8 || left > shift + (this.world || 256) + 8) continue;
      for (let i = 0; i < this.length; i++) {
        if (this.kept && !this.kept[i]) continue;
        const at = 4 * i;
        if (this.boxes[at] + shift > right || this.boxes[at + 2] + shift < left) continue;
        if (this.boxes[at + 1] > bottom || this.boxes[at + 3] < top) continue;
        yield [i, shift];
      }
    }
  }

  /** Add a path to a drawing context whose pixels are `scale` times as fine, from `left`, `top`. */
  trace(context, path, { scale, left, top }, shift, closed) {
    for (let i = this.starts[path]; i < this.starts[path + 1]; i++) {
      const x = (this.points[2 * i] + shift) * scale - left;
      const y = this.points[2 * i + 1] * scale - top;
      if (i === this.starts[path]) context.moveTo(x, y);
      else context.lineTo(x, y);
    }
    if (closed) context.closePath();
  }

  /** The path nearest to a point within `reach`, all in pixels of zoom 0; -1 for none. */
  nearest({ x, y }, reach, filled) {
    let best = -1;
    let least = reach;
    for (const [path, shift] of this.touching(x - reach, y - reach, x + reach, y + reach)) {
      const far = filled && this.holds(path, x - shift, y) ? 0 : this.distance(path, x - shift, y);
      if (far <= least) [best, least] = [path, far];
    }
    return best;
  }

  distance(path, x, y) {
    const { points, starts } = this;
    const [first, end] = [starts[path], starts[path + 1]];
    if (end === first + 1) return Math.hypot(points[2 * first] - x, points[2 * first + 1] - y);
    let least = Infinity;
    for (let i = first; i < end - 1; i++) {
      const [dx, dy] = [points[2 * i + 2] - points[2 * i], points[2 * i + 3] - points[2 * i + 1]];
      const [px, py] = [x - points[2 * i], y - points[2 * i + 1]];
      const share = Math.min(Math.max((px * dx + py * dy) / (dx * dx + dy * dy || 1), 0), 1);
      least = Math.min(least, Math.hypot(px - share * dx, py - share * dy));
    }
    return least;
  }

  /** Whether a point lies inside of a ring, by the rule of even and odd. */
  holds(path, x, y) {
    const { points, starts } = this;
    let inside = false;
    for (let i = starts[path], j = starts[path + 1] - 1; i < starts[path + 1]; j = i++) {
      const [yi, yj] = [points[2 * i + 1], points[2 * j + 1]];
      if (yi > y === yj > y) continue;
      const cross = points[2 * i] + ((y - yi) / (yj - yi)) * (points[2 * j] - points[2 * i]);
      if (x < cross) inside = !inside;
    }
    return inside;
  }
}

/** A layer of canvas tiles; a kind of it says with `paint(context, frame)` what is on a tile. */
export const CanvasTiles = L.GridLayer.extend({
  options: { tileSize: 512 },

  createTile(coords) {
    const { x, y } = this.getTileSize();
    const ratio = window.devicePixelRatio || 1;
    const canvas = document.createElement("canvas");
    canvas.width = x * ratio;
    canvas.height = y * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const frame = { left: coords.x * x, top: coords.y * y, scale: 2 ** this._tileZoom, size: x };
    this.paint(context, frame);
    return canvas;
  },

  /** The shapes on a tile, `margin` pixels round it included, in the order in which they are stored. */
  onTile(shapes, { left, top, scale, size }, margin = 8) {
    return shapes.touching(
      (left - margin) / scale,
      (top - margin) / scale,
      (left + size + margin) / scale,
      (top + size + margin) / scale,
    );
  },
});
