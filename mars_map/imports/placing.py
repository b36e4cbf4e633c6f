"""Where foreign rows lie on a tile grid, and which grid that is.

An index is a grid: row i is tile i. Foreign rows come in any order with a position each; here the
grid that they lie on is found and each is given its tile. Positions that are on no grid, or two on
one tile, are an error: a tile that is shown some way off from its picture would be worse.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import ForeignIndexError
from mars_map.planet.coordinates import wrap_longitude
from mars_map.planet.grid import EqualAreaGrid, Grid, RegularGrid

TOLERANCE = 0.02
"""How far a position may lie from the grid's, in tile heights: float32 degrees and names with few
decimals are within it."""
DIGITS = 5
"""Decimals of degrees that count when distances of rows are looked at."""

FINEST_DEG = 0.02
"""Least height of a tile, degrees: 1.2 km, 162 million tiles. Irregular points would give less."""

Anchor = Literal["centre", "corner"]


@dataclass(frozen=True, eq=False)
class Positions:
    """Where rows lie: NaN where a row has no position."""

    lon: NDArray[np.float64]
    """Longitudes, degrees east, (n,)."""
    lat: NDArray[np.float64]
    """Planetocentric latitudes, degrees, (n,)."""
    anchor: Anchor = "centre"
    """What of a tile the positions are: its centre or its south-west corner."""
    sizes: NDArray[np.float64] | None = None
    """Widths and heights in degrees, (n, 2), where outlines were given."""

    def __post_init__(self) -> None:
        known = np.isfinite(self.lon) & np.isfinite(self.lat)
        bad = known & ((np.abs(self.lat) > 90) | (self.lon < -360) | (self.lon > 360))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise ForeignIndexError(
                f"Row {row} lies at {self.lon[row]:g}, {self.lat[row]:g}, which is not on the "
                "planet; positions are longitude and latitude in degrees."
            )
        if not known.any():
            raise ForeignIndexError("No row has a position; there is nothing to import.")

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which rows have a position, (n,)."""
        return np.isfinite(self.lon) & np.isfinite(self.lat)


def parse_grid(text: str) -> Grid:
    """Return the grid written "regular:0.2", "regular:0.2,-80,80" or "equal-area:0.5".

    Raises ForeignIndexError for anything else.
    """
    kind, _, numbers = text.partition(":")
    try:
        values = [float(part) for part in numbers.split(",")]
        if not values[0] >= FINEST_DEG:
            raise ValueError(f"tiles are at least {FINEST_DEG} degrees high")
        if kind == "regular" and len(values) in (1, 3):
            return RegularGrid(*values)
        if kind == "equal-area" and len(values) == 1:
            return EqualAreaGrid(*values)
        raise ValueError("unknown form")
    except ValueError as error:
        raise ForeignIndexError(
            f'"{text[:60]}" is no grid ({error}); write regular:STEP, regular:STEP,SOUTH,NORTH or '
            "equal-area:HEIGHT in degrees."
        ) from error


def find_grid(positions: Positions) -> Grid:
    """Return the grid that positions lie on, holes allowed. Raises ForeignIndexError for none.

    Tried are regular grids, from the southernmost row that is there to the northernmost, and
    equal-area grids of the whole planet, both with the height that the rows have.
    """
    height = _row_height(positions)
    for grid in _candidates(positions, height):
        with suppress(ForeignIndexError):
            _locate(positions, grid)
            return grid
    known = np.flatnonzero(positions.known)
    raise ForeignIndexError(
        f"The {len(known):,} positions, such as {positions.lon[known[0]]:g}, "
        f"{positions.lat[known[0]]:g}, are on no tile grid that mars_map knows (boxes of equal "
        "degrees counted from 180 W, or equal-area rows); embed the tiles of such a grid, or name "
        "theirs with --grid."
    )


def place(positions: Positions, grid: Grid) -> NDArray[np.int64]:
    """Return the tile of each row, (n,), -1 for a row without a position.

    Raises ForeignIndexError for rows that are not on the grid, and for two on one tile.
    """
    tiles = _locate(positions, grid)
    _check_single(tiles[tiles >= 0], grid)
    return tiles


