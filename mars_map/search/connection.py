"""The way from a search to its cluster: a client that is looked for anew when it was lost, and one
clear sentence for whatever Dask raises.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mars_map.errors import ClusterError, MarsMapError
from mars_map.scheduler import connect, no_scheduler
from mars_map.search.batching import check_wanted

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 5.0
"""Longest wait for a scheduler, also for one that was lost."""
RETRY_S = 1.0
"""How long after a failure nobody else waits for the scheduler: they would queue for it."""


class Connection:
    """A client of one scheduler, for many threads. No scheduler is looked for before the first."""

    def __init__(self, address: str, *, answer_s: float) -> None:
        """address: such as "tcp://10.0.0.1:8786"; answer_s: longest wait for an answer."""
        self.address = address
        self.answer_s = answer_s
        self._connecting = threading.Lock()
        self._client: Client | None = None
        self._retry_at = 0.0

    def close(self) -> None:
        """Let the scheduler go; the workers stay."""
        if self._client is not None:
            self._client.close(timeout=2)

    def client(self) -> "Client":
        """Return a client that has a scheduler. Raises ClusterError."""
        with self._connecting:
            if self._client is None or self._client.status in ("closing", "closed"):
                if time.monotonic() < self._retry_at:
                    raise no_scheduler(self.address)
                try:
                    self._client = connect(self.address, connect_s=CONNECT_S)
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
            raise no_scheduler(self.address)
        return client

    def workers(self, client: "Client") -> list[str]:
        """Return the addresses of all workers. Raises ClusterError where nobody says."""
        try:
            return sorted(client.nthreads(callback_timeout=CONNECT_S))
        except OSError as error:  # of which TimeoutError is one
            raise no_scheduler(self.address) from error

    @contextmanager
    def sentences(self) -> Iterator[None]:
        """Turn what Dask raises into a ClusterError."""
        from distributed.client import ClosedClientError
        from distributed.scheduler import KilledWorker

        try:
            yield
        except MarsMapError:
            raise
        except TimeoutError as error:
            raise ClusterError(
                f"The cluster at {self.address} gave no answer within {self.answer_s:.0f} s; "
                "see that its workers run, and ask again."
            ) from error
        except KilledWorker as error:
            raise ClusterError(
                f"The workers of the cluster at {self.address} die of this index; give each more "
                "memory, or run more of them."
            ) from error
        except (CancelledError, ClosedClientError) as error:
            raise ClusterError(
                f"The Dask scheduler at {self.address} went away; start it again, and ask again."
            ) from error
        except (OSError, RuntimeError, ValueError) as error:
            raise ClusterError(
                f"The cluster at {self.address} gave the search up ({error}); ask again."
            ) from error
