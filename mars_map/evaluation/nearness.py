"""Which tiles of a grid lie near which features: on the sphere, and on MarsRetrieval's flat map.

A feature is near a tile when some part of it is within a radius of the tile's place; for a polygon
the inside is part of it. Outlines are followed by points that are at most `SPACING_KM` apart, which
makes a radius r shorter by at most SPACING_KM^2 / 8 r: 17 m of 29.6 km.
"""

from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mars_map.planet.coordinates import wrap_longitude
from mars_map.planet.grid import Grid, RegularGrid
from mars_map.planet.sphere import METRES_PER_DEGREE, unit_vectors

SPACING_KM = 2.0
"""Greatest distance of neighbouring points along an outline, kilometres."""
TIE_DEG = 1e-9
"""A distance that equals the radius counts as inside; this absorbs the rounding."""

_CHUNK_POINTS = 20_000
"""Points that are compared with the tiles at a time; bounds memory to some 100 MB."""


class Pairs(NamedTuple):
    """Pairs of a feature and a tile, each once, ordered by feature."""

    feature: NDArray[np.int64]
    """Number of the feature, (p,)."""
    tile: NDArray[np.int64]
    """Number of the tile, (p,)."""


class Nearness(NamedTuple):
    """How the features of a catalogue lie to the tiles of a grid."""

    n_features: int
    """Number of features."""
    n_tiles: int
    """Number of tiles."""
    near: Pairs
    """The tiles within the radius of each feature."""
    under: Pairs
    """The tiles that each feature lies on; none outside the grid."""


class _Points(NamedTuple):
    """Points that follow the features' outlines."""

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    feature: NDArray[np.int64]


def sphere_nearness(geometries: NDArray[np.object_], grid: Grid, radius_deg: float) -> Nearness:
    """Compare features with tile centres along great circles.

    geometries: (n,) points, lines and polygons in degrees; an edge runs straight in longitude and
    latitude, the shorter way round. radius_deg: degrees of arc, at most 90.
    """
    points = _follow(geometries)
    inside = tiles_inside(geometries, grid)
    chord = 2 * np.sin(np.radians(radius_deg + TIE_DEG) / 2)
    tree = cKDTree(unit_vectors(*grid.centers))
    near = _pairs_within(tree, unit_vectors(points.lon, points.lat), points.feature, chord)
    under = _tiles_under(points, grid)
    n, m = len(geometries), grid.n_tiles
    return Nearness(n, m, _join(near, inside, m), _join(under, inside, m))


def flat_nearness(geometries: NDArray[np.object_], grid: Grid, radius_deg: float) -> Nearness:
    """Compare features with tiles as MarsRetrieval does: one point each, on a flat map in degrees.

    A tile of a `RegularGrid` is its south-west corner, from which MarsRetrieval names it; any other
    tile is its centre. The protocol knows only points: a line or a polygon is the middle of its
    outline.
    """
    lon, lat = middles(geometries)
    points = _Points(lon, lat, np.arange(len(lon)))
    corners = isinstance(grid, RegularGrid)
    places = grid.bounds(np.arange(grid.n_tiles))[:, :2] if corners else np.stack(grid.centers, 1)
    radius = radius_deg + TIE_DEG
    near = _pairs_within(cKDTree(places), np.stack([lon, lat], 1), points.feature, radius)
    return Nearness(len(geometries), grid.n_tiles, near, _tiles_under(points, grid))


