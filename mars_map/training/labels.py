"""Which tiles show which landform: the facts behind every caption.

Each rule reads catalogues, named features, craters or measured terrain and labels every tile as
present (1), absent (0) or unknown (-1). Unknown tiles take no part in the loss: a catalogue that
stops at 65 degrees says nothing beyond, and the margin of a feature is neither in nor out.
A landform is present in a tile when it lies within about 30 km of the centre, the half-width of
the near window, unless its rule says otherwise.
"""

from mars_map.training.catalogue_labels import catalogue_labels
from mars_map.training.crater_labels import crater_labels, round_hollow_labels
from mars_map.training.extents import extent_labels
from mars_map.training.ground import Facts
from mars_map.training.measured_labels import dichotomy_labels, measured_labels, polar_labels
from mars_map.training.named_labels import named_labels
from mars_map.training.places import Labels, both, either, only_where, where_known


def make_labels(facts: Facts) -> dict[str, Labels]:
    """Return the labels of every landform of the glossary, by its key."""
    labels: dict[str, Labels] = {}
    for rule in (crater_labels, catalogue_labels):
        labels.update(rule(facts))
    # Round hollows that may be craters: none is said to be one, and none to be none.
    for key in ("crater", "large_crater", "crater_floor", "crater_rim"):
        labels[key] = where_known(labels[key], round_hollow_labels(facts) == 0)
    for rule in (named_labels, measured_labels):
        labels.update(rule(facts, labels["crater"]))
    labels.update(polar_labels(facts, labels["dunes"]))
    labels.update(_relations(facts, labels))
    return labels


def _relations(facts: Facts, labels: dict[str, Labels]) -> dict[str, Labels]:
    inside = either(labels["crater_floor"], labels["large_crater"])
    crater = either(labels["crater_floor"], labels["crater_rim"])
    # Canyons and the flanks of great volcanoes are steps between high and low ground as well.
    others = [labels[key] for key in ("canyon", "chaos", "outflow", "volcano")]
    others.append(extent_labels(facts, ["Olympus Mons", "Elysium Mons", "Alba Mons"], 2.2, 2.2))
    return {
        "dichotomy": only_where(dichotomy_labels(facts), either(*others) == 0),
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
