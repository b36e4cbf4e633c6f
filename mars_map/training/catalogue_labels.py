"""Labels by published catalogues: landslides, glaciers, ejecta, wrinkle ridges, graben, dunes."""

import numpy as np
from numpy.typing import NDArray

from mars_map.build.inputs import (
    DUNE_FIELDS,
    GLACIER_LIKE_FORMS,
    GRABEN,
    LANDSLIDES,
    LAYERED_EJECTA,
    WRINKLE_RIDGES,
    Inputs,
)
from mars_map.training.extents import extent_labels
from mars_map.training.ground import Facts
from mars_map.training.places import Labels, combine, densify, either, filled, points_of, unless

INNER_KM, OUTER_KM = 28.0, 55.0
"""Within the first a landform is present in a tile, and beyond the second it is absent, unless its
rule says otherwise: the near window reaches 32 km to its sides and 45 to its corners."""


def catalogue_labels(facts: Facts) -> dict[str, Labels]:
    """Return the labels of the landforms that catalogues list, by key."""
    places, inputs = facts.places, facts.inputs
    glacier = places.label(points_of(inputs.rows(GLACIER_LIKE_FORMS)), INNER_KM, OUTER_KM)
    ejecta = inputs.rows(LAYERED_EJECTA)
    layered = points_of([r for r in ejecta if r["type"] in ("flower type", "rampart crater")])
    rampart = points_of([r for r in ejecta if r["type"] == "rampart crater"])
    pedestal = points_of([r for r in ejecta if r["type"] == "pedestal crater"])
    ridges = _lines(inputs, WRINKLE_RIDGES)
    ridge = places.label(ridges, 24.0, 50.0)
    # Points lie at most 8 km apart along the ridges: sixty are some 400 km of ridge in the circle.
    crowd = facts.places.count(ridges, 90.0)
    flat = facts.terrain.wide_relief < 1100
    return {
        **_landslide_labels(facts),
        "glacier": glacier,
        "ejecta": places.label(layered, 30.0, 80.0),
        "rampart_crater": unless(
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
    at = points_of(slides)
    area = np.array([float(r["area_km2"]) for r in slides])
    kind = np.array([r["type"] for r in slides])
    radius = np.minimum(np.sqrt(area / np.pi), 60.0)

    def label(mask: NDArray[np.bool_]) -> Labels:
        return facts.places.label(at[mask], (22 + 0.8 * radius)[mask], (42 + radius)[mask])

    every = label(np.ones(len(at), bool))
    # "S/RA" may be either: such a slide makes both unknown.
    return {
        "landslide": every,
        "large_landslide": unless(label(area > 400), label(area > 150)),
        "rock_avalanche": unless(label(np.isin(kind, ["RA", "RA/EJ"])), every),
        "slump": unless(label(kind == "S"), label(np.isin(kind, ["S", "S/RA"]))),
    }


def _dune_labels(facts: Facts) -> dict[str, Labels]:
    types: dict[str, list[NDArray]] = {}
    for properties, rings in facts.inputs.shapes(DUNE_FIELDS):
        points = np.concatenate([filled(ring) for ring in rings])
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
        "barchan_dunes": unless(label("B", "Bd"), doubt),
        "transverse_dunes": unless(label("T"), doubt),
        "linear_dunes": unless(label("L"), doubt),
        "dome_dunes": unless(label("D"), doubt),
        "sand_sheet": unless(label("SS"), doubt),
        "large_dune_field": either(label("large"), erg),
    }


def _lines(inputs: Inputs, name: str) -> NDArray[np.float64]:
    return np.concatenate([densify(ring) for _, rings in inputs.shapes(name) for ring in rings])
