"""The contrastive training of the compact encoder.

A step takes a batch of tiles and a draw of texts: one wording of every landform in a random
template, and sentences about two landforms. The loss is SigLIP's (Zhai et al. 2023,
arXiv 2303.15343), with the labels in place of the diagonal: every tile and text is a yes-or-no
question of its own, and what is unknown takes no part.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional as F

from mars_map.encoders.minilm import MiniLM
from mars_map.encoders.network import CompactNetwork, NetworkConfig
from mars_map.encoders.windows import Windows
from mars_map.training.texts import TextBank

Report = Callable[[dict[str, float]], None]
"""Called now and then with step, steps, loss and learning rate."""


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a training beside its data."""

    steps: int = 700
    """Updates of the weights."""
    batch: int = 256
    """Tiles a step."""
    pairs: int = 48
    """Sentences about two landforms a step."""
    learning_rate: float = 1.5e-3
    """Highest learning rate; it rises over the first steps and falls as a cosine."""
    warm_up: int = 100
    """Steps of the rise."""
    weight_decay: float = 0.05
    """Of AdamW."""
    text_noise: float = 0.02
    """Spread of the noise on each entry of a sentence vector: near words mean near things."""
    layer_dropout: float = 0.1
    """Share of tiles shown without relief, and as many without picture."""
    checkpoint_every: int = 50
    """Steps between checkpoints."""
    seed: int = 20_260
    """Of weights, order and augmentation."""


