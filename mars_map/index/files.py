"""Names of the files of an index, their hashes, and how arrays are written."""

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VECTORS_FILE = "vectors.npy"
"""(n_tiles, dim) int8 or float16."""
REFINED_FILE = "vectors_float16.npy"
"""(n_tiles, dim) float16, int8 indexes only and only where the writer was asked for it: the same
vectors less rounded, read for the tiles that may be hits."""
SCALES_FILE = "scales.npy"
"""(n_tiles,) float32, int8 indexes only."""
FRACTION_FILE = "fraction_valid.npy"
"""(n_tiles,) float32: share of each tile that images cover, 0 for a tile without a vector. Absent
where every tile is whole."""
TILES_FILE = "tiles.parquet"
"""GeoParquet footprints for other programs."""
THUMBNAILS_FILE = "thumbnails.bin"
"""JPEG pictures of tiles, one after the other. Absent where none were kept."""
THUMBNAIL_PLACES_FILE = "thumbnails.npy"
"""(n_tiles, 2) int64: where each tile's picture begins in that file, and its bytes, 0 for none."""


def hash_file(path: Path) -> str:
    """Return the sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_array(path: Path, array: NDArray) -> None:
    """Write an array as `.npy`. Raises OSError where the disk does not take all of it.

    `np.save` hands files to the C library, which keeps the end of an array back and tells nobody
    when the disk is full by then.
    """
    memory = io.BytesIO()
    np.save(memory, array, allow_pickle=False)
    path.write_bytes(memory.getbuffer())
