"""A user's own pictures as windows: cut square about their middle, in grey, at the scale they fit.

A picture brings neither elevation nor calibrated colour. What is left is its local contrast, which
the network was taught to live with; see `grey_layers`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mars_map.encoders.windows import Windows, WindowSpec

NEUTRAL_COLOUR = 128
"""The colour layer where red equals blue."""


def picture_windows(
    pictures: Sequence[Image.Image],
    spec: WindowSpec,
    width_km: Sequence[float] | float | None = None,
) -> tuple[Windows, NDArray[np.bool_]]:
    """Return the windows of n pictures and which of them are there, (n, n_scales) bool.

    width_km: width on the ground of all pictures or of each, kilometres; a picture of unknown
    width is taken for a nearest window. A picture fills every window that is no more than a quarter
    wider than it; one that is smaller than all of them stands for the nearest. Elevations are 0.
    """
    n, scales, p = len(pictures), len(spec.widths_km), spec.pixels
    image = np.full((n, scales, 2, p, p), NEUTRAL_COLOUR, np.uint8)
    seen = np.zeros((n, scales), bool)
    widths = np.broadcast_to(np.array(width_km or spec.widths_km[0], float), n)
    for i, (picture, width) in enumerate(zip(pictures, widths, strict=True)):
        grey = grey_picture(picture)
        for scale, wanted in enumerate(spec.widths_km):
            if scale == 0 or wanted <= 1.25 * width:
                image[i, scale, 0] = _middle(grey, min(wanted / width, 1.0), p)
                seen[i, scale] = True
    unknown = np.full((n, 2), np.nan, np.float32)
    return Windows(image, np.zeros((n, scales, p, p), np.int16), unknown), seen


def grey_picture(picture: Image.Image) -> Image.Image:
    """Return a picture in 8 bits of grey.

    Deeper ones (16 bits, 32 bits, real numbers), which Pillow would cut off at 255, are stretched
    between their percentiles 0.5 and 99.5; values that are no number or beyond 1e30 stay out of it.
    """
    if not picture.mode.startswith(("I", "F")):
        return picture.convert("L")
    values = np.asarray(picture, np.float64)
    sound = np.abs(values) < 1e30
    low, high = np.percentile(values[sound], (0.5, 99.5)) if sound.any() else (0.0, 1.0)
    share = (np.where(sound, values, low) - low) / max(high - low, 1e-9)
    return Image.fromarray(np.rint(255 * share.clip(0, 1)).astype(np.uint8))


def _middle(picture: Image.Image, share: float, pixels: int) -> NDArray[np.uint8]:
    """Return a share of the square in the middle of a picture, (pixels, pixels)."""
    side = min(picture.size) * share
    left, top = ((length - side) / 2 for length in picture.size)
    box = (left, top, left + side, top + side)
    size = (pixels, pixels)
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0))
