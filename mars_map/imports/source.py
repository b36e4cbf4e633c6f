"""What an importer reads: rows with positions, and their vectors in pieces."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mars_map.imports.placing import Positions
from mars_map.planet.grid import Grid

PIECE_ROWS = 4_096
"""Rows of a piece: 13 MB at 768 dimensions."""


@dataclass(frozen=True, eq=False)
class Source:
    """Embeddings of another program, open but not read."""

    format: str
    """What it is, for people."""
    name: str
    """Name of its folder or file."""
    dim: int
    """Dimensions of its vectors."""
    positions: Positions
    """Where its rows lie."""
    pieces: Callable[[], Iterator[NDArray]]
    """Yields the vectors from the first row to the last, (n, dim) floats each."""
    grid: Grid | None = None
    """Its grid where the file itself names one."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.positions.lon)


def array_pieces(vectors: NDArray) -> Callable[[], Iterator[NDArray]]:
    """Return a function that yields a (memory-mapped) array in pieces."""

    def pieces() -> Iterator[NDArray]:
        for start in range(0, len(vectors), PIECE_ROWS):
            yield np.asarray(vectors[start : start + PIECE_ROWS], np.float32)

    return pieces
