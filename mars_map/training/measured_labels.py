"""Labels by what was measured: relief, elevation, latitude, brightness, colour, dust and ice."""

import numpy as np
from numpy.typing import NDArray

from mars_map.training.ground import Facts
from mars_map.training.places import Labels, combine, either, where_known


def measured_labels(facts: Facts, crater: Labels) -> dict[str, Labels]:
    """Return the labels that measures tell, by key.

    crater: the labels of craters; shapes of the ground count only where none of them makes them.
    """
    return {
        **_plains_labels(facts),
        **_relief_labels(facts, crater == 0),
        **_latitude_labels(facts),
        **_colour_labels(facts),
        **_surface_labels(facts),
    }


def _plains_labels(facts: Facts) -> dict[str, Labels]:
    """Label by elevation, evenness and craters: few of them are young ground, many are old."""
    t, step = facts.terrain, facts.terrain.wide_relief
    craters = np.stack([facts.impacts.lon, facts.impacts.lat], -1)
    crowd, nearer = (facts.places.count(craters, km) for km in (200.0, 120.0))
    return {
        "smooth_plains": combine((t.relief < 120) & (step < 350), (t.relief < 250) & (step < 700)),
        "young_plains": combine(
            (t.relief < 250) & (t.roughness < 60) & (crowd == 0), (t.relief < 500) & (nearer <= 1)
        ),
        "lowlands": combine(
            (t.elevation < -3200) & (facts.lat > 15) & (step < 900), t.elevation < -2200
        ),
        "highlands": combine(
            (t.elevation > -500) & (crowd >= 12) & (t.relief > 250),
            (t.elevation > -1500) & (crowd >= 6),
        ),
        "high_ground": combine(t.elevation > 3500, t.elevation > 2500),
        "low_ground": combine(t.elevation < -4000, t.elevation < -3000),
    }


def _relief_labels(facts: Facts, bare: NDArray[np.bool_]) -> dict[str, Labels]:
    """Label by the shape of the ground. bare: tiles that no crater shapes, (n_tiles,)."""
    t = facts.terrain
    return {
        "rough": combine(t.roughness > 260, t.roughness > 160),
        "hills": combine(
            bare & (t.roughness > 60) & (t.roughness < 220) & (t.slope > 0.8),
            (t.roughness > 45) & (t.slope > 0.5),
        ),
        "slope": combine(t.steepest > 14, t.steepest > 9),
        "gentle_slope": combine(
            (t.tilt > 0.4) & (t.tilt < 2.5) & (t.roughness < 55) & (t.roughness < 90 * t.tilt),
            (t.tilt > 0.2) & (t.roughness < 110),
        ),
        "isolated_mountain": combine(
            bare & (t.stands > 800) & (t.wide_middle < 600), (t.stands > 500) | (t.relief > 2500)
        ),
        "depression": combine(t.enclosed > 300, t.enclosed > 80),
        "trough": combine(bare & (t.trough > 3.2) & (t.sink > 150), t.trough > 2.0),
    }


def _latitude_labels(facts: Facts) -> dict[str, Labels]:
    lat = np.abs(facts.lat)
    return {
        "equatorial": combine(lat < 20, lat < 27),
        "mid_latitudes": combine((lat > 33) & (lat < 57), (lat > 27) & (lat < 63)),
        "polar_latitudes": combine(lat > 67, lat > 60),
    }


def _colour_labels(facts: Facts) -> dict[str, Labels]:
    t = facts.terrain
    return {
        "bright": combine(t.brightness > 140, t.brightness > 118),
        "dark": combine(t.brightness < 72, t.brightness < 86),
        "red_ground": combine(t.redness > 22, t.redness > 19.5),
        "grey_ground": combine(t.redness < 6, t.redness < 10),
    }


def _surface_labels(facts: Facts) -> dict[str, Labels]:
    """Label by what lies on the ground, as thermal inertia and albedo tell it."""
    inertia, albedo = facts.inertia, facts.albedo
    # TES inertia has track stripes near the poles, and frost alters it and the albedo there.
    known = np.abs(facts.lat) < 65
    dusty = combine((albedo > 0.27) & (inertia < 110), albedo > 0.25)
    sandy = combine((albedo < 0.14) & (inertia > 180) & (inertia < 330), albedo < 0.17)
    rocky = combine(inertia > 380, inertia > 300)
    return {
        "dusty": where_known(dusty, known),
        "sandy": where_known(sandy, known),
        "rocky": where_known(rocky, known),
    }


def polar_labels(facts: Facts, dunes: Labels) -> dict[str, Labels]:
    """Return the labels of the ice caps and the layers below them, by key. dunes: theirs."""
    t, lat = facts.terrain, facts.lat
    ice = t.brightness > 165
    north = combine(ice & (lat > 78), lat > 72)
    south = combine(ice & (lat < -78), lat < -72)
    # The sand seas round the cap lie on level ground and hide the layers.
    layers = (np.abs(lat) > 80) & (t.wide_relief > 500) & (dunes != 1)
    return {
        "north_cap": north,
        "polar_cap": either(north, south),
        "polar_layers": combine(layers, np.abs(lat) > 74),
    }


def dichotomy_labels(facts: Facts) -> Labels:
    """Label tiles with high ground on one side within 200 km and low ground on the other."""
    lon, lat = facts.grid.centers
    # The mean of the wide window, so that a deep crater in the highlands is no lowland.
    broad, belt = facts.terrain.elevation - facts.terrain.position, (lat > -20) & (lat < 60)
    at = np.stack([lon, lat], -1)
    high = facts.places.within(at[broad > -1200], 200.0)
    low = facts.places.within(at[broad < -2600], 200.0)
    edge = high & low & belt & (facts.terrain.wide_relief > 1000)
    near = facts.places.within(at[broad > -1500], 260.0) & facts.places.within(
        at[broad < -2400], 260.0
    )
    return combine(edge, near)
