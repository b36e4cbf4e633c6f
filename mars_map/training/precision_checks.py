"""How well estimates of precision stand up to ground that they were not fitted on.

Landforms are asked for in trained and unseen wordings and two at a time, as the engine would ask;
the labels tell which hits are right.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mars_map.encoders.compact import CompactTextEncoder
from mars_map.encoders.prompts import DEFAULT_PROMPTS, average_vectors, fill_prompts
from mars_map.search.calibration import Calibration
from mars_map.search.vocabulary import Term, Vocabulary
from mars_map.training.familiarity import parts_of
from mars_map.training.hierarchy import Counts, fit_curves
from mars_map.training.precision import Blocks, landforms_of, logit
from mars_map.training.texts import Glossary

FOLDS, SHUFFLES = 5, 2
"""Parts that the validation patches are left out in, and how many times they are dealt."""
TOP_SHARES = (0.003, 0.02)
"""Shares of the tiles that count as hits in a check; 500 hits of the planet are 0.003."""
LEAST_HITS = 10
"""Fewest hits that a check counts; ground with less than ten times as many tiles is passed over."""
CHECK_WORDINGS = 3
"""Wordings of a landform that are checked, of the trained and of the unseen."""
CHECK_JOINTS = 100
"""Queries for two landforms that are checked on each part of the ground."""
TOGETHER = 200
"""Tiles in which two landforms occur together if such queries ask for them."""


@dataclass(frozen=True)
class Question:
    """A query whose true answer the labels tell."""

    kind: str
    """trained, unseen or joined: how its words were found."""
    text: str
    """The words."""
    columns: tuple[int, ...]
    """The landforms that are asked for together."""


@dataclass(frozen=True)
class Queries:
    """The queries of a check, read and encoded as the engine would."""

    prototypes: NDArray[np.float32]
    """The mean vector of each landform's trained wordings, (n_landforms, dim), length 1."""
    questions: tuple[Question, ...]
    """What is asked; words that are not known are left out."""
    vectors: NDArray[np.float32]
    """What the engine searches for, (n_questions, dim)."""
    terms: tuple[tuple[Term, ...], ...]
    """What it reads."""

    @classmethod
    def of(
        cls,
        encoder: CompactTextEncoder,
        glossary: Glossary,
        vocabulary: Vocabulary,
        pairs: NDArray[np.int64],
    ) -> "Queries":
        """Put queries together. pairs: columns of landforms that occur together, (n, 2)."""
        vectors = _query_vectors(encoder, [w for ws in glossary.trained.values() for w in ws])
        ends = np.cumsum([len(wordings) for wordings in glossary.trained.values()])
        prototypes = np.stack([average_vectors(part) for part in np.split(vectors, ends[:-1])])
        asked = list(_questions(glossary, pairs, np.random.default_rng(0)))
        likeness = vocabulary.likeness(
            list(dict.fromkeys(t for q in asked for t in (q.text, *parts_of(q.text)))),
            encoder,
        )
        readings = [vocabulary.reading(question.text, likeness) for question in asked]
        known = [(q, r.terms) for q, r in zip(asked, readings, strict=True) if r.terms]
        questions = tuple(question for question, _ in known)
        return cls(
            prototypes,
            questions,
            _query_vectors(encoder, [question.text for question in questions]),
            tuple(terms for _, terms in known),
        )


