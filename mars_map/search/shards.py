"""What a Dask worker does for a search: opens ranges of tiles of an index and scans them.

The functions run on the workers, where the scores of a shard stay; `mars_map.search.cluster` sends
them there.
"""

import mmap
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import IndexDamagedError
from mars_map.index import TileIndex, open_index
from mars_map.search.scan import NO_SCORE, scan
from mars_map.search.scoring import best_tiles

RELEASE_SHARE = 0.6
"""Share of its memory limit from which on a worker gives mapped pages back after each shard."""
HISTOGRAM_BINS = 65_536
"""Bins of the histogram of scores between -1 and 1 by which quantiles are found."""

Shard = tuple[str, str, int, int]
"""Folder and digest of an index, first tile and the one past the last."""


def scan_shard(shard: Shard, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scores of one shard; runs on a worker.

    Raises IndexDamagedError where the worker has another index under that path.
    """
    index = open_shard(shard)
    scores = scan(index, vector[np.newaxis])
    assert scores is not None, "nobody can give this scan up"
    _release(index)
    return scores[0]


def _release(index: TileIndex) -> None:
    """Give mapped pages back where the worker comes near its memory limit.

    Dask counts them as the worker's own and would end it; they stay in the system's page cache.
    """
    import psutil
    from distributed import get_worker

    try:
        limit = get_worker().memory_manager.memory_limit
    except (ValueError, AttributeError):  # not on a worker, or on one without a limit
        return
    pages = getattr(index.vectors, "_mmap", None)
    if limit and pages is not None and psutil.Process().memory_info().rss > RELEASE_SHARE * limit:
        pages.madvise(mmap.MADV_DONTNEED)


@lru_cache(maxsize=1024)
def open_shard(shard: Shard) -> TileIndex:
    """Open some rows of an index, memory-mapped; kept for the life of the worker.

    Raises IndexDamagedError where another index lies there.
    """
    folder, digest, first, end = shard
    index = _open_once(folder, digest)
    rows = slice(first, end)
    return TileIndex(
        Path(folder),
        index.manifest,
        index.vectors[rows],
        None if index.scales is None else index.scales[rows],
        None if index.fraction_valid is None else index.fraction_valid[rows],
    )


@lru_cache(maxsize=16)
def _open_once(folder: str, digest: str) -> TileIndex:
    # One memory map for all shards, so that `_release` gives the pages of all of them back.
    index = open_index(folder)
    if index.digest != digest:
        raise IndexDamagedError(
            f'The index "{folder}" of a worker is not the one that is searched; copy it there.'
        )
    return index


def best_of_shard(
    scores: NDArray[np.float32], shard: Shard, top_k: int, threshold: float | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the best tiles of a shard, numbered as in the whole index, and their scores."""
    tiles = best_tiles(scores, top_k, allowed=open_shard(shard).present, threshold=threshold)
    return tiles + shard[2], scores[tiles]


def count_shard(scores: NDArray[np.float32], _shard: Shard) -> NDArray[np.int64]:
    """Return how many scores each bin has, those of tiles without a vector left out."""
    return np.bincount(_bins(scores[scores > NO_SCORE]), minlength=HISTOGRAM_BINS)


def scores_in_bins(
    scores: NDArray[np.float32], _shard: Shard, wanted: list[int]
) -> dict[int, NDArray[np.float32]]:
    """Return the scores in some of the bins that `count_shard` counts."""
    scores = scores[scores > NO_SCORE]
    bins = _bins(scores)
    return {number: scores[bins == number] for number in wanted}


def _bins(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    bins = ((scores + np.float32(1.0)) * np.float32(HISTOGRAM_BINS / 2)).astype(np.int64)
    return np.minimum(bins, HISTOGRAM_BINS - 1)
