"""The last part of a training: the words learn on pictures that stand still.

While the image tower learns, what a word should point at moves on at every step. Afterwards every
tile is embedded once, and the text head learns on these vectors: a step costs milliseconds, so that
it can take thousands of them on all tiles.
"""

import math

import numpy as np
import torch
from torch import nn

from mars_map.build.windows import Progress
from mars_map.encoders.network import CompactNetwork
from mars_map.training.anchors import Anchors
from mars_map.training.lessons import Lessons
from mars_map.training.schedule import rate_share

BATCH = 1024
"""Tiles a step."""
JOINED = 64
"""Sentences of several facts a step."""
RATE, ANCHOR_RATE = 1e-3, 1e-2
"""Highest learning rates of the words and of the anchors; both rise and fall as a cosine."""
WARM_UP = 50


def teach_words(
    network: CompactNetwork,
    anchors: Anchors,
    vectors: torch.Tensor,
    lessons: Lessons,
    *,
    steps: int,
    noise: float,
    seed: int,
    tick: Progress = lambda *_: None,
) -> None:
    """Train the text head of a network, and the anchors, on the vectors of tiles.

    vectors: (n_tiles, dim) unit vectors of the tiles of `lessons`; noise: of `Lessons.sentences`.
    The image tower stays as it is. How common a text is, which decides no ranking, is told by a
    level of its own that is thrown away.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    head, level = network.text, _Level(network).to(vectors.device)
    head.train()
    # The anchors have none of the decay: they are found anew from every tile.
    groups = [
        {"params": [*head.parameters(), *level.parameters()], "lr": RATE},
        {"params": [*anchors.parameters()], "lr": ANCHOR_RATE, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: rate_share(step, steps, WARM_UP)
    )
    for step in range(steps):
        tiles, texts = lessons.draw_tiles(random, BATCH), lessons.draw_texts(random, JOINED)
        sentences, images = lessons.sentences(texts, noise), vectors[torch.from_numpy(tiles)]
        words = head(sentences)
        logits = level(images @ words.T, sentences)
        loss = lessons.loss(logits, anchors(images), tiles, texts)
        loss = loss + anchors.distance(words[: lessons.n_landforms])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        tick("words", step + 1, steps)
    head.eval()


class _Level(nn.Module):
    """What the cosines of a text are worth: a scale and a bias, read from its sentence vector."""

    def __init__(self, network: CompactNetwork) -> None:
        super().__init__()
        self.size = math.sqrt(network.config.text_dim)
        last = nn.Linear(64, 2)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.read = nn.Sequential(nn.Linear(network.config.text_dim, 64), nn.GELU(), last)
        self.log_scale = nn.Parameter(network.log_scale.detach().clone())
        self.bias = nn.Parameter(network.bias.detach().clone())

    def forward(self, cosines: torch.Tensor, sentences: torch.Tensor) -> torch.Tensor:
        """Turn cosines (n, m) with the words of sentences (m, text_dim) into logits."""
        gain, shift = self.read(sentences * self.size).T
        return (self.log_scale + gain).exp() * cosines + self.bias + shift
