"""Makes the overlays of the map from published catalogues: points, lines, outlines, a picture.

`overlays.json` lists the catalogues with their sources; `KEY.json.gz` holds the features of one,
as `encode_paths` writes them; `geology.tif` is a picture with the colours of geologic units. Lines
are simplified to two kilometres: they are drawn over a planet, not measured.
"""

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from mars_map.build.basemap import write_cog
from mars_map.build.inputs import GEOLOGIC_COLOURS, Inputs
from mars_map.build.overlay_catalogues import CATALOGUES, PUBLIC, Catalogue, Feature, Geometry
from mars_map.errors import BuildError
from mars_map.files import whole_file
from mars_map.planet.sphere import METRES_PER_DEGREE

TOLERANCE_M = 2_000.0
"""Lines and outlines are simplified (Douglas and Peucker 1973) so that no corner left out lies
further than this from what is drawn."""
FINEST_SHARE = 0.05
"""Small shapes keep corners that stand out by this share of their extent."""
SCALE = 1_000
"""Steps in a degree of coordinates: 59 m."""

GEOLOGY_QUALITY = 75
"""Of WebP, for flat colours that are drawn half transparent."""


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


def encode_paths(features: Sequence[Feature], geometry: Geometry) -> dict[str, object]:
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


def simplify(path: NDArray[np.float64], geometry: Geometry) -> NDArray[np.float64]:
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


def _short(size: float | None) -> float | None:
    return None if size is None else float(f"{float(size):.3g}")


def _write(target: Path, content: bytes) -> None:
    try:
        with whole_file(target) as part:
            part.write_bytes(content)
    except OSError as error:
        raise BuildError(f"{target} could not be written: {error.strerror}.") from error
