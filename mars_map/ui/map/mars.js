// Mars itself: the size of the sphere, how coordinates are written, and the tile grid.

export const RADIUS_KM = 3396.19;
export const KM_PER_DEGREE = (Math.PI * RADIUS_KM) / 180;

const RADIANS = Math.PI / 180;

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

const PATH_STEP_DEGREES = 1;

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

/** The points [lat, lon] of an outline whose edges are great circles; as `straightPath`. */
export function greatCirclePath(points, closed = false) {
  let lon = points[0]?.[0] ?? 0;
  const path = alongEdges(points, closed, (start, end) => {
    const steps = Math.max(Math.ceil(distanceKm(start, end) / (PATH_STEP_DEGREES * KM_PER_DEGREE)), 1);
    const [a, b] = [unitVector(start), unitVector(end)];
    return Array.from({ length: steps }, (_, i) => between(a, b, i / steps));
  });
  // Longitudes run on where the line passes 180 degrees.
  return path.map(([lat, next]) => {
    lon += wrapLongitude(next - lon);
    return [lat, lon];
  });
}

/** Length of the great circle between two points [lon, lat], by the haversine formula. */
export function distanceKm([lon1, lat1], [lon2, lat2]) {
  const half = (angle) => Math.sin((angle * RADIANS) / 2) ** 2;
  const across = Math.cos(lat1 * RADIANS) * Math.cos(lat2 * RADIANS) * half(lon2 - lon1);
  return 2 * RADIUS_KM * Math.asin(Math.sqrt(Math.min(half(lat2 - lat1) + across, 1)));
}

/** Length of a line through points [lon, lat] along great circles. */
export function lengthKm(points) {
  return points.slice(1).reduce((sum, point, i) => sum + distanceKm(points[i], point), 0);
}

/**
 * Area inside of a ring of great circles through points [lon, lat], the smaller of its two sides.
 * The excess of each triangle of an edge and the pole, added up (Todhunter 1886, article 103).
 */
export function areaKm2(points) {
  let excess = 0;
  let turned = 0;
  points.forEach(([lon1, lat1], i) => {
    const [lon2, lat2] = points[(i + 1) % points.length];
    const turn = wrapLongitude(lon2 - lon1) * RADIANS;
    const [a, b] = [Math.tan((lat1 * RADIANS) / 2), Math.tan((lat2 * RADIANS) / 2)];
    excess += 2 * Math.atan2(Math.tan(turn / 2) * (a + b), 1 + a * b);
    turned += turn;
  });
  // A ring round a pole is what is left of a half of the planet.
  if (Math.abs(turned) > Math.PI) excess = 2 * Math.PI - Math.abs(excess);
  const area = Math.abs(excess) * RADIUS_KM ** 2;
  return Math.min(area, 4 * Math.PI * RADIUS_KM ** 2 - area);
}

function unitVector([lon, lat]) {
  const [x, y] = [lon * RADIANS, lat * RADIANS];
  return [Math.cos(y) * Math.cos(x), Math.cos(y) * Math.sin(x), Math.sin(y)];
}

/** The point [lat, lon] that part of the way along the great circle between two unit vectors. */
function between(a, b, share) {
  const angle = 2 * Math.asin(Math.min(Math.hypot(...a.map((v, i) => b[i] - v)) / 2, 1));
  const [p, q] = angle
    ? [Math.sin((1 - share) * angle) / Math.sin(angle), Math.sin(share * angle) / Math.sin(angle)]
    : [1, 0];
  const [x, y, z] = a.map((v, i) => p * v + q * b[i]);
  return [Math.atan2(z, Math.hypot(x, y)) / RADIANS, Math.atan2(y, x) / RADIANS];
}

/** The first corner again, its longitude less than half a turn from the last one. */
export function closing(points) {
  const [[lon, lat], [last]] = [points[0], points.at(-1)];
  return [lon + 360 * Math.round((last - lon) / 360), lat];
}

/** Join the points that `edge` makes of each pair of corners, the first included, the last not. */
function alongEdges(points, closed, edge) {
  const path = [];
  const ends = closed && points.length ? [...points.slice(1), closing(points)] : points.slice(1);
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
