"""How many hits: scores of all tiles as a histogram, and where to cut it.

A query's tiles are those that its region and filters leave. For every edge between two bins the
histogram tells how many of them score at least that much and how much ground they cover, so that a
slider shows both without asking again. Two places in it stand out:

- The *knee*, where the ranking levels off into common ground: Kneedle (Satopää et al. 2011, doi
  10.1109/ICDCSW.2011.20, by the library `kneed`) on the score as a function of rank, from the best
  tile to the median. It says nothing about right and wrong.
- The *even cut*, down to which at least half of the hits are expected to be right by the model's
  calibration, as `Engine.estimate` expects it. There is none without a calibration.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mars_map.search.calibration import Precision
from mars_map.search.engine import Result
from mars_map.search.query import MAX_TOP_K
from mars_map.search.scoring import best_tiles, leave_out

BINS = 250
"""About how many bins a histogram has; their width is a round number."""
KNEE_TILES = 100
"""Fewest tiles in whose ranking a knee means anything."""
CUTS = (30, 100, 300, 1000, 2000, 5000, 10_000, 20_000)
"""Numbers of hits for which the share of right ones is estimated."""
EVEN = 0.5
"""Expected share of right hits at the even cut."""


class Cut(NamedTuple):
    """Hits down to a score."""

    threshold: float
    """The least score of a hit."""
    tiles: int
    """How many tiles score as much or more."""
    km2: float
    """The area that they cover, square kilometres."""

    def to_dict(self) -> dict[str, float]:
        """Return plain values for JSON; the area to whole square kilometres."""
        return {"threshold": self.threshold, "tiles": self.tiles, "km2": round(self.km2)}


class Expected(NamedTuple):
    """How many of the best hits are expected to be right."""

    cut: Cut
    precision: Precision


@dataclass(frozen=True, eq=False)
class Histogram:
    """The scores of a result's candidates: the tiles that could be its hits."""

    result: Result
    """The result."""
    edges: NDArray[np.float64]
    """Rising borders of the bins, round numbers, (n + 1,)."""
    counts: NDArray[np.int64]
    """Candidates in each bin, (n,); the lower border belongs to a bin."""
    tiles: NDArray[np.int64]
    """Candidates that score at least each edge, (n + 1,)."""
    km2: NDArray[np.float64]
    """The area that they cover, square kilometres, (n + 1,)."""

    @cached_property
    def ranking(self) -> NDArray[np.int64]:
        """The best candidates by number, best first, at most `MAX_TOP_K`."""
        return best_tiles(self.result.scores, MAX_TOP_K, allowed=candidates(self.result))

    @property
    def cut(self) -> Cut | None:
        """Where the result's hits end; None without hits."""
        return self._cut_after(len(self.result.hits)) if len(self.result.hits) else None

    @cached_property
    def knee(self) -> Cut | None:
        """Where the ranking levels off, at an edge; None for few tiles and where it never does."""
        place = knee_place(self.tiles, self.edges)
        return None if place is None else self._cut_at(place)

    @cached_property
    def expected(self) -> tuple[Expected, ...]:
        """What to expect of the best 30, 100, ... hits; empty without a calibration.

        Raises ModelError for a calibration that cannot be read.
        """
        found = []
        for n in self._cut_sizes():
            # The same estimate as beside the hits, which depends on the hits alone.
            asked = self.result.query.with_(top_k=n, threshold=None)
            estimate = replace(self.result, query=asked, hits=self.ranking[:n]).estimate
            if estimate is None or not estimate.is_known or estimate.precision is None:
                return ()
            found.append(Expected(self._cut_after(n), estimate.precision))
        return tuple(found)

    @property
    def even(self) -> Cut | None:
        """The lowest cut where at least half of the hits are expected right; None where none is.

        At an edge, unless hardly any tile scores so much.
        """
        n = even_count([(one.cut.tiles, one.precision.value) for one in self.expected])
        if n is None:
            return None
        place = int(np.argmax(self.tiles <= n))
        return self._cut_at(place) if self.tiles[place] else self._cut_after(n)

    def _cut_sizes(self) -> list[int]:
        """Return how many hits to look at: some numbers, all that can be, and those there are."""
        most = len(self.ranking)
        sizes = {*CUTS, most, len(self.result.hits)}
        return sorted(n for n in sizes if 0 < n <= most)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, as `/mars/histogram` answers."""
        knee, even, cut = self.knee, self.even, self.cut
        return {
            "edges": self.edges.tolist(),
            "counts": self.counts.tolist(),
            "tiles": self.tiles.tolist(),
            "km2": self.km2.round().tolist(),
            "threshold": self.result.query.threshold,
            "cut": cut.to_dict() if cut else None,
            "knee": knee.to_dict() if knee else None,
            "even": even.to_dict() if even else None,
            "expected": [one.cut.to_dict() | one.precision._asdict() for one in self.expected],
            "most": MAX_TOP_K,
        }

    def _cut_at(self, place: int) -> Cut:
        return Cut(float(self.edges[place]), int(self.tiles[place]), float(self.km2[place]))

    def _cut_after(self, n: int) -> Cut:
        """Return the cut after the best n hits; ties with the last are not counted."""
        best = self.ranking[:n]
        area = float(self.result.index.grid.areas_km2[best].sum())
        return Cut(float(self.result.scores[best[-1]]), n, area)


def histogram(result: Result) -> Histogram:
    """Return the histogram of the scores of all tiles that could be hits of a result."""
    allowed = candidates(result)
    places = slice(None) if allowed is None else np.flatnonzero(allowed)
    scores = result.scores[places]
    edges = round_edges(scores)
    # Compared as the ranking compares: a threshold counts in the precision of the scores.
    bins = np.searchsorted(edges.astype(np.float32), scores, side="right") - 1
    counts = np.bincount(bins, minlength=len(edges) - 1)
    areas = np.bincount(bins, result.index.grid.areas_km2[places], minlength=len(edges) - 1)
    return Histogram(
        result=result,
        edges=edges,
        counts=counts,
        tiles=np.append(counts[::-1].cumsum()[::-1], 0),
        km2=np.append(areas[::-1].cumsum()[::-1], 0.0),
    )


def candidates(result: Result) -> NDArray[np.bool_] | None:
    """Return which tiles could be hits, (n_tiles,); None for all.

    Those that region and filters leave, without the tiles that the query itself names as examples
    or as wrong.
    """
    query, grid = result.query, result.index.grid
    named = [grid.number_of(name) for name in (*query.tiles, *query.no)]
    return leave_out(result.region_mask, named, grid.n_tiles)


def count_above(result: Result, threshold: float) -> int:
    """Return how many tiles would be hits at a threshold if there were no top-k."""
    above = result.scores >= np.float32(threshold)
    allowed = candidates(result)
    return int((above if allowed is None else above & allowed).sum())


def round_edges(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return about `BINS` borders around scores whose distance is 1, 2 or 5 times a power of ten.

    Without scores from 0 to 1.
    """
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
    wanted = max((high - low) / BINS, 1e-5)
    power = 10.0 ** np.floor(np.log10(wanted))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= wanted * (1 - 1e-9))
    first, last = int(np.floor(low / step + 1e-6)), int(np.floor(high / step - 1e-6)) + 1
    # As float32 a score must lie between the outer borders.
    first -= np.float32(round(first * step, 9)) > low
    last += np.float32(round(last * step, 9)) <= high
    return np.round(np.arange(first, last + 1) * step, 9)


