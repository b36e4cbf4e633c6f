"""Terrain measured in the windows of each tile: relief, slope, position, shape, brightness."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mars_map.build.windows import Progress
from mars_map.encoders.windows import Windows, WindowSpec

CHUNK = 2048
NEAR_KM, WIDE_KM = 64.0, 250.0
"""Widths of the two windows that are measured; of a spec, those nearest to them are taken."""
STEP_M = 120.0
"""Ground this far below the plane of its window is a hollow in it."""
LEAST_LENGTH = 0.18
"""Least standard deviation along a trough, in widths of the window."""
SHARES = (0.03, 0.30)
"""Shares of a window that a trough may fill."""


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
    wide_middle: NDArray[np.float32]
    """75th minus 25th percentile of elevation in the wide window, m: small on a plain, even round
    a mountain."""
    position: NDArray[np.float32]
    """Mean elevation of the middle of the near window minus that of the wide window, m."""
    sink: NDArray[np.float32]
    """5th percentile of elevation in the middle of the near window below the median of the wide
    window, m."""
    enclosed: NDArray[np.float32]
    """Mean elevation of the lowest of the wide window's four sides above that of the middle of the
    near window, m: positive in a closed depression."""
    stands: NDArray[np.float32]
    """95th percentile of elevation in the middle of the near window above the highest of the wide
    window's four sides, m: positive on a mountain that stands alone."""
    tilt: NDArray[np.float32]
    """Slope of the plane that fits the near window best, degrees."""
    roughness: NDArray[np.float32]
    """Standard deviation of elevation about that plane, m."""
    trough: NDArray[np.float32]
    """How many times longer than wide the ground well below that plane is; 0 where there is none,
    too much of it, or it is no longer than a crater."""
    brightness: NDArray[np.float32]
    """Mean Viking brightness of the middle of the near window, 0..255."""
    redness: NDArray[np.float32]
    """Mean of half of Viking red minus blue there, -128..127."""


def near_and_wide(spec: WindowSpec) -> tuple[int, int]:
    """Return which scales of a spec are measured: nearest to 64 km and nearest to 250 km.

    With a single scale both are that one.
    """
    scales = range(len(spec.widths_km))
    near = min(scales, key=lambda scale: abs(spec.widths_km[scale] - NEAR_KM))
    others = [scale for scale in scales if scale != near] or [near]
    wide = min(others, key=lambda scale: abs(spec.widths_km[scale] - WIDE_KM))
    return near, wide


def measure_terrain(windows: Windows, spec: WindowSpec, progress: Progress) -> Terrain:
    """Measure every tile of cached windows."""
    n = len(windows.image)
    scales = list(near_and_wide(spec))
    parts = []
    for start in range(0, n, CHUNK):
        stop = min(start + CHUNK, n)
        near, wide = (windows.elevation[start:stop, scale].astype(np.float32) for scale in scales)
        image = windows.image[start:stop, scales[0]]
        parts.append(_measure(image, near, wide, spec.widths_km[scales[0]] * 1000))
        progress("terrain", stop, n)
    names = [field.name for field in fields(Terrain)]
    return Terrain(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def _measure(image: NDArray, near: NDArray, wide: NDArray, width_m: float) -> Terrain:
    """Measure the near window's image (n, 2, p, p) and elevation, and the wide window's."""
    pixels = near.shape[-1]
    north, east = np.gradient(near, width_m / pixels, axis=(1, 2))
    slope = np.degrees(np.arctan(np.hypot(north, east)))[:, ::2, ::2]
    quarter = pixels // 4
    middle = slice(quarter, pixels - quarter)
    seen = image[:, :, middle, middle].mean(axis=(2, 3), dtype=np.float32)
    centre = near[:, middle, middle]
    lowest, low, median, high, highest = _percentiles(wide[:, ::2, ::2], 5, 25, 50, 75, 95)
    near_low, near_high = _percentiles(near[:, ::2, ::2], 5, 95)
    centre_low, centre_high = _percentiles(centre, 5, 95)
    slope_median, slope_high = _percentiles(slope, 50, 95)
    sides = _sides(wide)
    tilt, rest = _without_plane(near[:, ::2, ::2], 2 * width_m / pixels)
    return Terrain(
        elevation=near.mean(axis=(1, 2)),
        relief=near_high - near_low,
        slope=slope_median,
        steepest=slope_high,
        wide_relief=highest - lowest,
        wide_middle=high - low,
        position=centre.mean(axis=(1, 2)) - wide.mean(axis=(1, 2)),
        enclosed=sides.min(axis=1) - centre.mean(axis=(1, 2)),
        stands=centre_high - sides.max(axis=1),
        sink=median - centre_low,
        tilt=tilt,
        roughness=rest.std(axis=(1, 2)),
        trough=_elongation(rest < -STEP_M),
        brightness=seen[:, 0],
        redness=seen[:, 1] - 128.0,
    )


def _percentiles(values: NDArray, *percents: float) -> NDArray[np.float32]:
    return np.percentile(values.reshape(len(values), -1), percents, axis=1).astype(np.float32)


def _sides(elevation: NDArray) -> NDArray[np.float32]:
    """Return the mean elevation of the outer eighth along each side of windows, (n, 4)."""
    strip = elevation.shape[-1] // 8
    strips = (
        elevation[:, :strip],
        elevation[:, -strip:],
        elevation[:, :, :strip],
        elevation[:, :, -strip:],
    )
    return np.stack([side.mean(axis=(1, 2)) for side in strips], axis=1)


def _without_plane(elevation: NDArray, step_m: float) -> tuple[NDArray, NDArray]:
    """Return the slope in degrees of the best plane, (n,), and what stands out of it, (n, p, p)."""
    x = (np.arange(elevation.shape[-1], dtype=np.float32) - (elevation.shape[-1] - 1) / 2) * step_m
    # On a square grid the two directions do not mix, so each slope is a regression of its own.
    weight = x / (x @ x) / len(x)
    rest = elevation - elevation.mean(axis=(1, 2), keepdims=True)
    east, north = np.einsum("nij,j->n", rest, weight), np.einsum("nij,i->n", rest, weight)
    rest = rest - east[:, None, None] * x - north[:, None, None] * x[:, None]
    return np.degrees(np.arctan(np.hypot(east, north))).astype(np.float32), rest


def _elongation(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return length over width of what a mask (n, p, p) shows, by its second moments, (n,)."""
    weight = mask.astype(np.float32)
    total = np.maximum(weight.sum(axis=(1, 2)), 1.0)
    x = np.arange(mask.shape[-1], dtype=np.float32) - (mask.shape[-1] - 1) / 2
    column, row = weight.sum(axis=1), weight.sum(axis=2)
    mean_x, mean_y = column @ x / total, row @ x / total
    xx = column @ x**2 / total - mean_x**2
    yy = row @ x**2 / total - mean_y**2
    xy = np.einsum("nij,i,j->n", weight, x, x) / total - mean_x * mean_y
    spread = np.hypot((xx - yy) / 2, xy)
    longest, shortest = (xx + yy) / 2 + spread, (xx + yy) / 2 - spread
    ratio = np.sqrt(longest / np.maximum(shortest, 0.5))
    share = weight.mean(axis=(1, 2))
    clear = (share >= SHARES[0]) & (share <= SHARES[1])
    # A line right across the window has a standard deviation of 0.29 widths.
    clear &= np.sqrt(longest) > LEAST_LENGTH * mask.shape[-1]
    return np.where(clear, ratio, 0.0).astype(np.float32)
