"""Which tiles show which landform: the facts behind every caption.

Each rule reads catalogues, named features, craters or measured terrain and labels every tile as
present (1), absent (0) or unknown (-1). Unknown tiles take no part in the loss: a catalogue that
stops at 65 degrees says nothing beyond, and the margin of a feature is neither in nor out.
A landform is present in a tile when it lies within about 30 km of the centre, the half-width of
the near window, unless its rule says otherwise.
"""

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mars_map.build.inputs import (
    ALBEDO,
    DUNE_FIELDS,
    GLACIER_LIKE_FORMS,
    GRABEN,
    LANDSLIDES,
    LAYERED_EJECTA,
    NOMENCLATURE,
    THERMAL_INERTIA,
    WRINKLE_RIDGES,
    Inputs,
)
from mars_map.build.windows import GlobalRaster
from mars_map.planet.grid import Grid
from mars_map.training.craters import Craters
from mars_map.training.places import Labels, TilePlaces, both, combine, densify, either
from mars_map.training.terrain import Terrain

INNER_KM = 30.0
"""Within this a landform is present in a tile, unless its rule says otherwise."""


@dataclass
class Facts:
    """Everything that the rules read."""

    inputs: Inputs
    grid: Grid
    terrain: Terrain
    craters: Craters

    @cached_property
    def places(self) -> TilePlaces:
        """The tile centres."""
        return TilePlaces.of(self.grid)

    @cached_property
    def lat(self) -> NDArray[np.float64]:
        """Latitude of each tile, degrees."""
        return self.grid.centers[1]

    @cached_property
    def landforms(self) -> dict[str, list[str]]:
        """The table of what named features are."""
        path = Path(__file__).with_name("landforms.toml")
        return tomllib.loads(path.read_text(encoding="utf-8"))

    @cached_property
    def features(self) -> dict[str, dict[str, str]]:
        """Rows of the IAU gazetteer by name, albedo features left out."""
        rows = self.inputs.rows(NOMENCLATURE)
        return {r["name"]: r for r in rows if r["feature_type"] != "Albedo Feature"}

    def of_type(self, *types: str) -> list[str]:
        """Names of the features whose type begins with one of some words."""
        return [n for n, r in self.features.items() if r["feature_type"].startswith(types)]

    def sample(self, raster: str) -> NDArray[np.float32]:
        """Sample a raster of the inputs at the tile centres."""
        values = GlobalRaster(torch.from_numpy(self.inputs.raster(raster)[0]))
        lon, lat = (torch.from_numpy(v) for v in self.grid.centers)
        return values.sample(lon, lat).numpy()


def make_labels(facts: Facts) -> dict[str, Labels]:
    """Return the labels of every landform of the glossary, by its key."""
    labels: dict[str, Labels] = {}
    for rule in (_crater_labels, _catalogue_labels, _feature_labels, _terrain_labels):
        labels.update(rule(facts))
    labels.update(_polar_labels(facts))
    labels.update(_relations(facts, labels))
    return labels


def _crater_labels(facts: Facts) -> dict[str, Labels]:
    c, places = facts.craters, facts.places
    at = np.stack([c.lon, c.lat], -1)
    diameter = 2 * c.radius_km

    def seen(mask: NDArray[np.bool_], reach: float = 0.6) -> Labels:
        # The tile shows the crater when its centre is inside, or the crater lies in the window.
        inner = np.maximum(reach * c.radius_km, 26.0 - 0.5 * c.radius_km)
        return places.label(at[mask], inner[mask], (1.1 * c.radius_km + 35.0)[mask])

    big = diameter >= 50
    peak = (c.peak_m > 60) & (diameter >= 24)
    near_middle = places.within(at[big], 0.55 * c.radius_km[big])
    in_rim = places.within(at[big], 1.12 * c.radius_km[big])
    in_wall = in_rim & ~places.within(at[big], 0.8 * c.radius_km[big])
    maybe = places.within(at[big], 1.12 * c.radius_km[big] + 30)
    count = _count(facts, at[diameter < 60], 90.0)
    return {
        "crater": seen(diameter >= 12),
        "large_crater": seen(big, 0.9),
        "central_peak": _unless(seen(peak, 0.5), seen((c.peak_m > -40) & (diameter >= 24), 0.9)),
        "fresh_crater": _unless(seen(c.freshness > 0.55), seen(c.freshness > 0.4)),
        "degraded_crater": _unless(
            seen((c.freshness < 0.25) & (diameter > 20)), seen(c.freshness < 0.35)
        ),
        "crater_floor": combine(near_middle, in_rim),
        "crater_rim": combine(in_wall, maybe),
        "small_craters": combine(count >= 6, count >= 3),
    }


