"""A calibration of three made-up landforms, for the small index and its bag of words."""

import numpy as np
from numpy.typing import NDArray

from mars_map.search.calibration import Calibration, Landform
from mars_map.search.vocabulary import TooSmall, Vocabulary, vocabulary_words
from tests.conftest import WordEncoder

WORDINGS = {
    "dunes": ("dunes", "sand dunes", "dune field"),
    "crater": ("impact crater", "crater", "crater with a central peak"),
    "canyon": ("canyon", "deep canyon with steep walls"),
}
GULLIES = TooSmall("gullies", "metres wide", "HiRISE pictures")
ENGLISH = frozenset(
    ("llamas", "gullies", "forest", "hole", "big", "red", "of", "in", "with", "the")
)


class SentenceEncoder(WordEncoder):
    """A bag of words that also knows which words are English."""

    calls = 0

    def encode_sentences(self, texts: list[str]) -> NDArray[np.float32]:
        self.calls += 1
        return self.encode_text([text.casefold() for text in texts])

    def has_word(self, word: str) -> bool:
        return word in ENGLISH


def toy_vocabulary(threshold: float = 0.7) -> Vocabulary:
    """Return the vocabulary of the three landforms."""
    encode = SentenceEncoder().encode_sentences
    wordings = [text for texts in WORDINGS.values() for text in texts]
    words = vocabulary_words(wordings)
    small = ["gullies", "gullies on a crater wall"]
    return Vocabulary(
        wordings=tuple(wordings),
        landforms=np.repeat(np.arange(3), [len(texts) for texts in WORDINGS.values()]),
        vectors=encode(wordings),
        words=words,
        word_vectors=encode(words),
        small=(GULLIES,),
        small_wordings=np.zeros(2, np.int64),
        small_vectors=encode(small),
        threshold=threshold,
        small_margin=0.0,
        temperature=0.03,
    )


def toy_calibration(sha256: str = WordEncoder.sha256, **landform) -> Calibration:
    """Return a calibration; `landform` overrides what all three landforms have."""
    values = {
        "base_rate": 0.2,
        "curve": (-2.0, 8.0),
        "spread": (0.1, 0.0, 0.1),
        "scatter": 0.5,
        "pooled": False,
    }
    landforms = tuple(
        Landform(key=key, name=texts[0], **values | landform) for key, texts in WORDINGS.items()
    )
    prototypes = SentenceEncoder().encode_text([texts[0] for texts in WORDINGS.values()])
    return Calibration(sha256, landforms, prototypes, toy_vocabulary(), 5.0)
