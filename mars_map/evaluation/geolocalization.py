"""Global geo-localization, the task of MarsRetrieval (arXiv 2602.13961), by two protocols.

All tiles are ranked by score. Precision at K is the share of the K best tiles that have a feature
of the catalogue near them, recall at K the share of the features that have one of those tiles near.

*Legacy* is the published protocol, as its evaluation code computes it: distances in degrees on a
flat map without wrap at 180, tiles at their south-west corners where their names give these, 20,000
tiles, K in about 100 equal steps, the area under precision over recall by trapezoids, beginning at
the first recall. What the published code leaves to chance is settled: equal scores rank by tile
number, and steps of equal recall keep the order of K. Scores are not rounded to six digits before
they are ranked, and longitudes of a catalogue are brought to [-180, 180) first.

*Corrected* measures along great circles from tile centres, ranks all tiles and takes every K. Its
area begins at recall 0: the sum over K of P(K) (R(K) - R(K - 1)), which is average precision and
knows no interpolation between points that no ranking attains.

*Chance* is the exact expectation of the corrected area for a ranking drawn at random. A feature
with m of the n tiles near it is found at the first of these. The K - 1 tiles before are then a
random choice of the n - m others, of which h - m are hits, where h is the number of all hits: the
expected precision there is (1 + (K - 1) b) / K with b = (h - m) / (n - m). Over all K the mean is
b + (1 - b) E[1/K], and E[1/K] = m / (n - m + 1) (H(n) - H(m - 1)) with the harmonic numbers H. The
chance level is the mean over the features; one that no tile is near adds 0. For rare features it is
about the share of tiles that hit, h / n.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from mars_map.errors import CatalogueError
from mars_map.evaluation.catalogues import Catalogue
from mars_map.evaluation.nearness import Nearness, flat_nearness, sphere_nearness
from mars_map.planet.grid import Grid

RADIUS_DEG = 0.5
"""How near a tile must be to a feature, degrees; 29.6 km on the sphere."""
LEGACY_TOP_K = 20_000
"""Tiles that the published protocol ranks."""
LEGACY_STEPS = 100
"""Steps of K in the published protocol."""


class Score(NamedTuple):
    """The figures of one protocol; shares lie between 0 and 1."""

    f1: float
    """Best F1, the harmonic mean of precision and recall."""
    precision: float
    """Precision where F1 is best."""
    recall: float
    """Recall where F1 is best."""
    k: int
    """Number of best tiles where F1 is best; the smallest of several."""
    auprc: float
    """Area under precision over recall."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall over the number of best tiles, by one protocol."""

    k: NDArray[np.int64]
    """Numbers of best tiles, increasing, (m,)."""
    precision: NDArray[np.float64]
    """Share of the k best tiles that have a feature near, (m,)."""
    recall: NDArray[np.float64]
    """Share of the features that have one of the k best tiles near, (m,)."""
    auprc: float
    """Area under precision over recall."""
    n_features: int
    """Features that could be found."""

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall, 0 where both are 0, (m,)."""
        total = self.precision + self.recall
        product = 2 * self.precision * self.recall
        return np.divide(product, total, out=np.zeros_like(total), where=total > 0)

    @property
    def best(self) -> Score:
        """The figures at the best F1."""
        f1 = self.f1
        i = int(np.argmax(f1))
        values = (float(v[i]) for v in (f1, self.precision, self.recall))
        return Score(*values, int(self.k[i]), self.auprc)


@dataclass(frozen=True, eq=False)
class GeoLocalization:
    """How well a ranking of tiles finds the features of a catalogue."""

    legacy: Curve
    """By the published protocol."""
    corrected: Curve
    """On the sphere, over every K."""
    chance_auprc: float
    """Expected corrected AUPRC of a ranking drawn at random."""
    base_rate: float
    """Share of the ranked tiles that have a feature near, on the sphere."""
    n_tiles: int
    """Tiles that were ranked."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values for JSON."""
        return {
            "n_tiles": self.n_tiles,
            "legacy": _record(self.legacy),
            "corrected": _record(self.corrected),
            "chance_auprc": self.chance_auprc,
            "base_rate": self.base_rate,
        }


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """A catalogue on a grid: made once, it judges any number of rankings."""

    catalogue: Catalogue
    """The features."""
    grid: Grid
    """The tiles."""
    legacy: Nearness
    """Tiles and features on the flat map."""
    corrected: Nearness
    """Tiles and features on the sphere."""

    @classmethod
    def of(cls, catalogue: Catalogue, grid: Grid, radius_deg: float = RADIUS_DEG) -> Self:
        """Compare the features with the tiles. radius_deg: degrees, at most 90."""
        geometries = catalogue.geometries
        return cls(
            catalogue,
            grid,
            flat_nearness(geometries, grid, radius_deg),
            sphere_nearness(geometries, grid, radius_deg),
        )

    def evaluate(
        self,
        scores: NDArray[np.floating],
        tiles: NDArray[np.bool_] | None = None,
        left_out: Collection[int] = (),
    ) -> GeoLocalization:
        """Judge the ranking of tiles by scores, (n_tiles,), the greatest first.

        tiles: (n_tiles,) bool, the tiles to rank; None for all. Only features that lie on one of
        these can be found then, while any feature near makes a tile a hit. left_out: tiles that are
        not ranked, such as the examples of the query. Raises CatalogueError where there is no such
        tile or feature.
        """
        order = np.argsort(-np.asarray(scores), kind="stable")
        if tiles is not None:
            order = order[tiles[order]]
        if left_out:
            order = order[~np.isin(order, list(left_out))]
        if not len(order):
            raise CatalogueError("There is no tile to rank; choose a larger area.")
        flat = _rank(self.legacy, order[:LEGACY_TOP_K], _findable(self.legacy, tiles))
        sphere = _rank(self.corrected, order, _findable(self.corrected, tiles))
        return GeoLocalization(
            legacy=_legacy_curve(flat),
            corrected=_corrected_curve(sphere),
            chance_auprc=_chance_auprc(sphere),
            base_rate=float(sphere.hits.mean()),
            n_tiles=len(order),
        )


