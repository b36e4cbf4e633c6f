"""Terrain measured in the windows of each tile: relief, slope, position, brightness."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mars_map.build.windows import Progress
from mars_map.encoders.windows import Windows, WindowSpec

CHUNK = 2048


@dataclass(frozen=True)
class Terrain:
    """Measures of n tiles, (n,) float32 each."""

    elevation: NDArray[np.float32]
    """Mean elevation of the near window, m."""
    relief: NDArray[np.float32]
    """95th minus 5th percentile of elevation in the near window, m."""
    slope: NDArray[np.float32]
    """Median slope in the near window at its pixel size, degrees."""
    steepest: NDArray[np.float32]
    """95th percentile of slope in the near window, degrees."""
    wide_relief: NDArray[np.float32]
    """95th minus 5th percentile of elevation in the wide window, m."""
    position: NDArray[np.float32]
    """Mean elevation of the middle of the near window minus that of the wide window, m."""
    brightness: NDArray[np.float32]
    """Mean Viking brightness of the middle of the near window, 0..255."""
    redness: NDArray[np.float32]
    """Mean of half of Viking red minus blue there, -128..127."""


def measure_terrain(windows: Windows, spec: WindowSpec, progress: Progress) -> Terrain:
    """Measure every tile of cached windows whose first scale is the near one."""
    n = len(windows.image)
    parts = []
    for start in range(0, n, CHUNK):
        stop = min(start + CHUNK, n)
        part = Windows(windows.image[start:stop], windows.elevation[start:stop])
        parts.append(_measure(part, spec))
        progress("terrain", stop, n)
    names = [field.name for field in fields(Terrain)]
    return Terrain(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def _measure(windows: Windows, spec: WindowSpec) -> Terrain:
    near = windows.elevation[:, 0].astype(np.float32)
    wide = windows.elevation[:, 1].astype(np.float32)
    pixel_m = spec.widths_km[0] * 1000 / spec.pixels
    north, east = np.gradient(near, pixel_m, axis=(1, 2))
    slope = np.degrees(np.arctan(np.hypot(north, east)))
    quarter = spec.pixels // 4
    middle = slice(quarter, spec.pixels - quarter)
    image = windows.image[:, 0, :, middle, middle].mean(axis=(2, 3), dtype=np.float32)
    middle_elevation = near[:, middle, middle].mean(axis=(1, 2))
    return Terrain(
        elevation=near.mean(axis=(1, 2)),
        relief=_spread(near),
        slope=np.median(slope, axis=(1, 2)),
        steepest=np.percentile(slope, 95, axis=(1, 2)).astype(np.float32),
        wide_relief=_spread(wide),
        position=middle_elevation - wide.mean(axis=(1, 2)),
        brightness=image[:, 0],
        redness=image[:, 1] - 128.0,
    )


def _spread(elevation: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.percentile(elevation[:, ::2, ::2], [5, 95], axis=(1, 2))
    return (high - low).astype(np.float32)
