"""Published catalogues that the map shows: how each is cited, and how its features are read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mars_map.build.inputs import (
    DUNE_FIELDS,
    GEOLOGIC_CONTACTS,
    GLACIER_LIKE_FORMS,
    GRABEN,
    HYDRATED_MINERALS,
    LANDSLIDES,
    LAYERED_EJECTA,
    WRINKLE_RIDGES,
    Inputs,
)
from mars_map.planet.sphere import great_circle_m

Geometry = Literal["point", "line", "polygon"]
"""What a feature of a catalogue is drawn as."""


class Feature(NamedTuple):
    """A feature of a catalogue."""

    paths: list[NDArray[np.float64]]
    """Its points, lines or outer rings, each (n, 2) lon, lat in degrees."""
    kind: str
    """What the catalogue calls it, in words; "" where there is only one kind."""
    size: float | None
    """In the catalogue's unit; None where it is not known."""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """A published catalogue, and what must be said where it is shown."""

    key: str
    """Name of the file and in addresses."""
    title: str
    """Name for people."""
    geometry: Geometry
    credit: str
    """Short citation."""
    source: str
    """Full citation."""
    doi: str = ""
    """Without "https://doi.org/"; "" where there is none."""
    licence: str
    """On what terms it is shown."""
    measure: str = ""
    """What the size is, and its unit: "area, km²"; "" where the catalogue has none."""
    care: str = ""
    """What to bear in mind, as it stands behind "Dune fields: "; "" for nothing."""


FACTS = "coordinates and sizes as facts; cite the source"
CC_BY = "CC-BY-4.0 (PSUP)"
PUBLIC = "public domain (USGS)"
KNAPMEYER = (
    "Knapmeyer et al. (2006): Working models for spatial distribution and level of Mars' "
    "seismicity. Journal of Geophysical Research 111, E11006"
)

LANDSLIDE_KINDS = {
    "RA": "rock avalanche",
    "S": "slide",
    "DF": "debris flow",
    "EJ": "ejecta-related",
}
DUNE_KINDS = {
    "B": "barchan",
    "Bd": "barchanoid",
    "D": "dome",
    "L": "linear",
    "S": "star",
    "SS": "sand sheet",
    "T": "transverse",
    "U": "unclassified",
}
CONTACT_KINDS = {
    "Certain": "certain contact",
    "Approx": "approximate contact",
    "Internal": "internal contact",
    "Border": "border",
}


def _landslides(inputs: Inputs) -> list[Feature]:
    return [
        _point(row, _words(row["type"].split("/"), LANDSLIDE_KINDS, " or "), row["area_km2"])
        for row in inputs.rows(LANDSLIDES)
    ]


def _glaciers(inputs: Inputs) -> list[Feature]:
    return [_point(row, "", row["length_km"]) for row in inputs.rows(GLACIER_LIKE_FORMS)]


def _minerals(inputs: Inputs) -> list[Feature]:
    return [_point(row, "", row["size_km"]) for row in inputs.rows(HYDRATED_MINERALS)]


def _ejecta(inputs: Inputs) -> list[Feature]:
    return [_point(row, row["type"].removesuffix(" type")) for row in inputs.rows(LAYERED_EJECTA)]


def _dunes(inputs: Inputs) -> list[Feature]:
    return [
        Feature(rings, _words(values["type"].split(","), DUNE_KINDS, ", "), values["area_km2"])
        for values, rings in inputs.shapes(DUNE_FIELDS)
    ]


def _lines(inputs: Inputs, name: str) -> list[Feature]:
    return [Feature(lines, "", _length_km(lines)) for _, lines in inputs.shapes(name)]


def _contacts(inputs: Inputs) -> list[Feature]:
    return [
        Feature(lines, CONTACT_KINDS[values["ConType"]], None)
        for values, lines in inputs.shapes(GEOLOGIC_CONTACTS)
    ]


def _point(row: dict[str, str], kind: str, size: str = "") -> Feature:
    place = np.array([[float(row["lon"]), float(row["lat"])]])
    return Feature([place], kind, float(size) if size else None)


