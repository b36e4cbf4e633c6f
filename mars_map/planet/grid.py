"""Tile grids: which tiles there are, where each lies, and which one is under a point.

A tile is a longitude-latitude box. Tiles are numbered from the south-west corner, row by row to the
north, and in a row from west to east; no tile crosses the antimeridian. Two kinds of grid exist:

- `RegularGrid`: boxes of equal size in degrees, as MarsRetrieval uses them (arXiv 2602.13961).
- `EqualAreaGrid`: rows of equal height whose number of columns follows the cosine of the latitude,
  so that tiles are about equal in area and the poles do not crowd every ranking.

Grids are small immutable values; coordinates are computed, vectorised, when asked for.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mars_map.errors import CoordinateError, IndexDamagedError
from mars_map.planet.coordinates import check_point, format_point, wrap_longitude
from mars_map.planet.sphere import box_area_km2


class Grid:
    """What all tile grids can do. Subclasses give `row_edges` and `row_columns`."""

    kind: ClassVar[str]

    @cached_property
    def row_edges(self) -> NDArray[np.float64]:
        """Latitudes of the row boundaries from south to north, degrees, (rows + 1,)."""
        raise NotImplementedError

    @cached_property
    def row_columns(self) -> NDArray[np.int64]:
        """Number of tiles in each row from south to north, (rows,)."""
        raise NotImplementedError

    @cached_property
    def row_starts(self) -> NDArray[np.int64]:
        """Number of the first tile of each row, and the number of tiles at the end, (rows + 1,)."""
        return np.concatenate([[0], np.cumsum(self.row_columns)])

    @property
    def n_tiles(self) -> int:
        """Number of tiles of the grid."""
        return int(self.row_starts[-1])

    @cached_property
    def centers(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitudes in [-180, 180) and latitudes of all tile centres, degrees, (n_tiles,) each."""
        bounds = self.bounds(np.arange(self.n_tiles))
        return (bounds[:, 0] + bounds[:, 2]) / 2, (bounds[:, 1] + bounds[:, 3]) / 2

    @cached_property
    def areas_km2(self) -> NDArray[np.float64]:
        """Area of each tile on the sphere, km2, (n_tiles,)."""
        return np.repeat(box_area_km2(self.bounds(self.row_starts[:-1])), self.row_columns)

    def rows_and_columns(self, tiles: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the row and the column of tiles given by number. Raises IndexError outside."""
        tiles = np.asarray(tiles, np.int64)
        if tiles.size and (tiles.min() < 0 or tiles.max() >= self.n_tiles):
            raise IndexError(f"tile numbers run from 0 to {self.n_tiles - 1}")
        rows = np.searchsorted(self.row_starts, tiles, side="right") - 1
        return rows, tiles - self.row_starts[rows]

    def bounds(self, tiles: ArrayLike) -> NDArray[np.float64]:
        """Return west, south, east, north in degrees of tiles given by number, (..., 4)."""
        rows, columns = self.rows_and_columns(tiles)
        n = self.row_columns[rows]
        # East is computed like the next tile's west, so that neighbours share an edge exactly.
        west, east = _meridian(columns, n), _meridian(columns + 1, n)
        return np.stack([west, self.row_edges[rows], east, self.row_edges[rows + 1]], axis=-1)

    def tile_at(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.int64]:
        """Return the number of the tile under each point, -1 where the grid has none.

        A point on an edge belongs to the tile north and east of it; the poles to the last row.
        """
        lon, lat = np.broadcast_arrays(wrap_longitude(lon), np.asarray(lat, float))
        edges = self.row_edges
        rows = np.searchsorted(edges, lat, side="right") - 1
        rows = np.where(lat == edges[-1], len(edges) - 2, rows)
        inside = (rows >= 0) & (rows < len(edges) - 1)
        rows = np.clip(rows, 0, len(edges) - 2)
        n = self.row_columns[rows]
        columns = np.clip(np.floor((lon + 180.0) / (360.0 / n)).astype(np.int64), 0, n - 1)
        # The division rounds; compare with the edges as `bounds` computes them.
        columns = columns - (lon < _meridian(columns, n))
        columns = columns + (lon >= _meridian(columns + 1, n))
        columns = np.clip(columns, 0, n - 1)
        return np.where(inside, self.row_starts[rows] + columns, -1)[()]

    def neighbours(self, tile: int) -> NDArray[np.int64]:
        """Return the numbers of the tiles that touch a tile along an edge or a corner, sorted.

        Neighbours across the antimeridian count; across a pole they do not.
        """
        (row,), (_column,) = self.rows_and_columns([tile])
        west, _, east, _ = self.bounds(tile)
        found: set[int] = set()
        for other in range(max(row - 1, 0), min(row + 2, len(self.row_columns))):
            n = self.row_columns[other]
            # Every column of that row whose closed span meets [west, east]; modulo n wraps it.
            first = int(np.ceil((west + 180.0) / (360.0 / n) - 1e-9)) - 1
            last = int(np.floor((east + 180.0) / (360.0 / n) + 1e-9))
            found.update(int(self.row_starts[other] + c % n) for c in range(first, last + 1))
        found.discard(int(tile))
        return np.array(sorted(found), np.int64)

    def names(self, tiles: ArrayLike) -> NDArray:
        """Return the ids of tiles given by number, an array of str: "r123c0456", row and column."""
        rows, columns = self.rows_and_columns(tiles)
        pairs = zip(rows.flat, columns.flat, strict=True)
        return np.array([f"r{row:03d}c{column:04d}" for row, column in pairs], object)

    def name_at(self, lon: float, lat: float) -> str:
        """Return the id of the tile under a point in degrees.

        Raises CoordinateError for a point off the planet, and for one beyond the grid's edges.
        """
        lon, lat = check_point(lon, lat)
        number = int(self.tile_at(lon, lat))
        if number < 0:
            raise CoordinateError(
                f"The index has no tile at {format_point(lon, lat)}; choose a place between "
                f"{self.row_edges[0]:g} and {self.row_edges[-1]:g} latitude."
            )
        return str(self.names([number])[0])

    def number_of(self, name: str) -> int:
        """Return the number of the tile with this id, -1 where the grid has none."""
        row, separator, column = name[1:].partition("c")
        if not (name.startswith("r") and separator and row.isascii() and column.isascii()):
            return -1
        if not (row.isdigit() and column.isdigit()) or len(name) > 20:
            return -1
        r, c = int(row), int(column)
        if r >= len(self.row_columns) or c >= self.row_columns[r]:
            return -1
        number = int(self.row_starts[r] + c)
        return number if self.names([number])[0] == name else -1

    def to_dict(self) -> dict[str, Any]:
        """Return the grid as plain values for a manifest; `grid_from_dict` reads it back."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True)
class RegularGrid(Grid):
    """Tiles of equal size in degrees between two latitudes."""

    kind: ClassVar[str] = "regular"

    step_deg: float = 0.2
    """Width and height of a tile in degrees; must divide 360 and the band between the limits."""
    south: float = -80.0
    """Southern limit, degrees."""
    north: float = 80.0
    """Northern limit, degrees."""

    def __post_init__(self) -> None:
        _check_step(self.step_deg, self.south, self.north)

    @cached_property
    def row_edges(self) -> NDArray[np.float64]:
        """Latitudes of the row boundaries, degrees, (rows + 1,)."""
        # Rounded, because n * 0.2 has digits in the sixteenth place that no tile name has.
        rows = round((self.north - self.south) / self.step_deg)
        return np.round(self.south + np.arange(rows + 1) * self.step_deg, 9)

    @cached_property
    def row_columns(self) -> NDArray[np.int64]:
        """Number of tiles in each row, (rows,)."""
        return np.full(len(self.row_edges) - 1, round(360.0 / self.step_deg), np.int64)


@dataclass(frozen=True)
class EqualAreaGrid(Grid):
    """Rows of equal height from pole to pole; the number of columns follows cos(latitude)."""

    kind: ClassVar[str] = "equal-area"

    row_height_deg: float = 0.5
    """Height of a row in degrees; must divide 180."""

    def __post_init__(self) -> None:
        _check_step(self.row_height_deg, -90.0, 90.0)

    @cached_property
    def row_edges(self) -> NDArray[np.float64]:
        """Latitudes of the row boundaries, degrees, (rows + 1,)."""
        rows = round(180.0 / self.row_height_deg)
        return np.round(-90.0 + np.arange(rows + 1) * self.row_height_deg, 9)

    @cached_property
    def row_columns(self) -> NDArray[np.int64]:
        """Number of tiles in each row, at least three at the poles, (rows,)."""
        middle = np.radians((self.row_edges[:-1] + self.row_edges[1:]) / 2)
        columns = np.rint(360.0 / self.row_height_deg * np.cos(middle)).astype(np.int64)
        return np.maximum(columns, 3)


_KINDS: dict[str, type[Grid]] = {g.kind: g for g in (RegularGrid, EqualAreaGrid)}


def grid_from_dict(values: dict[str, Any]) -> Grid:
    """Build the grid that `Grid.to_dict` described. Raises IndexDamagedError if it cannot."""
    values = dict(values)
    try:
        return _KINDS[values.pop("kind")](**values)
    except (KeyError, TypeError, ValueError) as error:
        raise IndexDamagedError(f"The manifest describes no known tile grid: {error}.") from error


def _meridian(columns: NDArray[np.int64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    # Multiplied first: the last column then ends at 180 exactly.
    return -180.0 + columns * 360.0 / n


def _check_step(step: float, south: float, north: float) -> None:
    if not (-90.0 <= south < north <= 90.0) or not 0 < step <= 90.0:
        raise ValueError("a grid lies between -90 and 90 degrees and has steps of 0 to 90 degrees")
    for span in (360.0, north - south):
        if abs(span / step - round(span / step)) > 1e-6:
            raise ValueError(f"a step of {step:g} degrees does not divide {span:g} degrees")
