"""Medians of repeated calls."""

import statistics
import time
from collections.abc import Callable
from typing import Any


def median_ms(call: Callable[[], Any], runs: int = 20, warm_up: int = 2) -> float:
    """Return the median duration of a call in milliseconds."""
    durations = []
    for run in range(warm_up + runs):
        start = time.perf_counter()
        call()
        if run >= warm_up:
            durations.append((time.perf_counter() - start) * 1e3)
    return statistics.median(durations)
