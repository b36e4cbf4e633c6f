"""Means of a raster over the footprints of all tiles, exact for cells of constant value.

The raster is summed up once from its south-west corner, each cell weighted by its area on the
sphere. The sum over any box then follows from the sums at its corners (a summed-area table: Crow
1984, doi 10.1145/800031.808600), read between the edges of cells in longitude and in the sine of
the latitude, in which areas are linear. MOLA takes 0.1 s for 165,016 tiles, 0.3 s for 1.44 million.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mars_map.planet.grid import Grid

MIN_KNOWN_SHARE = 0.5
"""Least share of a footprint that must have data; a tile with less is unknown."""
_TURNS = (-360.0, 0.0, 360.0)


@dataclass(frozen=True, eq=False)
class CellRaster:
    """Cells between parallels and meridians, of the whole planet or of a part."""

    values: NDArray[np.floating]
    """(rows, columns) from south to north and west to east; nan where unknown."""
    lat_edges: NDArray[np.float64]
    """Planetocentric latitudes of the edges of rows, degrees, ascending, (rows + 1,)."""
    lon_edges: NDArray[np.float64]
    """Longitudes of the edges of columns, degrees east in [-540, 540] without a wrap, ascending,
    (columns + 1,)."""
    unit: str = ""
    """Unit of the values, as their file writes it; empty where it does not."""


def footprint_means(raster: CellRaster, grid: Grid) -> NDArray[np.float32]:
    """Return the area-weighted mean over each tile, (n_tiles,); nan where too little is known."""
    known = np.isfinite(raster.values)
    values = np.where(known, raster.values, 0.0)
    total, weight = (_box_sums(layer, raster, grid) for layer in (values, known))
    edges = np.sin(np.radians(grid.row_edges))
    whole = np.repeat(np.diff(edges) * 360.0 / grid.row_columns, grid.row_columns)
    # A share of 0.5 that was rounded down must not lose its tile.
    enough = weight >= (MIN_KNOWN_SHARE - 1e-9) * whole
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(enough, total / weight, np.nan).astype(np.float32)


def _box_sums(layer: NDArray, raster: CellRaster, grid: Grid) -> NDArray[np.float64]:
    """Return the sum of value times area over each tile, (n_tiles,); area in degrees by sines."""
    heights = np.diff(np.sin(np.radians(raster.lat_edges)))
    table = np.zeros((layer.shape[0] + 1, layer.shape[1] + 1))
    np.cumsum(layer * heights[:, np.newaxis], axis=0, out=table[1:, 1:])
    np.cumsum(table * np.append(0.0, np.diff(raster.lon_edges)), axis=1, out=table)
    strips = np.diff(_at_latitudes(table, raster.lat_edges, grid.row_edges), axis=0)
    sums = np.empty(grid.n_tiles)
    for row, columns in enumerate(grid.row_columns):
        meridians = -180.0 + np.arange(columns + 1) * 360.0 / columns
        # Beyond its ends a table is constant: a turn that misses the raster adds nothing.
        at = [np.interp(meridians + turn, raster.lon_edges, strips[row]) for turn in _TURNS]
        sums[grid.row_starts[row] : grid.row_starts[row + 1]] = np.diff(np.sum(at, axis=0))
    return sums


def _at_latitudes(table: NDArray, edges: NDArray, latitudes: NDArray) -> NDArray[np.float64]:
    """Read a table of sums at latitudes between its rows, (latitudes, columns + 1)."""
    place = np.interp(
        np.sin(np.radians(latitudes)), np.sin(np.radians(edges)), np.arange(len(edges))
    )
    lower = np.minimum(place.astype(int), len(edges) - 2)
    share = (place - lower)[:, np.newaxis]
    return (1 - share) * table[lower] + share * table[lower + 1]