def _catalogue_labels(facts: Facts) -> dict[str, Labels]:
    places, inputs = facts.places, facts.inputs
    slides = inputs.rows(LANDSLIDES)
    area = np.array([float(r["area_km2"]) for r in slides])
    radius = np.minimum(np.sqrt(area / np.pi), 60.0)
    landslide = places.label(_points(slides), 20 + radius, 40 + radius)
    glacier = places.label(_points(inputs.rows(GLACIER_LIKE_FORMS)), INNER_KM, 80.0)
    ejecta = inputs.rows(LAYERED_EJECTA)
    lobate = _points([r for r in ejecta if r["type"] in ("flower type", "rampart crater")])
    pedestal = _points([r for r in ejecta if r["type"] == "pedestal crater"])
    return {
        "landslide": landslide,
        "glacier": glacier,
        "ejecta": places.label(lobate, 30.0, 100.0),
        "pedestal_crater": places.label(pedestal, 30.0, 150.0),
        "wrinkle_ridge": places.label(_lines(inputs, WRINKLE_RIDGES), 22.0, 50.0),
        "graben": places.label(_lines(inputs, GRABEN), 22.0, 50.0),
        **_dune_labels(facts),
    }


def _dune_labels(facts: Facts) -> dict[str, Labels]:
    types: dict[str, list[NDArray]] = {}
    for properties, rings in facts.inputs.shapes(DUNE_FIELDS):
        points = np.concatenate([densify(r, 6.0) for r in rings] + [_middle(r) for r in rings])
        for kind in properties["type"].replace(" ", "").split(","):
            types.setdefault(kind, []).append(points)
        types.setdefault("all", []).append(points)
    # The catalogue stops at 65 degrees; the ergs round the northern cap are Undae by name.
    beyond = np.abs(facts.lat) > 65.0

    def label(*kinds: str) -> Labels:
        points = np.concatenate([p for k in kinds for p in types[k]])
        found = facts.places.label(points, 25.0, 60.0)
        return np.where(beyond & (found == 0), -1, found).astype(np.int8)

    erg = _extent(facts, facts.of_type("Unda"), 0.8, 1.4)
    return {
        "dunes": either(label("all"), erg),
        "barchan_dunes": _unless(label("B", "Bd"), label("all")),
        "transverse_dunes": _unless(label("T", "L"), label("all")),
        "sand_sheet": _unless(label("SS"), label("all")),
        "polar_erg": erg,
    }


