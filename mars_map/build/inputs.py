"""The folder of inputs of a build: global rasters and published catalogues of Mars.

The folder holds `rasters/` and `catalogues/`; every file is named in this module, and nothing else
is read. No file of it is copied into what a build makes.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import BuildError

VIKING_COLOUR = "rasters/viking_mdim21_color_1km.tif"
ELEVATION = "rasters/mola_elevation_2600m_derived.tif"
MOLA_ELEVATION = "rasters/mola_elevation_4ppd.tif"
THERMAL_INERTIA = "rasters/tes_thermal_inertia_2ppd.tif"
ALBEDO = "rasters/tes_albedo_2ppd.tif"
NOMENCLATURE = "catalogues/nomenclature_iau.csv"
LANDSLIDES = "catalogues/landslides_crosta2018.csv"
GLACIER_LIKE_FORMS = "catalogues/glacier_like_forms_souness2012.csv"
DUNE_FIELDS = "catalogues/dune_fields_mgd3_hayward2007.geojson"
WRINKLE_RIDGES = "catalogues/wrinkle_ridges_knapmeyer2006.geojson"
GRABEN = "catalogues/graben_knapmeyer2006.geojson"
LAYERED_EJECTA = "catalogues/layered_ejecta_craters_costard1989.csv"
HYDRATED_MINERALS = "catalogues/hydrated_minerals_carter2013.csv"
GEOLOGIC_CONTACTS = "catalogues/geologic_contacts_sim3292.geojson"
GEOLOGIC_COLOURS = "rasters/geology_skinner2006_colours.tif"

SEAM_COLUMNS = 2
"""Columns of the Viking mosaic at 180 W that are darkened in the source."""


@dataclass(frozen=True)
class Inputs:
    """A folder of inputs. Every reader raises BuildError where its file is absent or unusable."""

    folder: Path

    def path(self, name: str) -> Path:
        """Return the path of an input named relative to the folder, such as `VIKING_COLOUR`."""
        path = self.folder / name
        if not path.is_file():
            raise BuildError(f"The inputs lack {name}; give the folder that holds it.")
        return path

    def raster(self, name: str) -> NDArray:
        """Read a global plate carrée raster, (bands, rows, columns), north up, from 180 W."""
        import rasterio
        from rasterio.errors import RasterioIOError

        path = self.path(name)
        try:
            with rasterio.open(path) as source:
                bounds = tuple(round(v, 3) for v in source.bounds)
                if bounds != (-180.0, -90.0, 180.0, 90.0):
                    raise BuildError(f"{name} does not cover the planet from -180 to 180 degrees.")
                return source.read()
        except RasterioIOError as error:
            raise BuildError(f"{name} cannot be read as a raster: {error}.") from error

    def rows(self, name: str) -> list[dict[str, str]]:
        """Read a catalogue in CSV as one dictionary of strings a row."""
        with self.path(name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def shapes(self, name: str) -> Iterator[tuple[dict, list[NDArray[np.float64]]]]:
        """Read a catalogue in GeoJSON: properties, and each line or outer ring as (n, 2) lon, lat.

        Raises BuildError for geometries other than lines and polygons.
        """
        try:
            features = json.loads(self.path(name).read_text(encoding="utf-8"))["features"]
        except (ValueError, KeyError) as error:
            raise BuildError(f"{name} cannot be read as GeoJSON: {error}.") from error
        for feature in features:
            yield feature["properties"], _rings(feature["geometry"], name)


def mend_seam(pixels: NDArray[np.uint8]) -> None:
    """Bridge the dark columns that Viking has at its west edge, in place; (bands, rows, columns).

    Across the antimeridian they lie between the last column and the first that is sound.
    """
    east, west = pixels[..., -1].astype(float), pixels[..., SEAM_COLUMNS].astype(float)
    for column in range(SEAM_COLUMNS):
        share = (column + 1) / (SEAM_COLUMNS + 1)
        pixels[..., column] = np.rint(east + share * (west - east))


def _rings(geometry: dict, name: str) -> list[NDArray[np.float64]]:
    coordinates = geometry["coordinates"]
    match geometry["type"]:
        case "LineString":
            rings = [coordinates]
        case "MultiLineString":
            rings = coordinates
        case "Polygon":
            rings = coordinates[:1]
        case "MultiPolygon":
            rings = [polygon[0] for polygon in coordinates]
        case kind:
            raise BuildError(f"{name} holds a {kind}; only lines and polygons are understood.")
    return [np.asarray(ring, float)[:, :2] for ring in rings]
