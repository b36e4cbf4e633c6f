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
from scipy.ndimage import uniform_filter1d
from scipy.spatial import cKDTree

from mars_map.build.inputs import (
    ALBEDO,
    DUNE_FIELDS,
    ELEVATION,
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
from mars_map.planet.sphere import RADIUS_M
from mars_map.training.craters import Craters
from mars_map.training.places import (
    Labels,
    TilePlaces,
    both,
    combine,
    densify,
    either,
    unit_vectors,
)
from mars_map.training.terrain import Terrain
from mars_map.training.valleys import trace_course

INNER_KM, OUTER_KM = 28.0, 55.0
"""Within the first a landform is present in a tile, and beyond the second it is absent, unless its
rule says otherwise: the near window reaches 32 km to its sides and 45 to its corners."""
COURSE_DEPTH_M = 25.0
"""A valley's course counts where it lies this far below its surroundings."""


@dataclass
class Ground:
    """What catalogues and rasters know about the tiles of a grid."""

    inputs: Inputs
    grid: Grid

    @cached_property
    def places(self) -> TilePlaces:
        """The tile centres."""
        return TilePlaces.of(self.grid)

    @cached_property
    def lat(self) -> NDArray[np.float64]:
        """Latitude of each tile, degrees."""
        return self.grid.centers[1]

    @cached_property
    def elevation(self) -> GlobalRaster:
        """The elevation model, m."""
        return GlobalRaster(torch.from_numpy(self.inputs.raster(ELEVATION)[0]))

    @cached_property
    def landforms(self) -> dict[str, list[str]]:
        """The table of what named features are."""
        path = Path(__file__).with_name("landforms.toml")
        return tomllib.loads(path.read_text(encoding="utf-8"))

    @cached_property
    def features(self) -> dict[str, dict[str, str]]:
        """Rows of the IAU gazetteer by name, albedo features left out."""
        rows = self.inputs.rows(NOMENCLATURE)
        # Names in capitals are an older list's spelling of some that are there anyway.
        return {
            r["name"]: r
            for r in rows
            if r["feature_type"] != "Albedo Feature" and not r["name"].isupper()
        }

    @property
    def river_valleys(self) -> list[str]:
        """Named valleys that are not known to be anything but cut by rivers."""
        other = ("outflow_channels", "not_fluvial_valleys", "valleys_disputed")
        names = {name for key in other for name in self.landforms[key]}
        return [name for name in self.of_type("Vallis") if name not in names]

    def box(self, name: str) -> tuple[float, float, float, float] | None:
        """West, south, east and north of a feature, degrees, where the gazetteer tells them."""
        row = self.features[name]
        if not row["west"]:
            return None
        return tuple(float(row[k]) for k in ("west", "south", "east", "north"))

    def course(self, name: str) -> NDArray[np.float64]:
        """Points along a named valley, traced in the elevation model, (n, 2) degrees.

        Where a course hardly lies below its surroundings it is not trusted and left out. A valley
        without an extent has no course.
        """
        if name not in self._courses:
            self._courses[name] = np.empty((0, 2))
            if box := self.box(name):
                at, below = trace_course(self.elevation, *box)
                deep = uniform_filter1d(below, 9, mode="nearest") > COURSE_DEPTH_M
                self._courses[name] = at[deep]
        return self._courses[name]

    @cached_property
    def _courses(self) -> dict[str, NDArray[np.float64]]:
        return {}

    def of_type(self, *types: str) -> list[str]:
        """Names of the features whose type begins with one of some words."""
        return [n for n, r in self.features.items() if r["feature_type"].startswith(types)]

    @cached_property
    def inertia(self) -> NDArray[np.float32]:
        """Thermal inertia at the tile centres, J m-2 K-1 s-1/2."""
        return self._sample(THERMAL_INERTIA)

    @cached_property
    def albedo(self) -> NDArray[np.float32]:
        """Lambert albedo at the tile centres, 0..1."""
        return self._sample(ALBEDO)

    def _sample(self, raster: str) -> NDArray[np.float32]:
        """Sample a raster of the inputs at the tile centres."""
        values = GlobalRaster(torch.from_numpy(self.inputs.raster(raster)[0]))
        lon, lat = (torch.from_numpy(v) for v in self.grid.centers)
        return values.sample(lon, lat).numpy()


@dataclass
class Facts(Ground):
    """Everything that the rules read."""

    terrain: Terrain
    craters: Craters
    """Those found and named, among them round hollows that no impact made."""

    @cached_property
    def impacts(self) -> Craters:
        """The craters without volcanic calderas and paterae: a patera is not a crater."""
        table = self.landforms
        names = [*table["calderas"], *table["calderas_disputed"], *table["caldera_summits"]]
        names = [name for name in names if name in self.features]
        rows = [self.features[name] for name in names]
        size = np.array([float(r["diameter_km"]) for r in rows])
        # A summit's size is that of its mountain, whose caldera is some 40 km wide or smaller.
        summit = np.isin(names, table["caldera_summits"])
        reach = np.where(summit, np.minimum(0.15 * size, 60.0), np.maximum(0.6 * size, 15.0))
        centres = unit_vectors(*_points(rows).T)
        gap = np.linalg.norm(
            unit_vectors(self.craters.lon, self.craters.lat)[:, None] - centres, axis=-1
        )
        return self.craters.where(~(gap * RADIUS_M / 1000 < reach).any(axis=1))


def make_labels(facts: Facts) -> dict[str, Labels]:
    """Return the labels of every landform of the glossary, by its key."""
    labels: dict[str, Labels] = {}
    for rule in (_crater_labels, _catalogue_labels):
        labels.update(rule(facts))
    # Round hollows that may be craters: none is said to be one, and none to be none.
    for key in ("crater", "large_crater", "crater_floor", "crater_rim"):
        labels[key] = _where_known(labels[key], _round_hollows(facts) == 0)
    for rule in (_feature_labels, _terrain_labels):
        labels.update(rule(facts, labels["crater"]))
    labels.update(_polar_labels(facts, labels["dunes"]))
    labels.update(_relations(facts, labels))
    return labels


def _crater_labels(facts: Facts) -> dict[str, Labels]:
    c, places, t = facts.impacts, facts.places, facts.terrain
    at = np.stack([c.lon, c.lat], -1)
    diameter = 2 * c.radius_km

    def seen(mask: NDArray[np.bool_], reach: float = 0.6) -> Labels:
        # The tile shows the crater when its centre is inside, or the crater lies in the window.
        inner = np.maximum(reach * c.radius_km, 26.0 - 0.5 * c.radius_km)
        return places.label(at[mask], inner[mask], (1.1 * c.radius_km + 35.0)[mask])

    big = diameter >= 50
    peak = (c.peak_m > 60) & (c.peak_m < 0.7 * c.depth_m) & (diameter >= 24) & (c.rim > 0.95)
    flat = (np.abs(c.peak_m) < 0.04 * c.depth_m + 15) & (diameter >= 28) & (c.depth_m > 300)
    near_middle = places.within(at[big], 0.55 * c.radius_km[big])
    in_rim = places.within(at[big], 1.12 * c.radius_km[big])
    in_wall = in_rim & ~places.within(at[big], 0.8 * c.radius_km[big])
    maybe = places.within(at[big], 1.12 * c.radius_km[big] + 30)
    rim = combine(in_wall, maybe)
    count = _count(facts, at[diameter < 60], 90.0)
    any_crater = seen(diameter >= 12)
    crowd = _count(facts, at, 140.0)
    lone = combine((t.wide_middle < 350) & (crowd <= 2), (t.wide_middle < 700) & (crowd <= 4))
    return {
        "crater": any_crater,
        "large_crater": seen(big, 0.9),
        "medium_crater": _unless(
            seen((diameter >= 22) & (diameter < 45), 0.7), seen((diameter >= 18) & (diameter < 60))
        ),
        "deep_crater": _unless(seen(c.depth_m > 1500, 0.8), seen(c.depth_m > 1200)),
        "central_peak": _unless(seen(peak, 0.5), seen((c.peak_m > -40) & (diameter >= 24), 0.9)),
        "flat_floored_crater": _unless(
            seen(flat, 0.6), seen((np.abs(c.peak_m) < 0.1 * c.depth_m + 40) & (diameter >= 24))
        ),
        "fresh_crater": _unless(seen(c.freshness > 0.55), seen(c.freshness > 0.4)),
        "degraded_crater": _unless(
            seen((c.freshness < 0.25) & (diameter > 20)), seen(c.freshness < 0.35)
        ),
        "crater_floor": combine(near_middle, in_rim),
        "crater_rim": rim,
        "steep_crater_wall": _where(both(rim, combine(t.steepest > 9, t.steepest > 6)), in_wall),
        "small_craters": combine(count >= 6, count >= 3),
        "plains_crater": both(any_crater, lone),
        **_crater_pairs(facts),
    }


def _round_hollows(facts: Facts) -> Labels:
    """Paterae of disputed origin, and Aram Chaos, which fills a crater that has no name."""
    return extent_labels(facts, [*facts.landforms["calderas_disputed"], "Aram Chaos"], 1.0, 1.3)


def _crater_pairs(facts: Facts) -> dict[str, Labels]:
    """Craters that overlap, lie side by side or inside of each other, from the crater table."""
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
        at = _degrees(middle[pairs])
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


def _catalogue_labels(facts: Facts) -> dict[str, Labels]:
    places, inputs = facts.places, facts.inputs
    glacier = places.label(_points(inputs.rows(GLACIER_LIKE_FORMS)), INNER_KM, OUTER_KM)
    ejecta = inputs.rows(LAYERED_EJECTA)
    layered = _points([r for r in ejecta if r["type"] in ("flower type", "rampart crater")])
    rampart = _points([r for r in ejecta if r["type"] == "rampart crater"])
    pedestal = _points([r for r in ejecta if r["type"] == "pedestal crater"])
    ridges = _lines(inputs, WRINKLE_RIDGES)
    ridge = places.label(ridges, 24.0, 50.0)
    # Points lie at most 8 km apart along the ridges: sixty are some 400 km of ridge in the circle.
    crowd = _count(facts, ridges, 90.0)
    flat = facts.terrain.wide_relief < 1100
    return {
        **_landslide_labels(facts),
        "glacier": glacier,
        "ejecta": places.label(layered, 30.0, 80.0),
        "rampart_crater": _unless(
            places.label(rampart, 30.0, 80.0), places.label(layered, 30.0, 60.0)
        ),
        "pedestal_crater": places.label(pedestal, 30.0, 100.0),
        "wrinkle_ridge": ridge,
        "ridged_plains": combine((ridge == 1) & (crowd >= 60) & flat, (ridge != 0) & (crowd >= 30)),
        "graben": places.label(_lines(inputs, GRABEN), 24.0, 50.0),
        **_dune_labels(facts),
    }


def _landslide_labels(facts: Facts) -> dict[str, Labels]:
    """Landslides of the catalogue, whose points lie on the deposits, by type and size."""
    slides = facts.inputs.rows(LANDSLIDES)
    at = _points(slides)
    area = np.array([float(r["area_km2"]) for r in slides])
    kind = np.array([r["type"] for r in slides])
    radius = np.minimum(np.sqrt(area / np.pi), 60.0)

    def label(mask: NDArray[np.bool_]) -> Labels:
        return facts.places.label(at[mask], (22 + 0.8 * radius)[mask], (42 + radius)[mask])

    every = label(np.ones(len(at), bool))
    # "S/RA" may be either: such a slide makes both unknown.
    return {
        "landslide": every,
        "large_landslide": _unless(label(area > 400), label(area > 150)),
        "rock_avalanche": _unless(label(np.isin(kind, ["RA", "RA/EJ"])), every),
        "slump": _unless(label(kind == "S"), label(np.isin(kind, ["S", "S/RA"]))),
    }


def _dune_labels(facts: Facts) -> dict[str, Labels]:
    types: dict[str, list[NDArray]] = {}
    for properties, rings in facts.inputs.shapes(DUNE_FIELDS):
        points = np.concatenate([_filled(ring) for ring in rings])
        for kind in properties["type"].replace(" ", "").split(","):
            types.setdefault(kind, []).append(points)
        types.setdefault("all", []).append(points)
        if properties["area_km2"] > 800:
            types.setdefault("large", []).append(points)
    # The catalogue stops at 65 degrees; the ergs round the northern cap are Undae by name.
    beyond = np.abs(facts.lat) > 65.0

    def label(*kinds: str) -> Labels:
        points = np.concatenate([p for k in kinds for p in types.get(k, [np.empty((0, 2))])])
        found = facts.places.label(points, INNER_KM, OUTER_KM)
        return np.where(beyond & (found == 0), -1, found).astype(np.int8)

    erg = extent_labels(facts, facts.of_type("Unda"), 0.8, 1.4)
    # A field of unclassified dunes may hold any type.
    doubt = label("U")
    return {
        "dunes": either(label("all"), erg),
        "barchan_dunes": _unless(label("B", "Bd"), doubt),
        "transverse_dunes": _unless(label("T"), doubt),
        "linear_dunes": _unless(label("L"), doubt),
        "dome_dunes": _unless(label("D"), doubt),
        "sand_sheet": _unless(label("SS"), doubt),
        "large_dune_field": either(label("large"), erg),
    }


def _feature_labels(facts: Facts, crater: Labels) -> dict[str, Labels]:
    """Label by named features; of cliffs and mesas only where no crater makes the relief."""
    table, t = facts.landforms, facts.terrain

    def extent(names, inner=0.75, outer=1.3):
        return extent_labels(facts, names, inner, outer)

    named = facts.of_type
    low, bare = t.position < -80, crater != 1
    chasmata = [n for n in named("Chasma") if n not in table["polar_chasmata"]]
    canyon = _where(extent(chasmata, 0.95, 1.4), t.wide_relief > 2200)
    outflow = _valleys(facts, table["outflow_channels"], 30.0)
    network = _valleys(facts, facts.river_valleys, 24.0)
    doubtful = _valleys(facts, table["valleys_disputed"], 30.0)
    chaoses = [n for n in named("Chaos") if n not in table["chaos_disputed"]]
    mounds = [n for n in named("Mensa") if n in table["canyon_mounds"]]
    mesas = [n for n in named("Mensa") if n not in table["not_mesas"] + mounds]
    sulci = [n for n in named("Sulcus") if n not in table["polar_sulci"]]
    return {
        "canyon": canyon,
        "canyon_wall": _where(canyon, t.steepest > 12),
        "canyon_floor": _where(canyon, low & (t.position < -1000)),
        "canyon_mound": _where(extent(mounds, 0.9, 1.8), t.relief > 700),
        "chaos": _unless(
            _where(extent(chaoses, 0.75, 1.4), t.roughness > 90),
            extent(table["chaos_disputed"], 1.0, 1.3),
        ),
        "volcano": _unless(
            extent(table["volcanoes"], 0.85, 1.3),
            extent([*table["volcanoes_disputed"], *table["calderas"]], 1.0, 1.3),
        ),
        "caldera": _unless(
            either(
                _around(facts, table["calderas"], 0.9, 15.0),
                _summits(facts, table["caldera_summits"]),
            ),
            extent(table["calderas_disputed"], 1.0, 1.3),
        ),
        "lava_plains": _where(extent(table["lava_plains"], 0.6, 1.2), t.wide_relief < 700),
        "outflow": _unless(outflow, doubtful),
        "valley_network": _unless(network, doubtful),
        "channel": _unless(either(outflow, network), doubtful),
        "labyrinth": _where(extent(["Noctis Labyrinthus"], 0.75, 1.3), t.relief > 500),
        "pits": extent(named("Cavus"), 0.8, 1.6),
        "fretted": _where(extent(table["fretted"], 0.85, 1.4), bare & (t.relief > 400)),
        "mesa": _where(extent([*mesas, *mounds], 0.85, 1.5), bare & (t.relief > 350)),
        "knobs": _where(extent(named("Collis"), 0.75, 1.5), t.roughness > 35),
        "massif": _where(extent(table["massifs"], 0.8, 1.4), t.relief > 700),
        # Steep ground elsewhere may well be a scarp without a name.
        "scarp": _unless(
            _where(extent(named("Rupes", "Scopulus"), 0.85, 1.3), bare & (t.steepest > 4)),
            combine(t.steepest > 18, t.steepest > 9),
        ),
        "aureole": _where(extent(table["aureoles"], 0.7, 1.4), t.roughness > 60),
        "sulci": _where(extent(sulci, 0.7, 1.4), t.roughness > 60),
        "yardangs": extent(table["yardangs"], 0.7, 1.6),
        "giant_polygons": extent(table["giant_polygons"], 0.85, 1.6),
        "plateau": _where(extent(table["plateaus"], 0.85, 1.2), t.relief < 800),
        "basin": extent(table["basins"], 0.6, 1.1),
        "planitia": _where(extent(named("Planitia"), 0.65, 1.15), t.wide_relief < 900),
        "terra": extent(named("Terra"), 0.6, 1.1),
    }


def _terrain_labels(facts: Facts, crater: Labels) -> dict[str, Labels]:
    """Label by what was measured; shapes of the ground only where no crater makes them."""
    t, lat = facts.terrain, facts.lat
    inertia, albedo = facts.inertia, facts.albedo
    # TES inertia has track stripes near the poles, and frost alters it and the albedo there.
    known = np.abs(lat) < 65
    at = np.stack([facts.impacts.lon, facts.impacts.lat], -1)
    crowd = _count(facts, at, 200.0)
    high = (t.elevation > -500) & (crowd >= 12)
    step, degrees = t.wide_relief, np.abs(lat)
    smooth = combine((t.relief < 120) & (step < 350), (t.relief < 250) & (step < 700))
    polar = combine(degrees > 67, degrees > 60)
    bare = crater == 0
    return {
        "smooth_plains": smooth,
        "young_plains": combine(
            (t.relief < 250) & (t.roughness < 60) & (_count(facts, at, 200.0) == 0),
            (t.relief < 500) & (_count(facts, at, 120.0) <= 1),
        ),
        "lowlands": combine((t.elevation < -3200) & (lat > 15) & (step < 900), t.elevation < -2200),
        "highlands": combine(high & (t.relief > 250), (t.elevation > -1500) & (crowd >= 6)),
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
        "high_ground": combine(t.elevation > 3500, t.elevation > 2500),
        "low_ground": combine(t.elevation < -4000, t.elevation < -3000),
        "equatorial": combine(degrees < 20, degrees < 27),
        "mid_latitudes": combine((degrees > 33) & (degrees < 57), (degrees > 27) & (degrees < 63)),
        "polar_latitudes": polar,
        "bright": combine(t.brightness > 140, t.brightness > 118),
        "dark": combine(t.brightness < 72, t.brightness < 86),
        "red_ground": combine(t.redness > 22, t.redness > 19.5),
        "grey_ground": combine(t.redness < 6, t.redness < 10),
        "dusty": _where_known(combine((albedo > 0.27) & (inertia < 110), albedo > 0.25), known),
        "sandy": _where_known(
            combine((albedo < 0.14) & (inertia > 180) & (inertia < 330), albedo < 0.17), known
        ),
        "rocky": _where_known(combine(inertia > 380, inertia > 300), known),
    }


def _polar_labels(facts: Facts, dunes: Labels) -> dict[str, Labels]:
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


def _relations(facts: Facts, labels: dict[str, Labels]) -> dict[str, Labels]:
    inside = either(labels["crater_floor"], labels["large_crater"])
    crater = either(labels["crater_floor"], labels["crater_rim"])
    # Canyons and the flanks of great volcanoes are steps between high and low ground as well.
    others = [labels[key] for key in ("canyon", "chaos", "outflow", "volcano")]
    others.append(extent_labels(facts, ["Olympus Mons", "Elysium Mons", "Alba Mons"], 2.2, 2.2))
    return {
        "dichotomy": _where(_dichotomy(facts), either(*others) == 0),
        "crater_dunes": both(labels["dunes"], inside),
        "canyon_landslide": both(labels["landslide"], labels["canyon"]),
        "crater_channel": both(labels["channel"], crater),
        "crater_landslide": both(labels["landslide"], crater),
        "crater_glacier": both(labels["glacier"], crater),
        "fractured_crater": both(labels["graben"], crater),
        "dark_crater_floor": both(labels["dark"], labels["crater_floor"]),
        "canyon_dunes": both(labels["dunes"], labels["canyon"]),
        "mesa_lowlands": both(either(labels["mesa"], labels["fretted"]), labels["lowlands"]),
        "knob_lowlands": both(labels["knobs"], labels["lowlands"]),
        "volcano_graben": both(labels["graben"], labels["volcano"]),
        "lava_ridges": both(labels["wrinkle_ridge"], labels["lava_plains"]),
        "highland_valley": both(labels["valley_network"], labels["highlands"]),
    }


def _dichotomy(facts: Facts) -> Labels:
    """Tiles with high ground on one side within 200 km and low ground on the other."""
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


def extent_labels(facts: Ground, names: list[str], inner: float, outer: float) -> Labels:
    """Label by the ellipses in the features' extents, scaled by two factors."""
    lon, lat = facts.grid.centers
    present, possible = np.zeros(len(lon), bool), np.zeros(len(lon), bool)
    for name in names:
        box = facts.box(name)
        if box is None:
            around = _around(facts, [name], inner * 0.7, 0.0, outer)
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


def _valleys(facts: Facts, names: list[str], inner_km: float) -> Labels:
    """Label by the courses of named valleys.

    The rest of a valley's extent, where its branches may be, is unknown.
    """
    points = np.concatenate([facts.course(name) for name in names])
    near = facts.places.label(points, inner_km, inner_km + 30.0)
    extent = extent_labels(facts, names, 0.9, 1.2)
    alone = _around(facts, [name for name in names if not facts.box(name)], 0.5, 0.0)
    return either(near, np.where(extent != 0, -1, 0).astype(np.int8), alone)


def _around(
    facts: Ground, names: list[str], share: float, margin_km: float, outer: float = 1.5
) -> Labels:
    """Label by circles round the features' centres: a share of the radius and a margin."""
    rows = [facts.features[name] for name in names]
    radius = np.array([float(r["diameter_km"]) / 2 for r in rows])
    return facts.places.label(_points(rows), share * radius + margin_km, outer * radius + 50.0)


def _summits(facts: Facts, names: list[str]) -> Labels:
    rows = [facts.features[name] for name in names]
    radius = np.array([float(r["diameter_km"]) / 2 for r in rows])
    return facts.places.label(_points(rows), 25 + 0.06 * radius, 50 + 0.4 * radius)


def _count(facts: Facts, points: NDArray, radius_km: float) -> NDArray[np.int64]:
    """Count the points within a radius of each tile."""
    tree = cKDTree(unit_vectors(*points.T))
    reach = radius_km * 1000 / RADIUS_M
    return tree.query_ball_point(facts.places.tree.data, reach, return_length=True)


def _where(labels: Labels, holds: NDArray[np.bool_]) -> Labels:
    """Keep "present" only where a condition holds; elsewhere it becomes unknown."""
    return np.where((labels == 1) & ~holds, -1, labels).astype(np.int8)


def _unless(labels: Labels, doubt: Labels) -> Labels:
    """Turn "absent" into unknown where something that could be taken for it is not absent."""
    return np.where((labels == 0) & (doubt != 0), -1, labels).astype(np.int8)


def _where_known(labels: Labels, known: NDArray[np.bool_]) -> Labels:
    """Make labels unknown where the measures behind them say nothing."""
    return np.where(known, labels, -1).astype(np.int8)


def _points(rows: list[dict[str, str]]) -> NDArray[np.float64]:
    return np.array([[float(r["lon"]), float(r["lat"])] for r in rows])


def _lines(inputs: Inputs, name: str) -> NDArray[np.float64]:
    return np.concatenate([densify(ring) for _, rings in inputs.shapes(name) for ring in rings])


def _filled(ring: NDArray) -> NDArray[np.float64]:
    """Return points along a ring and, some 12 km apart, inside of it."""
    import shapely

    turned = np.stack([np.unwrap(ring[:, 0], period=360.0), ring[:, 1]], -1)
    west, south = turned.min(axis=0)
    east, north = turned.max(axis=0)
    x, y = np.meshgrid(np.arange(west, east, 0.2), np.arange(south, north, 0.2))
    inside = shapely.contains_xy(shapely.Polygon(turned), x.ravel(), y.ravel())
    within = np.stack([x.ravel()[inside], y.ravel()[inside]], -1)
    return np.concatenate([densify(turned, 6.0), turned.mean(axis=0, keepdims=True), within])


def _degrees(vectors: NDArray) -> NDArray[np.float64]:
    """Return vectors (n, 3) as longitude and latitude, (n, 2) degrees."""
    x, y, z = vectors.T
    return np.degrees(np.stack([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))], -1))
