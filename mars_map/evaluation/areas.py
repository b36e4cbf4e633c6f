"""Areas from files: the polygons of somebody's own file as the region of a query.

A query fits into an address, so an outline with many corners is simplified by as little as makes it
fit, and how much is told.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from mars_map.errors import CatalogueError, RegionError
from mars_map.evaluation.catalogues import read_catalogue
from mars_map.planet.geometry import wrap_geometry
from mars_map.planet.regions import MultiPolygon, Polygon, Region
from mars_map.planet.sphere import METRES_PER_DEGREE

SUFFIXES = (".geojson", ".json", ".zip", ".gpkg", ".shp")
"""Files that may hold an area; the zip is a zipped shapefile."""
MAX_CORNERS = 300
"""Most corners that an address carries: about 6 kB of it."""
_DIGITS = 4
_FIRST_TOLERANCE_DEG, _MAX_TOLERANCE_DEG = 0.005, 0.5


class Area(NamedTuple):
    """A region read from a file."""

    region: Region
    """Its polygons."""
    note: str
    """What was read, and what was assumed or changed, in sentences."""


def read_area(path: str | Path) -> Area:
    """Read the polygons of GeoJSON, a shapefile, alone or zipped, or a GeoPackage as one region.

    Coordinates in another reference system of Mars are reprojected; an outline that runs round a
    pole encloses it. Raises RegionError, with one sentence, for a file that cannot be read, is of
    Earth or another body, holds no polygons, crosses itself, or has too many corners to be
    simplified within half a degree.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise RegionError(
            f'"{path.name}" is no file of polygons; give one of {", ".join(SUFFIXES)}.'
        )
    try:
        catalogue = read_catalogue(path)
        names_crs = _names_crs(path)
    except CatalogueError as error:
        raise RegionError(str(error).replace(str(path), path.name)) from error
    parts = shapely.get_parts(catalogue.geometries)
    polygons = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    if not len(polygons):
        raise RegionError(f'"{path.name}" has points or lines, but no polygons to search in.')
    united = shapely.union_all([_on_the_sphere(polygon, path.name) for polygon in polygons])
    # Corners on a straight line, and what is finer than the digits kept, cost an address only.
    united = shapely.simplify(united, 10.0**-_DIGITS)
    simple, change = _simplified(united, path.name)
    region = _region(simple)
    notes = [f"{path.name}: {_count(len(polygons), 'polygon')}, {_corners_of(simple):,} corners."]
    notes += [change] if change else []
    if not names_crs:
        notes.append(
            "It names no reference system, so its coordinates are taken for degrees east and "
            "planetocentric latitude on Mars."
        )
    return Area(region, " ".join(notes))


def _names_crs(path: Path) -> bool:
    if path.suffix.lower() in (".geojson", ".json"):
        return json.loads(path.read_text(encoding="utf-8-sig")).get("crs") is not None
    import pyogrio

    return pyogrio.read_info(path)["crs"] is not None


def _on_the_sphere(polygon: shapely.Polygon, name: str) -> shapely.Geometry:
    """Return a polygon as geometry within [-180, 180], whichever way its longitudes are written."""
    outline = _enclosed(polygon.exterior, name)
    holes = [_enclosed(ring, name) for ring in polygon.interiors]
    return shapely.difference(outline, shapely.union_all(holes)) if holes else outline


def _enclosed(ring: shapely.LinearRing, name: str) -> shapely.Geometry:
    corners = shapely.get_coordinates(ring)
    # First as on the sphere. An outline that is nothing there, such as a band or a cap whose edges
    # run along the borders of the flat map, is taken as it lies on that.
    for lon, lat in (_on_the_shorter_way(corners), corners.T):
        # Brought near the program's own longitudes, so that three turns find every part.
        lon = lon - 360.0 * np.round((lon.min() + lon.max()) / 720.0)
        polygon = shapely.Polygon(np.column_stack([lon, lat]))
        if polygon.is_valid and polygon.area > 0:
            return wrap_geometry(polygon)
    raise RegionError(
        f'A polygon of "{name}" crosses itself or encloses nothing; mend it, for example with '
        '"Fix geometries" of QGIS.'
    )


def _on_the_shorter_way(corners: NDArray) -> tuple[NDArray, NDArray]:
    """Return longitudes without jumps, every edge the shorter way round, and latitudes."""
    lon, lat = np.unwrap(corners[:, 0], period=360.0), corners[:, 1]
    return _closed_over_the_pole(lon, lat) if abs(lon[-1] - lon[0]) > 180.0 else (lon, lat)


def _closed_over_the_pole(lon: NDArray, lat: NDArray) -> tuple[NDArray, NDArray]:
    """Close an outline that runs once round the planet over the pole that it is nearer to."""
    pole = 90.0 if lat.mean() > 0 else -90.0
    return np.append(lon, [lon[-1], lon[0]]), np.append(lat, [pole, pole])


def _simplified(geometry: shapely.Geometry, name: str) -> tuple[shapely.Geometry, str]:
    """Return the geometry with at most `MAX_CORNERS`, and what was changed; nothing if nothing."""
    corners = _corners_of(geometry)
    if corners <= MAX_CORNERS:
        return geometry, ""
    tolerance = _FIRST_TOLERANCE_DEG
    while tolerance <= _MAX_TOLERANCE_DEG:
        simple = shapely.simplify(geometry, tolerance)
        if _corners_of(simple) <= MAX_CORNERS:
            km = tolerance * METRES_PER_DEGREE / 1000
            return simple, (
                f"Simplified from {corners:,} corners, which no address carries: borders moved by "
                f"at most {tolerance:.2g}° ({km:.1f} km)."
            )
        tolerance *= 1.5
    raise RegionError(
        f'The polygons of "{name}" have {corners:,} corners, and a query carries at most '
        f"{MAX_CORNERS}; give fewer or simpler polygons."
    )


def _region(geometry: shapely.Geometry) -> Region:
    polygons = []
    for part in shapely.get_parts(geometry):
        rings = [_open(ring) for ring in (part.exterior, *part.interiors)]
        # An edge of half a turn or more would be taken the other way round.
        wide = part.bounds[2] - part.bounds[0] >= 180.0
        polygons += _thirds(part) if wide else [tuple(rings)]
    if len(polygons) == 1 and len(polygons[0]) == 1:
        return Polygon(polygons[0][0])
    return MultiPolygon(tuple(polygons))


def _thirds(part: shapely.Polygon) -> list[tuple]:
    """Cut a polygon at two meridians, so that no edge is longer than a third of a turn."""
    pieces = []
    for west in (-180.0, -60.0, 60.0):
        piece = shapely.intersection(part, shapely.box(west, -90.0, west + 120.0, 90.0))
        for one in shapely.get_parts(piece):
            if one.geom_type == "Polygon":
                pieces.append(tuple(_open(ring) for ring in (one.exterior, *one.interiors)))
    return pieces


def _open(ring: shapely.LinearRing) -> tuple[tuple[float, float], ...]:
    corners = shapely.get_coordinates(ring)[:-1].round(_DIGITS)
    return tuple((float(lon), float(lat)) for lon, lat in corners)


def _corners_of(geometry: shapely.Geometry) -> int:
    """Return how many corners there are; the last of a ring, which is the first, counts once."""
    holes = shapely.get_num_interior_rings(shapely.get_parts(geometry))
    return int(shapely.get_num_coordinates(geometry) - (holes + 1).sum())


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
