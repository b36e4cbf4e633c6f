"""How far hits differ from the ground that was searched in one number a tile, and how surely.

*Effect size.* Cliff's delta (Cliff 1993, doi 10.1037/0033-2909.114.3.494): the chance that a hit
has more than a random piece of the searched ground, minus the chance that it has less; ground and
hits count by area. 0 is no difference, 1 and -1 are no overlap. It is the mean over the hits of a
*standing*: twice the share of ground with less, ties counted half, minus one. So it needs no shape
of the distribution, and a unit does not matter.

*Interval.* Neighbouring tiles are alike and hits come in groups, so single hits are no independent
evidence. Two answers to that are taken together, and the interval reaches as far as either:

- Block bootstrap. Hits are grouped by the patches of `mars_map.planet.blocks`, about 900 x 1,200
  km; whole patches are drawn with replacement (Davison and Hinkley 1997, section 3.8), and the
  planet, of which everything is known, stays. With few patches the percentiles of such draws are
  too narrow; they are widened as Hesterberg (2015, doi 10.1080/00031305.2015.1089789, section 5.3)
  does by Student's t, with as many patches as there are effectively: (sum of areas)^2 / sum of
  squares.
- Random rotations. The pattern of the hits is turned to random places of the ground as it is, which
  keeps its groups whatever their size; how far the delta strays from 0 there is how far it may
  stray from the truth here. This is the "spin test" of spherical maps (Alexander-Bloch et al. 2018,
  doi 10.1016/j.neuroimage.2018.05.070), a toroidal shift (Lotwick and Silverman 1982) without
  borders. Where a part of the planet was searched, the middle of the pattern is brought to random
  tiles of it; hits that land outside drop out, and as fewer hits stray further, the stray is
  reduced by the root of the share that landed.

`docs/analysis.md` tells how often such intervals held a difference that was known to be none.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mars_map.planet.grid import Grid
from mars_map.planet.sphere import unit_vectors

RESAMPLES = 2000
"""Draws of patches."""
ROTATIONS = 400
"""Random rotations of the hits."""
MAX_ROTATED = 500
"""Most hits that are rotated; of more, as many are drawn, each as likely as it is large."""
MIN_HITS = 10
"""Fewest hits with a value that are compared."""
MIN_PATCHES = 5.0
"""Fewest effective patches that are drawn from."""
SMALL, MEDIUM, LARGE = 0.11, 0.28, 0.43
"""Deltas that are called small, medium and large (Vargha and Delaney 2000, doi
10.3102/10769986025002101, whose A is (delta + 1) / 2); below the first they are negligible."""
LEVEL = 0.95
"""What share of intervals shall hold the true difference."""
_SEED = 1


class Ground(NamedTuple):
    """The values of the ground that was searched, sorted once for all comparisons."""

    values: NDArray[np.float32]
    """Known values, ascending, (n,)."""
    area: NDArray[np.float64]
    """Area before each of them, and of all of them at the end, (n + 1,)."""

    @classmethod
    def of(cls, values: NDArray[np.float32], area: NDArray[np.float64]) -> "Ground":
        """Sort the values of tiles; nan is left out."""
        known = np.isfinite(values)
        values, area = values[known], area[known]
        order = np.argsort(values)
        return cls(values[order], np.append(0.0, np.cumsum(area[order])))

    def share_below(self, values: NDArray, side: str = "left") -> NDArray[np.float64]:
        """Return the share of the ground with less than each value; with `side="right"`, or equal.

        values: (m,) without nan.
        """
        return self.area[np.searchsorted(self.values, values, side=side)] / self.area[-1]

    def standing(self, values: NDArray) -> NDArray[np.float64]:
        """Return where values stand in the ground, from -1 (least) to 1 (greatest); nan for nan."""
        known = np.isfinite(values)
        found = np.full(len(values), np.nan)
        if not len(self.values):
            return found
        # In ascending order a million are found ten times faster than as they come.
        ascending, place = np.unique(values[known], return_inverse=True)
        below, upto = (self.share_below(ascending, side) for side in ("left", "right"))
        found[known] = (below + upto - 1.0)[place]
        return found

    def quantiles(self, shares: NDArray) -> NDArray[np.float32]:
        """Return the values below which these shares of the area lie."""
        place = np.searchsorted(self.area[1:], np.asarray(shares) * self.area[-1])
        return self.values[np.minimum(place, len(self.values) - 1)]

    def greatest_gap(self, other: "Ground") -> float:
        """Return the greatest distance of both distributions (Kolmogorov-Smirnov's D), 0 to 1."""
        at = other.values
        # Just before and just behind each of the other's values: one of them is the greatest.
        gaps = [
            np.abs(self.share_below(at, side) - other.share_below(at, side)).max()
            for side in ("left", "right")
        ]
        return float(max(gaps))


class Delta(NamedTuple):
    """Cliff's delta of hits against ground, with its interval."""

    value: float
    """From -1, all hits have less, to 1, all have more; nan where too few hits have a value."""
    low: float | None
    """Lower end of the interval; None where neither patches nor turns give one."""
    high: float | None
    """Upper end."""
    patches: float
    """How many patches the hits with a value effectively lie in."""

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0 and the difference is not negligible."""
        if self.low is None or self.high is None:
            return False
        return (self.low > 0 or self.high < 0) and abs(self.value) >= SMALL

    @property
    def size(self) -> str:
        """What such a difference is called."""
        for limit, name in ((LARGE, "large"), (MEDIUM, "medium"), (SMALL, "small")):
            if abs(self.value) >= limit:
                return name
        return "negligible"


def deltas(
    standings: NDArray[np.float64],
    area: NDArray[np.float64],
    patch: NDArray[np.int64],
    strays: NDArray[np.float64] | None = None,
) -> list[Delta]:
    """Return the delta of each of c covariates, from the standings of k hits, (c, k).

    area: of the hits, (k,). patch: number of the patch of each, (k,). strays: deltas of the hits
    turned at random, (c, r), from `rotated`; None for patches alone. All covariates share
    the same draws, so that they can be compared; the seed is fixed.
    """
    _, group = np.unique(patch, return_inverse=True)
    n = int(group.max()) + 1 if len(group) else 0
    known = np.isfinite(standings)
    weights = np.where(known, area, 0.0)
    sums = np.array([np.bincount(group, row, n) for row in np.where(known, standings, 0) * weights])
    totals = np.array([np.bincount(group, row, n) for row in weights])
    random = np.random.default_rng(_SEED)
    draws = random.multinomial(n, np.full(n, 1 / n), RESAMPLES) if n else np.zeros((RESAMPLES, 0))
    found = []
    for row, count in enumerate(known.sum(axis=1)):
        stray = None if strays is None else strays[row]
        few = count < MIN_HITS
        found.append(_NOTHING if few else _delta(sums[row], totals[row], draws, stray))
    return found


def rotated(
    standings: Sequence[NDArray[np.floating]],
    grid: Grid,
    hits: NDArray[np.int64],
    searched: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return the deltas of the hits turned to random places, (c, ROTATIONS).

    standings: of all tiles of the grid, c arrays (n_tiles,), nan where unknown or not searched.
    hits: (k,) numbers, k > 0. searched: which tiles were searched, (n_tiles,); None for the planet.
    A turn that brings no hit to known ground gives nan. The seed is fixed.
    """
    random = np.random.default_rng(_SEED)
    area = grid.areas_km2[hits]
    if len(hits) > MAX_ROTATED:
        hits = random.choice(hits, MAX_ROTATED, replace=False, p=area / area.sum())
        area = np.ones(MAX_ROTATED)
    lon, lat = grid.centers
    places = unit_vectors(lon[hits], lat[hits])
    if searched is None:
        turns = _frames(random.normal(size=(ROTATIONS, 3)), random)
    else:
        numbers = np.flatnonzero(searched)
        share = grid.areas_km2[numbers]
        targets = random.choice(numbers, ROTATIONS, p=share / share.sum())
        # From the frame of the pattern's middle to frames at the targets, each spun at random.
        # A hair off, so that a pattern whose middle is the planet's has a direction as well.
        middle = _frames(area[np.newaxis] @ places + [1e-9, 0.0, 0.0], random)[0]
        turns = _frames(unit_vectors(lon[targets], lat[targets]), random) @ middle.T
    x, y, z = np.moveaxis(turns @ places.T, 1, 0)
    tiles = grid.tile_at(np.degrees(np.arctan2(y, x)), np.degrees(np.arcsin(np.clip(z, -1, 1))))
    found = np.empty((len(standings), ROTATIONS))
    for row, of_tiles in enumerate(standings):
        # Number -1, off the grid, is read as unknown like ground without a value.
        values = np.where(tiles >= 0, of_tiles[tiles], np.nan)
        known = np.isfinite(values)
        landed = known @ area
        total = np.where(known, values, 0.0) @ area
        found[row] = np.divide(total, landed, out=np.full(ROTATIONS, np.nan), where=landed > 0)
        if searched is not None:
            found[row] *= np.sqrt(landed / area.sum())
    return found


def tails(patches: float) -> tuple[float, float]:
    """Return the quantiles of draws that make an interval of `LEVEL` with so few patches.

    patches: effective number of them, over 1. Hesterberg (2015), section 5.3.
    """
    from scipy.stats import norm, t

    reach = t.ppf((1 + LEVEL) / 2, patches - 1) * np.sqrt(patches / (patches - 1))
    tail = float(norm.cdf(-reach))
    return tail, 1 - tail


def _frames(directions: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Return rotations whose first column has these directions, (n, 3, 3), else at random."""
    first = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    second = np.cross(first, random.normal(size=first.shape))
    second /= np.linalg.norm(second, axis=-1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


_NOTHING = Delta(float("nan"), None, None, 0.0)


def _delta(sums: NDArray, totals: NDArray, draws: NDArray, strays: NDArray | None) -> Delta:
    """Return the delta of one covariate, from the sums of standings and areas over each patch."""
    value = float(sums.sum() / totals.sum())
    effective = float(totals.sum() ** 2 / (totals**2).sum())
    ends = []
    if effective >= MIN_PATCHES:
        with np.errstate(invalid="ignore"):
            drawn = (draws @ sums) / (draws @ totals)
        ends += np.nanquantile(drawn, tails(effective)).tolist()
    if strays is not None and np.isfinite(strays).sum() >= ROTATIONS / 2:
        ends += (value - np.nanquantile(strays, [(1 + LEVEL) / 2, (1 - LEVEL) / 2])).tolist()
    if not ends:
        return Delta(value, None, None, effective)
    return Delta(value, max(min(ends), -1.0), min(max(ends), 1.0), effective)
