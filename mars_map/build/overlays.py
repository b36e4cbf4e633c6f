"""Makes the overlays of the map from published catalogues: points, lines, outlines, a picture.

`overlays.json` lists the catalogues with their sources; `KEY.json.gz` holds the features of one,
as `encode_paths` writes them; `geology.tif` is a picture with the colours of geologic units. Lines
are simplified to two kilometres: they are drawn over a planet, not measured.
"""

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from mars_map.build.basemap import write_cog
from mars_map.build.inputs import (
    DUNE_FIELDS,
    GEOLOGIC_COLOURS,
    GEOLOGIC_CONTACTS,
    GLACIER_LIKE_FORMS,
    GRABEN,
    HYDRATED_MINERALS,
    LANDSLIDES,
    LAYERED_EJECTA,
    WRINKLE_RIDGES,
    Inputs,
)
from mars_map.errors import BuildError
from mars_map.files import whole_file
from mars_map.planet.sphere import METRES_PER_DEGREE, great_circle_m

TOLERANCE_M = 2_000.0
"""Lines and outlines are simplified (Douglas and Peucker 1973) so that no corner left out lies
further than this from what is drawn."""
FINEST_SHARE = 0.05
"""Small shapes keep corners that stand out by this share of their extent."""
SCALE = 1_000
"""Steps in a degree of coordinates: 59 m."""

GEOLOGY_QUALITY = 75
"""Of WebP, for flat colours that are drawn half transparent."""


class Feature(NamedTuple):
    """A feature of a catalogue."""

    paths: list[NDArray[np.float64]]
    """Its points, lines or outer rings, each (n, 2) lon, lat in degrees."""
    kind: str
    """What the catalogue calls it, in words; "" where there is only one kind."""
    size: float | None
    """In the catalogue's unit; None where it is not known."""


@dataclass(frozen=True)
class Catalogue:
    """A published catalogue, and what must be said where it is shown."""

    key: str
    """Name of the file and in addresses."""
    title: str
    """Name for people."""
    geometry: Literal["point", "line", "polygon"]
    credit: str
    """Short citation."""
    source: str
    """Full citation."""
    doi: str
    """Without "https://doi.org/"; "" where there is none."""
    licence: str
    measure: str
    """What the size is, and its unit: "area, km²"; "" where the catalogue has none."""
    care: str
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


CATALOGUES: tuple[tuple[Catalogue, Callable[[Inputs], list[Feature]]], ...] = (
    (
        Catalogue(
            "landslides",
            "Landslides",
            "point",
            "Crosta et al. 2018",
            "Crosta et al. (2018): Introducing a new inventory of large Martian landslides. "
            "Earth and Space Science 5, 89-119",
            "10.1002/2017EA000324",
            FACTS,
            "area, km²",
            "",
        ),
        _landslides,
    ),
    (
        Catalogue(
            "glaciers",
            "Glacier-like forms",
            "point",
            "Souness et al. 2012",
            "Souness et al. (2012): An inventory and population-scale analysis of martian "
            "glacier-like forms. Icarus 217, 243-255",
            "10.1016/j.icarus.2011.10.020",
            FACTS,
            "length, km",
            "",
        ),
        _glaciers,
    ),
    (
        Catalogue(
            "dunes",
            "Dune fields",
            "polygon",
            "Hayward et al. 2007",
            "Hayward et al. (2007): Mars Global Digital Dune Database. USGS Open-File Report "
            "2007-1158",
            "",
            PUBLIC,
            "area, km²",
            "none poleward of 65°",
        ),
        _dunes,
    ),
    (
        Catalogue(
            "ridges",
            "Wrinkle ridges",
            "line",
            "Knapmeyer et al. 2006",
            KNAPMEYER,
            "10.1029/2006JE002708",
            FACTS,
            "length, km",
            "",
        ),
        lambda inputs: _lines(inputs, WRINKLE_RIDGES),
    ),
    (
        Catalogue(
            "graben",
            "Graben",
            "line",
            "Knapmeyer et al. 2006",
            KNAPMEYER,
            "10.1029/2006JE002708",
            FACTS,
            "length, km",
            "",
        ),
        lambda inputs: _lines(inputs, GRABEN),
    ),
    (
        Catalogue(
            "ejecta",
            "Layered-ejecta craters",
            "point",
            "Costard 1989",
            "Costard (1989): The spatial distribution of volatiles in the Martian "
            "hydrolithosphere. Earth, Moon, and Planets 45; by way of PSUP",
            "",
            CC_BY,
            "",
            "positions are rounded to about half a degree",
        ),
        _ejecta,
    ),
    (
        Catalogue(
            "minerals",
            "Hydrated minerals",
            "point",
            "Carter et al. 2013",
            "Carter et al. (2013): Hydrous minerals on Mars as seen by the CRISM and OMEGA imaging "
            "spectrometers. Journal of Geophysical Research: Planets 118; by way of PSUP",
            "10.1029/2012JE004145",
            CC_BY,
            "size, km",
            "found by their spectra, not by shape",
        ),
        _minerals,
    ),
    (
        Catalogue(
            "contacts",
            "Geologic contacts",
            "line",
            "Tanaka et al. 2014",
            "Tanaka et al. (2014): Geologic map of Mars. USGS Scientific Investigations Map 3292",
            "10.3133/sim3292",
            PUBLIC,
            "",
            "simplified from a map at 1:20,000,000",
        ),
        _contacts,
    ),
)
"""The catalogues in the order of the list, and how each is read."""


