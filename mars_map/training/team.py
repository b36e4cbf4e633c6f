"""From tiles to an encoder: its towers are trained one by one, joined, and taught words at last.

Towers that began and drew differently err differently on ground that they never saw, and what they
agree on holds better than what any of them says (bagging, Breiman 1996, doi 10.1007/BF00058655). An
index has room for one vector a tile: their vectors are set side by side and turned onto the
directions in which those of the training tiles are longest, which keeps cosines as well as any
linear map to so few dimensions can (Eckart and Young 1936, doi 10.1007/BF02288367).
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch.nn import functional as F

from mars_map.build.windows import Progress
from mars_map.encoders.network import CompactNetwork, NetworkConfig
from mars_map.training.anchors import Anchors
from mars_map.training.loop import Trainer, TrainingConfig
from mars_map.training.material import Material
from mars_map.training.words import teach_words

Watch = Callable[[dict[str, float], CompactNetwork], None]
"""Called before each checkpoint with what `Report` is told, the steps of all towers counted on, and
with the moving average of the network in training."""


def train_network(
    material: Material,
    network: NetworkConfig,
    config: TrainingConfig,
    work: Path,
    watch: Watch = lambda *_: None,
    tick: Progress = lambda *_: None,
) -> CompactNetwork:
    """Train a network of `network.towers` towers; return it ready for use.

    work: folder of the checkpoints, from which a training that was cut short goes on. tick: called
    after each step. Raises BuildError where a checkpoint is of another training that is not done.
    """
    trainers = [
        _train_tower(number, material, network, config, work, watch, tick)
        for number in range(network.towers)
    ]
    joined, anchors, vectors = _join(trainers, material, network, config.seed, tick)
    teach_words(
        joined,
        anchors,
        vectors,
        material.lessons,
        steps=config.word_steps,
        noise=config.text_noise,
        seed=config.seed,
        tick=tick,
    )
    return joined


def _train_tower(
    number: int,
    material: Material,
    network: NetworkConfig,
    config: TrainingConfig,
    work: Path,
    watch: Watch,
    tick: Progress,
) -> Trainer:
    trainer = Trainer(material, replace(network, towers=1), config, number)
    before, steps = number * config.steps, network.towers * config.steps

    def report(state: dict[str, float]) -> None:
        watch({**state, "step": before + state["step"], "steps": steps}, trainer.averaged)

    trainer.run(
        work / f"checkpoint-{number + 1}.safetensors",
        report,
        lambda name, done, _: tick(name, before + done, steps),
    )
    return trainer


def _join(
    trainers: list[Trainer],
    material: Material,
    network: NetworkConfig,
    seed: int,
    tick: Progress,
) -> tuple[CompactNetwork, Anchors, torch.Tensor]:
    """Return the network of all towers, anchors for its words, and its vectors of the tiles."""
    if len(trainers) == 1:
        (trainer,) = trainers
        return trainer.averaged, trainer.anchors, material.vectors(trainer.averaged.image, tick)
    towers = [trainer.averaged.image for trainer in trainers]
    beside = torch.cat([material.vectors(tower, tick) for tower in towers], 1)
    directions = longest_directions(beside, network.dim)
    torch.manual_seed(seed)  # of the text head, which begins anew
    joined = CompactNetwork(network).to(material.device, memory_format=torch.channels_last).eval()
    joined.image.take(towers, directions)
    anchors = Anchors(material.lessons.n_landforms, network.dim).to(material.device)
    apart = [F.normalize(trainer.anchors.vectors.detach(), dim=1) for trainer in trainers]
    anchors.vectors.data = torch.cat(apart, 1) @ directions.T
    return joined, anchors, F.normalize(beside @ directions.T, dim=1)


def longest_directions(vectors: torch.Tensor, dim: int) -> torch.Tensor:
    """Return orthonormal directions, (dim, d), that keep most of the lengths of vectors (n, d)."""
    moments = (vectors.T @ vectors).double() / len(vectors)
    _, directions = torch.linalg.eigh(moments)  # shortest first
    return directions[:, -dim:].T.flip(0).float().contiguous()
