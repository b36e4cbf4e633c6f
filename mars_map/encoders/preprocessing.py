"""Pictures as a CLIP-family model wants them, as its checkpoint declares, by Pillow alone.

Three ways to a square: the shorter side fits and the rest is cut off; the longer side fits and the
rest is filled; both sides are squeezed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mars_map.encoders.pictures import grey_picture
from mars_map.errors import ModelError

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
"""What CLIP was trained with and a checkpoint means that declares nothing."""


@dataclass(frozen=True)
class Preprocessing:
    """How a picture of any size and mode becomes the numbers that a model takes."""

    size: int
    """Height and width that the model takes, pixels."""
    mean: tuple[float, float, float] = OPENAI_MEAN
    """Subtracted from red, green and blue of 0..1."""
    std: tuple[float, float, float] = OPENAI_STD
    """Divided by."""
    resample: Image.Resampling = Image.Resampling.BICUBIC
    """How pixels are interpolated."""
    fit: Literal["shortest", "longest", "squash"] = "shortest"
    """Which side is made to fit; the other is cut off, filled or squeezed."""
    edge: int | None = None
    """Length of the shorter side before the middle is cut out; None for `size`."""
    fill: int = 0
    """Brightness of what is filled, 0..255."""
    rounds_up: bool = True
    """Whether a cut of half a pixel is rounded to even, as torchvision does, or down."""

    def fit_pictures(self, pictures: Sequence[Image.Image]) -> NDArray[np.uint8]:
        """Return pictures of the size that the model takes, (n, size, size, 3) uint8."""
        pixels = np.empty((len(pictures), self.size, self.size, 3), np.uint8)
        for i, picture in enumerate(pictures):
            pixels[i] = np.asarray(self._fitted(_rgb(picture)))
        return pixels

    def scale(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the numbers that the model takes of fitted pictures, (n, 3, size, size) float32.

        pixels: (n, size, size, 3) uint8 on any device, where this then happens.
        """
        mean, std = (pixels.new_tensor(v, dtype=torch.float32) for v in (self.mean, self.std))
        return ((pixels / 255 - mean) / std).permute(0, 3, 1, 2)

    def _fitted(self, picture: Image.Image) -> Image.Image:
        if self.fit == "squash":
            return _resized(picture, (self.size, self.size), self.resample)
        if self.fit == "longest":
            ratio = max(picture.size) / self.size
            fitted = [max(round(side / ratio), 1) for side in picture.size]
        else:
            edge = self.edge or self.size
            fitted = [edge * side // min(picture.size) for side in picture.size]
        return self._middle(_resized(picture, fitted, self.resample))

    def _middle(self, picture: Image.Image) -> Image.Image:
        """Cut out the middle; what a picture is too small for is filled."""
        larger = tuple(max(side, self.size) for side in picture.size)
        if picture.size != larger:
            canvas = Image.new("RGB", larger, (self.fill,) * 3)
            spare = [outer - inner for outer, inner in zip(larger, picture.size, strict=True)]
            canvas.paste(picture, tuple(s // 2 if self.rounds_up else -(-s // 2) for s in spare))
            picture = canvas
        spare = [side - self.size for side in picture.size]
        left, top = (round(s / 2) if self.rounds_up else s // 2 for s in spare)
        return picture.crop((left, top, left + self.size, top + self.size))


def openclip_preprocessing(declared: Mapping[str, Any], image_size: int) -> Preprocessing:
    """Read the `preprocess_cfg` of an OpenCLIP configuration; what it leaves out is CLIP's.

    The size is the model's own, as in open_clip.

    Raises ModelError for a declaration that makes no sense.
    """
    try:
        interpolation = declared.get("interpolation") or "bicubic"
        return Preprocessing(
            size=image_size,
            mean=_three(declared.get("mean") or OPENAI_MEAN),
            std=_three(declared.get("std") or OPENAI_STD),
            # "random" is for training; open_clip then takes bicubic.
            resample=Image.Resampling["BILINEAR" if interpolation == "bilinear" else "BICUBIC"],
            fit=_fit(declared.get("resize_mode") or "shortest"),
            fill=int(declared.get("fill_color") or 0),
        )
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"The preprocessing that the checkpoint declares makes no sense ({error})."
        ) from error


def transformers_preprocessing(declared: Mapping[str, Any], image_size: int) -> Preprocessing:
    """Read the preprocessor configuration of a CLIP or SigLIP checkpoint of transformers.

    Raises ModelError for a declaration that makes no sense or that this program does not follow.
    """
    try:
        if not all(declared.get(f"do_{step}", True) for step in ("resize", "rescale", "normalize")):
            raise ValueError("a picture is to be left unscaled")
        if not np.isclose(declared.get("rescale_factor", 1 / 255), 1 / 255):
            raise ValueError(f"rescale_factor {declared['rescale_factor']}")
        crops = declared.get("do_center_crop", "crop_size" in declared)
        size, crop = declared.get("size", image_size), declared.get("crop_size", image_size)
        edge = size if isinstance(size, int) else size.get("shortest_edge")
        if (square := _square(crop if crops else size)) != image_size:
            raise ValueError(f"pictures of {square} pixels for a model of {image_size}")
        return Preprocessing(
            size=square,
            mean=_three(declared.get("image_mean", OPENAI_MEAN)),
            std=_three(declared.get("image_std", OPENAI_STD)),
            resample=Image.Resampling(declared.get("resample", Image.Resampling.BICUBIC)),
            fit="shortest" if crops and edge else "squash",
            edge=int(edge) if crops and edge else None,
            rounds_up=False,
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(
            f"The preprocessing that the checkpoint declares makes no sense ({error})."
        ) from error


def _rgb(picture: Image.Image) -> Image.Image:
    """Return a picture in 8 bits of red, green and blue; deeper ones are stretched, in grey."""
    deep = picture.mode.startswith(("I", "F"))
    return (grey_picture(picture) if deep else picture).convert("RGB")


def _resized(picture: Image.Image, size: Sequence[int], how: Image.Resampling) -> Image.Image:
    return picture if picture.size == tuple(size) else picture.resize(tuple(size), how)


def _square(size: Any) -> int:
    if isinstance(size, Mapping):
        if size["height"] != size["width"]:
            raise ValueError(f"{size['height']} x {size['width']} pixels is no square")
        size = size["height"]
    return int(size)


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = (values,) * 3 if isinstance(values, int | float) else values
    return float(red), float(green), float(blue)


def _fit(mode: str) -> Literal["shortest", "longest", "squash"]:
    if mode not in ("shortest", "longest", "squash"):
        raise ValueError(f"resize_mode {mode}")
    return mode
