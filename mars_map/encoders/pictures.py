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
        grey = picture.convert("L")
        for scale, wanted in enumerate(spec.widths_km):
            if scale == 0 or wanted <= 1.25 * width:
                image[i, scale, 0] = _middle(grey, min(wanted / width, 1.0), p)
                seen[i, scale] = True
    unknown = np.full((n, 2), np.nan, np.float32)
    return Windows(image, np.zeros((n, scales, p, p), np.int16), unknown), seen


def _middle(picture: Image.Image, share: float, pixels: int) -> NDArray[np.uint8]:
    """Return a share of the square in the middle of a picture, (pixels, pixels)."""
    side = min(picture.size) * share
    left, top = ((length - side) / 2 for length in picture.size)
    box = (left, top, left + side, top + side)
    size = (pixels, pixels)
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0))
