"""The outcome of landform retrieval, for programs and for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mars_map.evaluation.bootstrap import interval
from mars_map.evaluation.embedding import LeftOut, by_reason, left_out_lines
from mars_map.evaluation.landform_questions import Answers, Curve, Outcome
from mars_map.evaluation.ranking import FIGURES, Estimate, mean_of_known

HEADINGS = {"map": "mAP", "r_precision": "R-prec", "ndcg_at_10": "nDCG@10", "hit_at_10": "hit@10"}
"""The figures' names in tables."""


@dataclass(frozen=True, eq=False)
class ClassFigures:
    """How well one class is found."""

    label: str
    """The class."""
    words: str | None
    """The words that asked for it; None where its pictures asked."""
    n_pictures: int
    """Pictures of the class."""
    n_observations: int
    """Observations that they are of."""
    outcome: Outcome
    """The figures as arrays, and the curve."""

    @property
    def by_picture(self) -> dict[str, Estimate]:
        """Figures by name, every picture an item."""
        return self._estimates(self.outcome.by_picture)

    @property
    def by_observation(self) -> dict[str, Estimate]:
        """Figures by name, every observation's pictures of a class one item."""
        return self._estimates(self.outcome.by_observation)

    @property
    def curve(self) -> Curve | None:
        """Precision and recall by picture; None where nothing was asked."""
        return self.outcome.curve

    def _estimates(self, answers: Answers) -> dict[str, Estimate]:
        estimates = {}
        for i, name in enumerate(FIGURES):
            # One observation says nothing of how figures vary between observations.
            ends = interval(answers.draws[:, i]) if self.n_observations > 1 else (None, None)
            value, chance = float(answers.values[i]), float(answers.chance[i])
            known = np.isfinite(value)
            estimates[name] = Estimate(value, chance, *ends) if known else Estimate()
        return estimates


@dataclass(frozen=True, eq=False)
class LandformReport:
    """The outcome, and everything that it is the outcome of."""

    data: str
    """Name of the folder or zip file."""
    model_id: str
    """Name of the model."""
    model_sha256: str
    """Hash of its weights, hex."""
    by: str
    """What asked: "text" or "image"."""
    n_pictures: int
    """Pictures that were ranked."""
    n_observations: int
    """Observations that they are of."""
    grouped: bool
    """Whether observations are known; each picture is one if not."""
    classes: Sequence[ClassFigures]
    """The classes that were asked for, by label."""
    not_asked: Sequence[str]
    """Labels that were ranked but not asked for."""
    left_out: Sequence[LeftOut]
    """What took no part."""

    def mean(self, which: str) -> dict[str, Estimate]:
        """Return the means over the classes with figures, by name.

        which: "by_picture" or "by_observation". A bootstrap draw without a picture of some class is
        the mean of the others.
        """
        answers = [getattr(c.outcome, which) for c in self.classes if c.outcome.n_queries]
        if not answers:
            return dict.fromkeys(FIGURES, Estimate())
        values = np.mean([a.values for a in answers], axis=0)
        chances = np.mean([a.chance for a in answers], axis=0)
        draws = mean_of_known(np.stack([a.draws for a in answers]))
        return {
            name: Estimate(float(values[i]), float(chances[i]), *interval(draws[:, i]))
            for i, name in enumerate(FIGURES)
        }

    def to_dict(self) -> dict[str, Any]:
        """Return one JSON-ready object.

        Keys: `task`, `data`, `model` (id, sha256), `by`, `n_pictures`, `n_observations`, `grouped`,
        `classes` (by label: words, n_pictures, n_observations, n_queries, by_picture,
        by_observation), `mean` (by_picture, by_observation), `not_asked`, `left_out` (names by
        reason). A figure is an object with value, chance, low and high, null where unknown.
        """
        return {
            "task": "landforms",
            "data": self.data,
            "model": {"id": self.model_id, "sha256": self.model_sha256},
            "by": self.by,
            "n_pictures": self.n_pictures,
            "n_observations": self.n_observations,
            "grouped": self.grouped,
            "classes": {c.label: _class_record(c) for c in self.classes},
            "mean": {
                which: _records(self.mean(which)) for which in ("by_picture", "by_observation")
            },
            "not_asked": list(self.not_asked),
            "left_out": by_reason(self.left_out),
        }

    def table(self) -> str:
        """Return the figures for people, lines that end in a line break."""
        of = f" of {self.n_observations:,} observations" if self.grouped else ""
        asked = "words" if self.by == "text" else "pictures, of other observations alone"
        besides = f"; not asked for: {', '.join(self.not_asked)}" if self.not_asked else ""
        lines = [
            f"pictures     {self.data}: {self.n_pictures:,}{of}",
            f"model        {self.model_id}",
            f"asked        each class by its {asked}{besides}",
            *left_out_lines(self.left_out),
            "",
            "Every picture an item; in brackets what a random order reaches.",
            *self._rows("by_picture"),
        ]
        if self.grouped:
            lines += [
                "",
                "Every observation's pictures of a class one item, the best of them.",
                *self._rows("by_observation"),
            ]
        return "\n".join(lines) + "\n"

    def _rows(self, which: str) -> list[str]:
        width = max(len(c.label) for c in self.classes) + 1
        head = " ".join(f"{HEADINGS[name]:>13}" for name in FIGURES)
        rows = [f"{'class':<{width}} pictures  observations {head}   95 % of mAP"]
        for c in self.classes:
            start = f"{c.label:<{width}} {c.n_pictures:>8,} {c.n_observations:>13,}"
            rows.append(f"{start} {_cells(getattr(c, which))}")
        rows.append(f"{'mean':<{width}} {'':>8} {'':>13} {_cells(self.mean(which))}")
        return rows


def _cells(estimates: Mapping[str, Estimate]) -> str:
    cells = [
        f"{e.value:.3f} ({e.chance:.3f})" if e.value is not None else "-"
        for e in estimates.values()
    ]
    first = estimates["map"]
    spread = f"{first.low:.3f} to {first.high:.3f}" if first.low is not None else "-"
    return " ".join(f"{cell:>13}" for cell in cells) + f"   {spread}"


def _records(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: estimate._asdict() for name, estimate in estimates.items()}


def _class_record(figures: ClassFigures) -> dict[str, Any]:
    return {
        "words": figures.words,
        "n_pictures": figures.n_pictures,
        "n_observations": figures.n_observations,
        "n_queries": figures.outcome.n_queries,
        "by_picture": _records(figures.by_picture),
        "by_observation": _records(figures.by_observation),
    }
