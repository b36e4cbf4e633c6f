"""The training of the compact encoder: image-text contrast, and self-supervision.

A step takes a batch of tiles, some of them seen twice, each time another way (turned, mirrored,
enlarged, without relief, without some of its windows), and a draw of texts: one wording of every
landform in a random template, and sentences that state several facts. Four losses are added up:

- SigLIP's (Zhai et al. 2023, arXiv 2303.15343), with the labels in place of the diagonal: every
  view and text is a yes-or-no question of its own, and what is unknown takes no part. It is taken
  twice: once with the labels of the tiles, which know margins, and with less weight with those of
  their cells of one degree, which do not and by which the encoder is judged elsewhere.
- The same with an anchor for each landform in place of the texts (`mars_map.training.anchors`).
- How far the words of each landform are from its anchor.
- SimCLR's NT-Xent (Chen et al. 2020, arXiv 2002.05709) between two views of the same tile, on a
  head of its own that is thrown away: what is the same ground should look alike.

What is published is the moving average of the weights (Polyak and Juditsky 1992), which holds on
unseen ground better than the last step's.
"""

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from mars_map.build.windows import Progress
from mars_map.encoders.minilm import MiniLM
from mars_map.encoders.network import CompactNetwork, NetworkConfig
from mars_map.encoders.precision import fast_precision
from mars_map.errors import BuildError
from mars_map.training.anchors import Anchors
from mars_map.training.augment import Augmentation, hide_parts, take_away, turn_and_enlarge
from mars_map.training.checkpoint import load_checkpoint, read_notes, save_checkpoint
from mars_map.training.data import TrainingData
from mars_map.training.texts import TextBank

Report = Callable[[dict[str, float]], None]
"""Called before each checkpoint with `step`, `steps`, learning `rate`, and the means since the last
one of `text_loss` and `view_loss`."""


