"""The training by which the compact encoder learns pairs of pictures and captions.

MiniLM stays as it is; its trained head learns, and the image tower at 0.3 of the head's rate.
The loss is that of the whole training, SigLIP's (Zhai et al. 2023, arXiv 2303.15343): each picture
and caption of a batch is a yes-or-no question of its own, and a caption that several pictures share
is right for all of them. Against forgetting the model rehearses (`Rehearsal`). A pull of the
weights towards the base model's would be simpler, and would hold weights that do not matter as
firmly as those that do.

Statistics of the batch normalisation stay those of the planet: a user's pictures have no relief.
"""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from mars_map.build.windows import Progress
from mars_map.encoders.compact import BATCH, tower_inputs
from mars_map.encoders.minilm import MiniLM
from mars_map.encoders.network import CompactNetwork, grey_layers
from mars_map.encoders.precision import fast_precision
from mars_map.encoders.prompts import DEFAULT_PROMPTS
from mars_map.encoders.windows import Windows
from mars_map.errors import BuildError
from mars_map.evaluation.pairs import DEPTHS, Direction, rank_partners
from mars_map.training.augment import Augmentation, turn_and_enlarge
from mars_map.training.checkpoint import load_checkpoint, read_notes, save_checkpoint
from mars_map.training.curve import CURVE_FILE, LOSSES_FILE, VALIDATION_FILE, write_curve
from mars_map.training.history import append_row
from mars_map.training.loop import Report
from mars_map.training.pairs_folder import Pairs
from mars_map.training.rehearsal import Rehearsal
from mars_map.training.schedule import rate_share

CHECKPOINT_FILE = "checkpoint.safetensors"
MOST_SENTENCES = 20_000
"""Captions in templates that are read at the start."""
LEAST_STEPS = 400
"""Updates of the weights where the epochs are not given."""
TOLD = 10
"""How often, in the course of a training, the pictures kept out are measured."""


@dataclass(frozen=True)
class FineTuneConfig:
    """Everything that decides a fine-tuning beside its pairs and its base model."""

    epochs: int | None = None
    """How often each pair is shown; as often as makes `LEAST_STEPS` steps unless given."""
    batch: int = 64
    """Pairs a step."""
    learning_rate: float = 1e-3
    """Highest learning rate of the text head; it rises over a tenth of the steps, then falls."""
    tower_rate: float = 0.3
    """Learning rate of the image tower, as a share of the text head's."""
    rehearsal: float = 6.0
    """Weight of what must not be forgotten."""
    rehearsed_tiles: int = 512
    """Tiles to rehearse on."""
    rehearsed_words: int = 400
    """Wordings to rehearse on."""
    tiles: int = 32
    """Tiles rehearsed a step."""
    words: int = 128
    """Wordings rehearsed a step."""
    text_noise: float = 0.02
    """Spread of the noise on each entry of a sentence vector: near words mean near things."""
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(exposure=0.0))
    """How a picture is turned, mirrored and enlarged; shadows turn with it."""
    held_out: float = 0.1
    """Share of the pictures kept out, with all their captions, to measure on."""
    seed: int = 20_260
    """Of the pictures kept out, the order and the augmentation."""


@dataclass(frozen=True, eq=False)
class Recall:
    """How well pictures find their captions, and captions their pictures."""

    image_to_text: Direction
    """Pictures ask for captions."""
    text_to_image: Direction
    """Captions ask for pictures."""

    def row(self) -> dict[str, float]:
        """Return recall@1 and @5 of both directions, for a table of steps."""
        sides = {"caption": self.image_to_text, "picture": self.text_to_image}
        return {
            f"{name}_recall_at_{depth}": float(side.recall(np.array([depth]))[0])
            for name, side in sides.items()
            for depth in DEPTHS[:2]
        }

    def to_dict(self) -> dict[str, Any]:
        """Return value, chance and interval of each figure of both directions."""
        return {
            name: {key: estimate._asdict() for key, estimate in side.estimates().items()}
            for name, side in (
                ("image_to_text", self.image_to_text),
                ("text_to_image", self.text_to_image),
            )
        }


