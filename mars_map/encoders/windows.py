"""What the compact encoder sees of a tile: concentric windows of brightness, colour and relief."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class WindowSpec:
    """Sizes of the concentric windows of a tile."""

    pixels: int = 64
    """Width and height of every window in pixels."""
    widths_km: tuple[float, ...] = (64.0, 180.0, 500.0)
    """Width on the ground of each window, nearest first, kilometres."""


class Windows(NamedTuple):
    """Windows of n tiles at s scales, p pixels wide, north up; arrays may be memory-mapped."""

    image: NDArray[np.uint8]
    """(n, s, 2, p, p): brightness 0..255, and 128 + (red - blue) / 2."""
    elevation: NDArray[np.int16]
    """(n, s, p, p): elevation in metres."""
    surface: NDArray[np.float32]
    """(n, 2): thermal inertia in J m-2 K-1 s-1/2 and Lambert albedo at the centre; NaN where they
    are not known."""

    def take(self, tiles: NDArray[np.int64] | slice) -> "Windows":
        """Return the windows of some tiles, in memory and in their order."""
        return Windows(*(np.require(values[tiles], requirements="W") for values in self))
