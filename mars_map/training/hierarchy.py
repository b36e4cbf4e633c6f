"""Logistic curves of many landforms at once, and how far single patches of ground stray from them.

    logit P(landform | score) = offset + a + b * score

holds over all tiles of a score, wherever they lie: that is what the hits of a planet are, which
gather where scores are high. (With an effect of each patch beside them, a and b would tell tiles of
one patch apart; of a canyon that fills its patch and is nowhere else, such a curve says that high
scores mean little.) (a, b) of all landforms come from one normal distribution, so that a landform
of which the validation ground holds few examples borrows from the rest. That distribution is fitted
to the same data by EM with Laplace's approximation (Breslow & Clayton 1993, "Approximate inference
in generalized linear mixed models", doi 10.2307/2290687).

A patch strays from its landform's curve by a number of its own, normal with a scatter that is found
afterwards, the curves held fast.

The constants were set on training ground: curves of 13 patches, as many as validation ground has,
checked on 3 and on 25 others.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 160
"""Bins of the scores from -1 to 1; a curve of slope 15 changes by a fifth of a logit in one."""
ALIKE = 20.0
"""Tiles that tell as much about a curve as one alone: neighbours share windows and landforms."""
OVERLAP = 2.0
"""The same, about how far their patch strays from a curve."""
BORROWED_PATCHES = 3.0
"""Patches that the scatter of all landforms counts for beside a landform's own."""
ROUNDS, STEPS = 30, 5
"""Rounds of EM, and Newton steps in each; the curves change by less than a hundredth after half."""
LARGEST_STEP = 2.0
"""Most that a parameter moves in a Newton step, so that rare landforms do not run away."""

_EDGES = np.linspace(-1.0, 1.0, BINS + 1)
_DESIGN = np.stack([np.ones(BINS), (_EDGES[1:] + _EDGES[:-1]) / 2], axis=1)


@dataclass(frozen=True)
class Counts:
    """Tiles by landform, patch and score, (n_landforms, n_patches, BINS) each."""

    known: NDArray[np.float64]
    """Tiles of which it is known whether they show the landform."""
    present: NDArray[np.float64]
    """Those that show it."""

    @classmethod
    def of(
        cls, scores: NDArray[np.floating], labels: NDArray[np.int8], patches: NDArray[np.int64]
    ) -> "Counts":
        """Count tiles.

        scores: (n_tiles, n_landforms) cosine similarities; labels: the same shape, 1 present, 0
        absent, -1 unknown; patches: number of each tile's patch, 0..n_patches-1, (n_tiles,).
        """
        n_patches, n = int(patches.max()) + 1, scores.shape[1]
        places = np.clip(np.digitize(scores, _EDGES) - 1, 0, BINS - 1) + patches[:, None] * BINS
        shape = (n, n_patches, BINS)
        known, present = np.zeros(shape), np.zeros(shape)
        for i in range(n):
            for counted, level in ((known, 0), (present, 1)):
                some = places[labels[:, i] >= level, i]
                counted[i] = np.bincount(some, minlength=n_patches * BINS).reshape(n_patches, BINS)
        return cls(known, present)

    def without(self, patches: NDArray[np.int64]) -> "Counts":
        """Leave some patches out."""
        return Counts(
            *(np.delete(values, patches, axis=1) for values in (self.known, self.present))
        )


@dataclass(frozen=True)
class Curves:
    """What was fitted, a row a landform."""

    mean: NDArray[np.float64]
    """Means of intercept and slope, (n, 2)."""
    covariance: NDArray[np.float64]
    """How well both are known, (n, 2, 2)."""
    scatter: NDArray[np.float64]
    """Standard deviation of what patches stray by, logits, (n,)."""


def fit_curves(counts: Counts, offset: NDArray[np.float64]) -> Curves:
    """Fit the curves of all landforms. offset: logit of each one's base rate, (n,)."""
    known, present = counts.known.sum(1) / ALIKE, counts.present.sum(1) / ALIKE
    centre, spread = np.array([-3.5, 12.0]), np.diag([9.0, 49.0])
    x = np.tile(centre, (len(known), 1))
    for _ in range(ROUNDS):
        precision = np.linalg.inv(spread)
        for _ in range(STEPS):
            p = _sigmoid(offset[:, None] + x @ _DESIGN.T)
            gradient = (present - known * p) @ _DESIGN - (x - centre) @ precision
            weight = known * p * (1 - p)
            hessian = np.einsum("ls,si,sj->lij", weight, _DESIGN, _DESIGN, optimize=True)
            hessian += precision
            step = np.linalg.solve(hessian, gradient[..., np.newaxis])[..., 0]
            x += np.clip(step, -LARGEST_STEP, LARGEST_STEP)
        covariance = np.linalg.inv(hessian)
        centre = x.mean(0)
        apart = x - centre
        spread = (apart[:, :, None] * apart[:, None, :] + covariance).mean(0)
    return Curves(x, covariance, _scatter(counts, offset[:, None] + x @ _DESIGN.T))


def _scatter(counts: Counts, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far patches stray from their landform's curve, logits, (n,).

    logits: of each landform's curve at each bin, (n, BINS).
    """
    known, present = counts.known / OVERLAP, counts.present / OVERLAP
    n, n_patches, _ = known.shape
    own, sd = np.zeros((n, n_patches)), np.ones(n)
    for _ in range(ROUNDS):
        for _ in range(STEPS):
            p = _sigmoid(logits[:, None, :] + own[..., np.newaxis])
            curvature = (known * p * (1 - p)).sum(2) + 1 / sd[:, None] ** 2
            gradient = (present - known * p).sum(2) - own / sd[:, None] ** 2
            own += np.clip(gradient / curvature, -LARGEST_STEP, LARGEST_STEP)
        square = own**2 + 1 / curvature
        common = BORROWED_PATCHES * square.mean()
        sd = np.sqrt((square.sum(1) + common) / (n_patches + BORROWED_PATCHES))
    return sd


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
