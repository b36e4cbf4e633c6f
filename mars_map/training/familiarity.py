"""Which words a trained encoder knows, and where known words end.

The limits are set on one half of the `unseen` wordings of the glossary, which must be accepted, and
of the words of unknown.toml, which must not; the other half is counted. A wording's half follows
from its hash.
"""

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mars_map.encoders.compact import CompactTextEncoder
from mars_map.search.vocabulary import (
    Likeness,
    TooSmall,
    Vocabulary,
    split_parts,
    vocabulary_words,
)
from mars_map.training.texts import Glossary

STOLEN = 0.02
"""Most of the unseen wordings that may be taken for something too small."""
TEMPERATURES = (0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07)
"""Of the softmax over landforms by which words are read; the best of these is taken."""


@dataclass(frozen=True)
class Unknown:
    """Words that are never taught."""

    never: dict[str, tuple[str, ...]]
    """Lists of words for no landform of Mars, by kind."""
    too_small: dict[str, dict[str, Any]]
    """Things below the resolution: `name`, `words`, `size`, `data`."""

    @classmethod
    def load(cls) -> "Unknown":
        """Read the lists of the package."""
        path = Path(__file__).with_name("unknown.toml")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        never = {kind: tuple(entry["words"]) for kind, entry in table["never"].items()}
        return cls(never, table["too_small"])

    @property
    def small_words(self) -> list[tuple[int, str]]:
        """The number of each small thing with each of its wordings."""
        entries = enumerate(self.too_small.values())
        return [(i, words) for i, entry in entries for words in entry["words"]]


