"""Labels by the craters that were found and named: their sizes, shapes, floors, rims and pairs."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mars_map.planet.sphere import RADIUS_M
from mars_map.training.extents import extent_labels
from mars_map.training.ground import Facts
from mars_map.training.places import (
    Labels,
    both,
    combine,
    degrees,
    only_where,
    unit_vectors,
    unless,
)

LARGE_KM = 50.0
"""Diameter from which a crater is large: its floor and its rim fill tiles of their own."""


def crater_labels(facts: Facts) -> dict[str, Labels]:
    """Return the labels of craters, of what is inside of them and of several together, by key."""
    return {
        **_single_craters(facts),
        **_insides(facts),
        **_crowds(facts),
        **_crater_pairs(facts),
    }


def _single_craters(facts: Facts) -> dict[str, Labels]:
    """Label by craters of a size, depth or state."""
    c = facts.impacts
    diameter, depth, peak = 2 * c.radius_km, c.depth_m, c.peak_m
    peaked = (peak > 60) & (peak < 0.7 * depth) & (diameter >= 24) & (c.rim > 0.95)
    flat = (np.abs(peak) < 0.04 * depth + 15) & (diameter >= 28) & (depth > 300)
    rather_flat = (np.abs(peak) < 0.1 * depth + 40) & (diameter >= 24)

    def seen(which: NDArray[np.bool_], reach: float = 0.6) -> Labels:
        return _seen(facts, which, reach)

    return {
        "crater": seen(diameter >= 12),
        "large_crater": seen(diameter >= LARGE_KM, 0.9),
        "medium_crater": unless(
            seen((diameter >= 22) & (diameter < 45), 0.7), seen((diameter >= 18) & (diameter < 60))
        ),
        "deep_crater": unless(seen(depth > 1500, 0.8), seen(depth > 1200)),
        "central_peak": unless(seen(peaked, 0.5), seen((peak > -40) & (diameter >= 24), 0.9)),
        "flat_floored_crater": unless(seen(flat), seen(rather_flat)),
        "fresh_crater": unless(seen(c.freshness > 0.55), seen(c.freshness > 0.4)),
        "degraded_crater": unless(
            seen((c.freshness < 0.25) & (diameter > 20)), seen(c.freshness < 0.35)
        ),
    }


def _seen(facts: Facts, which: NDArray[np.bool_], reach: float) -> Labels:
    """Label tiles that show some of the craters: their centre lies inside, or the crater in them.

    which: (n_craters,); reach: share of a crater's radius up to which it is surely seen.
    """
    c = facts.impacts.where(which)
    inner = np.maximum(reach * c.radius_km, 26.0 - 0.5 * c.radius_km)
    return facts.places.label(np.stack([c.lon, c.lat], -1), inner, 1.1 * c.radius_km + 35.0)


def _insides(facts: Facts) -> dict[str, Labels]:
    """Label the floors and rims of large craters."""
    large, t = facts.impacts.where(2 * facts.impacts.radius_km >= LARGE_KM), facts.terrain
    at, radius = np.stack([large.lon, large.lat], -1), large.radius_km
    near_middle, inside, in_rim, near_rim = (
        facts.places.within(at, reach)
        for reach in (0.55 * radius, 0.8 * radius, 1.12 * radius, 1.12 * radius + 30)
    )
    in_wall = in_rim & ~inside
    rim = combine(in_wall, near_rim)
    steep = combine(t.steepest > 9, t.steepest > 6)
    return {
        "crater_floor": combine(near_middle, in_rim),
        "crater_rim": rim,
        "steep_crater_wall": only_where(both(rim, steep), in_wall),
    }


def _crowds(facts: Facts) -> dict[str, Labels]:
    """Label by how many craters lie near each other."""
    c, t = facts.impacts, facts.terrain
    at = np.stack([c.lon, c.lat], -1)
    small = facts.places.count(at[2 * c.radius_km < 60], 90.0)
    near = facts.places.count(at, 140.0)
    lone = combine((t.wide_middle < 350) & (near <= 2), (t.wide_middle < 700) & (near <= 4))
    return {
        "small_craters": combine(small >= 6, small >= 3),
        "plains_crater": both(_seen(facts, 2 * c.radius_km >= 12, 0.6), lone),
    }


def round_hollow_labels(facts: Facts) -> Labels:
    """Label paterae of disputed origin, and Aram Chaos, which fills a crater that has no name."""
    return extent_labels(facts, [*facts.landforms["calderas_disputed"], "Aram Chaos"], 1.0, 1.3)


def _crater_pairs(facts: Facts) -> dict[str, Labels]:
    """Label by craters that overlap, lie side by side or inside of each other."""
    c = facts.impacts
    points = unit_vectors(c.lon, c.lat)
    reach = 2 * float(c.radius_km.max()) * 1000 / RADIUS_M
    a, b = cKDTree(points).query_pairs(reach, output_type="ndarray").T
    swap = c.radius_km[a] < c.radius_km[b]
    large, small = np.where(swap, b, a), np.where(swap, a, b)
    gap = np.linalg.norm(points[large] - points[small], axis=1) * RADIUS_M / 1000
    big, little = c.radius_km[large], c.radius_km[small]
    ratio = little / big

    def label(pairs: NDArray[np.bool_], between: float) -> Labels:
        """Label by the point between the two centres, as a share of the way from the large one."""
        middle = (1 - between) * points[large] + between * points[small]
        at = degrees(middle[pairs])
        radius = np.maximum(0.5 * little[pairs], 22.0)
        return facts.places.label(at, radius, radius + 45.0)

    touching = (gap < 0.97 * (big + little)) & (gap > big - 0.3 * little)
    nested = (gap + 0.6 * little < big) & (ratio < 0.6) & (big >= 22)
    twins = (gap < 1.12 * (big + little)) & (gap > 0.75 * (big + little)) & (ratio > 0.7)
    return {
        "overlapping_craters": label(touching, 0.6),
        "double_crater": label(twins, 0.5),
        "crater_in_crater": label(nested, 0.8),
    }
