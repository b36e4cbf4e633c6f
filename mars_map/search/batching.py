"""Queries of many visitors at once, in one pass over memory for all that wait.

While a pass runs, new queries wait; whoever is first when it ends takes the others along, up to
`MAX_BATCH`, because the compiled loops do eight queries in little more than the time of one. Equal
queries, such as those of a page's outlines and of its heat map, are one. What nobody waits for any
more is left out, and a pass that nobody waits for ends between two blocks of rows.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import BusyError, SupersededError
from mars_map.index import TileIndex
from mars_map.search.scan import scan

MAX_BATCH = 8
"""Most queries of one pass: more do not fit in the first-level cache beside a row."""
MAX_WAITING = 128
"""Most different queries that wait; more are refused at once. A full queue is served in about
sixteen passes: four seconds at 1.44 million tiles on two cores."""
ASK_AGAIN_S = 0.1
"""How often somebody who waits is asked whether they still want the answer."""

Wanted = Callable[[], bool]
"""Tells whether somebody still waits for an answer. Called from the thread of who asked."""

_wanted: ContextVar[Wanted] = ContextVar("wanted", default=lambda: True)


@contextmanager
def while_wanted(wanted: Wanted) -> Iterator[None]:
    """Give up scans asked for in this context, on this thread, once `wanted` says no."""
    token = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(token)


def check_wanted() -> None:
    """Raise SupersededError where the context's `while_wanted` says no."""
    if not _wanted.get()():
        raise SupersededError("The search was given up for a newer one.")


class BatchedScan:
    """Scores of one index for many threads. Safe to share; has no thread of its own."""

    def __init__(self, index: TileIndex) -> None:
        """Prepare to scan an open index; nothing is read yet."""
        self._index = index
        self._changed = threading.Condition()
        self._waiting: dict[bytes, _Request] = {}
        self._running: dict[bytes, _Request] = {}
        self._busy = False

    def scores(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores of all tiles, (n_tiles,) float32, read-only; waits for its turn.

        vector: (dim,) float32, length 1. Raises BusyError where too many wait already, and
        SupersededError once the context's `while_wanted` says no.
        """
        request = self._enter(np.ascontiguousarray(vector, np.float32))
        try:
            while not request.done:
                batch = self._next_batch(request)
                if batch:
                    self._serve(batch)
                elif not request.done:
                    check_wanted()
        finally:
            self._leave(request)
        if request.error is not None:
            raise request.error
        if request.scores is None:
            raise SupersededError("The search was given up for a newer one.")
        return request.scores

    def _enter(self, vector: NDArray[np.float32]) -> "_Request":
        key = vector.tobytes()
        with self._changed:
            request = self._waiting.get(key) or self._running.get(key)
            if request is None:
                if len(self._waiting) >= MAX_WAITING:
                    raise BusyError(
                        f"{MAX_WAITING} searches are waiting already; try again in some seconds."
                    )
                request = self._waiting[key] = _Request(vector)
            request.askers += 1
            return request

    def _leave(self, request: "_Request") -> None:
        with self._changed:
            request.askers -= 1
            if not request.askers:
                self._waiting.pop(request.vector.tobytes(), None)

    def _next_batch(self, own: "_Request") -> "list[_Request]":
        """Return what to scan now, with the own request in it; nothing while others scan."""
        with self._changed:
            if self._busy and not own.done:
                self._changed.wait(ASK_AGAIN_S)
            if self._busy or own.done:
                return []
            others = (request for request in self._waiting.values() if request is not own)
            batch = [own, *others][:MAX_BATCH]
            self._running = {request.vector.tobytes(): request for request in batch}
            for key in self._running:
                self._waiting.pop(key, None)
            self._busy = True
            return batch

    def _serve(self, batch: "list[_Request]") -> None:
        error, scores = None, None
        try:
            vectors = np.array([request.vector for request in batch])
            scores = scan(self._index, vectors, wanted=lambda: any(r.askers for r in batch))
        except Exception as problem:  # goes to everybody who waits, not only to who scans
            error = problem
        with self._changed:
            for number, request in enumerate(batch):
                request.error = error
                if scores is not None:
                    # A copy: a view would keep the scores of the whole batch in memory.
                    request.scores = scores[number] if len(batch) == 1 else scores[number].copy()
                    request.scores.flags.writeable = False
                request.done = True
            self._busy, self._running = False, {}
            self._changed.notify_all()


class _Request:
    """One vector, and everybody who waits for its scores."""

    def __init__(self, vector: NDArray[np.float32]) -> None:
        self.vector = vector
        self.askers = 0
        self.scores: NDArray[np.float32] | None = None
        self.error: Exception | None = None
        self.done = False
