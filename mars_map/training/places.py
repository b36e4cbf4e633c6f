"""Which tiles lie near which places, and what labels say together: the tools of every rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from mars_map.planet.grid import Grid
from mars_map.planet.sphere import RADIUS_M

Labels = NDArray[np.int8]
"""One label a tile: 1 present, 0 absent, -1 unknown; (n_tiles,)."""


def unit_vectors(lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    """Return points in degrees as unit vectors, (..., 3)."""
    lam, phi = np.radians(np.asarray(lon, float)), np.radians(np.asarray(lat, float))
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def degrees(vectors: NDArray) -> NDArray[np.float64]:
    """Return vectors (n, 3) as longitude and latitude, (n, 2) degrees."""
    x, y, z = vectors.T
    return np.degrees(np.stack([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))], -1))


def points_of(rows: Sequence[Mapping[str, str]]) -> NDArray[np.float64]:
    """Return the columns `lon` and `lat` of a table in degrees, (n, 2)."""
    return np.array([[float(r["lon"]), float(r["lat"])] for r in rows])


@dataclass(frozen=True)
class TilePlaces:
    """The centres of a grid's tiles, ready to be searched."""

    grid: Grid
    tree: cKDTree

    @classmethod
    def of(cls, grid: Grid) -> "TilePlaces":
        """Index the centres of a grid."""
        return cls(grid, cKDTree(unit_vectors(*grid.centers)))

    def within(self, points: NDArray, radius_km: ArrayLike) -> NDArray[np.bool_]:
        """Tell which tile centres lie within a radius of any of some points.

        points: (n, 2) longitude and latitude in degrees; radius_km: one value or (n,), at most a
        quarter of the circumference. Returns (n_tiles,).
        """
        mask = np.zeros(self.grid.n_tiles, bool)
        if len(points):
            radius = np.broadcast_to(np.asarray(radius_km, float), len(points))
            chord = 2 * np.sin(np.clip(radius * 1000 / RADIUS_M, 0, np.pi / 2) / 2)
            found = self.tree.query_ball_point(unit_vectors(*points.T), chord, return_sorted=False)
            mask[np.concatenate([np.asarray(f, np.int64) for f in found])] = True
        return mask

    def count(self, points: NDArray, radius_km: float) -> NDArray[np.int64]:
        """Count the points, (n, 2) degrees, within a radius of each tile centre, (n_tiles,)."""
        reach = radius_km * 1000 / RADIUS_M
        tree = cKDTree(unit_vectors(*points.T))
        return tree.query_ball_point(self.tree.data, reach, return_length=True)

    def label(self, points: NDArray, inner_km: ArrayLike, outer_km: ArrayLike) -> Labels:
        """Label tiles present within the inner radius, unknown up to the outer one, else absent."""
        return combine(self.within(points, inner_km), self.within(points, outer_km))


def combine(present: NDArray[np.bool_], possible: NDArray[np.bool_]) -> Labels:
    """Return 1 where present, -1 where only possible, 0 elsewhere."""
    return np.where(present, 1, np.where(possible, -1, 0)).astype(np.int8)


def both(a: Labels, b: Labels) -> Labels:
    """Return the labels of two things at once: absent where either is absent."""
    return np.where((a == 0) | (b == 0), 0, np.where((a == 1) & (b == 1), 1, -1)).astype(np.int8)


def either(*labels: Labels) -> Labels:
    """Return the labels of any of several things: present where one is."""
    stack = np.stack(labels)
    unknown = np.where((stack == -1).any(0), -1, 0)
    return np.where((stack == 1).any(0), 1, unknown).astype(np.int8)


def only_where(labels: Labels, holds: NDArray[np.bool_]) -> Labels:
    """Keep "present" only where a condition holds; elsewhere it becomes unknown."""
    return np.where((labels == 1) & ~holds, -1, labels).astype(np.int8)


def unless(labels: Labels, doubt: Labels) -> Labels:
    """Turn "absent" into unknown where something that could be taken for it is not absent."""
    return np.where((labels == 0) & (doubt != 0), -1, labels).astype(np.int8)


def where_known(labels: Labels, known: NDArray[np.bool_]) -> Labels:
    """Make labels unknown where the measures behind them say nothing."""
    return np.where(known, labels, -1).astype(np.int8)


def densify(ring: NDArray, step_km: float = 8.0) -> NDArray[np.float64]:
    """Return points at most step_km apart along a line of (n, 2) longitude and latitude, (m, 2)."""
    lon = np.unwrap(ring[:, 0], period=360.0)
    lat = ring[:, 1]
    cos = np.cos(np.radians((lat[:-1] + lat[1:]) / 2))
    length = np.hypot(np.diff(lon) * cos, np.diff(lat)) * np.pi * RADIUS_M / 180e3
    parts = [ring[-1:]]
    for i, pieces in enumerate(np.maximum(np.ceil(length / step_km).astype(int), 1)):
        t = np.arange(pieces)[:, None] / pieces
        ends = np.array([[lon[i], lat[i]], [lon[i + 1], lat[i + 1]]])
        parts.append(ends[0] + t * (ends[1] - ends[0]))
    return np.concatenate(parts)


def filled(ring: NDArray) -> NDArray[np.float64]:
    """Return points along a ring and, some 12 km apart, inside of it."""
    import shapely

    turned = np.stack([np.unwrap(ring[:, 0], period=360.0), ring[:, 1]], -1)
    west, south = turned.min(axis=0)
    east, north = turned.max(axis=0)
    x, y = np.meshgrid(np.arange(west, east, 0.2), np.arange(south, north, 0.2))
    inside = shapely.contains_xy(shapely.Polygon(turned), x.ravel(), y.ravel())
    within = np.stack([x.ravel()[inside], y.ravel()[inside]], -1)
    return np.concatenate([densify(turned, 6.0), turned.mean(axis=0, keepdims=True), within])
