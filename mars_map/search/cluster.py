"""Search of an index that outgrows one machine: its shards lie on Dask workers, memory-mapped.

A shard is a range of tiles. One query fans out: each worker scans its shards and keeps the scores;
what comes back is as little as was asked for: the best tiles of each shard, which merge exactly,
a picture, or all scores. A shard goes to the same worker each time, whose memory then holds it. A
worker that is lost takes its scores along; its shards are then scanned on the others, so that the
answer is late and never wrong. Every worker must have mars_map, and the index under the same path;
it reads only the rows of its shards.

    with ClusterScan(open_index(folder), "tcp://10.0.0.1:8786") as scan:
        engine = Engine(scan.index, encoder, scan=scan)      # whatever an engine does
        tiles, scores = scan.best(vector, 1000)              # or without a copy of all scores

Without a scheduler or without workers a query fails within seconds; the next one looks for them
again.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from mars_map.index import TileIndex
from mars_map.search.connection import Connection
from mars_map.search.scan import NO_SCORE
from mars_map.search.scattered import Scans, Scattered
from mars_map.search.shards import Shard, best_of_shard, count_shard, scores_in_bins

if TYPE_CHECKING:
    from distributed import Future

ANSWER_S = 60.0
"""Longest wait for an answer, lost workers included."""
SHARD_TILES = 262_144
"""Tiles of a shard: 400 MB in float16 at 768 dimensions, half a tenth of a second to scan."""


class ClusterScan:
    """Scans an index on the workers of a Dask cluster. Safe to share between threads.

    Takes the place of `BatchedScan` in an engine. Used as a context, or closed by `close`. All
    calls that ask the workers raise ClusterError where no answer comes, and SupersededError once
    the context's `while_wanted` says no.
    """

    def __init__(
        self,
        index: TileIndex,
        scheduler: str,
        *,
        shard_tiles: int = SHARD_TILES,
        answer_s: float = ANSWER_S,
    ) -> None:
        """Prepare to scan; the scheduler is looked for at the first query.

        index: opened here as well, for its grid and the vectors of single tiles. scheduler: its
        address, such as "tcp://10.0.0.1:8786". answer_s: longest wait for an answer.
        """
        self.index = index
        folder = str(index.folder.resolve())
        edges = [*range(0, index.n_tiles, shard_tiles), index.n_tiles]
        self.shards: list[Shard] = [
            (folder, index.digest, first, end) for first, end in pairwise(edges)
        ]
        """The ranges of tiles, in order."""
        self._connection = Connection(scheduler, answer_s=answer_s)
        self._scans = Scans(self.shards, self._connection)

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
        self._connection.close()

    def scores(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores of all tiles, (n_tiles,) float32, read-only, as `BatchedScan` does."""
        scores = np.concatenate(
            self._scans.ask(lambda scattered: scattered.scans, self.spread(vector))
        )
        scores.flags.writeable = False
        return scores

    def best(
        self, vector: NDArray[np.float32], top_k: int, *, threshold: float | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the best tiles of all and their scores, best first; no other score travels.

        The same tiles in the same order as `best_tiles` on the scores of all.
        """
        return self.best_of(self.spread(vector), top_k, threshold=threshold)

    def best_of(
        self, scattered: Scattered, top_k: int, *, threshold: float | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Do as `best`, with scores that `spread` has made."""
        parts = self.on_each(best_of_shard, scattered, top_k, threshold)
        tiles = np.concatenate([tiles for tiles, _ in parts])
        scores = np.concatenate([scores for _, scores in parts])
        order = np.lexsort((tiles, -scores))[:top_k]
        return tiles[order], scores[order]

    def quantiles(self, scattered: Scattered, shares: Sequence[float]) -> list[float]:
        """Return quantiles of the scores of tiles that have a vector, exactly.

        What `np.quantile` returns: counts tell in which bins they lie, and of all scores only those
        of these bins travel. `NO_SCORE` where no tile has a vector.
        """
        counts = np.sum(self.on_each(count_shard, scattered), axis=0)
        below = np.concatenate([[0], np.cumsum(counts)])
        last = int(below[-1]) - 1
        if last < 0:
            return [NO_SCORE for _ in shares]
        places = [share * last for share in shares]
        ranks = sorted({rank for place in places for rank in _ranks(place, last)})
        bins = [int(np.searchsorted(below, rank, "right")) - 1 for rank in ranks]
        found = self.on_each(scores_in_bins, scattered, sorted(set(bins)))
        values = {}
        for rank, number in zip(ranks, bins, strict=True):
            ordered = np.sort(np.concatenate([part[number] for part in found]))
            values[rank] = float(ordered[rank - below[number]])
        quantiles = []
        for place in places:
            left, right = (values[rank] for rank in _ranks(place, last))
            quantiles.append(left + (right - left) * (place - int(place)))
        return quantiles

    def spread(self, vector: NDArray[np.float32]) -> Scattered:
        """Scan all shards, and leave the scores of each on its worker.

        Those of the last few vectors are there already. A scheduler that was away is looked for
        anew.
        """
        return self._scans.spread(vector)

    def on_each(self, call: Callable[..., Any], scattered: Scattered, *rest: Any) -> list[Any]:
        """Return call(scores, shard, *rest) for each shard, computed where its scores are."""
        return self._scans.ask(lambda now: self._submit_each(call, now, *rest), scattered)

    def reduce(
        self,
        join: Callable[[Any, Any], Any],
        call: Callable[..., Any],
        scattered: Scattered,
        *rest: Any,
        each: Sequence[Any],
    ) -> Any:
        """Do as `on_each`, join the parts on the workers, two by two, and return the last one.

        each: one more argument for each shard.
        """

        def submit(now: Scattered) -> "list[Future]":
            parts = self._submit_each(call, now, *rest, each=each)
            while len(parts) > 1:
                pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
                parts = [
                    pair[0].client.submit(join, *pair, pure=False) if len(pair) == 2 else pair[0]
                    for pair in pairs
                ]
            return parts

        return self._scans.ask(submit, scattered)[0]

    def _submit_each(
        self,
        call: Callable[..., Any],
        scattered: Scattered,
        *rest: Any,
        each: Sequence[Any] | None = None,
    ) -> "list[Future]":
        own = [()] * len(self.shards) if each is None else [(one,) for one in each]
        return [
            scores.client.submit(call, scores, shard, *rest, *more, pure=False)
            for scores, shard, more in zip(scattered.scans, self.shards, own, strict=True)
        ]


def _ranks(place: float, last: int) -> tuple[int, int]:
    """Return the ranks below and above a place between them."""
    return int(place), min(int(place) + 1, last)