def _locate(positions: Positions, grid: Grid) -> NDArray[np.int64]:
    """Return the tile of each row as `place` does, two on one tile allowed."""
    known = np.flatnonzero(positions.known)
    lon = wrap_longitude(positions.lon[known])
    lat = positions.lat[known]
    height = float(np.diff(grid.row_edges)[0])
    inside = lat
    if positions.anchor == "corner":
        lon = wrap_longitude(lon + TOLERANCE * height)  # a corner that is rounded down stays inside
        inside = lat + height / 2
    found = np.atleast_1d(grid.tile_at(lon, inside))
    off = found < 0
    bounds = grid.bounds(np.where(off, 0, found))
    off |= _distance(positions, known, bounds) > TOLERANCE * height
    if off.any():
        row = int(known[np.flatnonzero(off)[0]])
        raise ForeignIndexError(
            f"{int(off.sum()):,} of {len(known):,} rows are not on the grid, row {row} at "
            f"{positions.lon[row]:g}, {positions.lat[row]:g} for one; check --grid and whether "
            "positions are centres or corners."
        )
    tiles = np.full(len(positions.lon), -1, np.int64)
    tiles[known] = found
    return tiles


def _distance(positions: Positions, rows: NDArray, bounds: NDArray) -> NDArray[np.float64]:
    """Return how far rows are off their tiles, degrees, the larger of both axes and sizes."""
    if positions.anchor == "corner":
        x, y = bounds[:, 0], bounds[:, 1]
    else:
        x, y = (bounds[:, 0] + bounds[:, 2]) / 2, (bounds[:, 1] + bounds[:, 3]) / 2
    east = positions.lon[rows] - x
    distance = np.maximum(
        np.abs(east - 360 * np.round(east / 360)), np.abs(positions.lat[rows] - y)
    )
    if positions.sizes is not None:
        sizes = np.stack([bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1]], axis=1)
        distance = np.maximum(distance, np.abs(positions.sizes[rows] - sizes).max(axis=1))
    return distance


def _check_single(tiles: NDArray[np.int64], grid: Grid) -> None:
    unique, counts = np.unique(tiles, return_counts=True)
    if counts.max() > 1:
        name = grid.names([int(unique[counts.argmax()])])[0]
        raise ForeignIndexError(
            f"{int((counts > 1).sum()):,} tiles have more than one row, {name} has "
            f"{int(counts.max())}; leave one row a tile, for example one date."
        )


def _row_height(positions: Positions) -> float:
    if positions.sizes is not None:
        return float(np.nanmedian(positions.sizes[:, 1]))
    lat, lon = positions.lat[positions.known], positions.lon[positions.known]
    for values in (lat, lon):  # a single row has its columns' distance
        steps = np.diff(np.unique(np.round(values, DIGITS)))
        steps = steps[steps > 10.0**-DIGITS * 5]
        if len(steps):
            return float(steps.min())
    raise ForeignIndexError("One position tells of no grid; name it with --grid.")


def _candidates(positions: Positions, height: float) -> list[Grid]:
    grids: list[Grid] = []
    if height < FINEST_DEG:
        return []
    columns, rows = round(360 / height), round(180 / height)
    lat = positions.lat[positions.known]
    half = 0.0 if positions.anchor == "corner" else 0.5
    with suppress(ValueError, ZeroDivisionError):  # no such grid, for example beyond a pole
        step = 360 / columns
        south = _snap(float(lat.min()) - half * step)
        north = south + (round((float(lat.max()) - half * step - south) / step) + 1) * step
        grids.append(RegularGrid(step, south, _snap(north)))
    with suppress(ValueError, ZeroDivisionError):
        grids.append(EqualAreaGrid(180 / rows))
    return grids


def _snap(latitude: float) -> float:
    """Return a latitude without the digits that float32 and sums of steps leave behind."""
    return round(latitude, DIGITS)
