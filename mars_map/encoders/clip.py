"""Models of the CLIP family in use: words and pictures to unit vectors.

The models come from `openclip` or `huggingface`; here they are run. Precisions are "float32",
"bfloat16" and, for words on a processor, "int8"; "auto" takes what is fast and does no harm.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from mars_map.encoders.int8 import quantise
from mars_map.encoders.model import FamilyModel
from mars_map.encoders.precision import has_fast_bfloat16
from mars_map.encoders.prompts import DEFAULT_PROMPTS, fill_prompts
from mars_map.encoders.threads import threads_for
from mars_map.errors import ModelError

Precision = Literal["auto", "float32", "bfloat16", "int8"]

TYPICAL = (
    "an impact crater with a central peak", "linear dunes", "slope streaks on dusty slopes",
    "an outflow channel", "polygonal ground", "a lava flow with lobate margins", "yardangs", "ice",
)  # fmt: skip
"""Words that show int8 what values flow through the text tower."""
TEXT_BATCH = 64
"""Texts that are encoded at a time."""
IMAGE_BATCH = {"cpu": 4, "cuda": 64}
"""Pictures that are encoded at a time; more would take memory and no less time."""


class ClipTextEncoder:
    """Words to unit vectors by the text tower of a CLIP-family model."""

    def __init__(self, model: FamilyModel, precision: Precision = "auto") -> None:
        """Load the text side of a model.

        precision: "auto" is bfloat16 where the device is fast at it, else float32; int8 is
        calculated by the processor, beside a GPU too. Raises ModelError for int8 of a model that
        open_clip built, and where the model's files are absent or do not fit.
        """
        self.model_id, self.sha256, self.dim = model.model_id, model.sha256, model.dim
        self._device = torch.device("cpu") if precision == "int8" else _device()
        self.precision = _chosen(precision, self._device, takes_int8=model.takes_int8)
        self._tokenizer = model.tokenizer
        self._tower = _ready(model.tower("text"), self._device, self.precision)
        if self.precision == "int8":
            self._quantise()

    @torch.inference_mode()
    def _quantise(self) -> None:
        texts = [text for words in TYPICAL for text in fill_prompts(DEFAULT_PROMPTS, words)]
        quantise(self._tower, lambda: self._tower(self._tokenizer(texts)))

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector a text, (n, dim) float32."""
        parts = [np.zeros((0, self.dim), np.float32)]
        # Texts of like length go together, so that little is computed for filling.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        with threads_for(texts):
            for start in range(0, len(texts), TEXT_BATCH):
                tokens = self._tokenizer([texts[i] for i in order[start : start + TEXT_BATCH]])
                parts.append(_unit(self._tower(tokens.to(self._device))))
        return np.concatenate(parts)[np.argsort(order)] if texts else parts[0]


class ClipImageEncoder:
    """Pictures to unit vectors by the image tower of a CLIP-family model."""

    def __init__(self, model: FamilyModel, precision: Precision = "auto") -> None:
        """Load the image side of a model.

        precision: "auto" is bfloat16 where the device is fast at it, else float32. Raises
        ModelError for int8, which is for words, and where files are absent or do not fit.
        """
        self.model_id, self.sha256, self.dim = model.model_id, model.sha256, model.dim
        self.preprocessing = model.preprocessing
        self.image_size = self.preprocessing.size
        self._device = _device()
        self.precision = _chosen(precision, self._device, takes_int8=False)
        self._tower = _ready(model.tower("image"), self._device, self.precision)

    def encode_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return one unit vector a picture, (n, dim) float32; any size and mode."""
        parts = [np.zeros((0, self.dim), np.float32)]
        batch = IMAGE_BATCH[self._device.type]
        for start in range(0, len(pictures), batch):
            some = pictures[start : start + batch]
            parts.append(self.encode_fitted(self.preprocessing.fit_pictures(some)))
        return np.concatenate(parts)

    @torch.inference_mode()
    def encode_fitted(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return one unit vector a fitted picture, (n, dim) float32.

        pixels: what `preprocessing.fit_pictures` makes of pictures, (n, size, size, 3) uint8; other
        threads may do that.
        """
        scaled = self.preprocessing.scale(torch.from_numpy(pixels).to(self._device))
        return _unit(self._tower(scaled))

    def encode_pictures(
        self, pictures: Sequence[Image.Image], width_km: Sequence[float] | float | None = None
    ) -> NDArray[np.float32]:
        """Return one unit vector a picture; these models do not ask for its width on the ground."""
        del width_km
        return self.encode_images(pictures)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _chosen(precision: Precision, device: torch.device, *, takes_int8: bool) -> str:
    """Return the precision that is meant. Raises ModelError for one that cannot be had."""
    if precision not in ("auto", "float32", "bfloat16", "int8"):
        raise ModelError(
            f'"{precision}" is no precision; choose auto, float32, bfloat16 or, for words, int8.'
        )
    if precision == "int8" and not takes_int8:
        raise ModelError(
            "int8 is for the words of models that mars_map computes itself; choose auto, float32 "
            "or bfloat16."
        )
    if precision != "auto":
        return precision
    return "bfloat16" if has_fast_bfloat16(device.type) else "float32"


def _ready(tower: nn.Module, device: torch.device, precision: str) -> nn.Module:
    """Return a tower ready for use; only float32 weights on a processor stay in their file."""
    tower = tower.eval().requires_grad_(False)
    return tower.to(device, torch.bfloat16 if precision == "bfloat16" else torch.float32)


def _unit(features: torch.Tensor) -> NDArray[np.float32]:
    return nn.functional.normalize(features.float(), dim=-1).cpu().numpy()