def middles(geometries: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the middle of each outline: longitude in [-180, 180) and latitude, degrees, (n,).

    The middle is the direction of the mean of the outline's points in space, so that it does not
    depend on where the antimeridian cuts.
    """
    points = _follow(geometries)
    vectors = unit_vectors(points.lon, points.lat)
    sums = [np.bincount(points.feature, axis, len(geometries)) for axis in vectors.T]
    lon = np.degrees(np.arctan2(sums[1], sums[0]))
    lat = np.degrees(np.arctan2(sums[2], np.hypot(sums[0], sums[1])))
    # A point comes back as it was written, and not rounded by the way through space.
    single = shapely.get_type_id(geometries) == shapely.GeometryType.POINT
    lon[single], lat[single] = shapely.get_x(geometries[single]), shapely.get_y(geometries[single])
    return wrap_longitude(lon), lat


def tiles_inside(geometries: NDArray[np.object_], grid: Grid) -> Pairs:
    """Return the tiles whose centres lie in polygons or on their edges; other kinds have none."""
    parts, feature = shapely.get_parts(geometries, return_index=True)
    flat = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    parts, feature = parts[flat], feature[flat]
    if not len(parts):
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64))
    rings, part = shapely.get_rings(parts, return_index=True)
    rings = np.array([_unrolled(ring) for ring in rings], object)
    tree = shapely.STRtree(shapely.points(*grid.centers))
    keys = []
    for turn in (-360.0, 0.0, 360.0):
        turned = shapely.transform(rings, lambda xy, turn=turn: np.add(xy, [turn, 0]))
        ring, tile = tree.query(turned, predicate="covers")
        keys.append(part[ring] * grid.n_tiles + tile)
    # A tile in a hole is inside two rings of the part.
    found, times = np.unique(np.concatenate(keys), return_counts=True)
    found = found[times % 2 == 1]
    return _unique(feature[found // grid.n_tiles], found % grid.n_tiles, grid.n_tiles)


def _follow(geometries: NDArray[np.object_]) -> _Points:
    """Return points along all outlines, vertices included."""
    parts, feature = shapely.get_parts(geometries, return_index=True)
    closed = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    rings, ring_part = shapely.get_rings(parts[closed], return_index=True)
    lines = np.concatenate([parts[~closed], rings])
    feature = np.concatenate([feature[~closed], feature[closed][ring_part]])
    vertices, line = shapely.get_coordinates(lines, return_index=True)
    edges = np.flatnonzero(line[1:] == line[:-1])
    start = vertices[edges]
    step = np.stack([_shorter_way(vertices[:, 0])[edges], np.diff(vertices[:, 1])[edges]], axis=1)
    pieces = np.ceil(_edge_km(start[:, 1], step) / SPACING_KM).astype(np.int64)
    # The first point of each edge is a vertex, and all vertices are there already.
    added = np.maximum(pieces - 1, 0)
    edge = np.repeat(np.arange(len(edges)), added)
    number = np.arange(added.sum()) - np.repeat(np.cumsum(added) - added, added) + 1
    between = start[edge] + step[edge] * (number / pieces[edge])[:, None]
    lon, lat = np.concatenate([vertices, between]).T
    return _Points(lon, lat, feature[np.concatenate([line, line[edges][edge]])])


def _edge_km(lat: NDArray, step: NDArray) -> NDArray[np.float64]:
    """Return an upper bound of the length of edges that begin at a latitude and go by a step."""
    end = lat + step[:, 1]
    nearest_equator = np.where(lat * end <= 0, 0.0, np.minimum(np.abs(lat), np.abs(end)))
    width = step[:, 0] * np.cos(np.radians(nearest_equator))
    return np.hypot(width, step[:, 1]) * METRES_PER_DEGREE / 1000.0


def _shorter_way(lon: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the steps in longitude between neighbours, each the shorter way round.

    A step of a whole turn stays: it is the edge of a band round the planet.
    """
    step = np.diff(lon)
    whole_turn = np.isclose(np.abs(step), 360.0, rtol=0, atol=1e-6)
    return np.where(whole_turn, step, step - 360.0 * np.round(step / 360.0))


def _unrolled(ring: shapely.Geometry) -> shapely.Polygon:
    """Return the area of a ring with longitudes that go on beyond 180 instead of jumping.

    A ring round a pole is closed over the pole of its hemisphere.
    """
    lon, lat = shapely.get_coordinates(ring).T
    lon = lon[0] + np.concatenate([[0.0], np.cumsum(_shorter_way(lon))])
    lon -= 360.0 * np.round(lon.mean() / 360.0)
    if abs(lon[-1] - lon[0]) > 180.0:
        pole = np.copysign(90.0, lat.mean())
        lon, lat = np.append(lon, [lon[-1], lon[0]]), np.append(lat, [pole, pole])
    return shapely.Polygon(np.stack([lon, lat], axis=1))


def _tiles_under(points: _Points, grid: Grid) -> Pairs:
    tile = grid.tile_at(points.lon, points.lat)
    return _unique(points.feature[tile >= 0], tile[tile >= 0], grid.n_tiles)


def _pairs_within(
    tree: cKDTree, places: NDArray[np.float64], feature: NDArray[np.int64], radius: float
) -> Pairs:
    """Pair features with the tiles of a tree that are within a radius of any of their points."""
    keys = [np.empty(0, np.int64)]
    for start in range(0, len(places), _CHUNK_POINTS):
        chunk = slice(start, start + _CHUNK_POINTS)
        found = cKDTree(places[chunk]).sparse_distance_matrix(tree, radius, output_type="ndarray")
        keys.append(np.unique(feature[chunk][found["i"]] * tree.n + found["j"]))
    found = np.unique(np.concatenate(keys))
    return Pairs(found // tree.n, found % tree.n)


def _join(a: Pairs, b: Pairs, n_tiles: int) -> Pairs:
    feature, tile = (np.concatenate(both) for both in zip(a, b, strict=True))
    return _unique(feature, tile, n_tiles)


def _unique(feature: NDArray[np.int64], tile: NDArray[np.int64], n_tiles: int) -> Pairs:
    keys = np.unique(feature * n_tiles + tile)
    return Pairs(keys // n_tiles, keys % n_tiles)
