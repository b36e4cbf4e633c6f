"""The words that the encoder is taught: wordings of landforms in templates, and pairs of them."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mars_map.encoders.prompts import DEFAULT_PROMPTS

TEMPLATES = (
    "{}",
    *DEFAULT_PROMPTS,
    "{} on Mars",
    "an orbital view of {}",
)
"""Prompts that the wordings are put into; the default ensemble is among them."""
JOINTS = ("{} and {}", "{} with {}", "{} next to {}", "{} near {}")
"""How two landforms of the same tile are said together."""
PAIR_TEXTS = 2000
"""Sentences about two landforms at once that are made for a training."""


@dataclass(frozen=True)
class Glossary:
    """Wordings of every landform, by key."""

    trained: dict[str, tuple[str, ...]]
    """Wordings that training uses."""
    unseen: dict[str, tuple[str, ...]]
    """Wordings kept out of it, for evaluation."""

    @classmethod
    def load(cls) -> "Glossary":
        """Read the glossary of the package."""
        path = Path(__file__).with_name("glossary.toml")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        trained = {key: tuple(entry["words"]) for key, entry in table.items()}
        return cls(trained, {key: tuple(entry["unseen"]) for key, entry in table.items()})

    @property
    def keys(self) -> list[str]:
        """Keys of the landforms in the order of the file."""
        return list(self.trained)


@dataclass(frozen=True)
class TextBank:
    """Training texts and the landforms that each is about."""

    texts: list[str]
    """The sentences."""
    first: NDArray[np.int64]
    """Number of the landform that each sentence is about, (n_texts,)."""
    second: NDArray[np.int64]
    """Number of the other landform, or the same one again, (n_texts,)."""

    @classmethod
    def make(
        cls, glossary: Glossary, labels: NDArray[np.int8], seed: int, pairs: int = PAIR_TEXTS
    ) -> "TextBank":
        """Put all trained wordings into all templates, and pair landforms that occur together.

        labels: (n_tiles, n_landforms) of the training tiles; that many pairs are drawn from them.
        """
        texts, about = [], []
        for number, key in enumerate(glossary.keys):
            for words in glossary.trained[key]:
                texts += [template.replace("{}", words) for template in TEMPLATES]
                about += [(number, number)] * len(TEMPLATES)
        random = np.random.default_rng(seed)
        rare = 1.0 / np.sqrt(np.maximum((labels == 1).sum(0), 50))
        shown = np.flatnonzero((labels == 1).sum(1) >= 2)
        for tile in random.choice(shown, pairs) if len(shown) else ():
            present = np.flatnonzero(labels[tile] == 1)
            odds = rare[present] / rare[present].sum()
            a, b = random.choice(present, 2, replace=False, p=odds)
            said = [str(random.choice(glossary.trained[glossary.keys[i]])) for i in (a, b)]
            joint = JOINTS[random.integers(len(JOINTS))].format(*said)
            texts.append(TEMPLATES[random.integers(len(TEMPLATES))].replace("{}", joint))
            about.append((a, b))
        first, second = np.array(about, np.int64).T
        return cls(texts, first, second)