def knee_place(tiles: NDArray[np.int64], edges: NDArray[np.float64]) -> int | None:
    """Return at which edge the ranking levels off, None where it does not.

    tiles: candidates above each edge, (n,), falling; edges: scores, (n,), rising.
    """
    # Imported here: it brings SciPy's interpolation, which an answer does without.
    from kneed import KneeLocator

    total = int(tiles[0])
    if total < KNEE_TILES:
        return None
    # From the best tile to the median; empty bins repeat a rank.
    ranks, places = np.unique(tiles, return_index=True)
    upper = ranks <= total / 2
    ranks, places = ranks[upper], places[upper]
    if len(ranks) < 5:
        return None
    found = KneeLocator(
        ranks, edges[places], curve="convex", direction="decreasing", online=False
    ).knee
    return None if found is None else int(places[np.searchsorted(ranks, found)])


def even_count(expected: list[tuple[int, float]]) -> int | None:
    """Return the most hits of which at least half are expected to be right; None where none are.

    expected: numbers of hits, rising, with the share that is right; between them it is taken to
    change evenly with the logarithm of the number.
    """
    if not expected or max(share for _, share in expected) < EVEN:
        return None
    if expected[-1][1] >= EVEN:
        return expected[-1][0]
    for (few, before), (many, after) in reversed(list(pairwise(expected))):
        if before >= EVEN > after:
            part = (before - EVEN) / (before - after)
            return int(few * (many / few) ** part)
    return None
