"""What a query means in the words that the encoder was taught, or that it was never taught them.

A query is compared with every taught wording in the sentence encoder's space, as a whole and word
by word. What is alike enough is read as the landforms of its nearest wordings; what is not is
unknown, or the name of something real that is too small for the data. Which likeness is enough was
set, and checked, when the model was calibrated (`mars_map.training.calibrate`).
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Familiarity = Literal["taught", "near", "too small", "unknown"]
"""taught: a wording that training used; near: alike enough to one; too small: the name of something
that the data cannot show; unknown: none of these."""


class SentenceEncoder(Protocol):
    """What is needed of a text encoder to know words from others."""

    def encode_sentences(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector for each text, (n, sentence_dim), before any training on Mars."""
        ...

    def has_word(self, word: str) -> bool:
        """Tell whether a word in lower case is one that the sentence encoder knows as a whole."""
        ...


NEAREST = 3
"""Wordings of a landform whose mean likeness counts beside that of the nearest; and most landforms
that a query is read as."""
LEAST_WEIGHT = 0.12
"""Landforms with a smaller share of a reading are left out of it."""
MAX_TERMS = 3
"""Most landforms that one query joins."""
SMALL_LIKENESS = 0.7
"""Least likeness to something too small; what is like nothing at all is no small thing either."""
SUGGESTED_LIKENESS = 0.5
"""Least cosine similarity of a wording that is suggested instead."""
SUGGESTED_LENGTH = 30
"""Most characters of such a wording; longer ones do not fit a button."""
TYPO_LIKENESS = 0.75
"""Least likeness of spelling, 0..1, at which a word may be a slip for a taught one."""

_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an the of in on at by with without within and or nor neither to from for into onto out "
        "over it its is are was be that this these those than as round around below under inside "
        "through very near next beside together not no but like where which there some any other "
        "another one across between up down all has have having",
    )
)
_JOINT = re.compile(
    r"\s*[,;+&]|\s+(?:no|nor|neither|without|but|and|or|with|next\s+to|near(?:\s+to)?|beside|"
    r"together|inside|within|in|on|at|below|above)(?=\s)"
)
_ABSENT = frozenset(("no", "nor", "neither", "without"))
_NEUTRAL = frozenset((",", ";", "+", "&", "and", "or"))


class TooSmall(NamedTuple):
    """Something real on Mars that the data are too coarse for."""

    name: str
    """What it is called, in the plural."""
    size: str
    """How large it is, in words."""
    data: str
    """What would show it."""


@dataclass(frozen=True)
class Term:
    """A part of a query, read as landforms of which it means one."""

    weights: dict[int, float]
    """Share of each landform, by number, the largest first; together 1."""
    present: bool = True
    """Whether it is to be there; False where the query says that it is not."""


@dataclass(frozen=True)
class Reading:
    """What a query means to the encoder."""

    familiarity: Familiarity
    """How well the words are known."""
    likeness: float
    """Likeness to what was taught, 0..1; of the least known part."""
    terms: tuple[Term, ...] = ()
    """The landforms that are asked for together; none for words that are not known."""
    suggestions: tuple[str, ...] = ()
    """Taught wordings that may have been meant, the most likely first."""
    spelling: str = ""
    """The words with slips of spelling mended; empty where there are none."""
    too_small: TooSmall | None = None
    """What the words name, where that is too small."""


