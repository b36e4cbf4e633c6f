"""Blocks of 15 x 20 degrees, by which ground is held out from training and judged."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCK_LAT_DEG, BLOCK_LON_DEG = 15.0, 20.0
"""Height and width of a block, degrees."""
BLOCK_ROWS, BLOCK_COLUMNS = round(180.0 / BLOCK_LAT_DEG), round(360.0 / BLOCK_LON_DEG)
"""Blocks from pole to pole, and round the planet."""


def block_numbers(lon: ArrayLike, lat: ArrayLike) -> NDArray[np.int64]:
    """Return the number of the block under each point in degrees, lon in [-180, 180].

    Blocks are numbered by rows from the south-west corner; a border belongs to the north and east.
    """
    row = np.minimum((np.asarray(lat, float) + 90.0) // BLOCK_LAT_DEG, BLOCK_ROWS - 1)
    column = np.minimum((np.asarray(lon, float) + 180.0) // BLOCK_LON_DEG, BLOCK_COLUMNS - 1)
    return (row * BLOCK_COLUMNS + column).astype(np.int64)


def patch_numbers(lon: ArrayLike, lat: ArrayLike) -> NDArray[np.int64]:
    """Return the number of the patch under each point in degrees, lon in [-180, 180].

    A patch is a block, or towards the poles, where meridians converge, a run of 2, 3 or 6 of them
    that is about as wide on the ground as a block at the equator. Its number is its first block's.
    """
    number = block_numbers(lon, lat)
    row, column = number // BLOCK_COLUMNS, number % BLOCK_COLUMNS
    wanted = 1 / np.cos(np.radians(-90 + (row + 0.5) * BLOCK_LAT_DEG))
    runs = np.array([1, 2, 3, 6])
    together = runs[np.abs(np.log(runs / wanted[..., np.newaxis])).argmin(-1)]
    return row * BLOCK_COLUMNS + column // together * together