class Trainer:
    """Trains one network on cached windows and labels; resumes from its last checkpoint."""

    def __init__(
        self,
        windows: Windows,
        labels: NDArray[np.int8],
        tiles: NDArray[np.int64],
        bank: TextBank,
        network: NetworkConfig,
        config: TrainingConfig,
    ) -> None:
        """windows of all tiles; labels (n_tiles, n_landforms); numbers of the training tiles."""
        self.config, self.bank = config, bank
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # Read once and in order: drawn from a file, tiles would come at the speed of the disk.
        self.windows = windows.take(tiles)
        shown = labels[tiles]
        self.labels = torch.from_numpy(shown)
        torch.manual_seed(config.seed)
        self.network = CompactNetwork(network).to(self.device, memory_format=torch.channels_last)
        groups = _decay_groups(self.network, config.weight_decay)
        self.optimiser = torch.optim.AdamW(groups, lr=config.learning_rate)
        self.sentences = MiniLM().encode(bank.texts).clone().to(self.device)
        self.step = 0
        counts = np.maximum((shown == 1).sum(0), 1)
        # Rare landforms would hardly be met: a tile is drawn by its rarest one.
        rarity = np.where(shown == 1, np.sqrt(len(tiles) / counts), 1.0).max(1)
        self.odds = np.minimum(rarity, 12.0) / np.minimum(rarity, 12.0).sum()
        negatives = (shown == 0).sum(0) / counts
        self.positive_weight = torch.from_numpy(np.clip(np.sqrt(negatives), 1.0, 12.0)).float()
        single = bank.first == bank.second
        self.singles = [np.flatnonzero(single & (bank.first == i)) for i in range(labels.shape[1])]
        self.doubles = np.flatnonzero(~single)

    def run(self, checkpoint: Path, report: Report) -> CompactNetwork:
        """Train to the last step, from the checkpoint where there is one; return the network."""
        self._resume(checkpoint)
        self.network.train()
        while self.step < self.config.steps:
            loss = self._update()
            self.step += 1
            if self.step % 25 == 0 or self.step == self.config.steps:
                rate = self.optimiser.param_groups[0]["lr"]
                report({"step": self.step, "steps": self.config.steps, "loss": loss, "rate": rate})
            if self.step % self.config.checkpoint_every == 0:
                self._save(checkpoint)
        return self.network.eval()

    def _update(self) -> float:
        # A generator a step: a resumed training draws what an unbroken one would have drawn.
        random = np.random.default_rng((self.config.seed, self.step))
        torch.manual_seed(self.config.seed + self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = float(self._rate())
        tiles = random.choice(len(self.odds), self.config.batch, p=self.odds)
        texts = self._draw_texts(random)
        layers = self._layers(tiles, random)
        sentences = self.sentences[torch.from_numpy(texts).to(self.device)]
        sentences = sentences + self.config.text_noise * torch.randn_like(sentences)
        with torch.autocast(self.device.type, torch.bfloat16):
            images = self.network.image(layers)
        words = self.network.text(F.normalize(sentences, dim=1))
        loss = self._loss(self.network.logits(images.float(), words), tiles, texts)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        return float(loss.detach())

    def _loss(self, logits: torch.Tensor, tiles: NDArray, texts: NDArray) -> torch.Tensor:
        labels = self.labels[torch.from_numpy(tiles)]
        first, second = (torch.from_numpy(x[texts]) for x in (self.bank.first, self.bank.second))
        a, b = labels[:, first], labels[:, second]
        # Both present: yes; either absent: no; else unknown.
        target = torch.where((a == 0) | (b == 0), 0, torch.where((a == 1) & (b == 1), 1, -1))
        weight = torch.maximum(self.positive_weight[first], self.positive_weight[second])
        weight = torch.where(target == 1, weight, 1.0) * (target >= 0)
        target, weight = target.clamp_min(0).float().to(self.device), weight.to(self.device)
        losses = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
        return losses / weight.sum().clamp_min(1.0)

    def _draw_texts(self, random: np.random.Generator) -> NDArray[np.int64]:
        singles = [random.choice(numbers) for numbers in self.singles]
        if not len(self.doubles):
            return np.array(singles, np.int64)
        return np.concatenate([singles, random.choice(self.doubles, self.config.pairs)])

    def _layers(self, tiles: NDArray, random: np.random.Generator) -> torch.Tensor:
        windows = self.windows.take(tiles)
        image = torch.from_numpy(windows.image).to(self.device)
        elevation = torch.from_numpy(windows.elevation).to(self.device)
        parts = []
        # Turned and mirrored together, picture and relief: the baked-in shadows turn with them.
        for part in np.array_split(random.permutation(len(tiles)), 8):
            turns, mirror = int(random.integers(4)), bool(random.integers(2))
            parts.append((part, turns, mirror))
        for part, turns, mirror in parts:
            index = torch.from_numpy(part)
            for values in (image, elevation):
                turned = torch.rot90(values[index], turns, (-2, -1))
                values[index] = turned.flip(-1) if mirror else turned
        layers = self.network.image.layers_of(image, elevation)
        chance = torch.from_numpy(random.random(len(tiles))).to(self.device)
        drop = self.config.layer_dropout
        layers[chance < drop, :, 3:] = 0.0
        layers[chance > 1 - drop, :, :3] = 0.0
        return layers

    def _rate(self) -> float:
        c = self.config
        if self.step < c.warm_up:
            return c.learning_rate * (self.step + 1) / c.warm_up
        done = (self.step - c.warm_up) / max(c.steps - c.warm_up, 1)
        return c.learning_rate * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * done)))

    def _save(self, path: Path) -> None:
        """Write weights and the optimiser's moments; whole or not at all."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        for number, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{k}": v for k, v in state.items()}
        tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        save_file(tensors, partial, {"step": str(self.step), "run": self._run_name()})
        partial.replace(path)

    def _resume(self, path: Path) -> None:
        """Go on from a checkpoint of the same training; any other is left alone."""
        if not path.is_file():
            return
        with safe_open(path, "pt", device=str(self.device)) as file:
            if file.metadata()["run"] != self._run_name():
                return
            self.step = int(file.metadata()["step"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network: dict[str, torch.Tensor] = {}
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            owner, _, rest = name.partition(".")
            if owner == "network":
                network[rest] = value
            else:
                number, _, moment = rest.partition(".")
                moments.setdefault(int(number), {})[moment] = value
        self.network.load_state_dict(network)
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})

    def _run_name(self) -> str:
        """What must be equal for a checkpoint to be of this training: settings, labels, words."""
        taught = hashlib.sha256(self.labels.numpy().tobytes() + "\n".join(self.bank.texts).encode())
        settings = [asdict(self.config), asdict(self.network.config)]
        return json.dumps([*settings, taught.hexdigest()])


def _decay_groups(network: CompactNetwork, decay: float) -> list[dict]:
    weights = [p for p in network.parameters() if p.ndim >= 2]
    others = [p for p in network.parameters() if p.ndim < 2]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
