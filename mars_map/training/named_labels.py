"""Labels by named features, which `landforms.toml` sorts by what they are known to be.

The IAU's types tell shapes; measured terrain says where in a feature's extent the shape is. Cliffs
and mesas count only where no crater makes the relief.
"""

from collections.abc import Iterable

from mars_map.training.extents import around_labels, extent_labels, summit_labels, valley_labels
from mars_map.training.ground import Facts
from mars_map.training.places import Labels, combine, either, only_where, unless


def named_labels(facts: Facts, crater: Labels) -> dict[str, Labels]:
    """Return the labels of the landforms that named features tell, by key. crater: theirs."""
    return {
        **_canyon_labels(facts),
        **_volcanic_labels(facts),
        **_channel_labels(facts),
        **_broken_ground_labels(facts, crater),
        **_upland_labels(facts, crater),
        **_texture_labels(facts),
        **_region_labels(facts),
    }


def _canyon_labels(facts: Facts) -> dict[str, Labels]:
    t, table = facts.terrain, facts.landforms
    chasmata = _without(facts.of_type("Chasma"), table["polar_chasmata"])
    canyon = only_where(extent_labels(facts, chasmata, 0.95, 1.4), t.wide_relief > 2200)
    mounds = extent_labels(facts, _canyon_mounds(facts), 0.9, 1.8)
    return {
        "canyon": canyon,
        "canyon_wall": only_where(canyon, t.steepest > 12),
        "canyon_floor": only_where(canyon, t.position < -1000),
        "canyon_mound": only_where(mounds, t.relief > 700),
    }


def _volcanic_labels(facts: Facts) -> dict[str, Labels]:
    table = facts.landforms
    volcano = extent_labels(facts, table["volcanoes"], 0.85, 1.3)
    maybe_volcano = [*table["volcanoes_disputed"], *table["calderas"]]
    caldera = either(
        around_labels(facts, table["calderas"], 0.9, 15.0),
        summit_labels(facts, table["caldera_summits"]),
    )
    maybe_caldera = extent_labels(facts, table["calderas_disputed"], 1.0, 1.3)
    lava = extent_labels(facts, table["lava_plains"], 0.6, 1.2)
    return {
        "volcano": unless(volcano, extent_labels(facts, maybe_volcano, 1.0, 1.3)),
        "caldera": unless(caldera, maybe_caldera),
        "lava_plains": only_where(lava, facts.terrain.wide_relief < 700),
    }


def _channel_labels(facts: Facts) -> dict[str, Labels]:
    table = facts.landforms
    outflow = valley_labels(facts, table["outflow_channels"], 30.0)
    network = valley_labels(facts, facts.river_valleys, 24.0)
    doubtful = valley_labels(facts, table["valleys_disputed"], 30.0)
    return {
        "outflow": unless(outflow, doubtful),
        "valley_network": unless(network, doubtful),
        "channel": unless(either(outflow, network), doubtful),
    }


def _broken_ground_labels(facts: Facts, crater: Labels) -> dict[str, Labels]:
    """Label ground that fell in, cracked or was worn into pieces."""
    t, table = facts.terrain, facts.landforms
    chaoses = _without(facts.of_type("Chaos"), table["chaos_disputed"])
    chaos = only_where(extent_labels(facts, chaoses, 0.75, 1.4), t.roughness > 90)
    labyrinth = extent_labels(facts, ["Noctis Labyrinthus"], 0.75, 1.3)
    fretted = extent_labels(facts, table["fretted"], 0.85, 1.4)
    return {
        "chaos": unless(chaos, extent_labels(facts, table["chaos_disputed"], 1.0, 1.3)),
        "labyrinth": only_where(labyrinth, t.relief > 500),
        "pits": extent_labels(facts, facts.of_type("Cavus"), 0.8, 1.6),
        "fretted": only_where(fretted, (crater != 1) & (t.relief > 400)),
    }


def _upland_labels(facts: Facts, crater: Labels) -> dict[str, Labels]:
    """Label what stands above its surroundings, and steps between low and high ground."""
    t, table, bare = facts.terrain, facts.landforms, crater != 1
    mounds = _canyon_mounds(facts)
    mesas = [*_without(facts.of_type("Mensa"), [*table["not_mesas"], *mounds]), *mounds]
    scarps = extent_labels(facts, facts.of_type("Rupes", "Scopulus"), 0.85, 1.3)
    knobs = extent_labels(facts, facts.of_type("Collis"), 0.75, 1.5)
    massifs = extent_labels(facts, table["massifs"], 0.8, 1.4)
    return {
        "mesa": only_where(extent_labels(facts, mesas, 0.85, 1.5), bare & (t.relief > 350)),
        "knobs": only_where(knobs, t.roughness > 35),
        "massif": only_where(massifs, t.relief > 700),
        # Steep ground elsewhere may well be a scarp without a name.
        "scarp": unless(
            only_where(scarps, bare & (t.steepest > 4)),
            combine(t.steepest > 18, t.steepest > 9),
        ),
    }


def _texture_labels(facts: Facts) -> dict[str, Labels]:
    """Label ground by what covers it in a pattern."""
    table, rough = facts.landforms, facts.terrain.roughness > 60
    sulci = _without(facts.of_type("Sulcus"), table["polar_sulci"])
    return {
        "aureole": only_where(extent_labels(facts, table["aureoles"], 0.7, 1.4), rough),
        "sulci": only_where(extent_labels(facts, sulci, 0.7, 1.4), rough),
        "yardangs": extent_labels(facts, table["yardangs"], 0.7, 1.6),
        "giant_polygons": extent_labels(facts, table["giant_polygons"], 0.85, 1.6),
    }


def _region_labels(facts: Facts) -> dict[str, Labels]:
    """Label the vast plains, plateaus, basins and uplands that have names."""
    t, table = facts.terrain, facts.landforms
    plateau = extent_labels(facts, table["plateaus"], 0.85, 1.2)
    planitia = extent_labels(facts, facts.of_type("Planitia"), 0.65, 1.15)
    return {
        "plateau": only_where(plateau, t.relief < 800),
        "basin": extent_labels(facts, table["basins"], 0.6, 1.1),
        "planitia": only_where(planitia, t.wide_relief < 900),
        "terra": extent_labels(facts, facts.of_type("Terra"), 0.6, 1.1),
    }


def _canyon_mounds(facts: Facts) -> list[str]:
    return [n for n in facts.of_type("Mensa") if n in facts.landforms["canyon_mounds"]]


def _without(names: list[str], others: Iterable[str]) -> list[str]:
    return [name for name in names if name not in others]
