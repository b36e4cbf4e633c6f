"""What tests send to Dask workers: a module of its own, since a worker imports all of it."""

import time

from mars_map.search import scan, shards


def slow_down(seconds: float) -> None:
    """Let every scan of this process take longer by so much."""

    def slow(*given, **named):
        time.sleep(seconds)
        return scan.scan(*given, **named)

    shards.scan = slow
