"""Scores of a query that stay on the workers which made them, whatever becomes of these.

Shards go to the same workers each time, whose memory then holds them. A scan that was sent to a
worker which is gone is sent to another; the scores of the last few queries are kept.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mars_map.scheduler import no_scheduler, no_workers
from mars_map.search.batching import ASK_AGAIN_S, check_wanted
from mars_map.search.connection import Connection
from mars_map.search.shards import Shard, scan_shard

if TYPE_CHECKING:
    from distributed import Client, Future

WORKERS_S = 4.0
"""Longest wait for a first worker: one that is started anew by its nanny takes three seconds."""
LOOK_S = 0.5
"""How often a query that waits looks whether there are workers."""
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


class Scans:
    """Scans of shards on the workers of a cluster. Safe to share between threads."""

    def __init__(self, shards: Sequence[Shard], connection: Connection) -> None:
        self.shards = shards
        self._connection = connection
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, Scattered] = OrderedDict()
        self._places: dict[Shard, str] = {}

    def spread(self, vector: NDArray[np.float32]) -> Scattered:
        """Send the scans of a vector, (dim,), to the workers; those of the last few are there."""
        vector = np.ascontiguousarray(vector, np.float32)
        client = self._connection.client()
        with self._lock:
            known = self._kept.get(vector.tobytes())
            if known and all(scan.status in ("pending", "finished") for scan in known.scans):
                self._kept.move_to_end(vector.tobytes())
                return known
        return self._scan(client, vector)

    def ask(self, submit: Callable[[Scattered], "list[Future]"], scattered: Scattered) -> list[Any]:
        """Return what tasks on the scores of all shards return, lost workers or not.

        submit: sends the tasks; asked again with other scores where workers are lost. Raises
        ClusterError where no answer comes, SupersededError once nobody waits for it.
        """
        deadline = time.monotonic() + self._connection.answer_s
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
        return self._scan(self._connection.client(), scattered.vector, known)

    def _scan(
        self, client: "Client", vector: NDArray[np.float32], known: Scattered | None = None
    ) -> Scattered:
        """Send the scans of a vector to the workers; of those known, the ones that are stranded."""
        scans, places = [], []
        with self._connection.sentences():
            workers = self._connection.workers(client)
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

        with self._connection.sentences():
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
                raise no_scheduler(self._connection.address)
            if now - looked > LOOK_S:
                looked = now
                workers = self._connection.workers(client)
                seen = now if workers else seen
                if workers and any(
                    scattered.is_stranded(number, workers) for number in range(len(self.shards))
                ):
                    raise _WorkerGoneError
            if now - seen > WORKERS_S:
                raise no_workers(self._connection.address)


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
