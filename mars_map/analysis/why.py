"""Why here: what the hits have in common that other ground has not.

Each covariate of the hits is compared with the same covariate of the ground that was searched: the
planet, or what region and filters leave of it. `mars_map.analysis.effects` says how; here the
comparisons of all covariates are gathered, read in one sentence and written as plain values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mars_map.analysis.effects import MIN_HITS, Delta, Ground, deltas, rotated
from mars_map.covariates import COVARIATES, Covariate
from mars_map.planet.blocks import patch_numbers
from mars_map.search import Result

NAMED = 4
"""Most differences that the sentence names; the rest it counts."""
BINS = 40
"""Bins of a distribution."""
_ROUNDING = 1e-6
"""Relative spread that the means of a constant raster have by rounding."""
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Measured(NamedTuple):
    """A covariate with its values on an index's tiles."""

    covariate: Covariate
    """What it is."""
    values: NDArray[np.float32]
    """One number a tile, (n_tiles,); nan where unknown."""


@dataclass(frozen=True)
class Comparison:
    """Hits beside the ground in one covariate."""

    covariate: Covariate
    """What was compared."""
    delta: Delta
    """How far they differ, and how surely."""
    hits: tuple[float, ...]
    """5, 25, 50, 75 and 95 % of the hits' area have less; nan without hits."""
    ground: tuple[float, ...]
    """The same of the ground."""
    gap: float
    """Greatest distance of both distributions, 0 to 1 (Kolmogorov-Smirnov's D)."""
    known_hits: int
    """Hits with a value."""
    known_share: float
    """Share of the ground with a value, 0 to 1."""
    varies: bool
    """Whether the ground has more than one value, but for rounding."""

    @property
    def phrase(self) -> str:
        """The difference in words: "lower (median −2,100 m against −140 m)"."""
        way = self.covariate.higher if self.delta.value > 0 else self.covariate.lower
        hits, ground = (self.covariate.value(v[2]) for v in (self.hits, self.ground))
        return f"{way} (median {hits} against {ground})"

    @property
    def constancy(self) -> str:
        """That the covariate does not vary, as a sentence; nothing where it does."""
        if self.varies:
            return ""
        return (
            f"{self.covariate.title} does not vary: it is {self.covariate.value(self.ground[2])} "
            "wherever it is known on the searched ground, so hits cannot differ in it."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; numbers that are not known are None."""
        return {
            "covariate": self.covariate.name,
            "title": self.covariate.title,
            "unit": self.covariate.unit,
            "source": self.covariate.source,
            "delta": _number(self.delta.value),
            "delta_low": _number(self.delta.low),
            "delta_high": _number(self.delta.high),
            "effective_patches": round(self.delta.patches, 1),
            "clear": self.delta.is_clear,
            "ks_d": _number(self.gap),
            "quantiles": list(_QUANTILES),
            "hits": [_number(v) for v in self.hits],
            "ground": [_number(v) for v in self.ground],
            "known_hits": self.known_hits,
            "known_share": _number(self.known_share),
            "varies": self.varies,
        }


@dataclass(frozen=True)
class Explanation:
    """All comparisons of one answer, those that differ most first."""

    comparisons: tuple[Comparison, ...]
    """One a covariate: the clear ones by size, then the others by size."""
    n_hits: int
    """Hits of the answer."""
    against: str
    """What the hits are compared with, in words."""

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        if self.n_hits < MIN_HITS:
            return (
                f"{self.n_hits:,} hits are too few to compare; ask for more hits or lower the "
                "threshold."
            )
        clear = [one for one in self.comparisons if one.delta.is_clear]
        constant = sum(not one.varies for one in self.comparisons)
        rest = len(self.comparisons) - len(clear) - constant
        if not clear:
            return f"In none of {rest} respects do hits clearly differ from {self.against}."
        listed = _listed([one.phrase for one in clear[:NAMED]])
        more = len(clear) - NAMED
        tail = f"; {more} more {'differs' if more == 1 else 'differ'}" if more > 0 else ""
        tail += f"; {rest} {'does' if rest == 1 else 'do'} not clearly differ" if rest else ""
        tail += f"; {constant} {'does' if constant == 1 else 'do'} not vary" if constant else ""
        return f"Beside {self.against}, hits are {listed}{tail}."

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "sentence": self.sentence,
            "hits": self.n_hits,
            "against": self.against,
            "comparisons": [one.to_dict() for one in self.comparisons],
        }


class Distribution(NamedTuple):
    """How a covariate spreads among hits and ground, over bins of equal width."""

    edges: NDArray[np.float64]
    """Borders of the bins, (BINS + 1,); what lies beyond counts to the outermost bins."""
    hits: NDArray[np.float64]
    """Share of the hits' area in each bin, (BINS,)."""
    ground: NDArray[np.float64]
    """Share of the ground's area in each bin, (BINS,)."""


class Explainer:
    """Explains answers on one index; what it sorts of the planet it keeps. Safe to share."""

    def __init__(self, covariates: Callable[[str], NDArray[np.float32]]) -> None:
        """Take what gives the values of a name of `COVARIATES`, such as `Engine.covariate`."""
        self._covariates = covariates
        self._planet: dict[str, _Sorted] = {}

    def explain(self, result: Result, extra: Sequence[Measured] = ()) -> Explanation:
        """Compare the hits of an answer with the ground that was searched.

        extra: covariates of somebody's own, on the same tiles. Raises CovariateError where a file
        of the covariates is missing.
        """
        measured = [
            Measured(one, self._covariates(name))
            for name, one in COVARIATES.items()
            if name != "latitude_abs" or _is_both_sides_of_the_equator(result)
        ]
        ground = [self._sorted(result, one) for one in measured]
        measured += extra
        ground += [_Sorted.of(result, one.values) for one in extra]
        grid, hits = result.index.grid, result.hits
        standings = [one.standings for one in ground]
        lon, lat = (axis[hits] for axis in grid.centers)
        searched = result.region_mask if _is_limited(result) else None
        turned = rotated(standings, grid, hits, searched) if len(hits) else None
        of_hits = np.array([one[hits] for one in standings])
        found = deltas(of_hits, grid.areas_km2[hits], patch_numbers(lon, lat), turned)
        comparisons = [
            _comparison(result, one, place.ground, delta)
            for one, place, delta in zip(measured, ground, found, strict=True)
        ]
        comparisons.sort(key=lambda c: (not c.delta.is_clear, -abs(np.nan_to_num(c.delta.value))))
        return Explanation(tuple(comparisons), len(hits), _against(result))

    def distribution(self, result: Result, one: Measured) -> Distribution:
        """Return how a covariate spreads among hits and ground.

        The bins reach from 0.5 to 99.5 % of the ground, and as far as 0.5 to 99.5 % of the hits.
        Raises ValueError where no tile of the ground has a value.
        """
        own = one.covariate.name not in COVARIATES
        ground = _ground(result, one.values) if own else self._sorted(result, one).ground
        hits = Ground.of(one.values[result.hits], result.index.grid.areas_km2[result.hits])
        ends = np.concatenate(
            [of.quantiles(np.array([0.005, 0.995])) for of in (ground, hits) if len(of.values)]
        ).astype(float)
        low, high = ends.min(), ends.max()
        edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
        return Distribution(edges, _shares(hits, edges), _shares(ground, edges))

    def _sorted(self, result: Result, one: Measured) -> "_Sorted":
        if _is_limited(result):
            return _Sorted.of(result, one.values)
        # Two threads may both sort at first; one of the two is then simply forgotten.
        if one.covariate.name not in self._planet:
            self._planet[one.covariate.name] = _Sorted.of(result, one.values)
        return self._planet[one.covariate.name]


class _Sorted(NamedTuple):
    """A covariate of the ground that was searched."""

    ground: Ground
    standings: NDArray[np.float32]
    """Of every tile, (n_tiles,); nan where unknown or not searched."""

    @classmethod
    def of(cls, result: Result, values: NDArray[np.float32]) -> "_Sorted":
        ground = _ground(result, values)
        searched = values if result.region_mask is None else _masked(values, result.region_mask)
        return cls(ground, ground.standing(searched).astype(np.float32))


def _masked(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(mask, values, np.float32(np.nan))


def _ground(result: Result, values: NDArray[np.float32]) -> Ground:
    area, mask = result.index.grid.areas_km2, result.region_mask
    return Ground.of(values, area) if mask is None else Ground.of(values[mask], area[mask])


def _searched_area(result: Result) -> float:
    area, mask = result.index.grid.areas_km2, result.region_mask
    return float(area.sum() if mask is None else area[mask].sum())


def _comparison(result: Result, one: Measured, ground: Ground, delta: Delta) -> Comparison:
    hits = Ground.of(one.values[result.hits], result.index.grid.areas_km2[result.hits])
    unknown = (float("nan"),) * len(_QUANTILES)
    has_hits, has_ground = len(hits.values) > 0, len(ground.values) > 0
    return Comparison(
        one.covariate,
        delta,
        _quantiles(hits) if has_hits else unknown,
        _quantiles(ground) if has_ground else unknown,
        ground.greatest_gap(hits) if has_hits and has_ground else float("nan"),
        len(hits.values),
        float(ground.area[-1] / _searched_area(result)) if has_ground else 0.0,
        not has_ground or _varies(ground.values),
    )


def _varies(ascending: NDArray[np.float32]) -> bool:
    low, high = float(ascending[0]), float(ascending[-1])
    return high - low > _ROUNDING * max(abs(low), abs(high))


def _quantiles(ground: Ground) -> tuple[float, ...]:
    return tuple(float(v) for v in ground.quantiles(np.array(_QUANTILES)))


def _shares(ground: Ground, edges: NDArray) -> NDArray[np.float64]:
    if not len(ground.values):
        return np.zeros(len(edges) - 1)
    inner = ground.share_below(edges[1:-1])
    return np.diff(np.concatenate([[0.0], inner, [1.0]]))


def _against(result: Result) -> str:
    return "the ground that was searched" if _is_limited(result) else "the planet"


def _is_both_sides_of_the_equator(result: Result) -> bool:
    """Whether the distance from the equator is more than the latitude said twice."""
    lat = result.index.grid.centers[1]
    lat = lat if result.region_mask is None else lat[result.region_mask]
    return bool((lat > 0).any() and (lat < 0).any())


def _is_limited(result: Result) -> bool:
    """Whether a part of the planet was searched."""
    return result.query.region is not None or bool(result.query.filters)


def _listed(phrases: list[str]) -> str:
    *most, last = phrases
    return f"{', '.join(most)} and {last}" if most else last


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 6)
