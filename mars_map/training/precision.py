"""Curves that turn scores into probabilities, as a calibration holds them.

Fitted on validation tiles whose label is known (1 or 0; -1 is left out), see
`mars_map.training.hierarchy`. A bootstrap over the blocks was tried first: with thirteen patches
of validation ground, most landforms in three or fewer of them, its 90 % intervals held the truth of
held-out patches in 45 to 50 % of the cases. Choices were made on validation patches left out of the
fit and on training ground, where curves with an effect of each patch had a quarter more error.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mars_map.search.calibration import Landform
from mars_map.training.hierarchy import Counts, Curves
from mars_map.training.texts import Glossary

LEAST_TILES, LEAST_PATCHES = 30, 3
"""A landform in fewer validation tiles or patches is said to rest on the others."""
PLANET_TILES = 3000.0
"""Tiles of the planet that count beside those of the validation blocks when it is told how common a
landform is there: a few neighbouring patches hold none of most landforms by chance."""


@dataclass(frozen=True)
class Blocks:
    """Tiles of some blocks."""

    vectors: NDArray[np.float32]
    """Unit vectors, (n, dim)."""
    labels: NDArray[np.int8]
    """1, 0 or -1 for each landform, (n, n_landforms)."""
    patches: NDArray[np.int64]
    """Number of each tile's patch on the planet, (n,)."""
    places: NDArray[np.int64]
    """The same, numbered from 0 among those that are here."""

    @classmethod
    def of(
        cls, vectors: NDArray, labels: NDArray, patches: NDArray, mask: NDArray[np.bool_]
    ) -> "Blocks":
        """Take the tiles of a mask."""
        _, places = np.unique(patches[mask], return_inverse=True)
        return cls(vectors[mask], labels[mask], patches[mask], places)

    def part(self, mask: NDArray[np.bool_]) -> "Blocks":
        """Take some of the tiles."""
        return Blocks.of(self.vectors, self.labels, self.patches, mask)


def landforms_of(
    glossary: Glossary, curves: Curves, base: NDArray[np.float64], counts: Counts
) -> tuple[Landform, ...]:
    """Put the curves into plain values.

    base: share of the planet's tiles with each landform, (n,). Validation blocks hold more or less
    of it than the planet, and by as much the planet's tiles of the same score are less or more
    likely to show it: Bayes' rule with other odds beforehand (Saerens, Latinne & Decaestecker 2002,
    doi 10.1162/089976602753284446).
    """
    examples = examples_of(counts)
    known, present = counts.known.sum((1, 2)), counts.present.sum((1, 2))
    there = (present + PLANET_TILES * base) / (known + PLANET_TILES)
    means = curves.mean + np.stack([logit(base) - logit(there), np.zeros(len(base))], axis=1)
    factors = np.linalg.cholesky(curves.covariance)
    return tuple(
        Landform(
            key=key,
            name=glossary.trained[key][0],
            base_rate=round(float(base[i]), 6),
            curve=_rounded(means[i]),
            spread=_rounded(factors[i][np.tril_indices(2)]),
            scatter=round(float(curves.scatter[i]), 4),
            pooled=(
                examples[i]["positives"] < LEAST_TILES or examples[i]["patches"] < LEAST_PATCHES
            ),
        )
        for i, key in enumerate(glossary.keys)
    )


def examples_of(counts: Counts) -> list[dict[str, int]]:
    """Return how many validation tiles and patches show each landform."""
    tiles, patches = counts.present.sum((1, 2)), (counts.present.sum(2) > 0).sum(1)
    return [{"positives": int(n), "patches": int(k)} for n, k in zip(tiles, patches, strict=True)]


def base_rates(labels: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the share of tiles that show each landform among those known, never 0 or 1."""
    return ((labels == 1).sum(0) + 1.0) / ((labels >= 0).sum(0) + 100.0)


def logit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the odds of probabilities between 0 and 1."""
    return np.log(p / (1 - p))


def _rounded(values: NDArray) -> tuple[float, ...]:
    return tuple(round(float(v), 4) for v in values)
