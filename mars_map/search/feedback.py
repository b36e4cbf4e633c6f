"""Yes and no: labelled tiles make a sharper query, and the tiles worth labelling next.

A refined query is one unit vector again, so that scores stay cosine similarities, every tile is
scored exactly, and a query with labels costs what any other costs. Two methods; docs/feedback.md
has the figures by which they were chosen, on ground that the test blocks have no part of.

*Rocchio*, for few labels: the query moves towards the mean of the yes and away from that of the no,
both seen from the mean of the planet (Rocchio 1971).

*Discriminant*, beyond: the weights of the linear discriminant between the yes and the planet at
large, S^-1 (mean of yes - mean of the rest), where S is the covariance of tiles drawn at random,
shrunk towards a multiple of the identity. Random tiles are weak negatives: next to nothing on Mars
is what is looked for. S is the same for every landform, which is what makes five examples enough
(Hariharan, Malik & Ramanan 2012, doi 10.1007/978-3-642-33765-9_33). The query before stays in it as
a prior that fades as labels come in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import QueryError
from mars_map.index import TileIndex
from mars_map.search.scoring import leave_out

Vectors = NDArray[np.float32]

ROCCHIO_YES = 2
"""Most yes for which Rocchio is used."""
TOWARDS, AWAY, AWAY_ALONE = 0.2, 0.1, 0.3
"""How far Rocchio moves a unit vector towards the yes and away from the no; the last where there
are no yes."""
SHRINKAGE, SHRINKAGE_ALONE = 0.1, 1.0
"""Share of the mean variance that is added to the variance in every direction; the second where no
query before steadies the discriminant."""
NO_WEIGHT = 0.15
"""Weight of the no among the negatives; random tiles have the rest. What looks like a yes and is
none lies close to it, and a heavier weight drives the query away from both."""
PRIOR, LEAST_PRIOR = 2.0, 0.5
"""Weight of the query before, which falls with the square root of the number of yes, and its least;
the discriminant has weight 1."""

POOL = 25
"""Tiles that are looked at for each one that is suggested."""


@dataclass(frozen=True, eq=False)
class Refined:
    """A query vector after feedback, and what was done."""

    vector: Vectors
    """The new query, (dim,) of length 1."""
    method: str
    """Name of the method: "Rocchio" or "Discriminant"."""
    sentence: str
    """What was done, for people: "Rocchio from 2 yes, 1 no"."""


def refine(vector: Vectors | None, yes: Vectors, no: Vectors, *, background: Vectors) -> Refined:
    """Turn a query towards what was called right and away from what was called wrong.

    vector: (dim,) the query before; None where there are labels only. yes: (n, dim), no: (m, dim)
    and background: (b, dim), tiles of the index at random; all of length 1, or zero for a tile
    without an image, which counts for nothing. Raises QueryError where there is nothing to look
    for: neither a query nor a yes.
    """
    yes, no, background = (_with_image(rows) for rows in (yes, no, background))
    if vector is None and not len(yes):
        raise QueryError("Call a tile right, or say what to look for; what is wrong is not enough.")
    # A covariance from fewer tiles than dimensions says more about chance than about Mars.
    is_few = len(yes) <= ROCCHIO_YES or len(background) < background.shape[1]
    method = "Rocchio" if is_few else "Discriminant"
    turned = (_rocchio if is_few else _discriminant)(vector, yes, no, background)
    length = float(np.linalg.norm(turned))
    if length < 1e-6:
        # What is right and what is wrong look exactly alike: nothing can be learned from them.
        turned = vector if vector is not None else yes[0]
        length = float(np.linalg.norm(turned))
    sentence = f"{method} from {len(yes)} yes, {len(no)} no"
    return Refined((turned / length).astype(np.float32), method, sentence)


def suggest(
    scores: NDArray[np.float32],
    index: TileIndex,
    yes: Sequence[int],
    no: Sequence[int],
    *,
    k: int = 6,
    allowed: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Return the numbers of the tiles whose answers would tell most, at most k, int64.

    Half of them are sure of the least: their scores, (n_tiles,), lie nearest to the boundary, which
    is midway between the labelled yes and no. The others are the best hits that nobody has called
    anything. Within both pools each next tile is the one least like all that are labelled or chosen
    (max-min distance), so that no answer is asked for twice. allowed: (n_tiles,) bool, tiles that
    may be suggested; None for all.
    """
    labelled = [*yes, *no]
    free = leave_out(allowed, labelled, index.n_tiles)
    tiles = np.arange(index.n_tiles) if free is None else np.flatnonzero(free)
    size = min(POOL * k, len(tiles))
    if not size:
        return np.empty(0, np.int64)
    best = tiles[np.argpartition(-scores[tiles], size - 1)[:size]]
    unsure = best
    if yes and no:
        boundary = (scores[list(yes)].mean() + scores[list(no)].mean()) / 2
        doubt = np.abs(scores[tiles] - boundary)
        unsure = tiles[np.argpartition(doubt, size - 1)[:size]]
    chosen = _spread(index, unsure, labelled, k // 2)
    return np.array(chosen + _spread(index, best, labelled + chosen, k - len(chosen)), np.int64)


def _rocchio(vector: Vectors | None, yes: Vectors, no: Vectors, background: Vectors) -> NDArray:
    middle = background.mean(axis=0) if len(background) else np.zeros(background.shape[1])
    turned = (yes.mean(axis=0) if vector is None else vector).astype(float)
    if len(yes) and vector is not None:
        turned = turned + TOWARDS * _unit(yes.mean(axis=0) - middle)
    if len(no):
        turned = turned - (AWAY if len(yes) else AWAY_ALONE) * _unit(no.mean(axis=0) - middle)
    return turned


def _discriminant(
    vector: Vectors | None, yes: Vectors, no: Vectors, background: Vectors
) -> NDArray:
    middle = background.mean(axis=0, dtype=float)
    centred = background - middle.astype(np.float32)
    # Most of the time goes into this product: float32 halves it and loses nothing that counts.
    spread = (centred.T @ centred).astype(float) / (len(centred) - 1)
    dim = len(middle)
    shrinkage = SHRINKAGE_ALONE if vector is None else SHRINKAGE
    spread[np.diag_indices(dim)] += shrinkage * np.trace(spread) / dim + 1e-12
    others = (1 - NO_WEIGHT) * middle + NO_WEIGHT * no.mean(axis=0) if len(no) else middle
    turned = _unit(np.linalg.solve(spread, yes.mean(axis=0) - others))
    if vector is None:
        return turned
    return turned + max(PRIOR / np.sqrt(len(yes)), LEAST_PRIOR) * vector


def _spread(index: TileIndex, pool: NDArray[np.int64], others: list[int], count: int) -> list[int]:
    """Choose tiles of a pool one by one, each the least like all others and those chosen before."""
    vectors = np.array([index.vector(int(tile)) for tile in pool])
    likeness = np.full(len(pool), -1.0)
    for other in others:
        np.maximum(likeness, vectors @ index.vector(other), out=likeness)
    likeness[np.isin(pool, others)] = np.inf
    chosen: list[int] = []
    while len(chosen) < count and np.isfinite(likeness).any():
        place = int(np.argmin(likeness))
        chosen.append(int(pool[place]))
        np.maximum(likeness, vectors @ vectors[place], out=likeness)
        likeness[place] = np.inf
    return chosen


def _with_image(vectors: Vectors) -> Vectors:
    return vectors[np.linalg.norm(vectors, axis=1) > 0.5] if len(vectors) else vectors


def _unit(vector: NDArray[np.floating]) -> NDArray[np.floating]:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
