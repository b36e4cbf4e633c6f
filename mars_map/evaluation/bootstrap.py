"""Bootstrap intervals over observations: pictures of one observation are no independent evidence.

Whole observations are drawn with replacement, as many as there are, and the figure is taken again;
2.5 and 97.5 % of a thousand such figures are the interval (Efron and Tibshirani 1993, chapter 13,
with clusters as in Davison and Hinkley 1997, section 3.8). The seed is fixed.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 1000
"""Number of draws."""
_SEED = 1


def resamples(observation: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield for each draw how often every item counts, (n,).

    observation: (n,) number of each item's observation, 0..n_observations-1.
    """
    random = np.random.default_rng(_SEED)
    n = int(observation.max()) + 1
    for _ in range(RESAMPLES):
        yield np.bincount(random.integers(0, n, n), minlength=n)[observation]


def interval(values: ArrayLike) -> tuple[float | None, float | None]:
    """Return 2.5 and 97.5 % of the figures of all draws; NaN are draws without a figure.

    (None, None) where not even half of the draws have one, and where all draws give the same: what
    never happened may yet happen, and the bootstrap cannot tell how often.
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if len(values) < RESAMPLES / 2 or np.ptp(values) == 0:
        return None, None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def weighted_mean(values: NDArray, weights: NDArray) -> NDArray:
    """Return the mean over the first axis, (n, ...) and (n,); NaN where all weights are 0."""
    total = weights.sum()
    if not total:
        return np.full(values.shape[1:], np.nan)
    return np.tensordot(weights, values, axes=(0, 0)) / total
