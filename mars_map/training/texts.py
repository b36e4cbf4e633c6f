"""The words that the encoder is taught: landforms in many wordings, alone and joined.

A text states up to three facts, each a landform that is present or absent. Whether it holds for a
tile follows from the labels of those landforms, so a text needs no tile of its own.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mars_map.encoders.prompts import DEFAULT_PROMPTS

Choice = TypeVar("Choice")

TERMS = 3
"""Most facts that a text states."""
TEMPLATES = (
    "{}",
    *DEFAULT_PROMPTS,
    "{} on Mars",
    "an orbital view of {}",
)
"""Prompts that the wordings are put into; the default ensemble is among them."""
JOINTS = (
    "{} and {}",
    "{} with {}",
    "{} next to {}",
    "{} near {}",
    "{} beside {}",
    "{} together with {}",
)
"""How two landforms of the same tile are said together."""
TRIPLE_JOINTS = ("{}, {} and {}", "{} with {} and {}", "{} near {} and {}", "{} and {} beside {}")
"""How three landforms of the same tile are said together."""
ABSENCES = ("{} without {}", "{}, no {}", "{} but no {}", "{} with no {}", "{} and no {}")
"""How the absence of a landform is added."""
DOUBLE_ABSENCES = ("{} without {} or {}", "{}, no {} and no {}", "{} with neither {} nor {}")
"""How the absence of two landforms is added."""
RELATION_TEXTS = 60
"""Sentences for each relation in words of the two landforms that it joins."""
PAIR_TEXTS = 4000
"""Sentences that join facts which are made for a training."""
REDUNDANT = 0.9
"""A landform that is present in this share of another's tiles adds nothing to it."""
INFORMATIVE = 0.1
"""A landform that is present in this share of another's tiles is missed where it is absent."""

Wordings = Mapping[str, tuple[str, ...]]
"""Wordings by the key of their landform."""


@dataclass(frozen=True)
class Relation:
    """How a landform that is a relation of two others is put into words of those."""

    parts: tuple[str, str]
    """Keys of the two landforms."""
    joints: tuple[str, ...]
    """Patterns with two "{}", filled with words of the two in their order."""

    def say(self, words: Wordings, random: np.random.Generator) -> str:
        """Put the relation into words of its two landforms, drawn at random."""
        said = [_draw(words[part], random) for part in self.parts]
        return _draw(self.joints, random).format(*said)