LEAST_SHOWN = 0.25
"""A window of which less may be seen is left out."""


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a training beside its data."""

    steps: int = 1200
    """Updates of the weights."""
    batch: int = 192
    """Tiles a step."""
    twice: int = 32
    """How many of them are seen twice, at least two."""
    pairs: int = 64
    """Sentences of several facts a step."""
    learning_rate: float = 2e-3
    """Highest learning rate; it rises over the first steps and falls as a cosine."""
    warm_up: int = 100
    """Steps of the rise."""
    weight_decay: float = 0.05
    """Of AdamW."""
    text_noise: float = 0.05
    """Spread of the noise on each entry of a sentence vector: near words mean near things."""
    cells: float = 0.5
    """Weight of the labels of cells against those of tiles."""
    similarity: float = 0.1
    """Weight of the self-supervised loss."""
    temperature: float = 0.2
    """Of the self-supervised loss."""
    average: float = 0.997
    """Share of the moving average of the weights that each step keeps."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """How views differ from their tile."""
    checkpoint_every: int = 50
    """Steps between checkpoints."""
    seed: int = 20_260
    """Of weights, order and augmentation."""


class _Table(NamedTuple):
    """One kind of labels, and what it counts."""

    share: float
    """Weight of its loss."""
    labels: NDArray[np.int8]
    """(n_tiles, n_landforms)."""
    weights: NDArray[np.float32]
    """(n_texts,) weight of the tiles where a text is true against those where it is not."""
    rarity: NDArray[np.float32]
    """(n_landforms,) the same for landforms."""


class Trainer:
    """Trains one network on cached windows and labels; resumes from its last checkpoint."""

    def __init__(
        self,
        data: TrainingData,
        shown: NDArray[np.bool_],
        bank: TextBank,
        network: NetworkConfig,
        config: TrainingConfig,
    ) -> None:
        """Take the data of all tiles, and what of them may be learned.

        shown: (n_tiles, n_scales, parts, parts) bool, which parts of which windows may be seen; a
        tile whose nearest window may not be seen whole takes no part.
        """
        self.config, self.bank = config, bank
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        tiles = np.flatnonzero(shown[:, 0].all((1, 2)))
        # Read once and in order: drawn from a file, tiles would come at the speed of the disk.
        self.windows, self.shown = data.windows.take(tiles), shown[tiles]
        self.usable = torch.from_numpy(self.shown.mean((2, 3)) >= LEAST_SHOWN)
        tables = (1.0, data.labels[tiles]), (config.cells, data.cell_labels[tiles])
        self.tables = [
            _Table(*table, _text_weights(table[1], bank, config.seed), _balance(table[1]))
            for table in tables
        ]
        torch.manual_seed(config.seed)
        self.network = CompactNetwork(network).to(self.device, memory_format=torch.channels_last)
        self.projector = _projector(self.network).to(self.device)
        self.anchors = Anchors(data.labels.shape[1], network.dim).to(self.device)
        self.averaged = copy.deepcopy(self.network).eval()
        self.optimiser = torch.optim.AdamW(
            _decay_groups([self.network, self.projector, self.anchors], config.weight_decay),
            lr=config.learning_rate,
        )
        self.sentences = MiniLM().encode(bank.texts).clone().to(self.device)
        self.step = 0
        self.odds = _odds(data.labels[tiles])
        columns = range(data.labels.shape[1])
        self.singles = [np.flatnonzero(bank.about == column) for column in columns]
        self.joined = np.flatnonzero(bank.about < 0)

    def run(
        self, checkpoint: Path, report: Report, tick: Progress = lambda *_: None
    ) -> CompactNetwork:
        """Train to the last step, from the checkpoint where there is one; return the network.

        The network returned is the moving average, ready for use. tick: called after each step.
        Raises BuildError where the checkpoint is of another training that is not done.
        """
        self._resume(checkpoint)
        tick("training", self.step, self.config.steps)
        self.network.train()
        losses = []
        while self.step < self.config.steps:
            losses.append(self._update())
            self.step += 1
            tick("training", self.step, self.config.steps)
            if self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps:
                rate = self.optimiser.param_groups[0]["lr"]
                text_loss, view_loss = np.mean(losses, axis=0)
                losses.clear()
                # Told first: what is told twice after a kill replaces itself, what is lost is lost.
                report(
                    {
                        "step": self.step,
                        "steps": self.config.steps,
                        "rate": rate,
                        "text_loss": float(text_loss),
                        "view_loss": float(view_loss),
                    }
                )
                self._save(checkpoint)
        return self.averaged

    def _update(self) -> tuple[float, float]:
        # A generator a step: a resumed training draws what an unbroken one would have drawn.
        random = np.random.default_rng((self.config.seed, self.step))
        torch.manual_seed(self.config.seed + self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = float(self._rate())
        tiles = random.choice(len(self.odds), self.config.batch, p=self.odds)
        texts, again = self._draw_texts(random), tiles[: self.config.twice]
        views = np.concatenate([tiles, again])
        layers, told, seen = self._views(views, random)
        with fast_precision(self.device):
            features = self.network.image.features(layers, seen)
            images = self.network.image.embed(features, told).float()
            projected = self.projector(torch.cat([features[: len(again)], features[len(tiles) :]]))
        words = self._words(texts)
        text_loss = self._label_loss(images, words, views, texts)
        word_loss = self.anchors.distance(words[: len(self.singles)])
        view_loss = self._view_loss(projected.float())
        loss = text_loss + word_loss + self.config.similarity * view_loss
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self._average()
        return float(text_loss.detach()), float(view_loss.detach())

    def _words(self, texts: NDArray) -> torch.Tensor:
        """Unit vectors of texts, (n, dim), each from a sentence vector close to its own."""
        sentences = self.sentences[torch.from_numpy(texts).to(self.device)]
        sentences = sentences + self.config.text_noise * torch.randn_like(sentences)
        return self.network.text(F.normalize(sentences, dim=1))

    def _label_loss(
        self, images: torch.Tensor, words: torch.Tensor, tiles: NDArray, texts: NDArray
    ) -> torch.Tensor:
        """What pictures fail to tell of texts and of anchors, by both kinds of labels."""
        of_texts, of_anchors = self.network.logits(images, words), self.anchors(images)
        losses = torch.zeros((), device=self.device)
        for table in self.tables:
            labels = table.labels[tiles]
            losses = losses + table.share * (
                _known_loss(of_texts, self.bank.truth(labels, texts), table.weights[texts])
                + _known_loss(of_anchors, labels, table.rarity)
            )
        return losses

    def _view_loss(self, projected: torch.Tensor) -> torch.Tensor:
        """NT-Xent: of all other views in the batch, which is of the same tile?"""
        unit = F.normalize(projected, dim=1)
        likeness = unit @ unit.T / self.config.temperature
        likeness.fill_diagonal_(-torch.inf)
        n = len(unit) // 2
        partner = torch.arange(2 * n, device=unit.device).roll(n)
        return F.cross_entropy(likeness, partner)

    def _draw_texts(self, random: np.random.Generator) -> NDArray[np.int64]:
        singles = [random.choice(numbers) for numbers in self.singles]
        if not len(self.joined):
            return np.array(singles, np.int64)
        return np.concatenate([singles, random.choice(self.joined, self.config.pairs)])

    def _views(
        self, tiles: NDArray, random: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        windows = hide_parts(self.windows.take(tiles), self.shown[tiles])
        how, tower = self.config.augmentation, self.network.image
        image, elevation = turn_and_enlarge(windows, how, random, self.device)
        layers = tower.layers_of(image, elevation)
        told = tower.told_of(elevation, torch.from_numpy(windows.surface).to(self.device))
        seen = self.usable[torch.from_numpy(tiles)].to(self.device)
        return layers, told, take_away(layers, told, seen, how, random)

    @torch.no_grad()
    def _average(self) -> None:
        # In the beginning the average follows closely, so that the random start is soon forgotten.
        keep = min(self.config.average, (self.step + 1) / (self.step + 10))
        for mean, now in zip(
            self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)
            else:
                mean.copy_(now)

    def _rate(self) -> float:
        c = self.config
        if self.step < c.warm_up:
            return c.learning_rate * (self.step + 1) / c.warm_up
        done = (self.step - c.warm_up) / max(c.steps - c.warm_up, 1)
        return c.learning_rate * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * done)))

    @property
    def _modules(self) -> dict[str, nn.Module]:
        return {
            "network": self.network,
            "averaged": self.averaged,
            "projector": self.projector,
            "anchors": self.anchors,
        }

    def _save(self, path: Path) -> None:
        """Write weights, their average and the optimiser's moments; whole or not at all."""
        notes = {"step": str(self.step), "steps": str(self.config.steps), "run": self._run_name()}
        save_checkpoint(path, self._modules, self.optimiser, notes)

    def _resume(self, path: Path) -> None:
        """Go on from a checkpoint of the same training.

        A finished training of another kind is written over; an unfinished one is not.
        """
        notes = read_notes(path)
        if notes is None:
            return
        if notes.get("run") == self._run_name():
            load_checkpoint(path, self._modules, self.optimiser)
            self.step = int(notes["step"])
        elif notes.get("step") != notes.get("steps"):
            raise BuildError(
                f'"{path}" is of a training with other settings, labels or words that is not done; '
                "repeat its command, or delete the file to begin anew."
            )

    def _run_name(self) -> str:
        """What must be equal for a checkpoint to be of this training: settings, labels, words."""
        labels = b"".join(table.labels.tobytes() for table in self.tables)
        taught = hashlib.sha256(labels + "\n".join(self.bank.texts).encode())
        settings = [asdict(self.config), asdict(self.network.config)]
        return json.dumps([*settings, taught.hexdigest()])


def _projector(network: CompactNetwork) -> nn.Sequential:
    """The head of the self-supervised loss."""
    features = network.image.fuse[0].in_features - network.image.n_told
    return nn.Sequential(nn.Linear(features, 256), nn.GELU(), nn.Linear(256, 128))


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


def _decay_groups(modules: list[nn.Module], decay: float) -> list[dict]:
    parameters = [p for module in modules for p in module.parameters()]
    weights = [p for p in parameters if p.ndim >= 2]
    others = [p for p in parameters if p.ndim < 2]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