@dataclass(frozen=True)
class Words:
    """All wordings of the glossary and of unknown.toml, compared with what is taught."""

    vocabulary: Vocabulary
    """With limits that let everything through."""
    unseen: list[tuple[int, str]]
    """The number of each landform with each of its unseen wordings."""
    never: list[tuple[str, str]]
    """The kind of each list with each of its words."""
    likeness: Likeness
    """Of those, of the small things, and of the parts of all of them."""
    small: list[str]
    """Wordings of the small things."""

    @classmethod
    def of(cls, encoder: CompactTextEncoder, glossary: Glossary, unknown: Unknown) -> "Words":
        """Encode everything once."""
        encode = encoder.encode_sentences
        taught = [(i, w) for i, key in enumerate(glossary.keys) for w in glossary.trained[key]]
        wordings = [w for _, w in taught]
        words = vocabulary_words(wordings)
        small = [w for _, w in unknown.small_words]
        vocabulary = Vocabulary(
            wordings=tuple(wordings),
            landforms=np.array([i for i, _ in taught], np.int64),
            vectors=encode(wordings),
            words=words,
            word_vectors=encode(words),
            small=tuple(
                TooSmall(entry["name"], entry["size"], entry["data"])
                for entry in unknown.too_small.values()
            ),
            small_wordings=np.array([i for i, _ in unknown.small_words], np.int64),
            small_vectors=encode(small),
            threshold=0.0,
            small_margin=2.0,
            temperature=0.03,
        )
        unseen = [(i, w) for i, key in enumerate(glossary.keys) for w in glossary.unseen[key]]
        never = [(kind, w) for kind, ws in unknown.never.items() for w in ws]
        texts = dict.fromkeys([w for _, w in unseen] + [w for _, w in never] + small)
        parts = dict.fromkeys(part for text in texts for part in parts_of(text))
        likeness = vocabulary.likeness([*texts, *(p for p in parts if p not in texts)], encoder)
        return cls(vocabulary, unseen, never, likeness, small)

    def values(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the likeness by which each text is accepted or not."""
        return np.array([self.vocabulary.reading(t, self.likeness).likeness for t in texts])

    def rows(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the rows of `likeness` of some texts."""
        return np.array([self.likeness.texts.index(text) for text in texts], np.int64)


def set_limits(words: Words) -> tuple[Vocabulary, dict[str, Any]]:
    """Set what counts as known on one half of all lists, and count the other half.

    Returns the vocabulary with its limits, and them with the counts as plain values.
    """
    told = _Told.of(words)
    unseen, never = told.sets_unseen, told.sets_never
    each, right = told.each[unseen], told.right[unseen]
    limits = {
        "threshold": _best_threshold(told.unseen[unseen], told.never[never]),
        "small_margin": round(float(np.quantile(told.stolen[unseen], 1 - STOLEN)), 3),
        "temperature": min(TEMPERATURES, key=lambda t: _surprise(each / t, right)),
    }
    counted = _count_other_half(words, told, limits["threshold"], limits["small_margin"])
    return replace(words.vocabulary, **limits), {**limits, "other_half": counted}


@dataclass(frozen=True)
class _Told:
    """What the limits are set by, and counted on."""

    unseen: NDArray[np.float64]
    """Likeness by which each unseen wording is accepted or not, (n_unseen,)."""
    never: NDArray[np.float64]
    """The same of the words that are never taught, (n_never,)."""
    stolen: NDArray[np.float64]
    """How much more each unseen wording is like a small thing than like what is taught."""
    each: NDArray[np.float64]
    """Likeness of the unseen wordings with the landforms, (n_unseen, n_landforms)."""
    right: NDArray[np.int64]
    """The landform of each unseen wording, (n_unseen,)."""
    sets_unseen: NDArray[np.bool_]
    """Which unseen wordings set the limits; the others are counted."""
    sets_never: NDArray[np.bool_]
    """Which of the words that are never taught do."""

    @classmethod
    def of(cls, words: Words) -> "_Told":
        """Read all lists."""
        unseen, never = [w for _, w in words.unseen], [w for _, w in words.never]
        rows = words.rows(unseen)
        taught = words.likeness.taught[rows]
        return cls(
            words.values(unseen),
            words.values(never),
            words.likeness.small[rows].max(1) - taught.max(1),
            words.vocabulary.by_landform(taught),
            np.array([i for i, _ in words.unseen]),
            _halves(unseen),
            _halves(never),
        )


def _count_other_half(words: Words, told: _Told, threshold: float, margin: float) -> dict[str, Any]:
    """Return how the half of the lists that set no limits fares with them."""
    unseen, never = ~told.sets_unseen, ~told.sets_never
    small = ~_halves(words.small)
    order = np.argsort(-told.each[unseen], axis=1)
    places = (order == told.right[unseen][:, None]).argmax(1)
    kinds = np.array([kind for kind, _ in words.never])
    accepted = told.never >= threshold
    return {
        "unseen_accepted": _rate(told.unseen[unseen] >= threshold),
        "never_accepted": _rate(accepted[never]),
        "never_accepted_by_kind": {
            kind: _rate(accepted[never & (kinds == kind)]) for kind in dict.fromkeys(kinds.tolist())
        },
        "too_small_recognised": _rate(_small_kept_apart(words, margin)[small]),
        "unseen_taken_for_too_small": _rate(told.stolen[unseen] >= margin),
        "unseen_read_right_first": _rate(places == 0),
        "unseen_read_right_of_three": _rate(places < 3),
        "unseen_counted": int(unseen.sum()),
        "never_counted": int(never.sum()),
        "too_small_counted": int(small.sum()),
    }


def _small_kept_apart(words: Words, margin: float) -> NDArray[np.bool_]:
    """Tell which wordings of small things would be recognised by the other ones alone."""
    rows = words.rows(words.small)
    like = words.likeness.small[rows].copy()
    np.fill_diagonal(like, -1.0)
    return like.max(1) >= words.likeness.taught[rows].max(1) + margin


def _best_threshold(known: NDArray, unknown: NDArray) -> float:
    """Return the limit at which fewest known values are refused and unknown ones accepted."""
    values = np.unique(np.concatenate([known, unknown]))
    middles = (values[1:] + values[:-1]) / 2
    cost = [(known < m).mean() + (unknown >= m).mean() for m in middles]
    best = middles[np.flatnonzero(cost == np.min(cost))]
    return round(float(best[len(best) // 2]), 3)


def _surprise(logits: NDArray, right: NDArray[np.int64]) -> float:
    """Return the mean negative log probability of the right columns under a softmax."""
    top = logits.max(1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(1)) + top[:, 0]
    return float((total - logits[np.arange(len(right)), right]).mean())


def _halves(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which texts are in the half that sets the limits."""
    return np.array([hashlib.sha256(text.encode()).digest()[0] % 2 == 0 for text in texts])


def _rate(hits: NDArray[np.bool_]) -> float | None:
    """Return the share of hits, to four places; None of none."""
    return round(float(hits.mean()), 4) if len(hits) else None


def parts_of(text: str) -> list[str]:
    """Return the parts of a query that are read one by one; none for a single one."""
    return [part for part, _ in split_parts(text)]