@dataclass(frozen=True)
class Vocabulary:
    """The taught wordings and what is needed to compare other words with them."""

    wordings: tuple[str, ...]
    """Every trained wording."""
    landforms: NDArray[np.int64]
    """Number of the landform of each wording, (n_wordings,)."""
    vectors: NDArray[np.float32]
    """Unit vectors of the wordings, (n_wordings, sentence_dim)."""
    words: tuple[str, ...]
    """The single words of the wordings, without function words."""
    word_vectors: NDArray[np.float32]
    """Unit vectors of the words, (n_words, sentence_dim)."""
    small: tuple[TooSmall, ...]
    """Known things that are too small."""
    small_wordings: NDArray[np.int64]
    """Number of the small thing of each of its wordings, (n_small_wordings,)."""
    small_vectors: NDArray[np.float32]
    """Unit vectors of those wordings, (n_small_wordings, sentence_dim)."""
    threshold: float
    """Least likeness of words that are believed, 0..1."""
    small_margin: float
    """By how much words must be nearer to something too small than to any taught wording."""
    temperature: float
    """Difference of likeness at which a landform's share of a reading falls to 1/e."""

    def read(self, text: str, encoder: SentenceEncoder) -> Reading:
        """Read a query's words; very wordings without the encoder, others in one call of it."""
        if numbers := self._numbers_of(text):
            return Reading("taught", 1.0, (Term(dict.fromkeys(numbers, 1 / len(numbers))),))
        likeness = self.likeness([text, *(part for part, _ in split_parts(text))], encoder)
        reading = self.reading(text, likeness)
        if reading.familiarity == "taught":
            return reading
        return replace(reading, spelling=self._mended(text, encoder))

    def likeness(self, texts: Sequence[str], encoder: SentenceEncoder) -> "Likeness":
        """Compare texts with everything that is known, in one call of the encoder."""
        new = sorted({w for text in texts for w in content_words(text)} - set(self.words))
        vectors = encoder.encode_sentences([*texts, *new])
        nearest = (vectors[len(texts) :] @ self.word_vectors.T).max(1) if new else []
        known = dict.fromkeys(self.words, 1.0) | dict(zip(new, map(float, nearest), strict=True))
        each = [[known[w] for w in content_words(text)] for text in texts]
        sentences = vectors[: len(texts)]
        return Likeness(
            tuple(texts),
            sentences @ self.vectors.T,
            np.array([np.mean(values) if values else 0.0 for values in each]),
            sentences @ self.small_vectors.T,
        )

    def reading(self, text: str, likeness: "Likeness") -> Reading:
        """Read a text from its likeness and that of its parts; slips are not mended."""
        whole = likeness.of(text)
        parts = split_parts(text)
        pieces = [likeness.of(part) for part, _ in parts]
        if (found := self._too_small([whole, *pieces])) is not None:
            return Reading("too small", whole.value, (), self._nearest(whole), too_small=found)
        together = min((piece.value for piece in pieces), default=0.0)
        if together > whole.value and together >= self.threshold:
            terms = [
                Term(self.weights(piece.taught), present)
                for piece, (_, present) in zip(pieces, parts, strict=True)
            ]
            exact = all(self._numbers_of(part) for part, _ in parts)
            return Reading("taught" if exact else "near", together, tuple(terms))
        if whole.value < self.threshold:
            return Reading("unknown", whole.value, (), self._nearest(whole))
        return Reading("near", whole.value, (Term(self.weights(whole.taught)),))

    def weights(self, likeness: NDArray[np.floating]) -> dict[int, float]:
        """Return the landforms that a text's likeness to each wording, (n_wordings,), speaks for.

        Shares are a softmax over the landforms' likeness: the mean of the nearest wording and of
        the nearest three.
        """
        each = self.by_landform(likeness[np.newaxis])[0]
        share = np.exp((each - each.max()) / self.temperature)
        best = np.argsort(-share, kind="stable")[:NEAREST]
        best = best[share[best] >= LEAST_WEIGHT * share[best].sum()]
        total = share[best].sum()
        return {int(i): float(share[i] / total) for i in best}

    def by_landform(self, likeness: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the likeness of texts (n, n_wordings) to each landform, (n, n_landforms)."""
        out = np.full((len(likeness), int(self.landforms.max()) + 1), -1.0)
        for number, columns in self._columns.items():
            some = np.sort(likeness[:, columns], axis=1)[:, -NEAREST:]
            out[:, number] = (some[:, -1] + some.mean(1)) / 2
        return out

    def _too_small(self, pieces: Sequence["Piece"]) -> TooSmall | None:
        for piece in pieces:
            best = int(piece.small.argmax()) if piece.small.size else -1
            nearer = best >= 0 and piece.small[best] >= piece.taught.max() + self.small_margin
            if nearer and piece.small[best] >= SMALL_LIKENESS:
                return self.small[self.small_wordings[best]]
        return None

    def _nearest(self, whole: "Piece") -> tuple[str, ...]:
        """Return the nearest wordings that fit a button, each of another landform."""
        nearest: dict[int, str] = {}
        for i in np.argsort(-whole.taught, kind="stable"):
            if len(nearest) == NEAREST or whole.taught[i] < SUGGESTED_LIKENESS:
                break
            if len(self.wordings[i]) <= SUGGESTED_LENGTH:
                nearest.setdefault(int(self.landforms[i]), self.wordings[i])
        return tuple(nearest.values())

    def _mended(self, text: str, encoder: SentenceEncoder) -> str:
        """Return the text with slips of spelling mended; "" where there are none to mend.

        A slip is a word that the encoder does not know as a whole and that is spelt like a taught
        one; all other words must be taught.
        """
        words = re.findall(r"[^\W\d_]+", text.casefold())
        known = frozenset(self.words) | _FUNCTION_WORDS
        mended = list(words)
        for i, word in enumerate(words):
            if word not in known and not encoder.has_word(word):
                near = difflib.get_close_matches(word, self.words, 1, TYPO_LIKENESS)
                mended[i : i + 1] = near or [word]
        changed = [plural_free(w) for w in mended] != [plural_free(w) for w in words]
        return " ".join(mended) if changed and known.issuperset(mended) else ""

    def _numbers_of(self, text: str) -> tuple[int, ...]:
        """Return the landforms that have this very wording, but for case, articles and plurals."""
        return self._exact.get(bare(text), ())

    @cached_property
    def _exact(self) -> dict[str, tuple[int, ...]]:
        exact: dict[str, tuple[int, ...]] = {}
        for wording, number in zip(self.wordings, self.landforms.tolist(), strict=True):
            numbers = exact.get(bare(wording), ())
            exact[bare(wording)] = tuple(dict.fromkeys((*numbers, number)))
        return exact

    @cached_property
    def _columns(self) -> dict[int, NDArray[np.int64]]:
        return {
            int(number): np.flatnonzero(self.landforms == number)
            for number in np.unique(self.landforms)
        }


class Piece(NamedTuple):
    """The likeness of one text."""

    value: float
    """Likeness to what was taught: the mean of sentence and words, 0..1."""
    taught: NDArray[np.float32]
    """Cosine similarity with each taught wording."""
    small: NDArray[np.float32]
    """Cosine similarity with each wording of something too small."""


@dataclass(frozen=True)
class Likeness:
    """How alike some texts are to everything that is known."""

    texts: tuple[str, ...]
    taught: NDArray[np.float32]
    """Cosine similarity with each taught wording, (n, n_wordings)."""
    word_by_word: NDArray[np.float64]
    """Mean over a text's words of the similarity with the nearest taught word, (n,)."""
    small: NDArray[np.float32]
    """Cosine similarity with each wording of something too small, (n, n_small_wordings)."""
    _rows: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {text: i for i, text in enumerate(self.texts)})

    @property
    def values(self) -> NDArray[np.float64]:
        """Likeness of each text, (n,): the mean of the sentence's and its words' likeness.

        Either alone is fooled: by one taught word in a sentence of others, or by taught words that
        make another sense together.
        """
        return (self.taught.max(1) + self.word_by_word) / 2

    def of(self, text: str) -> Piece:
        """Return the likeness of one of the texts."""
        row = self._rows[text]
        return Piece(float(self.values[row]), self.taught[row], self.small[row])


