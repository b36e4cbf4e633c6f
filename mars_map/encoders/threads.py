"""How many threads encode sentences."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

FEW_TEXTS = 8
"""Sentences that are encoded on one thread; a query has three."""


@contextmanager
def threads_for(texts: Sequence[str]) -> Iterator[None]:
    """Keep a query's few sentences on the calling thread; many are shared among all.

    On a machine with other work two threads take as long for three sentences as one, and longer
    where something else has loaded OpenMP before `mars_map` could tell it to wait patiently.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if len(texts) <= FEW_TEXTS else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
