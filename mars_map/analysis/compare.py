"""Two answers compared: what both find, what one finds and the other does not, and how far they
agree on all of the ground.

Scores of different queries do not compare, so ranks do: the *percentile* of a tile is the share of
the searched ground, by area, that the query ranks below it. Agreement is Spearman's rank
correlation, with tiles weighted by area: Pearson's of the percentiles.

*Interval.* Neighbouring tiles are alike, so single tiles are no independent evidence: whole patches
of `mars_map.planet.blocks`, about 900 x 1,200 km, are drawn with replacement (block bootstrap:
Davison and Hinkley 1997, section 3.8), and the ends are quantiles of the figures, widened for few
patches as `mars_map.analysis.effects` tells. The percentiles are those of the whole ground in each
draw.

Answers on other grids are compared on the first one's: each of its tiles gets what the other has
under its centre.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from mars_map.analysis.effects import MIN_PATCHES, RESAMPLES, tails
from mars_map.errors import QueryError
from mars_map.maps.footprints import (
    DIGITS,
    ORIGIN_COLUMNS,
    PLACE_COLUMNS,
    origin_columns,
    place_columns,
)
from mars_map.planet.blocks import patch_numbers
from mars_map.planet.grid import Grid

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

    from mars_map.search import Query, Result

Which = Literal["both", "only-a", "only-b"]
"""Hits of both queries, of the first alone, or of the second alone."""
_SEED = 1
COLUMNS = {
    "rank": "place in the list, 1 for the best",
    "pct_a": "share of the searched ground that the query ranks below the tile, per cent",
    "pct_b": "the same for the other query",
    "score_a": "cosine similarity to the query, -1 to 1",
    "score_b": "cosine similarity to the other query",
    **PLACE_COLUMNS,
    "query_b": "the words of the other query, or the tiles that it was to look like",
    **ORIGIN_COLUMNS,
}
"""Columns of a table of hits of two queries; names fit the ten characters of a shapefile."""


class Correlation(NamedTuple):
    """A rank correlation, -1 to 1, and the ends of its 95 % interval."""

    value: float
    low: float | None
    """None, as `high`, where too few patches of ground were searched."""
    high: float | None


class Aligned(NamedTuple):
    """An answer on the tiles of a grid."""

    scores: NDArray[np.float32]
    """Cosine similarities, (n_tiles,)."""
    searched: NDArray[np.bool_]
    """Whether each tile was searched, (n_tiles,)."""
    hit: NDArray[np.bool_]
    """Whether each tile is a hit, (n_tiles,)."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two answers on the tiles of the first one's grid."""

    a: "Result"
    """The answer that is compared."""
    b: "Result"
    """The answer that it is compared with."""
    sides: tuple[Aligned, Aligned]
    """Both on the grid of the first."""
    searched: NDArray[np.bool_]
    """Whether both searched each tile, (n_tiles,)."""
    percentiles: NDArray[np.float32]
    """Share of the searched ground below each tile by both queries, 0 to 1, (2, n_tiles); nan where
    one of them did not search."""

    @property
    def grid(self) -> Grid:
        """The grid on which they are compared."""
        return self.a.index.grid

    @cached_property
    def correlation(self) -> Correlation | None:
        """Spearman's rank correlation over the ground that both searched; None for under 3 tiles
        and where all are alike to one of the queries.
        """
        places = np.flatnonzero(self.searched)
        first, second = self.percentiles[:, places].astype(np.float64)
        patches = tile_patches(self.grid)[places]
        return rank_correlation(first, second, self.grid.areas_km2[places], patches)

    def hits(self, which: Which) -> NDArray[np.int64]:
        """Return hits of both, or of one and not of the other, by number, int64, the best first.

        Those of both are ordered by the lower of their percentiles; those of one by its own.
        """
        a, b = (side.hit & self.searched for side in self.sides)
        first, second = self.percentiles
        match which:
            case "both":
                chosen, order = a & b, np.minimum(first, second)
            case "only-a":
                chosen, order = a & ~b, first
            case _:
                chosen, order = b & ~a, second
        tiles = np.flatnonzero(chosen)
        return tiles[np.lexsort((tiles, -order[tiles]))]

    @cached_property
    def counts(self) -> dict[Which, int]:
        """Number of hits of both, and of each alone."""
        return {which: len(self.hits(which)) for which in get_args(Which)}

    @property
    def jaccard(self) -> float:
        """Hits of both as a share of the hits of either, 0 to 1; 0 where there are none."""
        return self.counts["both"] / max(sum(self.counts.values()), 1)

    def area_km2(self, which: Which) -> float:
        """Return the area of those hits, square kilometres."""
        return float(self.grid.areas_km2[self.hits(which)].sum())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: the agreement and the sizes of the three sets."""
        correlation = self.correlation
        return {
            "a": self.a.query.to_dict(),
            "b": self.b.query.to_dict(),
            "spearman": correlation._asdict() if correlation else None,
            "jaccard": self.jaccard,
            "sets": {
                which: {"tiles": n, "km2": round(self.area_km2(which))}
                for which, n in self.counts.items()
            },
        }


def compare(a: "Result", b: "Result") -> Comparison:
    """Compare two answers. The second may come from another index, model or grid.

    Raises QueryError where no ground was searched by both.
    """
    grid = a.index.grid
    sides = align(a, grid), align(b, grid)
    searched = sides[0].searched & sides[1].searched
    if not searched.any():
        raise QueryError("Both queries search no common ground; change a region or a filter.")
    percentiles = np.full((2, grid.n_tiles), np.nan, np.float32)
    for row, side in zip(percentiles, sides, strict=True):
        row[searched] = area_percentiles(side.scores[searched], grid.areas_km2[searched])
    return Comparison(a, b, sides, searched, percentiles)


def counterpart(a: "Result", b: "Query", n_tiles: int | None = None) -> "Query":
    """Return the second query in the place of the first: its region and filters, as many hits.

    So the sets of hits are of one size, and none is missing only because nobody looked there.
    n_tiles: tiles of the second one's index, if it has another: then as much ground is hit.
    """
    from mars_map.search.query import MAX_TOP_K

    wanted = len(a.hits) * (n_tiles or a.index.n_tiles) / a.index.n_tiles
    return b.with_(
        region=a.query.region,
        filters=a.query.filters,
        top_k=min(max(round(wanted), 1), MAX_TOP_K),
        threshold=None,
    )


def align(result: "Result", grid: Grid) -> Aligned:
    """Return an answer on the tiles of a grid: what lies under their centres."""
    n = result.index.n_tiles
    hit = np.zeros(n, bool)
    hit[result.hits] = True
    searched = np.ones(n, bool) if result.region_mask is None else result.region_mask
    if result.index.grid == grid:
        return Aligned(result.scores, searched, hit)
    under = result.index.grid.tile_at(*grid.centers)
    there = under >= 0
    return Aligned(result.scores[under], searched[under] & there, hit[under] & there)


@lru_cache(maxsize=2)
def tile_patches(grid: Grid) -> NDArray[np.int64]:
    """Return the number of the patch of ground that each tile lies in, (n_tiles,)."""
    return patch_numbers(*grid.centers)


def area_percentiles(
    scores: NDArray[np.floating], areas: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the share of the area with lower scores, equal scores counted half, 0..1, (n,).

    What `mars_map.analysis.effects.Ground.standing` tells from -1 to 1 of any values; of the ground
    itself one sort tells it.
    """
    order = np.argsort(scores)
    ascending = scores[order]
    below = np.concatenate([[0.0], np.cumsum(areas[order])])
    first = np.concatenate([[True], ascending[1:] != ascending[:-1]])
    starts = np.append(np.flatnonzero(first), len(scores))
    # The middle of each group of equal scores.
    middles = (below[starts[:-1]] + below[starts[1:]]) / (2 * below[-1])
    percentiles = np.empty(len(scores))
    percentiles[order] = np.repeat(middles, np.diff(starts))
    return percentiles