def build_overlays(inputs: Inputs, out: Path) -> list[Path]:
    """Write overlays.json, a file for each catalogue and geology.tif into a folder.

    Returns the paths. The files depend on the inputs alone. Raises BuildError where an input is
    absent or cannot be read, or the disk cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    listed, paths = [], []
    for catalogue, read in CATALOGUES:
        features = _read(catalogue, read, inputs)
        content = json.dumps(encode_paths(features, catalogue.geometry), separators=(",", ":"))
        paths.append(out / f"{catalogue.key}.json.gz")
        _write(paths[-1], gzip.compress(content.encode(), mtime=0))
        listed.append(asdict(catalogue) | {"count": len(features)})
    paths.append(out / "overlays.json")
    text = json.dumps(listed, indent=1, ensure_ascii=False) + "\n"
    _write(paths[-1], text.encode())
    paths.append(out / "geology.tif")
    build_geology(inputs, paths[-1])
    return paths


def build_geology(inputs: Inputs, target: Path) -> None:
    """Write the colours of geologic units as a Cloud-Optimised GeoTIFF, plate carrée, WebP."""
    pixels = inputs.raster(GEOLOGIC_COLOURS)
    tags = {
        "SOURCE": "USGS I-1802 global geologic map, digital renovation by Skinner et al. 2006; "
        "colours of the units, without their key",
        "LICENCE": PUBLIC,
    }
    write_cog(target, pixels, tags, compress="WEBP", quality=GEOLOGY_QUALITY)


def encode_paths(
    features: Sequence[Feature], geometry: Literal["point", "line", "polygon"]
) -> dict[str, object]:
    """Return features as plain values that are small as JSON.

    `scale`: steps in a degree. `kinds`: the different kinds. `paths`: for each feature a list of
    its paths; a path is longitude and latitude of its first point in steps, and then what to add
    for each further one. `kind`: place in `kinds`, and `size`, for each feature.
    """
    kinds = sorted({feature.kind for feature in features})
    return {
        "scale": SCALE,
        "kinds": kinds,
        "paths": [
            [_differences(simplify(path, geometry)) for path in feature.paths]
            for feature in features
        ],
        "kind": [kinds.index(feature.kind) for feature in features],
        "size": [_short(feature.size) for feature in features],
    }


def simplify(
    path: NDArray[np.float64], geometry: Literal["point", "line", "polygon"]
) -> NDArray[np.float64]:
    """Return a path, (n, 2) lon, lat in degrees, with as few points as its shape needs."""
    if geometry == "point":
        return path
    stretch = np.array([np.cos(np.radians(path[:, 1].mean())), 1.0]) * METRES_PER_DEGREE
    extent = float(np.ptp(path * stretch, axis=0).max())
    tolerance = min(TOLERANCE_M, FINEST_SHARE * extent)
    if geometry == "line":
        simple = shapely.LineString(path * stretch).simplify(tolerance)
        return np.asarray(simple.coords) / stretch
    simple = shapely.Polygon(path * stretch).simplify(tolerance)
    # The browser closes a ring by itself.
    return np.asarray(simple.exterior.coords)[:-1] / stretch


def _read(
    catalogue: Catalogue, read: Callable[[Inputs], list[Feature]], inputs: Inputs
) -> list[Feature]:
    try:
        return read(inputs)
    except (KeyError, TypeError, ValueError) as error:
        raise BuildError(
            f"The catalogue of {catalogue.title.lower()} cannot be read: {error!r}."
        ) from error


def _differences(path: NDArray[np.float64]) -> list[int]:
    steps = np.rint(path * SCALE).astype(int)
    moved = np.diff(steps, axis=0)
    # Points that fall on the one before them add nothing.
    return np.vstack([steps[:1], moved[np.any(moved != 0, axis=1)]]).ravel().tolist()


def _point(row: dict[str, str], kind: str, size: str = "") -> Feature:
    place = np.array([[float(row["lon"]), float(row["lat"])]])
    return Feature([place], kind, float(size) if size else None)


def _words(codes: Sequence[str], words: dict[str, str], joint: str) -> str:
    return joint.join(words[code.strip()] for code in codes)


def _length_km(lines: Sequence[NDArray[np.float64]]) -> float:
    ends = [(*line[:-1].T, *line[1:].T) for line in lines]
    return float(sum(great_circle_m(*pair).sum() for pair in ends)) / 1000.0


def _short(size: float | None) -> float | None:
    return None if size is None else float(f"{float(size):.3g}")


def _write(target: Path, content: bytes) -> None:
    try:
        with whole_file(target) as part:
            part.write_bytes(content)
    except OSError as error:
        raise BuildError(f"{target} could not be written: {error.strerror}.") from error
