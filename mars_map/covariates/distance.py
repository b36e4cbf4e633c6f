"""Distance from every tile to the nearest of some features."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mars_map.planet.grid import Grid
from mars_map.planet.sphere import RADIUS_M, unit_vectors


def nearest_distance_km(grid: Grid, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float32]:
    """Return the great-circle distance from each tile's centre to the nearest point, (n_tiles,).

    lon, lat: of the points, degrees, (n,) with n > 0. The nearest along the sphere is the nearest
    through it, so one search among unit vectors in space answers all tiles.
    """
    from scipy.spatial import cKDTree

    chord, _ = cKDTree(unit_vectors(lon, lat)).query(unit_vectors(*grid.centers))
    arc = 2 * np.arcsin(np.clip(chord / 2, 0.0, 1.0))
    return (RADIUS_M / 1000 * arc).astype(np.float32)
