"""Windows to vectors to an index."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mars_map.build.windows import Progress
from mars_map.encoders.compact import CompactImageEncoder
from mars_map.encoders.windows import Windows
from mars_map.index import ModelCard, TileIndex, write_index
from mars_map.planet.grid import Grid

CHUNK = 2048
"""Tiles between two reports of progress."""
SOURCE = (
    "Viking MDIM 2.1 colour mosaic on its 1 km grid (NASA/USGS), MGS MOLA elevation, MEGDR at "
    "4 pixels a degree sharpened to 2.6 km (NASA PDS), and MGS TES thermal inertia and albedo"
)
LICENCE = "Inputs in the public domain; vectors and model under the terms of this repository"


def embed_windows(
    encoder: CompactImageEncoder, windows: Windows, progress: Progress
) -> NDArray[np.float32]:
    """Return the unit vectors of all windows, (n, dim); the windows may be memory-mapped."""
    n = len(windows.image)
    vectors = np.empty((n, encoder.dim), np.float32)
    for start in range(0, n, CHUNK):
        part = slice(start, min(start + CHUNK, n))
        vectors[part] = encoder.encode_windows(windows.take(part))
        progress("vectors", part.stop, n)
    return vectors


def build_index(
    encoder: CompactImageEncoder, windows: Windows, grid: Grid, folder: Path, progress: Progress
) -> TileIndex:
    """Embed the windows of a grid's tiles and publish them as an index. Raises BuildError."""
    vectors = embed_windows(encoder, windows, progress)
    return write_index(
        folder,
        grid=grid,
        vectors=vectors,
        model=ModelCard(encoder.model_id, encoder.sha256, encoder.dim),
        source=SOURCE,
        licence=LICENCE,
        extra={"window_km": list(encoder.spec.widths_km), "window_pixels": encoder.spec.pixels},
    )
