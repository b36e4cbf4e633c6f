"""Search of an index that outgrows one machine: its shards lie on Dask workers, memory-mapped.

A shard is a range of tiles. One query fans out: each worker scans its shard and keeps the scores;
what comes back is as little as was asked for: the best tiles of each shard, which merge exactly,
or counts for a histogram, or all scores. A worker that is lost takes its scores along; Dask then
scans its shards on the others, so that the answer is late and never wrong. Every worker must have
mars_map, and the index under the same path; it reads only the rows of its shards.

    with ClusterScan(open_index(folder), "tcp://10.0.0.1:8786") as scan:
        engine = Engine(scan.index, encoder, scan=scan)      # whatever an engine does
        tiles, scores = scan.best(vector, 1000)              # or without a copy of all scores
"""

import mmap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import ClusterError, IndexDamagedError, MarsMapError
from mars_map.index import TileIndex, open_index
from mars_map.scheduler import connect
from mars_map.search.scan import scan
from mars_map.search.scoring import best_tiles

if TYPE_CHECKING:
    from distributed import Future

WORKERS_S = 10.0
"""Longest wait for a first worker."""
ANSWER_S = 60.0
"""Longest wait for an answer, lost workers included."""
SHARD_TILES = 262_144
"""Tiles of a shard: 400 MB in float16 at 768 dimensions, half a tenth of a second to scan."""
RELEASE_SHARE = 0.6
"""Share of its memory limit from which on a worker gives mapped pages back after each shard."""
HISTOGRAM_BINS = 65_536
"""Bins of the histogram of scores between -1 and 1 from which quantiles are read."""

Shard = tuple[str, str, int, int]
"""Folder and digest of an index, first tile and the one past the last."""