def _words(codes: Sequence[str], words: dict[str, str], joint: str) -> str:
    return joint.join(words[code.strip()] for code in codes)


def _length_km(lines: Sequence[NDArray[np.float64]]) -> float:
    ends = [(*line[:-1].T, *line[1:].T) for line in lines]
    return float(sum(great_circle_m(*pair).sum() for pair in ends)) / 1000.0


CATALOGUES: tuple[tuple[Catalogue, Callable[[Inputs], list[Feature]]], ...] = (
    (
        Catalogue(
            key="landslides",
            title="Landslides",
            geometry="point",
            credit="Crosta et al. 2018",
            source=(
                "Crosta et al. (2018): Introducing a new inventory of large Martian landslides. "
                "Earth and Space Science 5, 89-119"
            ),
            doi="10.1002/2017EA000324",
            licence=FACTS,
            measure="area, km²",
        ),
        _landslides,
    ),
    (
        Catalogue(
            key="glaciers",
            title="Glacier-like forms",
            geometry="point",
            credit="Souness et al. 2012",
            source=(
                "Souness et al. (2012): An inventory and population-scale analysis of martian "
                "glacier-like forms. Icarus 217, 243-255"
            ),
            doi="10.1016/j.icarus.2011.10.020",
            licence=FACTS,
            measure="length, km",
        ),
        _glaciers,
    ),
    (
        Catalogue(
            key="dunes",
            title="Dune fields",
            geometry="polygon",
            credit="Hayward et al. 2007",
            source=(
                "Hayward et al. (2007): Mars Global Digital Dune Database. USGS Open-File Report "
                "2007-1158"
            ),
            licence=PUBLIC,
            measure="area, km²",
            care="none poleward of 65°",
        ),
        _dunes,
    ),
    (
        Catalogue(
            key="ridges",
            title="Wrinkle ridges",
            geometry="line",
            credit="Knapmeyer et al. 2006",
            source=KNAPMEYER,
            doi="10.1029/2006JE002708",
            licence=FACTS,
            measure="length, km",
        ),
        partial(_lines, name=WRINKLE_RIDGES),
    ),
    (
        Catalogue(
            key="graben",
            title="Graben",
            geometry="line",
            credit="Knapmeyer et al. 2006",
            source=KNAPMEYER,
            doi="10.1029/2006JE002708",
            licence=FACTS,
            measure="length, km",
        ),
        partial(_lines, name=GRABEN),
    ),
    (
        Catalogue(
            key="ejecta",
            title="Layered-ejecta craters",
            geometry="point",
            credit="Costard 1989",
            source=(
                "Costard (1989): The spatial distribution of volatiles in the Martian "
                "hydrolithosphere. Earth, Moon, and Planets 45; by way of PSUP"
            ),
            licence=CC_BY,
            care="positions are rounded to about half a degree",
        ),
        _ejecta,
    ),
    (
        Catalogue(
            key="minerals",
            title="Hydrated minerals",
            geometry="point",
            credit="Carter et al. 2013",
            source=(
                "Carter et al. (2013): Hydrous minerals on Mars as seen by the CRISM and OMEGA "
                "imaging spectrometers. Journal of Geophysical Research: Planets 118; by way of "
                "PSUP"
            ),
            doi="10.1029/2012JE004145",
            licence=CC_BY,
            measure="size, km",
            care="found by their spectra, not by shape",
        ),
        _minerals,
    ),
    (
        Catalogue(
            key="contacts",
            title="Geologic contacts",
            geometry="line",
            credit="Tanaka et al. 2014",
            source=(
                "Tanaka et al. (2014): Geologic map of Mars. USGS Scientific Investigations Map "
                "3292"
            ),
            doi="10.3133/sim3292",
            licence=PUBLIC,
            care="simplified from a map at 1:20,000,000",
        ),
        _contacts,
    ),
)
"""The catalogues in the order of the list, and how each is read."""
