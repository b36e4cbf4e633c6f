"""Squares on the ground: where the pixels of a picture lie that is true to scale and north up."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mars_map.planet.sphere import RADIUS_M


def square_points(
    lon: ArrayLike, lat: ArrayLike, width_m: float, pixels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude and latitude in degrees of the pixel centres of squares on the ground.

    lon, lat: centres in degrees, any shape (...). The squares are `width_m` wide; both arrays are
    (..., pixels, pixels), rows from north to south, longitudes within half a turn of their centre's
    and not wrapped. Inverse azimuthal equidistant projection on the sphere (Snyder 1987, USGS
    Professional Paper 1395, p. 195), written with vectors so that the poles and the antimeridian
    are points like any other.
    """
    lon = np.asarray(lon, float)[..., np.newaxis, np.newaxis]
    phi = np.radians(np.asarray(lat, float))[..., np.newaxis, np.newaxis]
    step = width_m / RADIUS_M / pixels
    offset = (np.arange(pixels) - (pixels - 1) / 2) * step
    x, y = offset[np.newaxis, :], -offset[:, np.newaxis]
    distance = np.hypot(x, y)
    # sin(d) / d, which is 1 at the centre; np.sinc carries a factor pi.
    sinc = np.sinc(distance / np.pi)
    up, east, north = np.cos(distance), sinc * x, sinc * y
    # Turned by the latitude; only from here on does one centre differ from another.
    equatorial = up * np.cos(phi) - north * np.sin(phi)
    height = np.clip(up * np.sin(phi) + north * np.cos(phi), -1.0, 1.0)
    turn = np.degrees(np.arctan2(east, equatorial))
    return lon + turn, np.degrees(np.arcsin(height))