class ClusterScan:
    """Scans an index on the workers of a Dask cluster. Safe to share between threads.

    Takes the place of `BatchedScan` in an engine. Used as a context, or closed by `close`.
    """

    def __init__(
        self,
        index: TileIndex,
        scheduler: str,
        *,
        shard_tiles: int = SHARD_TILES,
        answer_s: float = ANSWER_S,
    ) -> None:
        """Connect to the scheduler at an address such as "tcp://10.0.0.1:8786".

        index: opened here as well, for its grid and the vectors of single tiles. answer_s: longest
        wait for an answer. Raises ClusterError where no scheduler answers or it has no worker.
        """
        self.index = index
        self._answer_s = answer_s
        self._address = scheduler
        folder = str(index.folder.resolve())
        edges = [*range(0, index.n_tiles, shard_tiles), index.n_tiles]
        self._shards: list[Shard] = [
            (folder, index.digest, first, end) for first, end in pairwise(edges)
        ]
        self._connecting = threading.Lock()
        self._client = connect(scheduler, WORKERS_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the scheduler go; the workers stay."""
        self._client.close(timeout=2)

    def scores(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores of all tiles, (n_tiles,) float32, read-only, as `BatchedScan` does.

        Raises ClusterError where no answer comes.
        """
        scores = np.concatenate(self._gather(self.spread(vector)))
        scores.flags.writeable = False
        return scores

    def best(
        self, vector: NDArray[np.float32], top_k: int, *, threshold: float | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the best tiles of all and their scores, best first; no other score travels.

        The same tiles in the same order as `best_tiles` on the scores of all. Raises ClusterError.
        """
        return self.best_of(self.spread(vector), top_k, threshold=threshold)

    def best_of(
        self, scattered: "list[Future]", top_k: int, *, threshold: float | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Do as `best`, with scores that `spread` has made."""
        parts = self.on_each(_best_of_shard, scattered, top_k, threshold)
        tiles = np.concatenate([tiles for tiles, _ in parts])
        scores = np.concatenate([scores for _, scores in parts])
        order = np.lexsort((tiles, -scores))[:top_k]
        return tiles[order], scores[order]

    def quantiles(self, scattered: "list[Future]", shares: tuple[float, ...]) -> list[float]:
        """Return quantiles of the scores of tiles that have a vector, within 1/`HISTOGRAM_BINS`."""
        counts = np.sum(self.on_each(_histogram_of_shard, scattered), axis=0)
        below = np.cumsum(counts)
        ranks = np.array(shares) * max(below[-1] - 1, 0)
        places = np.searchsorted(below, ranks, "right") + 0.5
        return [float(place / HISTOGRAM_BINS * 2 - 1) for place in places]

    def spread(self, vector: NDArray[np.float32]) -> "list[Future]":
        """Scan all shards; return the scores of each as a Dask future that stays on its worker.

        A scheduler that was away is connected to anew. Raises ClusterError where none answers.
        """
        vector = np.ascontiguousarray(vector, np.float32)
        with self._connecting:
            if self._client.status in ("closing", "closed"):
                self._client = connect(self._address, WORKERS_S)
        with self._sentences():
            return self._client.map(
                scan_shard, self._shards, vector=vector, pure=False, batch_size=len(self._shards)
            )

    def on_each(self, call: Callable[..., Any], scattered: "list[Future]", *rest: Any) -> list[Any]:
        """Return call(scores, shard, *rest) for each shard, computed where its scores are."""
        return self._gather(self.submit_each(call, scattered, *rest))

    def submit_each(
        self, call: Callable[..., Any], scattered: "list[Future]", *rest: Any
    ) -> "list[Future]":
        """Do as `on_each`, and leave what is returned on the workers."""
        return [
            self._client.submit(call, scores, shard, *rest, pure=False)
            for scores, shard in zip(scattered, self._shards, strict=True)
        ]

    def reduce(self, join: Callable[[Any, Any], Any], parts: "list[Future]") -> Any:
        """Join the parts on the workers, two by two, and return the last one."""
        while len(parts) > 1:
            pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
            parts = [
                self._client.submit(join, *pair, pure=False) if len(pair) == 2 else pair[0]
                for pair in pairs
            ]
        return self._gather(parts)[0]

    def _gather(self, futures: "list[Future]") -> list[Any]:
        from distributed import wait

        with self._sentences():
            with self._client.as_current():
                wait(futures, timeout=self._answer_s)
            return self._client.gather(futures)

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        """Turn what Dask raises into a ClusterError."""
        from distributed.client import ClosedClientError
        from distributed.scheduler import KilledWorker

        try:
            yield
        except MarsMapError:
            raise
        except TimeoutError as error:
            raise ClusterError(
                f"The cluster at {self._address} gave no answer within {self._answer_s:.0f} s; "
                "see that its workers run, and ask again."
            ) from error
        except KilledWorker as error:
            raise ClusterError(
                f"The workers of the cluster at {self._address} die of this index; give each more "
                "memory, or run more of them."
            ) from error
        except (CancelledError, ClosedClientError) as error:
            raise ClusterError(
                f"The Dask scheduler at {self._address} went away; start it again, and ask again."
            ) from error
        except (OSError, RuntimeError, ValueError) as error:
            raise ClusterError(
                f"The cluster at {self._address} gave the search up ({error}); ask again."
            ) from error


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


@lru_cache(maxsize=64)
def open_shard(shard: Shard) -> TileIndex:
    """Open some rows of an index, memory-mapped; kept for the life of the worker."""
    folder, digest, first, end = shard
    index = open_index(folder)
    if index.digest != digest:
        raise IndexDamagedError(
            f'The index "{folder}" of a worker is not the one that is searched; copy it there.'
        )
    rows = slice(first, end)
    return TileIndex(
        Path(folder),
        index.manifest,
        index.vectors[rows],
        None if index.scales is None else index.scales[rows],
        None if index.fraction_valid is None else index.fraction_valid[rows],
    )


def _best_of_shard(
    scores: NDArray[np.float32], shard: Shard, top_k: int, threshold: float | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    tiles = best_tiles(scores, top_k, allowed=open_shard(shard).present, threshold=threshold)
    return tiles + shard[2], scores[tiles]


def _histogram_of_shard(scores: NDArray[np.float32], shard: Shard) -> NDArray[np.int64]:
    present = open_shard(shard).present
    scores = scores if present is None else scores[present]
    bins = ((scores + 1.0) * (HISTOGRAM_BINS / 2)).astype(np.int64)
    return np.bincount(np.minimum(bins, HISTOGRAM_BINS - 1), minlength=HISTOGRAM_BINS)
