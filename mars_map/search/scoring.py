"""Exact scores of all tiles, and the best of them.

A score is the cosine similarity of the query's unit vector with the tile's. Every tile is scored:
the heat map needs them all, and an exhaustive pass is cheap. `benchmarks/scoring.py` compares this
one with NumPy in one pass, torch and FAISS; the choice and the figures are in docs/performance.md.
"""

import numpy as np
from numpy.typing import NDArray

from mars_map.index import TileIndex

NO_SCORE = -1.0
"""Score of a tile without a vector: the least there is."""
CHUNK_ROWS = 1024
"""Rows widened to float32 at a time: 0.5 MB at 128 dimensions, which stays in the second-level
cache, so that stored vectors are read from memory once and never copied whole."""


def score_all(index: TileIndex, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine similarity of every tile with a unit vector (dim,), (n_tiles,) float32.

    A tile without a vector gets `NO_SCORE`. Exact in float32 on the stored vectors. Memory beyond
    the result stays under a megabyte.
    """
    scores = np.empty(index.n_tiles, np.float32)
    for start in range(0, index.n_tiles, CHUNK_ROWS):
        rows = index.vectors[start : start + CHUNK_ROWS].astype(np.float32)
        np.matmul(rows, vector, out=scores[start : start + CHUNK_ROWS])
    if index.scales is not None:
        scores *= index.scales
    np.clip(scores, -1.0, 1.0, out=scores)
    if index.present is not None:
        scores[~index.present] = NO_SCORE
    return scores


def best_tiles(
    scores: NDArray[np.float32],
    top_k: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
    threshold: float | None = None,
) -> NDArray[np.int64]:
    """Return the numbers of the best tiles, best first, at most top_k, int64.

    allowed: (n_tiles,) bool, tiles that may be ranked; None for all. It is applied before ranking,
    so that a region is never cut short by better tiles elsewhere. Equal scores rank by tile number.
    """
    keep = np.ones(len(scores), bool) if allowed is None else allowed
    if threshold is not None:
        keep = keep & (scores >= threshold)
    tiles = np.flatnonzero(keep)
    if len(tiles) > top_k:
        # All tiles at the cut's score stay in, so that ties are broken by number, not by chance.
        cut = np.partition(scores[tiles], len(tiles) - top_k)[len(tiles) - top_k]
        tiles = tiles[scores[tiles] >= cut]
    order = np.lexsort((tiles, -scores[tiles]))
    return tiles[order[:top_k]]