def _query_vectors(encoder: CompactTextEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the vectors that the engine would search for, (n, dim)."""
    filled = [prompt for text in texts for prompt in fill_prompts(DEFAULT_PROMPTS, text)]
    vectors = encoder.encode_text(filled).reshape(len(texts), len(DEFAULT_PROMPTS), -1)
    return np.stack([average_vectors(each) for each in vectors])


def _questions(
    glossary: Glossary, pairs: NDArray[np.int64], random: np.random.Generator
) -> Iterator[Question]:
    """Ask for landforms in trained and unseen wordings, and for two at once."""
    for column, key in enumerate(glossary.keys):
        for kind, wordings in (("trained", glossary.trained), ("unseen", glossary.unseen)):
            for text in random.permutation(wordings[key])[:CHECK_WORDINGS].tolist():
                yield Question(kind, text, (column,))
    for pair in random.permutation(pairs)[:CHECK_JOINTS].tolist():
        said = [str(random.choice(glossary.trained[glossary.keys[i]])) for i in pair]
        yield Question("joined", " and ".join(said), tuple(pair))


def landforms_together(labels: NDArray[np.int8]) -> NDArray[np.int64]:
    """Return the columns of landforms that are present together in `TOGETHER` tiles, (n, 2)."""
    present = (labels == 1).astype(np.float32)
    return np.argwhere(np.triu(present.T @ present, 1) >= TOGETHER)


@dataclass(frozen=True)
class Outcome:
    """An estimate beside the truth."""

    kind: str
    """Of the question."""
    share: float
    """Of the tiles that count as hits."""
    estimate: float
    """Share of the hits that is expected to be right, 0 to 1, as are the next three."""
    low: float
    """Lower end of the interval."""
    high: float
    """Its upper end."""
    truth: float
    """Share that is right by the labels."""


def check_left_out(
    final: Calibration,
    glossary: Glossary,
    queries: Queries,
    ground: Blocks,
    counts: Counts,
    base: NDArray[np.float64],
) -> dict[str, Any]:
    """Fit on all validation patches but some, estimate on those, and compare."""
    random = np.random.default_rng(1)
    outcomes: list[Outcome] = []
    n_patches = int(ground.places.max()) + 1
    for _ in range(SHUFFLES):
        dealt = random.permutation(n_patches)
        for fold in range(min(FOLDS, n_patches)):
            out = dealt[fold::FOLDS]
            rest = counts.without(out)
            curves = fit_curves(rest, logit(base))
            fitted = replace(final, landforms=landforms_of(glossary, curves, base, rest))
            outcomes += check_precision(fitted, queries, ground.part(np.isin(ground.places, out)))
    return summarise(outcomes)


def check_precision(calibration: Calibration, queries: Queries, ground: Blocks) -> list[Outcome]:
    """Estimate the precision of the queries' hits on some ground, and count the truth."""
    outcomes = []
    asked = zip(queries.questions, queries.vectors, queries.terms, strict=True)
    for question, vector, terms in asked:
        some = ground.labels[:, question.columns]
        truth = np.where((some == 0).any(1), 0, some.min(1))
        known = np.flatnonzero(truth >= 0)
        if len(known) < 10 * LEAST_HITS:
            continue
        best = known[np.argsort(-(ground.vectors[known] @ vector), kind="stable")]
        for share in TOP_SHARES:
            hits = best[: max(round(share * len(known)), LEAST_HITS)]
            found = calibration.precision(
                ground.vectors[hits], ground.patches[hits], terms, len(hits)
            )
            right = float((truth[hits] == 1).mean())
            outcomes.append(Outcome(question.kind, share, *found, right))
    return outcomes


def summarise(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return how often the interval held, by kind of query and share of tiles."""
    rows: dict[str, Any] = {}
    for kind in dict.fromkeys(o.kind for o in outcomes):
        for share in TOP_SHARES:
            some = [o for o in outcomes if (o.kind, o.share) == (kind, share)]
            values = np.array([[o.estimate, o.low, o.high, o.truth] for o in some])
            value, low, high, truth = values.T
            # Both are shares of few tiles: half a thousandth apart is the same.
            held = (truth >= low - 5e-4) & (truth <= high + 5e-4)
            rows[f"{kind}, best {share:.1%}"] = {
                "queries": len(some),
                "interval_holds": round(float(held.mean()), 3),
                "mean_estimate": round(float(value.mean()), 3),
                "mean_truth": round(float(truth.mean()), 3),
                "mean_error": round(float(np.abs(value - truth).mean()), 3),
                "mean_width": round(float((high - low).mean()), 3),
            }
    return rows
