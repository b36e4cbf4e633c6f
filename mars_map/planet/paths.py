"""Lines over the planet whose edges are great circles: the shortest way from corner to corner."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import CoordinateError
from mars_map.planet.coordinates import check_point, wrap_longitude
from mars_map.planet.sphere import great_circle_m, unit_vectors

OPPOSITE_M = 1_000.0
"""Two corners this close to opposite each other have no one shortest way between them."""


class Samples(NamedTuple):
    """Points at equal distances along a line, both ends included; (n,) float64 each."""

    lon: NDArray[np.float64]
    """Degrees east in [-180, 180)."""
    lat: NDArray[np.float64]
    """Planetocentric, degrees."""
    distance_m: NDArray[np.float64]
    """From the start along the line, metres."""


def sample_path(corners: Sequence[tuple[float, float]], n: int) -> Samples:
    """Return n points, at least 2, along a line through corners (lon, lat) in degrees.

    Raises CoordinateError for fewer than two corners, a corner off the planet, a line without
    length, and two neighbours on opposite sides of the planet.
    """
    if len(corners) < 2:
        raise CoordinateError("A line needs at least two corners, such as -75,-5;-65,-20.")
    lon, lat = np.array([check_point(*corner) for corner in corners]).T
    lengths = great_circle_m(lon[:-1], lat[:-1], lon[1:], lat[1:])
    ends = np.concatenate([[0.0], np.cumsum(lengths)])
    if ends[-1] == 0.0:
        raise CoordinateError("The line has no length; its corners are one and the same point.")
    opposite = great_circle_m(lon[:-1], lat[:-1], lon[1:] + 180.0, -lat[1:]) < OPPOSITE_M
    if opposite.any():
        raise CoordinateError(
            "Two corners lie opposite each other on the planet, where every way is the shortest; "
            "put a corner between them."
        )
    distance = np.linspace(0.0, ends[-1], n)
    edge = np.clip(np.searchsorted(ends, distance, side="right") - 1, 0, len(lengths) - 1)
    # Corners that repeat make edges without length, on which no sample falls but at their ends.
    share = np.divide(
        distance - ends[edge], lengths[edge], out=np.zeros(n), where=lengths[edge] > 0
    )
    towards = unit_vectors(lon, lat)
    points = _between(towards[edge], towards[edge + 1], share)
    return Samples(*_lonlat(points), distance)


def _between(
    start: NDArray[np.float64], end: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return unit vectors, (n, 3), that part of the way along great circles (Shoemake 1985)."""
    # Half the chord is stable for near points, where the arc cosine loses half of its digits.
    angle = 2.0 * np.arcsin(np.clip(np.linalg.norm(end - start, axis=1) / 2.0, 0.0, 1.0))
    sine = np.where(angle > 0, np.sin(angle), 1.0)
    near = angle == 0
    weight_start = np.where(near, 1.0, np.sin((1.0 - share) * angle) / sine)
    weight_end = np.where(near, 0.0, np.sin(share * angle) / sine)
    return weight_start[:, np.newaxis] * start + weight_end[:, np.newaxis] * end


def _lonlat(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y, z = vectors.T
    lon = np.degrees(np.arctan2(y, x))
    return np.asarray(wrap_longitude(lon)), np.degrees(np.arctan2(z, np.hypot(x, y)))