def split_parts(text: str) -> list[tuple[str, bool]]:
    """Split "canyon with dunes but no craters" at its joints; [] where there are none, or too many.

    Returns each part and whether it is to be present.
    """
    parts: list[tuple[str, bool]] = []
    present, start = True, 0
    padded = f" {text.casefold()} "
    for joint in [*_JOINT.finditer(padded), None]:
        words = padded[start : joint.start() if joint else None].strip()
        if words:
            parts.append((words, present))
        if joint is None:
            break
        kind, start = joint.group().strip(), joint.end()
        if kind == "or" and present:
            return []
        if kind not in _NEUTRAL:
            present = kind not in _ABSENT
    distinct = {part for part, _ in parts}
    joined = 2 <= len(parts) <= MAX_TERMS and len(distinct) == len(parts)
    return parts if joined and any(there for _, there in parts) else []


def content_words(text: str) -> list[str]:
    """Return the words of a text that mean something by themselves, in lower case."""
    return [w for w in re.findall(r"[^\W\d_]+", text.casefold()) if w not in _FUNCTION_WORDS]


def bare(text: str) -> str:
    """Return a text for comparing: lower case, no articles, signs or plurals."""
    words = re.findall(r"[^\W\d_]+", text.casefold())
    return " ".join(plural_free(w) for w in words if w not in ("a", "an", "the"))


def plural_free(word: str) -> str:
    """Return a word without the "s" of a plural."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def vocabulary_words(wordings: Iterable[str]) -> tuple[str, ...]:
    """Return the single words of some wordings, without function words, in alphabetical order."""
    return tuple(sorted({word for wording in wordings for word in content_words(wording)}))
