"""Units: hits that touch, merged. A first geomorphic map out of a ranking.

Two hits touch where their tiles share an edge or a corner, as `Grid.neighbours` counts it; also
across the antimeridian. Areas, lengths and centroids are those of the tiles on the sphere, whose
borders are meridians and parallels: no projection, and no chord in place of a parallel.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from mars_map.errors import QueryError
from mars_map.maps.footprints import DIGITS, ORIGIN_COLUMNS, origin_columns
from mars_map.planet.grid import Grid
from mars_map.planet.sphere import RADIUS_M, mars_crs

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

    from mars_map.search import Result

RADIUS_KM = RADIUS_M / 1000.0
TOUCH_DEG = 1e-9
"""Longitudes nearer than this are the same: -180 + 360 / n has digits in the sixteenth place."""
MAX_LEAST_KM2 = 150e6
"""The largest least area that may be asked for, km2: more than the whole planet has."""
COLUMNS = {
    "unit": "number of the unit, 1 for the largest",
    "tiles": "number of tiles in it",
    "area_km2": "area on the sphere, square kilometres",
    "perim_km": "length of its outer and inner borders on the sphere, kilometres",
    "lon": "longitude of its centroid on the sphere, degrees east, -180 to 180",
    "lat": "planetocentric latitude of its centroid, degrees",
    "mean_score": "mean score of its tiles, weighted by area, -1 to 1",
    "max_score": "score of its best tile",
    "best_tile": "id of its best tile",
    **ORIGIN_COLUMNS,
}
"""Columns of a table of units and what they mean; names fit the ten characters of a shapefile."""


class Contacts(NamedTuple):
    """Pairs of tiles that touch, each pair once."""

    first: NDArray[np.int64]
    """Places of one tile of each pair in the sorted list of tiles, (n,)."""
    second: NDArray[np.int64]
    """Places of the other, (n,)."""
    length_km: NDArray[np.float64]
    """Length of the edge that they share, 0 for a corner, (n,)."""


@dataclass(frozen=True, eq=False)
class Units:
    """Connected units, the largest first. Arrays have one entry a unit unless said otherwise."""

    tiles: NDArray[np.int64]
    """All tiles of all units by number, ordered by unit and then by number, (n_tiles,)."""
    starts: NDArray[np.int64]
    """Where each unit begins in `tiles`, and their number at the end, (n + 1,)."""
    area_km2: NDArray[np.float64]
    """Area on the sphere."""
    perimeter_km: NDArray[np.float64]
    """Length of outer and inner borders on the sphere."""
    lon: NDArray[np.float64]
    """Longitude of the centroid on the sphere, degrees in [-180, 180]; of the best tile's centre
    where there is no centroid, as in a ring round the planet."""
    lat: NDArray[np.float64]
    """Latitude of the same point, degrees."""
    mean_score: NDArray[np.float64]
    """Mean of the tiles' scores, weighted by area."""
    max_score: NDArray[np.float64]
    """Score of the best tile."""
    best_tile: NDArray[np.int64]
    """Number of the best tile."""

    def __len__(self) -> int:
        return len(self.area_km2)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of tiles of each unit."""
        return np.diff(self.starts)

    def outlines(self, grid: Grid) -> NDArray[np.object_]:
        """Return one shapely MultiPolygon a unit in degrees, valid, cut at the antimeridian.

        Neighbours that share an edge are dissolved; parts that meet in a corner alone, or across
        the antimeridian, stay parts of one MultiPolygon.
        """
        # Rounded as footprints are, so that edges of rows of other widths coincide exactly and a
        # union leaves no slivers.
        bounds = np.round(grid.bounds(self.tiles), 9)
        unit = np.repeat(np.arange(len(self)), self.counts)
        runs, of_unit = _runs(bounds, unit)
        boxes = shapely.box(*runs.T)
        first = np.searchsorted(of_unit, np.arange(len(self) + 1))
        outlines = np.empty(len(self), object)
        for i, (start, end) in enumerate(pairwise(first)):
            outlines[i] = _multipolygon(shapely.union_all(boxes[start:end]))
        return outlines


def find_units(
    tiles: NDArray[np.int64],
    scores: NDArray[np.floating],
    grid: Grid,
    *,
    least_km2: float = 0.0,
) -> Units:
    """Merge tiles that touch into units.

    tiles: numbers of the tiles, in any order, each once, (k,). scores: of all tiles, (n_tiles,).
    least_km2: units of a smaller area are left out. Raises QueryError for a least area that is
    negative or larger than the planet.
    """
    # Imported here: `import mars_map.analysis` stays light.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    least_km2 = check_least(least_km2)
    tiles = np.sort(np.asarray(tiles, np.int64))
    if not len(tiles):
        return _measure(tiles, tiles, scores, grid, contacts(tiles, grid), least_km2)
    touching = contacts(tiles, grid)
    ones = np.ones(len(touching.first), np.int8)
    links = coo_array((ones, (touching.first, touching.second)), shape=(len(tiles), len(tiles)))
    _, labels = connected_components(links, directed=False)
    return _measure(tiles, labels.astype(np.int64), scores, grid, touching, least_km2)


def units_of(result: "Result", *, least_km2: float = 0.0) -> Units:
    """Return the units of a result's hits. Raises QueryError as `find_units` does."""
    return find_units(result.hits, result.scores, result.index.grid, least_km2=least_km2)


