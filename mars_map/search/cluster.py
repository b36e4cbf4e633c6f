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

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import ClusterError, MarsMapError
from mars_map.index import TileIndex
from mars_map.scheduler import connect, no_scheduler, no_workers
from mars_map.search.batching import ASK_AGAIN_S, check_wanted
from mars_map.search.scan import NO_SCORE
from mars_map.search.shards import (
    Shard,
    best_of_shard,
    count_shard,
    scan_shard,
    scores_in_bins,
)

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_S = 5.0
"""Longest wait for a scheduler, also for one that was lost."""
RETRY_S = 1.0
"""How long after a failure nobody else waits for the scheduler: they would queue for it."""
WORKERS_S = 4.0
"""Longest wait for a first worker: one that is started anew by its nanny takes three seconds."""
LOOK_S = 0.5
"""How often a query that waits looks whether there are workers."""
ANSWER_S = 60.0
"""Longest wait for an answer, lost workers included."""
SHARD_TILES = 262_144
"""Tiles of a shard: 400 MB in float16 at 768 dimensions, half a tenth of a second to scan."""
KEPT = 8
"""Queries whose scores stay on the workers: outlines and heat map of a page ask in turn."""


@dataclass(frozen=True, eq=False)
class Scattered:
    """The scores of a vector, those of each shard on its worker."""

    vector: NDArray[np.float32]
    scans: "list[Future]"
    """Scores of each shard, (tiles of the shard,) float32."""
    places: list[str]
    """Address of the worker that each scan was sent to, "" where there was none."""

    def is_stranded(self, number: int, workers: Sequence[str]) -> bool:
        """Tell whether a scan was sent to a worker that is gone, and is not done."""
        is_gone = self.places[number] not in ("", *workers)
        return is_gone and self.scans[number].status in ("pending", "lost")