def _feature_labels(facts: Facts) -> dict[str, Labels]:
    table, t = facts.landforms, facts.terrain
    extent = lambda names, inner=0.75, outer=1.3: _extent(facts, names, inner, outer)  # noqa: E731
    named = facts.of_type
    low = t.position < -80
    chasmata = [n for n in named("Chasma") if n not in table["polar_chasmata"]]
    valleys = [
        n
        for n in named("Vallis")
        if n not in table["outflow_channels"] + table["not_fluvial_valleys"]
    ]
    canyon = _where(extent(chasmata, 0.95, 1.4), t.wide_relief > 2500)
    outflow = _where(extent(table["outflow_channels"]), low)
    network = _where(extent(valleys, 0.6, 1.5), t.relief > 150)
    return {
        "canyon": canyon,
        "canyon_wall": _where(canyon, t.steepest > 12),
        "canyon_floor": _where(canyon, low & (t.position < -1000)),
        "chaos": extent(named("Chaos"), 0.7, 1.4),
        "volcano": _unless(
            extent(table["volcanoes"], 0.85, 1.3),
            extent([*table["volcanoes_disputed"], *table["calderas"]], 1.0, 1.3),
        ),
        "caldera": either(
            _around(facts, table["calderas"], 0.5, 10.0), _summits(facts, table["caldera_summits"])
        ),
        "lava_plains": _where(extent(table["lava_plains"], 0.6, 1.2), t.wide_relief < 700),
        "outflow": outflow,
        "valley_network": network,
        "channel": either(outflow, network),
        "labyrinth": extent(["Noctis Labyrinthus"], 0.7, 1.3),
        "pit_chain": _where(extent(named("Catena"), 0.5, 1.3), t.relief > 100),
        "pits": extent(named("Cavus"), 0.6, 1.6),
        "fretted": _where(extent(table["fretted"], 0.8, 1.5), t.relief > 400),
        "knobs": _where(extent(named("Collis"), 0.7, 1.6), t.relief > 80),
        "massif": _where(extent(table["massifs"], 0.8, 1.4), t.relief > 700),
        "scarp": either(
            _where(extent(named("Rupes", "Scopulus"), 0.8, 1.4), t.steepest > 8),
            combine(t.steepest > 18, t.steepest > 9),
        ),
        "aureole": _where(extent(named("Sulcus"), 0.6, 1.4), t.relief > 200),
        "yardangs": extent(table["yardangs"], 0.6, 1.8),
        "giant_polygons": extent(table["giant_polygons"], 0.7, 2.0),
        "plateau": _where(extent(table["plateaus"], 0.6, 1.3), t.relief < 600),
        "basin": extent(table["basins"], 0.6, 1.1),
    }


def _terrain_labels(facts: Facts) -> dict[str, Labels]:
    t, lat = facts.terrain, facts.lat
    inertia, albedo = facts.sample(THERMAL_INERTIA), facts.sample(ALBEDO)
    # TES inertia has track stripes near the poles, and frost alters it and the albedo there.
    known = np.abs(lat) < 65
    crowd = _count(facts, np.stack([facts.craters.lon, facts.craters.lat], -1), 200.0)
    high = (t.elevation > -500) & (crowd >= 12)
    step = facts.terrain.wide_relief
    return {
        "smooth_plains": combine(
            (t.relief < 120) & (t.wide_relief < 350), (t.relief < 250) & (t.wide_relief < 700)
        ),
        "lowlands": combine((t.elevation < -3200) & (lat > 15) & (step < 900), t.elevation < -2200),
        "highlands": combine(high & (t.relief > 250), (t.elevation > -1500) & (crowd >= 6)),
        "dichotomy": _dichotomy(facts),
        "rough": combine(t.relief > 1100, t.relief > 700),
        "slope": combine(t.steepest > 14, t.steepest > 9),
        "bright": combine(t.brightness > 140, t.brightness > 118),
        "dark": combine(t.brightness < 72, t.brightness < 86),
        "dusty": _mask_unknown(combine((albedo > 0.27) & (inertia < 110), albedo > 0.25), known),
        "rocky": _mask_unknown(combine(inertia > 380, inertia > 300), known),
    }


def _polar_labels(facts: Facts) -> dict[str, Labels]:
    t, lat = facts.terrain, facts.lat
    ice = t.brightness > 165
    north = combine(ice & (lat > 78), lat > 72)
    south = combine(ice & (lat < -78), lat < -72)
    layers = np.abs(lat) > 80
    return {
        "north_cap": north,
        "south_cap": south,
        "polar_cap": either(north, south),
        "polar_layers": combine(layers & (t.wide_relief > 250), np.abs(lat) > 74),
    }


def _relations(facts: Facts, labels: dict[str, Labels]) -> dict[str, Labels]:
    inside = either(labels["crater_floor"], labels["large_crater"])
    icy = combine(
        (facts.terrain.brightness > 150) & (np.abs(facts.lat) > 60) & (np.abs(facts.lat) < 80),
        np.abs(facts.lat) > 60,
    )
    crater = either(labels["crater_floor"], labels["crater_rim"])
    return {
        "crater_dunes": both(labels["dunes"], inside),
        "canyon_landslide": both(labels["landslide"], labels["canyon"]),
        "crater_ice": both(icy, labels["large_crater"]),
        "crater_channel": both(labels["channel"], crater),
        "chaos_channel": both(labels["chaos"], labels["outflow"]),
        "crater_landslide": both(labels["landslide"], crater),
        "fractured_crater": both(labels["graben"], crater),
    }


