"""What a training says of its tiles: texts and landforms, and how far a network is from the truth.

Every text and every landform is a yes-or-no question about every tile (SigLIP's loss, Zhai et al.
2023, arXiv 2303.15343, with labels in place of the diagonal), and what is unknown takes no part.
Labels are of two kinds: those of the tiles themselves, which know margins, and with less weight
those of their cells of one degree, which do not and by which the encoder is judged elsewhere.
"""

import hashlib
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from mars_map.encoders.minilm import MiniLM
from mars_map.training.data import TrainingData
from mars_map.training.texts import TextBank


class _Table(NamedTuple):
    """One kind of labels, and what it counts."""

    share: float
    """Weight of its loss."""
    labels: NDArray[np.int8]
    """(n_tiles, n_landforms)."""
    text_weights: NDArray[np.float32]
    """(n_texts,) weight of the tiles where a text is true against those where it is not."""
    landform_weights: NDArray[np.float32]
    """(n_landforms,) the same for landforms."""


class Lessons:
    """Tiles to draw, texts to say, and the loss of what a network makes of them."""

    def __init__(
        self,
        data: TrainingData,
        tiles: NDArray[np.int64],
        bank: TextBank,
        *,
        cells: float,
        seed: int,
        device: torch.device,
    ) -> None:
        """Take the labels of some tiles, which are numbered anew, and the texts.

        cells: weight of the labels of cells against those of tiles; seed: of the sample of tiles on
        which the texts are weighed.
        """
        self.bank = bank
        tables = (1.0, data.labels[tiles]), (cells, data.cell_labels[tiles])
        self._tables = [
            _Table(*table, _text_weights(table[1], bank, seed), _balance(table[1]))
            for table in tables
        ]
        self._odds = _odds(data.labels[tiles])
        self._sentences = MiniLM().encode(bank.texts).clone().to(device)
        self.n_landforms = data.labels.shape[1]
        self._singles = [np.flatnonzero(bank.about == i) for i in range(self.n_landforms)]
        self._joined = np.flatnonzero(bank.about < 0)

    def draw_tiles(self, random: np.random.Generator, n: int) -> NDArray[np.int64]:
        """Draw tiles, those with rare landforms more often, (n,)."""
        return random.choice(len(self._odds), n, p=self._odds)

    def draw_texts(self, random: np.random.Generator, joined: int) -> NDArray[np.int64]:
        """Draw one wording of every landform, in their order, and some sentences of several facts.

        Returns numbers of texts, (n_landforms + joined,); without any such sentence (n_landforms,).
        """
        singles = [random.choice(numbers) for numbers in self._singles]
        if not len(self._joined):
            return np.array(singles, np.int64)
        return np.concatenate([singles, random.choice(self._joined, joined)])

    def sentences(self, texts: NDArray[np.int64], noise: float) -> torch.Tensor:
        """Return unit vectors close to the sentence vectors of texts, (n, text_dim).

        noise: spread of the noise on each entry; near words mean near things.
        """
        exact = self._sentences[torch.from_numpy(texts).to(self._sentences.device)]
        return F.normalize(exact + noise * torch.randn_like(exact), dim=1)

    def loss(
        self,
        of_texts: torch.Tensor,
        of_landforms: torch.Tensor,
        tiles: NDArray[np.int64],
        texts: NDArray[np.int64],
    ) -> torch.Tensor:
        """Return how far logits of texts, (n, n_texts), and landforms are from the labels."""
        losses = torch.zeros((), device=of_texts.device)
        for table in self._tables:
            labels = table.labels[tiles]
            truth = self.bank.truth(labels, texts)
            losses = losses + table.share * (
                _known_loss(of_texts, truth, table.text_weights[texts])
                + _known_loss(of_landforms, labels, table.landform_weights)
            )
        return losses

    def fingerprint(self) -> str:
        """Return a hash of labels and words: what must be equal for a training to go on."""
        labels = b"".join(table.labels.tobytes() for table in self._tables)
        return hashlib.sha256(labels + "\n".join(self.bank.texts).encode()).hexdigest()


def _odds(labels: NDArray[np.int8]) -> NDArray[np.float64]:
    """How likely each tile is drawn; rare landforms would hardly be met otherwise."""
    share = np.maximum((labels == 1).mean(0), 1 / len(labels))
    # By the rarest landform of a tile.
    rarity = np.minimum(np.where(labels == 1, share**-0.5, 1.0).max(1), 8.0)
    return rarity / rarity.sum()


def _known_loss(
    logits: torch.Tensor, truth: NDArray[np.int8], positive: NDArray[np.float32]
) -> torch.Tensor:
    """Mean binary cross-entropy where the truth, (n, m), is known (1 or 0), weighted where it is 1.

    positive: (m,) weight of the ones.
    """
    weight = torch.from_numpy(np.where(truth == 1, positive, np.float32(1)) * (truth >= 0))
    target = torch.from_numpy(np.maximum(truth, 0)).to(logits)
    weight = weight.to(logits)
    loss = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    return loss / weight.sum().clamp_min(1.0)


def _text_weights(labels: NDArray[np.int8], bank: TextBank, seed: int) -> NDArray[np.float32]:
    """Return `_balance` of each text, (n_texts,), on a sample of the tiles."""
    sample = np.random.default_rng(seed).permutation(len(labels))[:8192]
    parts = np.array_split(np.arange(len(bank.texts)), len(bank.texts) // 256 + 1)
    return np.concatenate([_balance(bank.truth(labels[sample], part)) for part in parts])


def _balance(truth: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return the weight of the ones among ones and zeros in each column of (n, m): (m,), 1..12."""
    odds = (truth == 0).sum(0) / np.maximum((truth == 1).sum(0), 1)
    return np.clip(np.sqrt(odds), 1.0, 12.0).astype(np.float32)
