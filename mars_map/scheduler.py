"""The way to a Dask scheduler, for builds and for searches."""

import logging
from typing import TYPE_CHECKING

from mars_map.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10.0
"""Longest wait of a build for a scheduler."""


def connect(address: str, *, connect_s: float | None = None) -> "Client":
    """Return a client of the scheduler at an address such as "tcp://10.0.0.1:8786".

    connect_s: longest wait, also when the connection is lost later, `CONNECT_S` if not given.
    Raises ClusterError where no scheduler answers.
    """
    from distributed import Client
    from distributed.comm import resolve_address

    for name in ("distributed", "distributed.client"):
        # What goes wrong is told in one sentence, and not by tracebacks beside it.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        resolve_address(address)  # a client that fails on it prints a traceback when it ends
        wait = CONNECT_S if connect_s is None else connect_s
        return Client(address, timeout=wait, set_as_default=False)
    except (OSError, ValueError) as error:
        raise no_scheduler(address) from error


def connect_to_workers(address: str, *, workers_s: float) -> "Client":
    """Do as `connect`, and wait for a first worker, at most that many seconds.

    Raises ClusterError where no scheduler answers or it has no worker.
    """
    client = connect(address)
    try:
        client.wait_for_workers(1, timeout=workers_s)
    except TimeoutError as error:
        client.close(timeout=2)
        raise no_workers(address) from error
    return client


def no_scheduler(address: str) -> ClusterError:
    """Return the error for a scheduler that does not answer."""
    return ClusterError(
        f"No Dask scheduler answers at {address}; start one with `dask scheduler`, or give its "
        "address as HOST:PORT."
    )


def no_workers(address: str) -> ClusterError:
    """Return the error for a scheduler without workers."""
    return ClusterError(
        f"The Dask scheduler at {address} has no workers; start some with `dask worker {address}`."
    )