def rank_correlation(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    areas: NDArray[np.float64],
    patches: NDArray[np.int64],
) -> Correlation | None:
    """Return Spearman's correlation of two rankings and its interval by block bootstrap.

    first, second: percentiles of the tiles, (n,). areas: weights, (n,). patches: number of the
    patch that each lies in, (n,). None for under 3 tiles and where one ranking has no order.
    """
    if len(first) < 3:
        return None
    _, places = np.unique(patches, return_inverse=True)
    n = int(places.max()) + 1
    # What the correlation needs of each patch: six sums, so that a draw costs next to nothing.
    terms = (np.ones_like(first), first, second, first**2, second**2, first * second)
    sums = np.stack([np.bincount(places, areas * term, minlength=n) for term in terms])
    value = _pearson(sums.sum(1))
    if not np.isfinite(value):
        return None
    effective = float(sums[0].sum() ** 2 / (sums[0] ** 2).sum())
    if effective < MIN_PATCHES:
        return Correlation(float(value), None, None)
    draws = np.random.default_rng(_SEED).multinomial(n, np.full(n, 1 / n), RESAMPLES)
    values = _pearson(sums @ draws.T)
    low, high = np.nanquantile(values, tails(effective))
    return Correlation(float(value), float(low), float(high))


def compared_table(
    comparison: Comparison, which: Which, date: datetime | None = None
) -> "GeoDataFrame":
    """Return the hits of both queries, or of one alone, with `COLUMNS` and their outlines.

    CRS is IAU_2015:49900. date: what to write into the column; now if not given.
    """
    import geopandas as gpd

    from mars_map.planet.sphere import mars_crs

    tiles = comparison.hits(which)
    places, outlines = place_columns(comparison.grid, tiles)
    scores = [side.scores[tiles].astype(np.float64).round(DIGITS) for side in comparison.sides]
    shares = (100 * comparison.percentiles[:, tiles].astype(np.float64)).round(3)
    columns = {
        "rank": np.arange(1, len(tiles) + 1, dtype=np.int32),
        "pct_a": shares[0],
        "pct_b": shares[1],
        "score_a": scores[0],
        "score_b": scores[1],
        **places,
        "query_b": comparison.b.query.label,
        **origin_columns(comparison.a, date),
    }
    return gpd.GeoDataFrame(columns, geometry=outlines, crs=mars_crs())


def _pearson(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation from weighted sums of 1, x, y, x^2, y^2 and xy, (6, ...)."""
    weight, x, y, xx, yy, xy = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = xy / weight - x * y / weight**2
        variances = (xx / weight - (x / weight) ** 2) * (yy / weight - (y / weight) ** 2)
        return np.where(variances > 1e-18, covariance / np.sqrt(variances), np.nan)
