"""One pass over the vectors of an index: scores of all tiles for one query or for several.

Large indexes are scanned by the compiled loops of `mars_map.search.kernels` on all cores, small
ones by NumPy, which needs no half second to get ready. Both are exact in float32 on the stored
vectors. Rows are read from the memory map once, whatever the number of queries.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mars_map.index import TileIndex

NO_SCORE = -1.0
"""Score of a tile without a vector: the least there is."""
CHUNK_ROWS = 1024
"""Rows that NumPy widens to float32 at a time: 0.5 MB at 128 dimensions, which stays in the
second-level cache, so that stored vectors are read from memory once and never copied whole."""
COMPILED_FROM = 128 * 2**20
"""Bytes of vectors from which on the compiled loops are used."""
BLOCK_ROWS = 16_384
"""Rows that a thread takes at a time; between two of them a scan can be given up."""
READ_BYTES = 16 * 2**20
"""Bytes that a warm-up reads at a time."""


def scan(
    index: TileIndex,
    vectors: NDArray[np.float32],
    *,
    wanted: Callable[[], bool] = lambda: True,
) -> NDArray[np.float32] | None:
    """Return the cosine similarity of every tile with unit vectors, (queries, n_tiles) float32.

    vectors: (queries, dim) float32; eight cost little more than one. A tile without a vector gets
    `NO_SCORE`. wanted: asked between blocks of rows; where it says no, the scan ends and the
    answer is None. Memory beyond the result stays under a megabyte.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    out = np.empty((len(vectors), index.n_tiles), np.float32)
    loop = _compiled_loop(index.vectors) if _is_large(index) else None
    if loop is None:
        _scan_numpy(index.vectors, vectors, out)
    elif not _scan_compiled(loop, index.vectors, vectors, out, wanted):
        return None
    if index.scales is not None:
        out *= index.scales
    np.clip(out, -1.0, 1.0, out=out)
    if index.present is not None:
        out[:, ~index.present] = NO_SCORE
    return out


def warm_up(index: TileIndex, *, wanted: Callable[[], bool] = lambda: True) -> None:
    """Read the vectors in order into the system's page cache, and compile the loops.

    A memory map that is read by the scan itself comes from a cold disk in small pieces out of
    order, which takes many times longer.
    """
    if not _is_large(index):
        return
    name = getattr(index.vectors, "filename", None)
    if name is not None:
        with Path(name).open("rb", buffering=0) as file:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            buffer = bytearray(READ_BYTES)
            while wanted() and file.readinto(buffer):
                pass
    rows = index.vectors[:CHUNK_ROWS]
    if loop := _compiled_loop(rows):
        loop(rows, np.zeros((1, index.dim), np.float32), np.empty((1, len(rows)), np.float32))


def _is_large(index: TileIndex) -> bool:
    # The size of all of it: the loops sum in another order than NumPy, and the scores of a shard
    # are to be those that one machine gets.
    return index.grid.n_tiles * index.dim * index.vectors.itemsize >= COMPILED_FROM


@cache
def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def _threads() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(cores(), thread_name_prefix="mars-map-scan")
        return _pool


def _compiled_loop(vectors: NDArray) -> Callable[..., Any] | None:
    try:
        from mars_map.search import kernels
    except ImportError:  # no Numba for this machine: NumPy is slower and as exact
        return None
    if vectors.dtype == np.int8:
        return kernels.scan_int8
    return lambda rows, queries, out: kernels.scan_float16(rows.view(np.int16), queries, out)


def _scan_numpy(rows: NDArray, vectors: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    for start in range(0, len(rows), CHUNK_ROWS):
        wide = rows[start : start + CHUNK_ROWS].astype(np.float32)
        for vector, scores in zip(vectors, out, strict=True):
            np.matmul(wide, vector, out=scores[start : start + CHUNK_ROWS])


def _scan_compiled(
    loop: Callable[..., Any],
    rows: NDArray,
    vectors: NDArray[np.float32],
    out: NDArray[np.float32],
    wanted: Callable[[], bool],
) -> bool:
    # A plain array: slices of a memory map are objects of Python that cost microseconds each.
    rows = np.asarray(rows)

    def block(start: int) -> bool:
        if not wanted():
            return False
        part = slice(start, start + BLOCK_ROWS)
        loop(rows[part], vectors, out[:, part])
        return True

    return all(list(_threads().map(block, range(0, len(rows), BLOCK_ROWS))))