def units_table(
    result: "Result", date: datetime | None = None, *, least_km2: float = 0.0
) -> "GeoDataFrame":
    """Return the units of a result's hits, the largest first, with `COLUMNS` and their outlines.

    CRS is IAU_2015:49900; every geometry is a valid MultiPolygon within [-180, 180]. date: what to
    write into the column; now if not given. Raises QueryError as `find_units` does.
    """
    import geopandas as gpd

    units = units_of(result, least_km2=least_km2)
    grid = result.index.grid
    columns = {
        "unit": np.arange(1, len(units) + 1, dtype=np.int32),
        "tiles": units.counts.astype(np.int32),
        "area_km2": units.area_km2.round(3),
        "perim_km": units.perimeter_km.round(3),
        "lon": units.lon.round(DIGITS),
        "lat": units.lat.round(DIGITS),
        "mean_score": units.mean_score.round(DIGITS),
        "max_score": units.max_score.round(DIGITS),
        "best_tile": grid.names(units.best_tile),
        **origin_columns(result, date),
    }
    return gpd.GeoDataFrame(columns, geometry=units.outlines(grid), crs=mars_crs())


def check_least(least_km2: float) -> float:
    """Return the least area of a unit in km2. Raises QueryError where no unit could have it."""
    if not 0.0 <= least_km2 <= MAX_LEAST_KM2:
        raise QueryError(
            f"The least area of a unit is {least_km2:g} km²; give 0 to {MAX_LEAST_KM2:,.0f}."
        )
    return float(least_km2)


def contacts(tiles: NDArray[np.int64], grid: Grid) -> Contacts:
    """Return which of the tiles touch each other. tiles: numbers, sorted, each once, (k,)."""
    pairs = [_contacts_in_row(tiles, grid), _contacts_to_north(tiles, grid)]
    return Contacts(*(np.concatenate(parts) for parts in zip(*pairs, strict=True)))


def _contacts_in_row(tiles: NDArray[np.int64], grid: Grid) -> Contacts:
    """Return the contacts of each tile with the next in its row; the last one's next is first."""
    rows, columns = grid.rows_and_columns(tiles)
    east = grid.row_starts[rows] + (columns + 1) % grid.row_columns[rows]
    place, there = _places(tiles, east)
    first = np.flatnonzero(there)
    height = np.diff(grid.row_edges)[rows[first]]
    return Contacts(first, place[first], np.radians(height) * RADIUS_KM)