def _dichotomy(facts: Facts) -> Labels:
    """Tiles with high ground on one side within 200 km and low ground on the other."""
    lon, lat = facts.grid.centers
    elevation, belt = facts.terrain.elevation, (lat > -20) & (lat < 60)
    at = np.stack([lon, lat], -1)
    high = facts.places.within(at[(elevation > -1500)], 150.0)
    low = facts.places.within(at[(elevation < -2600)], 150.0)
    edge = high & low & belt & (facts.terrain.wide_relief > 1200)
    return combine(edge, high & low)


def _extent(facts: Facts, names: list[str], inner: float, outer: float) -> Labels:
    """Label by the ellipses in the features' extents, scaled by two factors."""
    lon, lat = facts.grid.centers
    present, possible = np.zeros(len(lon), bool), np.zeros(len(lon), bool)
    for name in names:
        row = facts.features[name]
        if not row["west"]:
            around = _around(facts, [name], inner * 0.7, 0.0, outer)
            present, possible = present | (around == 1), possible | (around != 0)
            continue
        west, south, east, north = (float(row[k]) for k in ("west", "south", "east", "north"))
        width = (east - west) % 360.0 or 360.0
        middle_lat = (south + north) / 2
        dx = (lon - (west + width / 2) + 180.0) % 360.0 - 180.0
        # A degree at least, so that a narrow extent still holds the tile that it lies in.
        half_x = max(width / 2, 0.4 / max(np.cos(np.radians(middle_lat)), 0.05))
        distance = np.hypot(dx / half_x, (lat - middle_lat) / max((north - south) / 2, 0.4))
        present |= distance <= inner
        possible |= distance <= outer
    return combine(present, possible)


def _around(
    facts: Facts, names: list[str], share: float, margin_km: float, outer: float = 1.5
) -> Labels:
    """Label by circles round the features' centres: a share of the radius and a margin."""
    rows = [facts.features[name] for name in names]
    radius = np.array([float(r["diameter_km"]) / 2 for r in rows])
    return facts.places.label(_points(rows), share * radius + margin_km, outer * radius + 50.0)


def _summits(facts: Facts, names: list[str]) -> Labels:
    rows = [facts.features[name] for name in names]
    radius = np.array([float(r["diameter_km"]) / 2 for r in rows])
    return facts.places.label(_points(rows), 15 + 0.06 * radius, 40 + 0.4 * radius)


def _count(facts: Facts, points: NDArray, radius_km: float) -> NDArray[np.int64]:
    """Count the points within a radius of each tile."""
    from scipy.spatial import cKDTree

    from mars_map.planet.sphere import RADIUS_M
    from mars_map.training.places import unit_vectors

    tree = cKDTree(unit_vectors(*points.T))
    reach = radius_km * 1000 / RADIUS_M
    return tree.query_ball_point(facts.places.tree.data, reach, return_length=True)


def _where(labels: Labels, holds: NDArray[np.bool_]) -> Labels:
    """Keep "present" only where a condition holds; elsewhere it becomes unknown."""
    return np.where((labels == 1) & ~holds, -1, labels).astype(np.int8)


def _unless(labels: Labels, doubt: Labels) -> Labels:
    """Turn "absent" into unknown where something that could be taken for it is not absent."""
    return np.where((labels == 0) & (doubt != 0), -1, labels).astype(np.int8)


def _mask_unknown(labels: Labels, known: NDArray[np.bool_]) -> Labels:
    return np.where(known, labels, -1).astype(np.int8)


def _points(rows: list[dict[str, str]]) -> NDArray[np.float64]:
    return np.array([[float(r["lon"]), float(r["lat"])] for r in rows])


def _lines(inputs: Inputs, name: str) -> NDArray[np.float64]:
    return np.concatenate([densify(ring) for _, rings in inputs.shapes(name) for ring in rings])


def _middle(ring: NDArray) -> NDArray[np.float64]:
    return ring.mean(axis=0, keepdims=True)
