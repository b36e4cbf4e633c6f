"""The training of one image tower: image-text contrast, and self-supervision.

A step takes a batch of tiles, some of them seen twice, each time another way (turned, mirrored,
enlarged, without relief, without some of its windows), and a draw of texts: one wording of every
landform in a random template, and sentences that state several facts. Four losses are added up:

- What the views fail to tell of the texts (`mars_map.training.lessons`).
- What they fail to tell of the landforms, by an anchor for each (`mars_map.training.anchors`).
- How far the words of each landform are from its anchor.
- SimCLR's NT-Xent (Chen et al. 2020, arXiv 2002.05709) between two views of the same tile, on a
  head of its own that is thrown away: what is the same ground should look alike.

What comes out is the moving average of the weights (Polyak and Juditsky 1992), which holds on
unseen ground better than the last step's. `mars_map.training.team` makes an encoder of it.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from mars_map.build.windows import Progress
from mars_map.encoders.network import CompactNetwork, NetworkConfig
from mars_map.encoders.precision import fast_precision
from mars_map.errors import BuildError
from mars_map.training.anchors import Anchors
from mars_map.training.augment import (
    OTHER_TONES,
    Augmentation,
    change_tones,
    take_away,
    turn_and_enlarge,
)
from mars_map.training.checkpoint import load_checkpoint, read_notes, save_checkpoint
from mars_map.training.material import Material
from mars_map.training.schedule import rate_share

Report = Callable[[dict[str, float]], None]
"""Called before each checkpoint with `step`, `steps`, learning `rate`, and the means since the last
one of `text_loss` and `view_loss`."""


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
    word_steps: int = 3000
    """Steps of the words at last, on tiles that stand still."""
    similarity: float = 0.1
    """Weight of the self-supervised loss."""
    temperature: float = 0.2
    """Of the self-supervised loss."""
    average: float = 0.997
    """Share of the moving average of the weights that each step keeps."""
    looks: tuple[Augmentation, ...] = (Augmentation(), OTHER_TONES)
    """How views differ from their tile: of the first tower, the second, and so on; the last is that
    of all further towers."""
    checkpoint_every: int = 50
    """Steps between checkpoints."""
    seed: int = 20_260
    """Of weights, order and augmentation."""


class Trainer:
    """Trains one network on cached windows and labels; resumes from its last checkpoint."""

    def __init__(
        self, material: Material, network: NetworkConfig, config: TrainingConfig, number: int = 0
    ) -> None:
        """Begin anew. number: of the network; one of another number starts and draws differently.

        Raises ValueError for a network of several towers, which are trained one by one.
        """
        if network.towers != 1:
            raise ValueError("towers are trained one by one")
        self.material, self.config, self.number = material, config, number
        self.look = config.looks[min(number, len(config.looks) - 1)]
        self.device, lessons = material.device, material.lessons
        torch.manual_seed(config.seed + number)
        self.network = CompactNetwork(network).to(self.device, memory_format=torch.channels_last)
        self.projector = _projector(self.network).to(self.device)
        self.anchors = Anchors(lessons.n_landforms, network.dim).to(self.device)
        self.averaged = copy.deepcopy(self.network).eval()
        """The moving average of the network: what a training is for."""
        self.optimiser = torch.optim.AdamW(
            _decay_groups([self.network, self.projector, self.anchors], config.weight_decay),
            lr=config.learning_rate,
        )
        self.step = 0

    def run(self, checkpoint: Path, report: Report, tick: Progress = lambda *_: None) -> None:
        """Train to the last step, from the checkpoint where there is one: see `averaged`.

        tick: called after each step. Raises BuildError where the checkpoint is of another training
        that is not done.
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

    def _update(self) -> tuple[float, float]:
        # A generator a step: a resumed training draws what an unbroken one would have drawn.
        random = np.random.default_rng((self.config.seed, self.number, self.step))
        torch.manual_seed(self.config.seed + self.number * self.config.steps + self.step)
        share = rate_share(self.step, self.config.steps, self.config.warm_up)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * share
        lessons = self.material.lessons
        tiles = lessons.draw_tiles(random, self.config.batch)
        texts = lessons.draw_texts(random, self.config.pairs)
        again = tiles[: self.config.twice]
        views = np.concatenate([tiles, again])
        layers, told, seen = self._views(views, random)
        with fast_precision(self.device):
            features = self.network.image.features(layers, seen)
            images = self.network.image.embed(features, told).float()
            projected = self.projector(torch.cat([features[: len(again)], features[len(tiles) :]]))
        words = self.network.text(lessons.sentences(texts, self.config.text_noise))
        logits = self.network.logits(images, words), self.anchors(images)
        text_loss = lessons.loss(*logits, views, texts)
        word_loss = self.anchors.distance(words[: lessons.n_landforms])
        view_loss = self._view_loss(projected.float())
        loss = text_loss + word_loss + self.config.similarity * view_loss
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self._average()
        return float(text_loss.detach()), float(view_loss.detach())

    def _view_loss(self, projected: torch.Tensor) -> torch.Tensor:
        """NT-Xent: of all other views in the batch, which is of the same tile?"""
        unit = F.normalize(projected, dim=1)
        likeness = unit @ unit.T / self.config.temperature
        likeness.fill_diagonal_(-torch.inf)
        n = len(unit) // 2
        partner = torch.arange(2 * n, device=unit.device).roll(n)
        return F.cross_entropy(likeness, partner)

    def _views(
        self, tiles: NDArray, random: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        windows, seen = self.material.see(tiles)
        tower = self.network.image
        image, elevation = turn_and_enlarge(windows, self.look, random, self.device)
        layers = change_tones(tower.layers_of(image, elevation), self.look, random)
        told = tower.told_of(elevation, torch.from_numpy(windows.surface).to(self.device))
        return layers, told, take_away(layers, told, seen, self.look, random)

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
        settings = [asdict(self.config), asdict(self.network.config), self.number]
        return json.dumps([*settings, self.material.lessons.fingerprint()])


def _projector(network: CompactNetwork) -> nn.Sequential:
    """The head of the self-supervised loss."""
    features = network.image.fuse[0].in_features - network.image.n_told
    return nn.Sequential(nn.Linear(features, 256), nn.GELU(), nn.Linear(256, 128))


def _decay_groups(modules: list[nn.Module], decay: float) -> list[dict]:
    parameters = [p for module in modules for p in module.parameters()]
    weights = [p for p in parameters if p.ndim >= 2]
    others = [p for p in parameters if p.ndim < 2]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
