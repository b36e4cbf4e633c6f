"""Logistic curves of many landforms at once, each with what single blocks have of their own.

    logit P(landform | score, block) = offset + a + b * score + e(block)

(a, b) of every landform come from one normal distribution, and e of one landform's blocks from
another, so that a landform of which the validation blocks hold few examples borrows from the rest.
The distributions are fitted to the same data by EM with Laplace's approximation (Breslow & Clayton
1993, "Approximate inference in generalized linear mixed models", doi 10.2307/2290687).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 160
"""Bins of the scores from -1 to 1; a curve of slope 15 changes by a fifth of a logit in one."""
OVERLAP = 2.0
"""Tiles for one independent sample: neighbouring windows overlap, their labels too."""
BORROWED_BLOCKS = 3.0
"""Blocks that the common scatter of blocks counts for beside a landform's own."""
ROUNDS, STEPS = 40, 5
"""Rounds of EM, and Newton steps in each; the curves change by less than a hundredth after half."""
LARGEST_STEP = 2.0
"""Most that a parameter moves in a Newton step, so that rare landforms do not run away."""

_EDGES = np.linspace(-1.0, 1.0, BINS + 1)
_DESIGN = np.stack([np.ones(BINS), (_EDGES[1:] + _EDGES[:-1]) / 2], axis=1)


@dataclass(frozen=True)
class Counts:
    """Tiles by landform, block and score, (n_landforms, n_blocks, BINS) each."""

    known: NDArray[np.float64]
    """Tiles of which it is known whether they show the landform."""
    present: NDArray[np.float64]
    """Those that show it."""

    @classmethod
    def of(
        cls, scores: NDArray[np.floating], labels: NDArray[np.int8], blocks: NDArray[np.int64]
    ) -> "Counts":
        """Count tiles.

        scores: (n_tiles, n_landforms) cosine similarities; labels: the same shape, 1 present, 0
        absent, -1 unknown; blocks: number of each tile's block, 0..n_blocks-1, (n_tiles,).
        """
        n_blocks, n = int(blocks.max()) + 1, scores.shape[1]
        places = np.clip(np.digitize(scores, _EDGES) - 1, 0, BINS - 1) + blocks[:, None] * BINS
        shape = (n, n_blocks, BINS)
        known, present = np.zeros(shape), np.zeros(shape)
        for i in range(n):
            for counted, level in ((known, 0), (present, 1)):
                some = places[labels[:, i] >= level, i]
                counted[i] = np.bincount(some, minlength=n_blocks * BINS).reshape(n_blocks, BINS)
        return cls(known, present)

    def without(self, blocks: NDArray[np.int64]) -> "Counts":
        """Leave some blocks out."""
        return Counts(*(np.delete(values, blocks, axis=1) for values in (self.known, self.present)))


@dataclass(frozen=True)
class Curves:
    """What was fitted, a row a landform."""

    mean: NDArray[np.float64]
    """Means of intercept and slope, (n, 2)."""
    covariance: NDArray[np.float64]
    """How well both are known, (n, 2, 2)."""
    block_sd: NDArray[np.float64]
    """Standard deviation of what blocks have of their own, logits, (n,)."""


def fit_curves(counts: Counts, offset: NDArray[np.float64]) -> Curves:
    """Fit the curves of all landforms. offset: logit of each one's base rate, (n,)."""
    known, present = counts.known / OVERLAP, counts.present / OVERLAP
    n, n_blocks, _ = known.shape
    x = np.zeros((n, 2 + n_blocks))
    centre, scatter, sd = np.array([-3.5, 12.0]), np.diag([9.0, 49.0]), np.ones(n)
    x[:, :2] = centre
    for _ in range(ROUNDS):
        for _ in range(STEPS):
            gradient, hessian = _slopes(x, known, present, offset, centre, scatter, sd)
            step = np.linalg.solve(hessian, gradient[..., np.newaxis])[..., 0]
            x += np.clip(step, -LARGEST_STEP, LARGEST_STEP)
        covariance = np.linalg.inv(hessian)
        centre = x[:, :2].mean(0)
        apart = x[:, :2] - centre
        scatter = (apart[:, :, None] * apart[:, None, :] + covariance[:, :2, :2]).mean(0)
        own = x[:, 2:] ** 2 + np.diagonal(covariance, axis1=1, axis2=2)[:, 2:]
        common = own.mean()
        sd = np.sqrt((own.sum(1) + BORROWED_BLOCKS * common) / (n_blocks + BORROWED_BLOCKS))
    return Curves(x[:, :2], covariance[:, :2, :2], sd)


def _slopes(
    x: NDArray,
    known: NDArray,
    present: NDArray,
    offset: NDArray,
    centre: NDArray,
    scatter: NDArray,
    sd: NDArray,
) -> tuple[NDArray, NDArray]:
    """Return gradient and negative Hessian of the log posterior, (n, k) and (n, k, k).

    x: (n, k) intercept, slope and one value a block.
    """
    n, k = x.shape
    logits = offset[:, None, None] + (x[:, :2] @ _DESIGN.T)[:, None, :] + x[:, 2:, None]
    p = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    rest, weight = present - known * p, known * p * (1 - p)
    blocks = np.arange(2, k)
    prior = np.zeros((n, k, k))
    prior[:, :2, :2] = np.linalg.inv(scatter)
    prior[:, blocks, blocks] = (1 / sd**2)[:, None]
    away = x.copy()
    away[:, :2] -= centre
    gradient = np.concatenate([np.einsum("lbs,sd->ld", rest, _DESIGN), rest.sum(2)], axis=1)
    gradient -= np.einsum("li,lij->lj", away, prior)
    hessian = prior
    hessian[:, :2, :2] += np.einsum("lbs,si,sj->lij", weight, _DESIGN, _DESIGN, optimize=True)
    cross = np.einsum("lbs,sd->lbd", weight, _DESIGN)
    hessian[:, 2:, :2] += cross
    hessian[:, :2, 2:] += cross.transpose(0, 2, 1)
    hessian[:, blocks, blocks] += weight.sum(2)
    return gradient, hessian
