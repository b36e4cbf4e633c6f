"""The questions of landform retrieval, and the figures of their answers.

`mars_map.evaluation.landforms` tells the rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from mars_map.evaluation.bootstrap import resamples, weighted_mean
from mars_map.evaluation.labelled import Sample
from mars_map.evaluation.ranking import (
    FIGURES,
    best_first,
    chance_figures,
    group_order,
    ranking_figures,
)

CHANCE_DRAWS = 1000
"""Random orders from which the chance of figures by observation is taken."""
_CHANCE_SEED = 2
_CHUNK = 256
"""Pictures that ask at a time; bounds memory to some 100 MB at 20,000 pictures."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures that take part, as numbers."""

    vectors: NDArray[np.float32]
    """Unit vectors, (n, dim)."""
    labels: tuple[str, ...]
    """Names of the classes, sorted."""
    label: NDArray[np.int64]
    """Class of each picture, (n,)."""
    observation: NDArray[np.int64]
    """Observation of each picture, (n,)."""
    group: NDArray[np.int64]
    """Pair of observation and class of each picture, (n,)."""
    group_label: NDArray[np.int64]
    """Class of each group, (n_groups,)."""
    group_observation: NDArray[np.int64]
    """Observation of each group, (n_groups,)."""

    @classmethod
    def of(cls, samples: Sequence[Sample], vectors: NDArray[np.float32]) -> Self:
        """Number the classes and observations of pictures with vectors (n, dim)."""
        labels, label = np.unique([s.label for s in samples], return_inverse=True)
        _, observation = np.unique([s.observation for s in samples], return_inverse=True)
        n = max(len(labels), 1)
        groups, group = np.unique(observation * n + label, return_inverse=True)
        names = tuple(str(name) for name in labels)
        return cls(vectors, names, label, observation, group, groups % n, groups // n)

    @property
    def n(self) -> int:
        """Number of pictures."""
        return len(self.label)

    @property
    def n_observations(self) -> int:
        """Number of observations."""
        return len(np.unique(self.observation))


class Answers(NamedTuple):
    """Figures of one class in the order of `FIGURES`, and what their intervals are made from."""

    values: NDArray[np.float64]
    """(4,); NaN where nothing was asked."""
    chance: NDArray[np.float64]
    """(4,)."""
    draws: NDArray[np.float64]
    """Figures of the bootstrap's draws, (RESAMPLES, 4); NaN where a draw has none."""


class Curve(NamedTuple):
    """Means over the questions of a class, by picture, at every number k of best pictures."""

    precision: NDArray[np.float64]
    """Share of the k best that are relevant, (n,)."""
    recall: NDArray[np.float64]
    """Share of the relevant that are among the k best, (n,)."""


class Outcome(NamedTuple):
    """How one class was found."""

    by_picture: Answers
    """Every picture an item."""
    by_observation: Answers
    """Every observation's pictures of a class one item."""
    n_queries: int
    """Number of questions."""
    curve: Curve | None
    """None where nothing was asked."""


def ask_by_vectors(
    pictures: Pictures, labels: Sequence[int], vectors: NDArray[np.float32]
) -> list[Outcome]:
    """Ask for each class with one vector, (len(labels), dim)."""
    order = best_first(vectors @ pictures.vectors.T)
    groups = group_order(order, pictures.group)
    wanted = np.asarray(labels)[:, None]
    found = pictures.label[order] == wanted
    found_groups = pictures.group_label[groups] == wanted
    draws = _redrawn(found, pictures.observation[order])
    group_draws = _redrawn(found_groups, pictures.group_observation[groups])
    values, group_values = ranking_figures(found), ranking_figures(found_groups)
    return [
        Outcome(
            Answers(values[i], chance_figures(pictures.n, int(found[i].sum())), draws[i]),
            Answers(group_values[i], _group_chance(pictures, label), group_draws[i]),
            1,
            _curve(found[i : i + 1], np.array([pictures.n])),
        )
        for i, label in enumerate(labels)
    ]


def ask_by_pictures(pictures: Pictures, label: int) -> Outcome:
    """Ask for a class with each of its pictures that has another of its class elsewhere."""
    members = np.flatnonzero(pictures.label == label)
    beside = np.bincount(pictures.observation[members], minlength=pictures.observation.max() + 1)
    queries = members[len(members) > beside[pictures.observation[members]]]
    if not len(queries):
        nothing = np.full(len(FIGURES), np.nan)
        empty = Answers(nothing, nothing, np.zeros((0, len(FIGURES))))
        return Outcome(empty, empty, 0, None)
    parts = [
        _asked_by(pictures, label, queries[start : start + _CHUNK])
        for start in range(0, len(queries), _CHUNK)
    ]
    values, group_values, chance = (np.concatenate([p[i] for p in parts]) for i in range(3))
    weights = np.array([len(p.values) for p in parts])
    curve = Curve(
        *(weighted_mean(np.stack([p.curve[i] for p in parts]), weights) for i in range(2))
    )
    _, observation = np.unique(pictures.observation[queries], return_inverse=True)
    # Each observation once: the mean within it first.
    n = int(observation.max()) + 1
    once = np.stack([weighted_mean(group_values, observation == o) for o in range(n)])
    return Outcome(
        Answers(values.mean(axis=0), chance.mean(axis=0), _reweighted(values, observation)),
        Answers(
            once.mean(axis=0),
            _group_chance(pictures, label, leave_own=True),
            _reweighted(once, np.arange(n)),
        ),
        len(queries),
        curve,
    )


class _Asked(NamedTuple):
    """The answers to some pictures."""

    values: NDArray[np.float64]
    group_values: NDArray[np.float64]
    chance: NDArray[np.float64]
    curve: Curve


def _asked_by(pictures: Pictures, label: int, queries: NDArray[np.int64]) -> _Asked:
    own = pictures.observation[queries][:, None]
    scores = pictures.vectors[queries] @ pictures.vectors.T
    # The own observation goes to the end of the ranking, where it is relevant to nothing.
    scores[own == pictures.observation] = -np.inf
    order = best_first(scores)
    elsewhere = pictures.observation[order] != own
    found = (pictures.label[order] == label) & elsewhere
    groups = group_order(order, pictures.group)
    found_groups = (pictures.group_label[groups] == label) & (
        pictures.group_observation[groups] != own
    )
    n_items = elsewhere.sum(axis=1)
    chance = [
        chance_figures(int(n), int(r)) for n, r in zip(n_items, found.sum(axis=1), strict=True)
    ]
    return _Asked(
        ranking_figures(found),
        ranking_figures(found_groups),
        np.array(chance),
        _curve(found, n_items),
    )


def _curve(found: NDArray[np.bool_], n_items: NDArray[np.int64]) -> Curve:
    """Return the means over rankings (q, n), of which the first n_items, (q,), count."""
    hits = np.cumsum(found, axis=1)
    k = np.minimum(np.arange(1, found.shape[1] + 1), n_items[:, None])
    return Curve((hits / k).mean(axis=0), (hits / hits[:, -1:]).mean(axis=0))


def _redrawn(found: NDArray[np.bool_], observation: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the figures of rankings whose observations are drawn anew, (q, RESAMPLES, 4).

    found, observation: (q, n), best item first. An item whose observation is drawn twice stands
    there twice.
    """
    rows = list(zip(found, observation, strict=True))
    draws = [
        [ranking_figures(np.repeat(row, times[seen])[None])[0] for row, seen in rows]
        for times in resamples(np.arange(observation.max() + 1))
    ]
    return np.array(draws).transpose(1, 0, 2)


def _reweighted(values: NDArray[np.float64], observation: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the means of figures (q, 4) whose observations, (q,), are drawn anew."""
    return np.array([weighted_mean(values, times) for times in resamples(observation)])


def _group_chance(
    pictures: Pictures, label: int, *, leave_own: bool = False
) -> NDArray[np.float64]:
    """Return the mean figures by observation of random orders of the pictures, (4,).

    leave_own: an observation with the class, another in every draw, asks and is left out.
    """
    holders = pictures.group_observation[pictures.group_label == label]
    if pictures.n == pictures.n_observations:
        # Every picture is an item of its own: then the expectation is known.
        return chance_figures(pictures.n - leave_own, len(holders) - leave_own)
    random = np.random.default_rng(_CHANCE_SEED)
    draws = []
    for _ in range(CHANCE_DRAWS):
        order = group_order(random.permutation(pictures.n)[None], pictures.group)[0]
        found = pictures.group_label[order] == label
        if leave_own:
            found = found[pictures.group_observation[order] != random.choice(holders)]
        draws.append(ranking_figures(found[None])[0])
    return np.mean(draws, axis=0)
