"""Anchors: a vector for each landform, at which pictures learn and to which words are drawn.

A text says something else at every step, and what it says moves while the text head learns; a
landform is the same throughout. The image tower therefore learns from one anchor a landform, with a
level of its own for how common it is, and the words of a landform are drawn to its anchor. Anchors
are thrown away after the training: a search compares pictures with words.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


class Anchors(nn.Module):
    """One unit vector for each landform, and what cosines with it are worth."""

    def __init__(self, n_landforms: int, dim: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(n_landforms, dim))
        self.log_scale = nn.Parameter(torch.full((n_landforms,), math.log(10.0)))
        self.bias = nn.Parameter(torch.full((n_landforms,), -4.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, n_landforms) logits of unit vectors (n, dim); sigmoid is a probability."""
        cosines = images @ F.normalize(self.vectors, dim=1).T
        return self.log_scale.exp() * cosines + self.bias

    def distance(self, words: torch.Tensor) -> torch.Tensor:
        """Return how far words are from their anchors: the mean of 1 - cosine, 0..2.

        words: (n_landforms, dim) unit vectors, one wording of each landform. The anchors stay where
        they are; only the words move.
        """
        anchors = F.normalize(self.vectors.detach(), dim=1)
        return (1 - (words * anchors).sum(1)).mean()
