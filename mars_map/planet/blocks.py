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
