"""Yes and no: labelled tiles make a sharper query, and the tiles worth labelling next.

A refined query is one unit vector again, so that scores stay cosine similarities, every tile is
scored exactly and a query with labels costs what any other costs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Refined:
    """A query vector after feedback, and what was done."""

    vector: Vectors
    """The new query, (dim,) of length 1."""
    method: str
    """Name of the method."""
    sentence: str
    """What was done, for people: "Rocchio from 2 yes, 1 no"."""


def refine(vector: Vectors | None, yes: Vectors, no: Vectors, *, background: Vectors) -> Refined:
    """Turn a query towards what was called right and away from what was called wrong.

    vector: (dim,) the query before; None where there are labels only. yes: (n, dim), no: (m, dim)
    and background: (b, dim), tiles of the index at random; all of length 1, zeros where a tile has
    no image, which count for nothing.
    """
    yes, no = _with_image(yes), _with_image(no)
    pull = np.zeros(background.shape[1]) if vector is None else vector.astype(float)
    if len(yes):
        pull = pull + 0.75 * yes.mean(axis=0)
    if len(no):
        pull = pull - 0.25 * no.mean(axis=0)
    return Refined(_unit(pull), "Rocchio", f"Rocchio from {len(yes)} yes, {len(no)} no")


def _with_image(vectors: Vectors) -> Vectors:
    return vectors[np.linalg.norm(vectors, axis=1) > 0.5] if len(vectors) else vectors


def _unit(vector: NDArray[np.floating]) -> Vectors:
    length = float(np.linalg.norm(vector))
    return (vector / max(length, 1e-12)).astype(np.float32)
