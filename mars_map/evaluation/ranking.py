"""Figures of a ranking, and what a random ranking reaches: for retrieval of pictures and words.

Of n ranked items R are relevant; P(k) is the share of relevant items among the k best.

- *AP*, average precision: the mean of P(k) over the ranks k of the relevant items; its mean over
  queries is mAP. No interpolation, all n items ranked (Manning et al., Introduction to Information
  Retrieval, 2008, section 8.4).
- *R-precision*: P(R) (ibid.).
- *nDCG@10*: the sum of 1 / log2(k + 1) over the ranks k <= 10 of relevant items, divided by the
  greatest that R relevant items can reach (Järvelin and Kekäläinen 2002, doi 10.1145/582415.582418,
  with gains of 0 and 1 and the discount that is usual since).
- *hit@10*: 1 where a relevant item is among the ten best, else 0.

These are the figures of MarsRetrieval's landform retrieval (arXiv 2602.13961). *Chance* is their
exact expectation for a random order:

- AP: an item at rank k is relevant with probability R / n, and then each of the k - 1 before it
  with b = (R - 1) / (n - 1). The mean over all k of (1 + (k - 1) b) / k is b + (1 - b) H(n) / n
  with the harmonic number H(n).
- R-precision: R / n. nDCG@10: R / n times the sum of all discounts over the ideal.
- hit@10: 1 - C(n - R, 10) / C(n, 10).

Items of equal score are ranked in an order drawn once from a fixed seed: neither the order of files
nor an encoder that tells nothing apart may look like skill.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

FIGURES = ("map", "r_precision", "ndcg_at_10", "hit_at_10")
"""Names of the figures, in the order of the arrays here."""
DEPTH = 10
"""The 10 of nDCG@10 and hit@10."""
_TIE_SEED = 20260215


class Estimate(NamedTuple):
    """A figure with what goes with it."""

    value: float | None = None
    """The figure; None where there was nothing to ask."""
    chance: float | None = None
    """What a random ranking reaches in the mean."""
    low: float | None = None
    """2.5 % of the bootstrap; None where it says nothing."""
    high: float | None = None
    """97.5 % of the bootstrap."""


def tie_keys(n: int) -> NDArray[np.int64]:
    """Return the order in which n items of equal score are ranked: a number for each, (n,)."""
    return np.random.default_rng(_TIE_SEED).permutation(n)


def best_first(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the items of each row of scores, (q, n), the greatest first, (q, n)."""
    keys = tie_keys(scores.shape[1])
    shuffled = np.argsort(keys)
    return shuffled[np.argsort(-scores[:, shuffled], axis=1, kind="stable")]


def ranking_figures(relevant: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the figures of rankings, (q, 4) in the order of `FIGURES`.

    relevant: (q, n), whether each item is relevant, best item first. A row without a relevant item
    gives NaN.
    """
    n = relevant.shape[1]
    found = np.cumsum(relevant, axis=1)
    total = found[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = (found / np.arange(1, n + 1) * relevant).sum(axis=1) / total
        r_precision = found[np.arange(len(found)), np.maximum(total, 1) - 1] / total
        gain = (relevant[:, :DEPTH] * _discounts(n)).sum(axis=1)
        ndcg = gain / _ideal(n)[np.minimum(total, DEPTH)]
    hit = np.where(total > 0, relevant[:, :DEPTH].any(axis=1), np.nan)
    return np.stack([precision, r_precision, ndcg, hit], axis=1)


def chance_figures(n: int, n_relevant: int) -> NDArray[np.float64]:
    """Return the expected figures of a random order of n items, n_relevant relevant, (4,)."""
    if not n_relevant:
        return np.full(len(FIGURES), np.nan)
    share = n_relevant / n
    others = (n_relevant - 1) / (n - 1) if n > 1 else 1.0
    harmonic = digamma(n + 1) - digamma(1)
    precision = others + (1 - others) * harmonic / n
    ndcg = share * _discounts(n).sum() / _ideal(n)[min(n_relevant, DEPTH)]
    return np.array([precision, share, ndcg, 1 - no_hit(n, n_relevant, DEPTH)])


def no_hit(n: int, n_relevant: int, depth: int | NDArray[np.int64]) -> float | NDArray[np.float64]:
    """Return the probability that the first `depth` of n items in random order are irrelevant."""
    free = n - n_relevant - np.minimum(depth, n)
    logs = (
        gammaln(n - n_relevant + 1)
        - gammaln(np.maximum(free, 0) + 1)
        + gammaln(n - np.minimum(depth, n) + 1)
        - gammaln(n + 1)
    )
    return np.where(free >= 0, np.exp(logs), 0.0)[()]


def group_order(order: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rank groups by their best item: rows of items (q, n), best first, become (q, n_groups).

    groups: (n,) number of each item's group, 0..n_groups-1.
    """
    q, n = order.shape
    first = np.empty((q, int(groups.max()) + 1), np.int64)
    # From the last rank to the first, so that the best rank is written last and stays.
    rows = np.arange(q)[:, None]
    first[rows, groups[order[:, ::-1]]] = np.arange(n)[::-1]
    return np.argsort(first, axis=1)


def mean_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the first axis without NaN; NaN where there is nothing else."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0).sum(axis=0)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _discounts(n: int) -> NDArray[np.float64]:
    return 1.0 / np.log2(np.arange(2, min(n, DEPTH) + 2))


def _ideal(n: int) -> NDArray[np.float64]:
    """Return the greatest DCG@10 of 0, 1, ... relevant items among n."""
    sums = np.concatenate([[np.nan], np.cumsum(_discounts(n))])
    return np.pad(sums, (0, DEPTH + 1 - len(sums)), mode="edge")
