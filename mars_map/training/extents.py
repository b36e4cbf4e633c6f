"""Labels by where named features lie: in their extents, near their centres, along their courses."""

import numpy as np
from numpy.typing import NDArray

from mars_map.training.ground import Ground
from mars_map.training.places import Labels, combine, either, points_of


def extent_labels(facts: Ground, names: list[str], inner: float, outer: float) -> Labels:
    """Label by the ellipses in the features' extents, scaled by two factors.

    Where the gazetteer tells no extent, the circle of the diameter serves, a little smaller.
    """
    lon, lat = facts.grid.centers
    present, possible = np.zeros(len(lon), bool), np.zeros(len(lon), bool)
    for name in names:
        box = facts.box(name)
        if box is None:
            around = around_labels(facts, [name], inner * 0.7, 0.0, outer)
            present, possible = present | (around == 1), possible | (around != 0)
            continue
        west, south, east, north = box
        width = (east - west) % 360.0 or 360.0
        middle_lat = (south + north) / 2
        dx = (lon - (west + width / 2) + 180.0) % 360.0 - 180.0
        # A degree at least, so that a narrow extent still holds the tile that it lies in.
        half_x = max(width / 2, 0.4 / max(np.cos(np.radians(middle_lat)), 0.05))
        distance = np.hypot(dx / half_x, (lat - middle_lat) / max((north - south) / 2, 0.4))
        present |= distance <= inner
        possible |= distance <= outer
    return combine(present, possible)


def valley_labels(facts: Ground, names: list[str], inner_km: float) -> Labels:
    """Label by the courses of named valleys.

    The rest of a valley's extent, where its branches may be, is unknown.
    """
    points = np.concatenate([facts.course(name) for name in names])
    near = facts.places.label(points, inner_km, inner_km + 30.0)
    extent = extent_labels(facts, names, 0.9, 1.2)
    alone = around_labels(facts, [name for name in names if not facts.box(name)], 0.5, 0.0)
    return either(near, np.where(extent != 0, -1, 0).astype(np.int8), alone)


def around_labels(
    facts: Ground, names: list[str], share: float, margin_km: float, outer: float = 1.5
) -> Labels:
    """Label by circles round the features' centres: a share of the radius and a margin."""
    centres, radius = _circles(facts, names)
    return facts.places.label(centres, share * radius + margin_km, outer * radius + 50.0)


def summit_labels(facts: Ground, names: list[str]) -> Labels:
    """Label by the tops of mountains, which hold a caldera that has no name of its own."""
    centres, radius = _circles(facts, names)
    return facts.places.label(centres, 25 + 0.06 * radius, 50 + 0.4 * radius)


def _circles(facts: Ground, names: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the features' centres, (n, 2) degrees, and their radii, (n,) km."""
    rows = [facts.features[name] for name in names]
    return points_of(rows), np.array([float(r["diameter_km"]) / 2 for r in rows])
