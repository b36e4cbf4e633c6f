"""What every model of the CLIP family has, whoever published it."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from mars_map.encoders.checkpoint import Checkpoint
from mars_map.encoders.hub import ModelFolder

if TYPE_CHECKING:
    import torch

    from mars_map.encoders.preprocessing import Preprocessing
    from mars_map.encoders.towers import Side

Tokenizer = Callable[[Sequence[str]], "torch.Tensor"]
"""Texts to tokens, (n, length) int64."""


class FamilyModel:
    """A model in a folder, described by its configuration; weights are read for `tower`."""

    dim: int
    """Dimensions of its vectors."""
    architecture: str
    """What it is, for people."""
    takes_int8 = True
    """Whether the linear layers of its text tower can be replaced."""

    def __init__(self, folder: ModelFolder) -> None:
        self.folder = folder

    @property
    def model_id(self) -> str:
        """Name of the model."""
        return self.folder.name

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The weights on disk. Raises ModelError where they are absent or no weights."""
        return Checkpoint(self.folder.path)

    @cached_property
    def sha256(self) -> str:
        """Hash of the weights, hex."""
        return self.checkpoint.sha256

    @property
    def preprocessing(self) -> "Preprocessing":
        """How pictures are prepared, as the checkpoint declares it. Raises ModelError."""
        raise NotImplementedError

    @property
    def tokenizer(self) -> Tokenizer:
        """How words are read, as the checkpoint declares it. Raises ModelError."""
        raise NotImplementedError

    def tower(self, side: "Side") -> "torch.nn.Module":
        """Return one side with its weights, float32. Raises ModelError where they do not fit."""
        raise NotImplementedError