@dataclass(frozen=True)
class Glossary:
    """Wordings of every landform, by key."""

    trained: dict[str, tuple[str, ...]]
    """Wordings that training uses."""
    unseen: dict[str, tuple[str, ...]]
    """Wordings kept out of it, for evaluation."""
    look_alikes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys of the landforms that each could be taken for."""
    settings: frozenset[str] = frozenset()
    """Keys of those that tell where a tile lies rather than what it shows; their absence is never
    said."""
    relations: dict[str, Relation] = field(default_factory=dict)
    """Landforms that are two others in a certain place to each other."""

    @classmethod
    def load(cls) -> "Glossary":
        """Read the glossary of the package."""
        path = Path(__file__).with_name("glossary.toml")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(
            {key: tuple(entry["words"]) for key, entry in table.items()},
            {key: tuple(entry["unseen"]) for key, entry in table.items()},
            {key: tuple(entry.get("look_alikes", ())) for key, entry in table.items()},
            frozenset(key for key, entry in table.items() if entry.get("setting")),
            {
                key: Relation(tuple(entry["parts"]), tuple(entry["joints"]))
                for key, entry in table.items()
                if "parts" in entry
            },
        )

    @cached_property
    def kept_out(self) -> frozenset[str]:
        """All unseen wordings; joined words must not make one of them by chance."""
        return frozenset(words for unseen in self.unseen.values() for words in unseen)

    @property
    def keys(self) -> list[str]:
        """Keys of the landforms in the order of the file."""
        return list(self.trained)


@dataclass(frozen=True)
class Statement:
    """Landforms that a text says are there, and others that it says are not, by key."""

    present: tuple[str, ...]
    absent: tuple[str, ...] = ()

    def say(
        self, words: Wordings, random: np.random.Generator, relations: Mapping[str, Relation]
    ) -> str:
        """Put the statement into one sentence, its words drawn at random.

        A relation that stands alone is now and then said in words of its two landforms.
        """
        said = [self._word(key, words, random, relations) for key in self.present]
        if len(said) == 3:
            text = _draw(TRIPLE_JOINTS, random).format(*said)
        elif len(said) == 2:
            text = _draw(JOINTS, random).format(*said)
        else:
            text = said[0]
        if self.absent:
            patterns = ABSENCES if len(self.absent) == 1 else DOUBLE_ABSENCES
            missing = [_bare(_draw(words[key], random)) for key in self.absent]
            text = _draw(patterns, random).format(text, *missing)
        return text

    def _word(
        self,
        key: str,
        words: Wordings,
        random: np.random.Generator,
        relations: Mapping[str, Relation],
    ) -> str:
        if key in relations and len(self.present) == 1 and random.random() < 0.5:
            return relations[key].say(words, random)
        return _draw(words[key], random)


@dataclass(frozen=True)
class Company:
    """Which landforms occur together, counted on the labels of some tiles."""

    keys: list[str]
    share: NDArray[np.float64]
    """(n, n): share of the tiles with landform i, and j known, in which j is present."""
    odds: NDArray[np.float64]
    """(n,): weight of each landform when some of a tile's are chosen; rare ones weigh more."""

    @classmethod
    def of(cls, glossary: Glossary, labels: NDArray[np.int8]) -> "Company":
        """Count on labels (n_tiles, n_landforms), columns in the order of the glossary."""
        present = (labels == 1).astype(np.float32)
        together = present.T @ present
        known = present.T @ (labels >= 0).astype(np.float32)
        odds = 1.0 / np.sqrt(np.maximum(present.sum(0, dtype=np.float64), 50))
        return cls(glossary.keys, together / np.maximum(known, 1.0), odds)

    def tells_more(self, column: int, others: list[int]) -> bool:
        """Tell whether a landform says anything beyond the others, and they beyond it."""
        return not any(
            self.share[a, b] > REDUNDANT for o in others for a, b in ((o, column), (column, o))
        )

    def missed(self, column: int, glossary: Glossary) -> NDArray[np.bool_]:
        """Tell whose absence is worth saying where a landform is present, (n,)."""
        alike = glossary.look_alikes.get(self.keys[column], ())
        mask = self.share[column] > INFORMATIVE
        mask |= np.isin(self.keys, alike)
        mask &= ~np.isin(self.keys, list(glossary.settings))
        mask[column] = False
        return mask

    def statement(
        self,
        labels: NDArray[np.int8],
        first: int,
        n_present: int,
        n_absent: int,
        glossary: Glossary,
        random: np.random.Generator,
    ) -> Statement:
        """Make a statement that is true of a tile with labels (n_landforms,) and landform `first`.

        It has up to so many landforms present and absent, as many as are worth saying.
        """
        chosen = [first]
        rest = np.flatnonzero(labels == 1)
        odds = self.odds[rest] / self.odds[rest].sum()
        for column in random.choice(rest, len(rest), replace=False, p=odds):
            if len(chosen) < n_present and self.tells_more(int(column), chosen):
                chosen.append(int(column))
        missed = np.any([self.missed(c, glossary) for c in chosen], axis=0) & (labels == 0)
        absent = random.permutation(np.flatnonzero(missed))[:n_absent]
        return Statement(
            tuple(self.keys[c] for c in chosen), tuple(self.keys[c] for c in absent.tolist())
        )


