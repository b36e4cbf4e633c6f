"""Polar stereographic maps on the Mars sphere: the planet seen from above a pole.

Formulas: Snyder 1987, USGS Professional Paper 1395, equations 21-5 to 21-12, scale 1 at the pole.
The prime meridian points down on the northern map and up on the southern one, as in
`IAU_2015:49930` and `49935`. Map tiles are 256 pixels; one of them, at zoom 0, holds the square
round the equator, and each further zoom has twice as many each way.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mars_map.planet.sphere import RADIUS_M

Pole = Literal["north", "south"]
"""Which pole is in the middle."""

POLES: tuple[Pole, ...] = ("north", "south")
POLAR_CRS: dict[Pole, tuple[str, str]] = {
    "north": ("IAU_2015", "49930"),
    "south": ("IAU_2015", "49935"),
}
"""Authority and code of the projected coordinates."""
HALF_WIDTH_M = 2.0 * RADIUS_M
"""Distance of the equator from the pole on the map, metres: half of the square that is drawn."""


def polar_from_lonlat(lon: ArrayLike, lat: ArrayLike, pole: Pole) -> tuple[NDArray, NDArray]:
    """Project points in degrees; returns x to the right and y upward in metres from the pole."""
    sign = _sign(pole)
    distance = HALF_WIDTH_M * np.tan(np.radians(90.0 - sign * np.asarray(lat, float)) / 2.0)
    angle = np.radians(np.asarray(lon, float))
    return distance * np.sin(angle), -sign * distance * np.cos(angle)


def lonlat_from_polar(x: ArrayLike, y: ArrayLike, pole: Pole) -> tuple[NDArray, NDArray]:
    """Undo `polar_from_lonlat`; longitudes are in [-180, 180], that of the pole is 0."""
    x, y, sign = np.asarray(x, float), np.asarray(y, float), _sign(pole)
    lat = sign * (90.0 - 2.0 * np.degrees(np.arctan(np.hypot(x, y) / HALF_WIDTH_M)))
    # Adding zero turns the -0.0 of the axis into 0.0, whose angle is not half a turn.
    return np.degrees(np.arctan2(x, -sign * y + 0.0)), lat


def polar_tile_bounds(z: int, x: int, y: int) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of a map tile in metres; y is counted from the top."""
    size = 2.0 * HALF_WIDTH_M / 2**z
    left, top = x * size - HALF_WIDTH_M, HALF_WIDTH_M - y * size
    return left, top - size, left + size, top


def polar_tile_points(
    pole: Pole, z: int, x: int, y: int, size: int = 256
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude and latitude of the pixel centres of a map tile, (size, size) each."""
    left, bottom, right, top = polar_tile_bounds(z, x, y)
    middle = (np.arange(size) + 0.5) / size
    across, down = left + middle * (right - left), top - middle * (top - bottom)
    return lonlat_from_polar(*np.meshgrid(across, down), pole)


def _sign(pole: Pole) -> float:
    return 1.0 if pole == "north" else -1.0