class _WorkerGoneError(Exception):
    """A scan was sent to a worker that is gone."""


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
        self._answer_s = answer_s
        self._address = scheduler
        folder = str(index.folder.resolve())
        edges = [*range(0, index.n_tiles, shard_tiles), index.n_tiles]
        self.shards: list[Shard] = [
            (folder, index.digest, first, end) for first, end in pairwise(edges)
        ]
        """The ranges of tiles, in order."""
        self._connecting = threading.Lock()
        self._client: Client | None = None
        self._retry_at = 0.0
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, Scattered] = OrderedDict()
        self._places: dict[Shard, str] = {}

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
        if self._client is not None:
            self._client.close(timeout=2)

    def scores(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores of all tiles, (n_tiles,) float32, read-only, as `BatchedScan` does."""
        scores = np.concatenate(self._ask(lambda scattered: scattered.scans, self.spread(vector)))
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
        vector = np.ascontiguousarray(vector, np.float32)
        client = self._connected()
        with self._lock:
            known = self._kept.get(vector.tobytes())
            if known and all(scan.status in ("pending", "finished") for scan in known.scans):
                self._kept.move_to_end(vector.tobytes())
                return known
        return self._scan(client, vector)

    def on_each(self, call: Callable[..., Any], scattered: Scattered, *rest: Any) -> list[Any]:
        """Return call(scores, shard, *rest) for each shard, computed where its scores are."""
        return self._ask(lambda now: self._submit_each(call, now, *rest), scattered)

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

        return self._ask(submit, scattered)[0]

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

    def _ask(
        self, submit: Callable[[Scattered], "list[Future]"], scattered: Scattered
    ) -> list[Any]:
        """Return what tasks on the scores of all shards return, lost workers or not."""
        deadline = time.monotonic() + self._answer_s
        while True:
            try:
                return self._gather(submit(scattered), scattered, deadline)
            except _WorkerGoneError:
                scattered = self._replaced(scattered)

    def _replaced(self, scattered: Scattered) -> Scattered:
        """Return the scans of a vector with those of lost workers sent to others.

        Dask does so too, but leaves a scan alone for good where no other worker is free to take it
        when the first one dies: while all others are paused, or where there is only one.
        """
        with self._lock:
            # Somebody else who waits for the same scores may have done it.
            known = self._kept.get(scattered.vector.tobytes(), scattered)
        return self._scan(self._connected(), scattered.vector, known)

    def _scan(
        self, client: "Client", vector: NDArray[np.float32], known: Scattered | None = None
    ) -> Scattered:
        """Send the scans of a vector to the workers; of those known, the ones that are stranded."""
        scans, places = [], []
        with self._sentences():
            workers = self._workers(client)
            for number, (shard, place) in enumerate(
                zip(self.shards, self._place(workers), strict=True)
            ):
                if known and not known.is_stranded(number, workers):
                    scans.append(known.scans[number])
                    places.append(known.places[number])
                    continue
                near = {"workers": [place], "allow_other_workers": True} if place else {}
                scans.append(client.submit(scan_shard, shard, vector=vector, pure=False, **near))
                places.append(place)
        scattered = Scattered(vector, scans, places)
        with self._lock:
            self._kept[vector.tobytes()] = scattered
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return scattered

    def _connected(self) -> "Client":
        """Return a client that has a scheduler. Raises ClusterError."""
        with self._connecting:
            if self._client is None or self._client.status in ("closing", "closed"):
                if time.monotonic() < self._retry_at:
                    raise no_scheduler(self._address)
                try:
                    self._client = connect(self._address, connect_s=CONNECT_S)
                except ClusterError:
                    self._retry_at = time.monotonic() + RETRY_S
                    raise
            client = self._client
        # A client that has lost its scheduler looks for it by itself, and closes in the end.
        deadline = time.monotonic() + CONNECT_S
        while client.status == "connecting" and time.monotonic() < deadline:
            check_wanted()
            time.sleep(0.05)
        if client.status != "running":
            raise no_scheduler(self._address)
        return client

    def _workers(self, client: "Client") -> list[str]:
        """Return the addresses of all workers. Raises ClusterError where nobody says."""
        try:
            return sorted(client.nthreads(callback_timeout=CONNECT_S))
        except OSError as error:  # of which TimeoutError is one
            raise no_scheduler(self._address) from error

    def _place(self, workers: Sequence[str]) -> list[str]:
        """Return the worker that scans each shard, "" where nobody is left."""
        with self._lock:
            self._places = place_shards(self.shards, workers, self._places)
            return [self._places.get(shard, "") for shard in self.shards]

    def _gather(self, futures: "list[Future]", scattered: Scattered, deadline: float) -> list[Any]:
        """Return the results of tasks on scattered scores. Raises _WorkerGoneError."""
        client = futures[0].client

        async def collect() -> list[Any]:
            return await client.gather(futures, asynchronous=True)

        with self._sentences():
            try:
                self._wait(client, futures, scattered, deadline)
                return client.sync(collect, callback_timeout=max(deadline - time.monotonic(), 1.0))
            except _WorkerGoneError:
                raise
            except BaseException:
                self._forget_unfinished()
                raise

    def _forget_unfinished(self) -> None:
        """Let scans go that are not done: Dask ends those for which nobody else waits."""
        with self._lock:
            for key, scattered in list(self._kept.items()):
                if any(scan.status != "finished" for scan in scattered.scans):
                    del self._kept[key]

    def _wait(
        self, client: "Client", futures: "list[Future]", scattered: Scattered, deadline: float
    ) -> None:
        """Wait until all is done, as long as there is somebody to do it and to wait for it."""
        from distributed import wait

        seen = looked = time.monotonic()
        while True:
            try:
                with client.as_current():
                    wait(futures, timeout=ASK_AGAIN_S)
                return
            except TimeoutError:
                now = time.monotonic()
                if now > deadline:
                    raise
            check_wanted()
            if client.status != "running":
                raise no_scheduler(self._address)
            if now - looked > LOOK_S:
                looked = now
                workers = self._workers(client)
                seen = now if workers else seen
                if workers and any(
                    scattered.is_stranded(number, workers) for number in range(len(self.shards))
                ):
                    raise _WorkerGoneError
            if now - seen > WORKERS_S:
                raise no_workers(self._address)

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


def place_shards(
    shards: Sequence[Shard], workers: Sequence[str], known: dict[Shard, str]
) -> dict[Shard, str]:
    """Return the worker of each shard: the one that has it already, and none too many.

    known: where shards were before. Empty where there are no workers.
    """
    if not workers:
        return {}
    most = -(-len(shards) // len(workers))
    load = dict.fromkeys(workers, 0)
    places: dict[Shard, str] = {}
    for shard in shards:
        worker = known.get(shard, "")
        if load.get(worker, most) < most:
            places[shard] = worker
            load[worker] += 1
    for shard in shards:
        if shard not in places:
            places[shard] = min(load, key=load.__getitem__)
            load[places[shard]] += 1
    return places


def _ranks(place: float, last: int) -> tuple[int, int]:
    """Return the ranks below and above a place between them."""
    return int(place), min(int(place) + 1, last)
