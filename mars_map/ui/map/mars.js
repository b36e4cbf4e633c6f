// Mars itself: the size of the sphere, how coordinates are written, and the tile grid.

export const RADIUS_KM = 3396.19;
export const KM_PER_DEGREE = (Math.PI * RADIUS_KM) / 180;

export const LONGITUDE_STYLES = ["180", "360", "360W"];

const modulo = (value, turn) => ((value % turn) + turn) % turn;

/** Longitude in [-180, 180). */
export function wrapLongitude(lon) {
  return lon >= -180 && lon < 180 ? lon : modulo(lon + 180, 360) - 180;
}

/** A longitude in degrees as people write it, by one of LONGITUDE_STYLES. */
export function formatLongitude(lon, style = "180", digits = 2) {
  const east = wrapLongitude(lon);
  if (style === "360") return `${modulo(east, 360).toFixed(digits)}° E`;
  if (style === "360W") return `${modulo(-east, 360).toFixed(digits)}° W`;
  return `${Math.abs(east).toFixed(digits)}° ${east < 0 ? "W" : "E"}`;
}

/** A planetocentric latitude in degrees as people write it. */
export function formatLatitude(lat, digits = 2) {
  return `${Math.abs(lat).toFixed(digits)}° ${lat < 0 ? "S" : "N"}`;
}

const PATH_STEP_DEGREES = 2;

/**
 * The points [lat, lon] of an outline whose edges are straight in longitude and latitude, close
 * enough together that it runs right in any projection. points: [[lon, lat], ...].
 */
export function straightPath(points, closed = false) {
  return alongEdges(points, closed, ([lon1, lat1], [lon2, lat2]) => {
    const steps = Math.ceil(Math.max(Math.abs(lon2 - lon1), Math.abs(lat2 - lat1)) / PATH_STEP_DEGREES);
    return Array.from({ length: Math.max(steps, 1) }, (_, i) => {
      const share = i / Math.max(steps, 1);
      return [lat1 + share * (lat2 - lat1), lon1 + share * (lon2 - lon1)];
    });
  });
}

/** Join the points that `edge` makes of each pair of corners, the first included, the last not. */
function alongEdges(points, closed, edge) {
  const path = [];
  const ends = closed ? [...points.slice(1), points[0]] : points.slice(1);
  ends.forEach((end, i) => path.push(...edge(points[i], end)));
  if (!closed && points.length) path.push([points.at(-1)[1], points.at(-1)[0]]);
  return path;
}

/**
 * The tile grid, as mars_map.planet.grid defines it: rows from south to north, `columns[r]` tiles
 * in row r from -180 eastward, numbered in that order.
 */
export class Grid {
  /** edges: latitudes of the row boundaries; columns: number of tiles of each row. */
  constructor({ edges, columns }) {
    this.edges = edges;
    this.columns = columns;
    this.starts = [0];
    for (const n of columns) this.starts.push(this.starts.at(-1) + n);
  }

  get count() {
    return this.starts.at(-1);
  }

  rowAndColumn(tile) {
    const row = lastNotAbove(this.starts, tile);
    return [row, tile - this.starts[row]];
  }

  /** West, south, east, north in degrees. */
  bounds(tile) {
    const [row, column] = this.rowAndColumn(tile);
    const width = 360 / this.columns[row];
    return [
      -180 + column * width,
      this.edges[row],
      -180 + (column + 1) * width,
      this.edges[row + 1],
    ];
  }

  /** Longitude and latitude of the centre. */
  center(tile) {
    const [west, south, east, north] = this.bounds(tile);
    return [(west + east) / 2, (south + north) / 2];
  }

  /** The tile's id outside of the program. */
  name(tile) {
    const [row, column] = this.rowAndColumn(tile);
    return `r${String(row).padStart(3, "0")}c${String(column).padStart(4, "0")}`;
  }

  /** Number of the tile under a point, -1 where the grid has none. */
  tileAt(lon, lat) {
    const top = this.edges.at(-1);
    if (!(lat >= this.edges[0] && lat <= top)) return -1;
    const row = lat === top ? this.columns.length - 1 : lastNotAbove(this.edges, lat);
    const n = this.columns[row];
    const column = Math.floor((wrapLongitude(lon) + 180) / (360 / n));
    return this.starts[row] + Math.min(Math.max(column, 0), n - 1);
  }

  /** Height of a tile in degrees. */
  get step() {
    return this.edges[1] - this.edges[0];
  }
}

/** Index of the last entry of a rising list that is not above the value. */
function lastNotAbove(list, value) {
  let low = 0;
  let high = list.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (list[middle] <= value) low = middle;
    else high = middle;
  }
  return low;
}
