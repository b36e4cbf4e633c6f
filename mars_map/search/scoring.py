"""Exact scores of all tiles, and the best of them.

A score is the cosine similarity of the query's unit vector with the tile's. Every tile is scored:
the heat map needs them all, and an exhaustive pass is cheap. `benchmarks/planet.py` compares this
one with NumPy in one pass, torch and FAISS; the choice and the figures are in docs/performance.md.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mars_map.index import TileIndex
from mars_map.search.scan import NO_SCORE, scan

ROUNDING_SIGMAS = 8.0
"""Standard deviations of int8's rounding that a tile may lie below the cut and still be rescored.
The rounding is even between minus and plus half a step in each dimension and has nothing to do with
the query, so that a score is off by step/sqrt(12) times the query's length, which is 1. Eight of
them are passed once in 10^15 scores."""

RESCORED_TIMES, RESCORED_LEAST = 4, 4096
"""Rows of float16 that are read at most: so many times top-k, and so many more."""
SAMPLE_STEP = 64
"""Every how many-th score is looked at to guess where the best begin."""

__all__ = ["NO_SCORE", "best_tiles", "leave_out", "rescore", "score_all"]


def score_all(index: TileIndex, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine similarity of every tile with a unit vector (dim,), (n_tiles,) float32.

    A tile without a vector gets `NO_SCORE`. Exact in float32 on the stored vectors. Memory beyond
    the result stays under a megabyte.
    """
    scores = scan(index, vector[np.newaxis])
    assert scores is not None, "nobody can give this scan up"
    return scores[0]


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
    tiles = _at_least(scores, _cut(scores, top_k, allowed, threshold), allowed)
    order = np.lexsort((tiles, -scores[tiles]))
    return tiles[order[:top_k]]


def leave_out(
    allowed: NDArray[np.bool_] | None, tiles: Sequence[int], n_tiles: int
) -> NDArray[np.bool_] | None:
    """Return which tiles may be ranked without some of them, (n_tiles,); None for all.

    allowed: (n_tiles,) bool, which may be ranked otherwise, left as it is; None for all.
    """
    if not len(tiles):
        return allowed
    left = np.ones(n_tiles, bool) if allowed is None else allowed.copy()
    left[list(tiles)] = False
    return left


def rescore(
    index: TileIndex,
    vector: NDArray[np.float32],
    scores: NDArray[np.float32],
    top_k: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
    threshold: float | None = None,
) -> NDArray[np.float32]:
    """Return int8 scores with those that decide the hits replaced by scores of the float16 rows.

    For an index with `refined` vectors; scores of another index come back as they are. Replaced are
    all tiles that int8's rounding may have kept out of the best `top_k` (see `ROUNDING_SIGMAS`), so
    that `best_tiles` then ranks as it would on the float16 vectors alone. Where more than
    `RESCORED_TIMES` top_k lie so close to the cut that int8 cannot tell them apart, the best of
    them by int8 are replaced.
    """
    if index.refined is None or index.scales is None:
        return scores
    margin = 2 * ROUNDING_SIGMAS * float(index.scales.max()) / np.sqrt(12.0)
    cut = _cut(scores, top_k, allowed, threshold)
    tiles = _at_least(scores, cut - margin, allowed)
    most = RESCORED_TIMES * top_k + RESCORED_LEAST
    if len(tiles) > most:
        tiles = np.sort(best_tiles(scores, most, allowed=allowed))
    refined = scores.copy()
    for start in range(0, len(tiles), 4096):
        part = tiles[start : start + 4096]
        exact = index.refined[part].astype(np.float32) @ vector
        refined[part] = np.clip(exact, -1.0, 1.0)
    refined.flags.writeable = False
    return refined


def _cut(
    scores: NDArray[np.float32],
    top_k: int,
    allowed: NDArray[np.bool_] | None,
    threshold: float | None,
) -> float:
    """Return the score that a tile needs to be among the best, minus infinity where all are."""
    least = -np.inf if threshold is None else threshold
    ranked = scores if allowed is None else scores[allowed]
    if len(ranked) <= top_k:
        return float(least)
    ranked = _upper_part(ranked, top_k)
    # All tiles at the cut's score stay in, so that ties are broken by number, not by chance.
    return max(float(least), float(np.partition(ranked, len(ranked) - top_k)[-top_k]))


def _upper_part(scores: NDArray[np.float32], top_k: int) -> NDArray[np.float32]:
    """Return scores without most of those that are not among the best top_k.

    One in `SAMPLE_STEP` tells about where the cut lies: a look at all then costs a fraction of
    sorting them.
    """
    sample = scores[::SAMPLE_STEP]
    rank = 2 * top_k // SAMPLE_STEP + 32
    if len(sample) <= 2 * rank:
        return scores
    upper = scores[scores >= np.partition(sample, len(sample) - rank)[-rank]]
    return upper if len(upper) >= top_k else scores


def _at_least(
    scores: NDArray[np.float32], least: float, allowed: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    keep = scores >= np.float32(least) if np.isfinite(least) else np.ones(len(scores), bool)
    return np.flatnonzero(keep if allowed is None else keep & allowed)
