"""Catalogues of features: where somebody has already found the landform that a query looks for.

Any file serves: a table in CSV with columns of longitude and latitude, GeoJSON, a shapefile or a
GeoPackage, with points, lines or polygons. What a row lacks is counted, never silently lost.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from mars_map.errors import CatalogueError
from mars_map.evaluation.tables import read_table
from mars_map.evaluation.vectors import read_geojson, read_vectors

UNREADABLE = "without readable coordinates"
OFF_PLANET = "off the planet"
WRONG_KIND = "neither points, lines nor polygons"

_READERS = {
    ".csv": read_table,
    ".tsv": read_table,
    ".txt": read_table,
    ".geojson": read_geojson,
    ".json": read_geojson,
    ".shp": read_vectors,
    ".zip": read_vectors,
    ".gpkg": read_vectors,
}
_KINDS = frozenset(
    shapely.GeometryType[kind]
    for kind in ("POINT", "MULTIPOINT", "LINESTRING", "MULTILINESTRING", "POLYGON", "MULTIPOLYGON")
)
# A border at 180 or 90 degrees that was computed in metres comes back a little beyond it.
_TOLERANCE_DEG = 1e-6


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The features of a file that have a place on Mars."""

    name: str
    """Name of the file."""
    geometries: NDArray[np.object_]
    """Points, lines and polygons, (n_features,) shapely geometries: degrees east in [-360, 360]
    that are not wrapped, so that an outline goes on beyond 180, and planetocentric latitudes."""
    skipped: Mapping[str, int]
    """Rows that were left out, by reason."""

    @property
    def n_features(self) -> int:
        """Number of features."""
        return len(self.geometries)

    @property
    def n_skipped(self) -> int:
        """Number of rows that were left out."""
        return sum(self.skipped.values())


def read_catalogue(path: str | Path) -> Catalogue:
    """Read a catalogue of Mars; the kind of file follows from its suffix.

    Coordinates in another reference system of Mars are reprojected. Raises CatalogueError for a
    file that cannot be read, is not of Mars, or has no feature with a place on the planet.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise CatalogueError(
            f'"{path}" is no catalogue by its name; give one of {", ".join(_READERS)}.'
        )
    if not path.is_file():
        raise CatalogueError(f'There is no catalogue "{path}"; check the path.')
    geometries, skipped = _usable(reader(path))
    if not len(geometries):
        reasons = " and ".join(f"{n:,} {reason}" for reason, n in skipped.items())
        raise CatalogueError(
            f'"{path}" has no feature with a place on Mars ({reasons or "it has no rows"}); '
            "coordinates are degrees, or the file names a reference system of Mars."
        )
    return Catalogue(path.name, geometries, skipped)


def _usable(geometries: NDArray[np.object_]) -> tuple[NDArray[np.object_], dict[str, int]]:
    """Return the geometries that can be used, and how many cannot, by reason."""
    geometries = shapely.force_2d(geometries)
    reasons = np.full(len(geometries), "", object)
    coordinates, row = shapely.get_coordinates(geometries, return_index=True)
    lon, lat = coordinates.T
    off = (np.abs(lon) > 360 + _TOLERANCE_DEG) | (np.abs(lat) > 90 + _TOLERANCE_DEG)
    reasons[row[off]] = OFF_PLANET
    reasons[row[~np.isfinite(coordinates).all(axis=1)]] = UNREADABLE
    reasons[~np.isin(shapely.get_type_id(geometries), list(_KINDS))] = WRONG_KIND
    reasons[shapely.is_missing(geometries) | shapely.is_empty(geometries)] = UNREADABLE
    return geometries[reasons == ""], dict(Counter(reasons[reasons != ""]))