def _in_templates(captions: list[str], minilm: MiniLM) -> torch.Tensor:
    """Return sentence vectors (n_templates, n_captions, text_dim), the first as captions stand.

    A search puts its words into prompts, so captions are learned in these as well. A large number
    of captions is put into fewer of them: MiniLM reads about a hundred sentences a second.
    """
    several = max(1, MOST_SENTENCES // len(captions))
    templates = ("{}", *DEFAULT_PROMPTS)[:several]
    # Out of inference mode, to be differentiated.
    return torch.stack(
        [minilm.encode([t.replace("{}", c) for c in captions]).clone() for t in templates]
    )


def _held_out(n_images: int, config: FineTuneConfig) -> NDArray[np.int64]:
    """Draw the pictures that are kept out, at least two, in rising order."""
    random = np.random.default_rng((config.seed, 0))
    n = max(2, round(config.held_out * n_images))
    return np.sort(random.permutation(n_images)[:n])


class FineTuner:
    """Trains a copy of a network on pairs; resumes from its last checkpoint."""

    def __init__(self, base: CompactNetwork, pairs: Pairs, config: FineTuneConfig) -> None:
        self.config, self.pairs = config, pairs
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.base = base.to(self.device, memory_format=torch.channels_last).eval()
        self.network = copy.deepcopy(self.base)
        self.held_out = _held_out(len(pairs.image), config)
        kept = np.isin(pairs.links[:, 0], self.held_out)
        self.links, self.held_links = pairs.links[~kept], pairs.links[kept]
        self.captions_of: dict[int, set[int]] = {}
        for image, caption in self.links.tolist():
            self.captions_of.setdefault(image, set()).add(caption)
        minilm = MiniLM()
        self.sentences = _in_templates(pairs.captions, minilm).to(self.device)
        self.rehearsal = Rehearsal.of(
            self.base, minilm, config.rehearsed_tiles, config.rehearsed_words, config.seed
        )
        head = [*self.network.text.parameters(), self.network.log_scale, self.network.bias]
        groups = [
            {"params": head, "share": 1.0},
            {"params": list(self.network.image.parameters()), "share": config.tower_rate},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=0.0)
        self.parts = -(-len(self.links) // config.batch)
        self.steps = self.parts * (config.epochs or -(-LEAST_STEPS // self.parts))
        self.step = 0
        self.every = min(50, max(1, self.steps // TOLD))
        self.measure_every = self.every * -(-self.steps // (TOLD * self.every))

    def run(self, folder: Path, run: str, progress: Progress, watch: Report) -> CompactNetwork:
        """Train to the last step, from the folder's checkpoint where there is one of this run."""
        path = folder / CHECKPOINT_FILE
        if not self._resume(path, run):
            # Before all else: from here on the folder is known to be this training's.
            self._save(path, run)
        progress("training", self.step, self.steps)
        if self.step == 0:
            append_row(folder / VALIDATION_FILE, {"step": 0, **self.recall(self.network).row()})
        losses = []
        while self.step < self.steps:
            losses.append(self._update())
            self.step += 1
            progress("training", self.step, self.steps)
            if self.step % self.every == 0 or self.step == self.steps:
                self._tell(folder, np.mean(losses, axis=0), watch)
                losses.clear()
                self._save(path, run)
        return self.network

    def recall(self, network: CompactNetwork) -> Recall:
        """Measure a network on the pictures kept out."""
        images, image = np.unique(self.held_links[:, 0], return_inverse=True)
        captions, caption = np.unique(self.held_links[:, 1], return_inverse=True)
        links = np.stack([image, caption], 1)
        network = network.to(self.device).eval()
        pictures = self.picture_vectors(network, images)
        with torch.inference_mode():
            words = network.text(self.sentences[0, torch.from_numpy(captions).to(self.device)])
        texts = words.float().cpu().numpy()
        return Recall(
            rank_partners(pictures, texts, links), rank_partners(texts, pictures, links[:, ::-1])
        )

    def right(self, images: NDArray[np.int64], captions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which captions (m,) belong to which training pictures (n,) in any pair, (n, m)."""
        belongs = [[c in self.captions_of[i] for c in captions.tolist()] for i in images.tolist()]
        return np.array(belongs, bool).reshape(len(images), len(captions))

    def count(self) -> dict[str, Any]:
        """Tell of which pairs there are how many, and which were left out."""
        return {
            "name": self.pairs.name,
            "pairs": len(self.pairs.links),
            "pictures": len(self.pairs.image),
            "captions": len(self.pairs.captions),
            "pictures_kept_out": len(self.held_out),
            "pairs_kept_out": len(self.held_links),
            "left_out": self.pairs.left_out,
        }

    def _tell(self, folder: Path, losses: NDArray, watch: Report) -> None:
        rate = self.optimiser.param_groups[0]["lr"]
        names = ("pair_loss", "rehearsal_loss")
        state = {"step": self.step, "steps": self.steps, "rate": rate}
        state |= dict(zip(names, losses.tolist(), strict=True))
        append_row(folder / LOSSES_FILE, state)
        if self.step % self.measure_every == 0 or self.step == self.steps:
            row = {"step": self.step, **self.recall(self.network).row()}
            append_row(folder / VALIDATION_FILE, row)
        write_curve(folder, folder / CURVE_FILE, f"Fine-tuning on {self.pairs.name}")
        watch(state)

    def _update(self) -> tuple[float, float]:
        # A generator a step: a resumed training draws what an unbroken one would have drawn.
        random = np.random.default_rng((self.config.seed, self.step))
        torch.manual_seed(self.config.seed + self.step)
        self.network.eval()
        self.network.text.train()
        for group in self.optimiser.param_groups:
            group["lr"] = group["share"] * self._rate()
        images, captions = self._draw()
        pair_loss = self._pair_loss(images, captions, random)
        c = self.config
        rehearsal_loss = self.rehearsal.loss(self.network, random, c.tiles, c.words)
        self.optimiser.zero_grad(set_to_none=True)
        (pair_loss + c.rehearsal * rehearsal_loss).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        return float(pair_loss.detach()), float(rehearsal_loss.detach())

    def _draw(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the pictures of this step's pairs, (b,), and their distinct captions."""
        epoch, part = divmod(self.step, self.parts)
        order = np.random.default_rng((self.config.seed, epoch, 1)).permutation(len(self.links))
        links = self.links[np.array_split(order, self.parts)[part]]
        return links[:, 0], np.unique(links[:, 1])

    def _pair_loss(
        self, images: NDArray[np.int64], captions: NDArray[np.int64], random: np.random.Generator
    ) -> torch.Tensor:
        template = random.integers(len(self.sentences), size=len(captions))
        drawn = (torch.from_numpy(v).to(self.device) for v in (template, captions))
        sentences = self.sentences[*drawn]
        sentences = sentences + self.config.text_noise * torch.randn_like(sentences)
        words = self.network.text(F.normalize(sentences, dim=1))
        windows, seen = self._windows(images)
        image, elevation = turn_and_enlarge(windows, self.config.augmentation, random, self.device)
        layers = self.network.image.layers_of(image, elevation)
        vectors = self._look(self.network, layers, seen)
        target = torch.from_numpy(self.right(images, captions)).float().to(self.device)
        logits = self.network.logits(vectors, words)
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        return loss / len(images)

    def _windows(self, images: NDArray[np.int64]) -> tuple[Windows, torch.Tensor]:
        image = self.pairs.image[images]
        n, scales, _, p, _ = image.shape
        unknown = np.zeros((n, 2), np.float32)
        windows = Windows(image, np.zeros((n, scales, p, p), np.int16), unknown)
        return windows, torch.from_numpy(self.pairs.seen[images]).to(self.device)

    def _look(
        self, network: CompactNetwork, layers: torch.Tensor, seen: torch.Tensor
    ) -> torch.Tensor:
        """Return the vectors of pictures, as `CompactImageEncoder.encode_pictures` makes them."""
        told = layers.new_zeros(len(layers), network.image.n_told)
        with fast_precision(self.device):
            return network.image(grey_layers(layers), told, seen).float()

    @torch.inference_mode()
    def picture_vectors(
        self, network: CompactNetwork, images: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the unit vectors of some pictures, (n, dim) float32."""
        parts = []
        for some in np.array_split(images, -(-len(images) // BATCH)):
            windows, seen = self._windows(some)
            layers, _ = tower_inputs(network.image, windows)
            parts.append(self._look(network, layers, seen).cpu().numpy())
        return np.concatenate(parts)

    def _rate(self) -> float:
        rise = max(self.steps // 10, 1)
        return self.config.learning_rate * rate_share(self.step, self.steps, rise)

    def _save(self, path: Path, run: str) -> None:
        notes = {"step": str(self.step), "run": run}
        save_checkpoint(path, {"network": self.network}, self.optimiser, notes)

    def _resume(self, path: Path, run: str) -> bool:
        notes = read_notes(path)
        if notes is None:
            return False
        if notes.get("run") != run:
            raise BuildError(
                f'"{path.parent}" holds an unfinished training on other pairs or with other '
                "settings; repeat its command, or choose another folder."
            )
        load_checkpoint(path, {"network": self.network}, self.optimiser)
        self.step = int(notes["step"])
        return True
