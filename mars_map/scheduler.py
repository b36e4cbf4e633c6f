"""The way to a Dask scheduler, for builds and for searches."""

from typing import TYPE_CHECKING

from mars_map.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10.0
"""Longest wait for a scheduler."""


def connect(address: str, workers_s: float) -> "Client":
    """Return a client of the scheduler at an address such as "tcp://10.0.0.1:8786".

    workers_s: longest wait for a first worker, seconds. Raises ClusterError where no scheduler
    answers or it has no workers.
    """
    from distributed import Client
    from distributed.comm import resolve_address

    try:
        resolve_address(address)  # a client that fails on it prints a traceback when it ends
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"No Dask scheduler answers at {address}; start one with `dask scheduler`, or give its "
            "address as HOST:PORT."
        ) from error
    try:
        client.wait_for_workers(1, timeout=workers_s)
    except TimeoutError as error:
        client.close(timeout=2)
        raise ClusterError(
            f"The Dask scheduler at {address} has no workers; start some with `dask worker "
            f"{address}`."
        ) from error
    return client