def _contacts_to_north(tiles: NDArray[np.int64], grid: Grid) -> Contacts:
    """Return the contacts of each tile with those of the row north of it."""
    rows, columns = grid.rows_and_columns(tiles)
    below = np.flatnonzero(rows < len(grid.row_columns) - 1)
    rows, columns = rows[below], columns[below]
    n, n_north = grid.row_columns[rows], grid.row_columns[rows + 1]
    west, east = columns * 360.0 / n, (columns + 1) * 360.0 / n
    width = 360.0 / n_north
    # Every column of that row whose closed span meets [west, east]; modulo n wraps it.
    start = np.ceil(west / width - TOUCH_DEG).astype(np.int64) - 1
    end = np.floor(east / width + TOUCH_DEG).astype(np.int64)
    # A row of few tiles must not meet one of them twice over.
    end = np.minimum(end, start + n_north - 1)
    found = []
    for step in range(int((end - start).max(initial=-1)) + 1):
        column = start + step
        north = grid.row_starts[rows + 1] + column % n_north
        place, there = _places(tiles, north)
        at = np.flatnonzero(there & (column <= end))
        shared = _shared(west[at], east[at], (column % n_north)[at] * width[at], width[at])
        length = np.radians(shared) * RADIUS_KM * np.cos(np.radians(grid.row_edges[rows[at] + 1]))
        found.append(Contacts(below[at], place[at], length))
    if not found:
        nothing = np.zeros(0, np.int64)
        return Contacts(nothing, nothing, np.zeros(0))
    return Contacts(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _shared(
    west: NDArray[np.float64],
    east: NDArray[np.float64],
    other_west: NDArray[np.float64],
    other_width: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return how many degrees two spans of longitude share, also across the antimeridian."""
    shared = np.zeros(len(west))
    for turn in (-360.0, 0.0, 360.0):
        start = np.maximum(west, other_west + turn)
        end = np.minimum(east, other_west + turn + other_width)
        shared += np.maximum(end - start, 0.0)
    return np.where(shared > TOUCH_DEG, shared, 0.0)


def _places(
    tiles: NDArray[np.int64], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where wanted numbers stand in a sorted list, and whether they do."""
    place = np.minimum(np.searchsorted(tiles, wanted), len(tiles) - 1)
    return place, (tiles[place] == wanted) if len(tiles) else np.zeros(0, bool)


def _measure(
    tiles: NDArray[np.int64],
    labels: NDArray[np.int64],
    scores: NDArray[np.floating],
    grid: Grid,
    touching: Contacts,
    least_km2: float,
) -> Units:
    """Return the units by label, the largest first; labels: 0..n-1, one a tile, tiles sorted."""
    n = int(labels.max(initial=-1)) + 1
    bounds = grid.bounds(tiles)
    areas = grid.areas_km2[tiles]
    tile_scores = np.asarray(scores, np.float64)[tiles]

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(labels, values, minlength=n)

    area = total(areas)
    inner = np.bincount(labels[touching.first], touching.length_km, minlength=n)
    perimeter = np.maximum(total(_box_perimeter_km(bounds)) - 2 * inner, 0.0)
    best = np.lexsort((tiles, -tile_scores, labels))
    best = best[np.searchsorted(labels[best], np.arange(n))]
    lon, lat = _direction(np.stack([total(axis) for axis in _box_moments(bounds)]), area)
    nowhere = np.isnan(lat)
    lon = np.where(nowhere, (bounds[best, 0] + bounds[best, 2]) / 2, lon)
    lat = np.where(nowhere, (bounds[best, 1] + bounds[best, 3]) / 2, lat)
    first = tiles[np.lexsort((tiles, labels))][np.searchsorted(np.sort(labels), np.arange(n))]
    # Equal areas, as all units of one tile have, rank by their best score.
    order = np.lexsort((first, -tile_scores[best], -area.round(6)))
    order = order[area[order] >= least_km2 - 1e-6]
    place = np.full(n, n, np.int64)
    place[order] = np.arange(len(order))
    members = np.lexsort((tiles, place[labels]))
    members = members[place[labels][members] < n]
    counts = np.bincount(labels, minlength=n)[order]
    return Units(
        tiles=tiles[members],
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        area_km2=area[order],
        perimeter_km=perimeter[order],
        lon=lon[order],
        lat=lat[order],
        mean_score=total(areas * tile_scores)[order] / area[order],
        max_score=tile_scores[best][order],
        best_tile=tiles[best][order],
    )


def _box_perimeter_km(bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lengths of the borders of boxes: two meridians and two parallels, km."""
    west, south, east, north = bounds.T
    parallels = np.cos(np.radians(south)) + np.cos(np.radians(north))
    return RADIUS_KM * (2 * np.radians(north - south) + np.radians(east - west) * parallels)


def _box_moments(bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the integral of the unit position vector over boxes of the unit sphere, (3, n).

    In closed form, from r = (cos φ cos λ, cos φ sin λ, sin φ) and dA = cos φ dφ dλ.
    """
    west, south, east, north = np.radians(bounds.T)
    band = (north - south) / 2 + (np.sin(2 * north) - np.sin(2 * south)) / 4
    x = (np.sin(east) - np.sin(west)) * band
    y = (np.cos(west) - np.cos(east)) * band
    z = (east - west) * (np.sin(north) ** 2 - np.sin(south) ** 2) / 2
    return np.stack([x, y, z])


def _direction(
    moments: NDArray[np.float64], area_km2: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where vectors (3, n) point, degrees; nan where they cancel out."""
    x, y, z = moments
    length = np.linalg.norm(moments, axis=0)
    lon = np.degrees(np.arctan2(y, x))
    lat = np.degrees(np.arctan2(z, np.hypot(x, y)))
    points = length > 1e-6 * area_km2 / RADIUS_KM**2
    return np.where(points, lon, np.nan), np.where(points, lat, np.nan)


def _runs(
    bounds: NDArray[np.float64], unit: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Join boxes that follow each other in a row of one unit: fewer boxes, the same union.

    bounds: (k, 4), ordered by unit, row and column. Returns bounds of the runs and their units.
    """
    if not len(bounds):
        return bounds, unit
    breaks = (
        (np.diff(unit) != 0) | (bounds[1:, 1] != bounds[:-1, 1]) | (bounds[1:, 0] != bounds[:-1, 2])
    )
    start = np.concatenate([[0], np.flatnonzero(breaks) + 1])
    end = np.concatenate([start[1:], [len(bounds)]]) - 1
    return np.column_stack([bounds[start, :2], bounds[end, 2:]]), unit[start]


def _multipolygon(geometry: shapely.Geometry) -> shapely.MultiPolygon:
    return shapely.MultiPolygon(list(shapely.get_parts(geometry)))