@dataclass(frozen=True)
class TextBank:
    """Training texts and the facts that each states."""

    texts: list[str]
    """The sentences."""
    terms: NDArray[np.int16]
    """(n_texts, TERMS): glossary column of each fact that the text states, -1 where there are
    fewer."""
    holds: NDArray[np.bool_]
    """(n_texts, TERMS): True where the fact is stated present, False where stated absent."""

    @classmethod
    def make(
        cls, glossary: Glossary, labels: NDArray[np.int8], seed: int, pairs: int = PAIR_TEXTS
    ) -> "TextBank":
        """Put all trained wordings into all templates, and join facts that hold together.

        labels: (n_tiles, n_landforms) of the training tiles, from which `pairs` sentences of joined
        facts are drawn; every landform that is present somewhere begins as many of them.
        """
        random = np.random.default_rng(seed)
        pieces = [*_single_facts(glossary, random), *_joined(glossary, labels, pairs, random)]
        texts, statements = zip(*pieces, strict=True)
        return cls.of(list(texts), list(statements), glossary)

    @classmethod
    def of(cls, texts: list[str], statements: list[Statement], glossary: Glossary) -> "TextBank":
        """Make a bank of sentences and what each states."""
        columns = {key: column for column, key in enumerate(glossary.keys)}
        terms = np.full((len(texts), TERMS), -1, np.int16)
        holds = np.zeros((len(texts), TERMS), bool)
        for row, statement in enumerate(statements):
            stated = [*statement.present, *statement.absent]
            terms[row, : len(stated)] = [columns[key] for key in stated]
            holds[row, : len(statement.present)] = True
        return cls(texts, terms, holds)

    @cached_property
    def about(self) -> NDArray[np.int16]:
        """Glossary column of the texts that state one fact, a presence, and -1, (n_texts,)."""
        single = self.holds[:, 0] & (self.terms[:, 1:] < 0).all(1)
        return np.where(single, self.terms[:, 0], -1).astype(np.int16)

    def truth(self, labels: NDArray[np.int8], texts: NDArray[np.int64]) -> NDArray[np.int8]:
        """Tell of which tiles which texts are true.

        labels: (n_tiles, n_landforms); texts: numbers of texts, (n,). Returns (n_tiles, n): 1 where
        all facts that the text states hold, 0 where one certainly does not, -1 where unknown.
        """
        truth = np.ones((len(labels), len(texts)), np.int8)
        for terms, holds in zip(self.terms[texts].T, self.holds[texts].T, strict=True):
            value = labels[:, terms]
            value = np.where((value >= 0) & ~holds, 1 - value, value)
            value[:, terms < 0] = 1
            # No beats unknown, and unknown beats yes.
            truth = np.where((truth == 0) | (value == 0), 0, np.minimum(truth, value))
        return truth.astype(np.int8)


def _single_facts(
    glossary: Glossary, random: np.random.Generator
) -> Iterator[tuple[str, Statement]]:
    """All trained wordings in all templates, and relations in words of their two landforms."""
    for key in glossary.keys:
        for words in glossary.trained[key]:
            for template in TEMPLATES:
                yield template.replace("{}", words), Statement((key,))
    for key, relation in glossary.relations.items():
        for _ in range(RELATION_TEXTS):
            said = relation.say(glossary.trained, random)
            if said in glossary.kept_out:  # "mesas" and "northern plains" may meet in such words
                continue
            yield _draw(TEMPLATES, random).replace("{}", said), Statement((key,))


def _joined(
    glossary: Glossary, labels: NDArray[np.int8], n: int, random: np.random.Generator
) -> Iterator[tuple[str, Statement]]:
    """Sentences of facts that hold together in some tile."""
    company = Company.of(glossary, labels)
    shown = [np.flatnonzero(column == 1) for column in labels.T]
    firsts = [column for column, tiles in enumerate(shown) if len(tiles)]
    for i in range(n if firsts else 0):
        first = firsts[i % len(firsts)]
        tile = labels[random.choice(shown[first])]
        n_present, n_absent = _draw(((2, 0), (2, 0), (1, 1), (3, 0), (2, 1), (1, 2)), random)
        statement = company.statement(tile, first, n_present, n_absent, glossary, random)
        said = statement.say(glossary.trained, random, glossary.relations)
        if said not in glossary.kept_out:
            yield _draw(TEMPLATES, random).replace("{}", said), statement


def _bare(words: str) -> str:
    """Leave the article out: "no crater", not "no a crater"."""
    article, _, rest = words.partition(" ")
    return rest if article in ("a", "an", "the") else words


def _draw(choices: Sequence[Choice], random: np.random.Generator) -> Choice:
    return choices[int(random.integers(len(choices)))]