class _Ranking(NamedTuple):
    """What a protocol needs to know of a ranking."""

    hits: NDArray[np.bool_]
    """Whether each tile has a feature near, best tile first, (n,)."""
    found_at: NDArray[np.int64]
    """K at which each feature is found, n + 1 for one that never is, (n_features,)."""
    chances: NDArray[np.int64]
    """Number of ranked tiles near each feature, (n_features,)."""


def _findable(nearness: Nearness, tiles: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Tell which features lie on some tiles, (n_features,); all for None."""
    if tiles is None:
        return np.ones(nearness.n_features, bool)
    findable = np.zeros(nearness.n_features, bool)
    findable[nearness.under.feature[tiles[nearness.under.tile]]] = True
    if not findable.any():
        raise CatalogueError("No feature of the catalogue lies there; choose a larger area.")
    return findable


def _rank(nearness: Nearness, order: NDArray[np.int64], findable: NDArray[np.bool_]) -> _Ranking:
    n = len(order)
    place = np.full(nearness.n_tiles, n + 1)
    place[order] = np.arange(1, n + 1)
    feature, at = nearness.near.feature, place[nearness.near.tile]
    hits = np.zeros(n + 2, bool)
    hits[at] = True
    found_at = np.full(nearness.n_features, n + 1)
    np.minimum.at(found_at, feature, at)
    chances = np.bincount(feature[at <= n], minlength=nearness.n_features)
    return _Ranking(hits[1 : n + 1], found_at[findable], chances[findable])


def _legacy_curve(ranking: _Ranking) -> Curve:
    n = len(ranking.hits)
    step = max(n // LEGACY_STEPS, 1)
    k = np.arange(step, n + 1, step)
    if k[-1] != n:
        k = np.append(k, n)
    precision, recall = _at(ranking, k)
    # Recall never falls, so that the published sorting by recall keeps the order of K.
    area = float(np.trapezoid(precision, recall))
    return Curve(k, precision, recall, area, len(ranking.found_at))


def _corrected_curve(ranking: _Ranking) -> Curve:
    k = np.arange(1, len(ranking.hits) + 1)
    precision, recall = _at(ranking, k)
    area = float(np.sum(precision * np.diff(recall, prepend=0.0)))
    return Curve(k, precision, recall, area, len(ranking.found_at))


def _at(ranking: _Ranking, k: NDArray[np.int64]) -> tuple[NDArray, NDArray]:
    """Return precision and recall at numbers of best tiles."""
    found = np.cumsum(np.bincount(ranking.found_at, minlength=len(ranking.hits) + 2))
    return np.cumsum(ranking.hits)[k - 1] / k, found[k] / len(ranking.found_at)


def _chance_auprc(ranking: _Ranking) -> float:
    """Return the expected corrected area of a random ranking; the module tells how."""
    n, h = len(ranking.hits), int(ranking.hits.sum())
    m = ranking.chances[ranking.chances > 0].astype(float)
    # Where every tile is near, the feature is found at K = 1 and b drops out.
    others = np.divide(h - m, n - m, out=np.zeros_like(m), where=m < n)
    # H(n) - H(m - 1), by H(i) = digamma(i + 1) + Euler's constant.
    mean_inverse_k = m / (n - m + 1) * (digamma(n + 1) - digamma(m))
    expected = others + (1 - others) * mean_inverse_k
    return float(expected.sum() / len(ranking.chances))


def _record(curve: Curve) -> dict[str, Any]:
    return {**curve.best._asdict(), "n_features": curve.n_features}
