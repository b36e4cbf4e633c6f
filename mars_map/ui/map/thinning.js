// Which features of a catalogue are drawn at a zoom: the largest first, and of the others those that do
// not crowd them. The same ones are drawn wherever the map is moved, and all of them from near.

/** From this zoom on nothing is left out. */
const FULL_ZOOM = 6;
/** Least distance of two symbols, and width of the cells that lines share, where one overlay is on. */
const SPACING_PIXELS = { point: 8, line: 7, polygon: 7 };
/** A line is left out where others have taken more of its cells than this share. */
const TAKEN_SHARE = 0.4;

/**
 * The features that are drawn, one number for each path: 1 for drawn, 0 for left out; null for all.
 *
 * shapes: with `starts`, `points` and `boxes` in pixels of zoom 0; order: paths, the most important
 * first; crowd: overlays that are on at a time, which share the room.
 */
export function thinned(shapes, order, geometry, zoom, crowd) {
  if (zoom >= FULL_ZOOM) return null;
  const cell = (SPACING_PIXELS[geometry] * Math.sqrt(crowd)) / 2 ** zoom;
  const room = geometry === "point" ? new Spaced(cell) : new Cells(cell);
  const kept = new Uint8Array(shapes.length);
  for (const path of order) kept[path] = room.take(shapes, path);
  return kept;
}

/** Paths by importance: by the size of their features, or without sizes by their own extent. */
export function byImportance(shapes, sizes) {
  const sized = sizes.some((size) => size !== null);
  const rank = Float64Array.from({ length: shapes.length }, (_, path) =>
    sized ? (sizes[shapes.owners[path]] ?? 0) : extent(shapes.boxes, 4 * path),
  );
  return Int32Array.from(rank.keys()).sort((a, b) => rank[b] - rank[a] || a - b);
}

const extent = (boxes, at) => Math.hypot(boxes[at + 2] - boxes[at], boxes[at + 3] - boxes[at + 1]);

/** Any place in a grid of cells as one number: no projection has so many cells that two meet. */
const keyOf = (column, row) => row * 65_536 + column;

/** Points that keep a distance. */
class Spaced {
  constructor(distance) {
    this.distance = distance;
    this.cells = new Map();
  }

  /** Take a path's first point unless another is too near; returns 1 or 0. */
  take({ points, starts }, path) {
    const [x, y] = [points[2 * starts[path]], points[2 * starts[path] + 1]];
    const [column, row] = [Math.floor(x / this.distance), Math.floor(y / this.distance)];
    for (let i = -1; i <= 1; i++)
      for (let j = -1; j <= 1; j++) if (this.near(keyOf(column + i, row + j), x, y)) return 0;
    const key = keyOf(column, row);
    if (!this.cells.has(key)) this.cells.set(key, []);
    this.cells.get(key).push(x, y);
    return 1;
  }

  near(key, x, y) {
    const there = this.cells.get(key) ?? [];
    for (let i = 0; i < there.length; i += 2)
      if (Math.hypot(there[i] - x, there[i + 1] - y) < this.distance) return true;
    return false;
  }
}

/** Lines and outlines that hardly share cells. */
class Cells {
  constructor(size) {
    this.size = size;
    this.taken = new Set();
  }

  /** Take the cells of a path unless too many are taken; returns 1 or 0. */
  take(shapes, path) {
    const cells = new Set(this.along(shapes, path));
    let taken = 0;
    for (const key of cells) taken += this.taken.has(key);
    if (taken > TAKEN_SHARE * cells.size) return 0;
    for (const key of cells) this.taken.add(key);
    return 1;
  }

  *along({ points, starts }, path) {
    let [x, y] = [points[2 * starts[path]], points[2 * starts[path] + 1]];
    for (let i = starts[path]; i < starts[path + 1]; i++) {
      const [dx, dy] = [points[2 * i] - x, points[2 * i + 1] - y];
      const steps = Math.max(Math.ceil((2 * Math.hypot(dx, dy)) / this.size), 1);
      for (let step = 1; step <= steps; step++)
        yield this.key(x + (step / steps) * dx, y + (step / steps) * dy);
      [x, y] = [x + dx, y + dy];
    }
  }

  key(x, y) {
    return keyOf(Math.floor(x / this.size), Math.floor(y / this.size));
  }
}
