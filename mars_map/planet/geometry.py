"""Polygons in longitude and latitude that stay within [-180, 180]."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely.affinity import translate


def box_polygons(bounds: ArrayLike) -> NDArray[np.object_]:
    """Return one polygon for each row of west, south, east, north in degrees, (n,) objects.

    The boxes of a grid never cross the antimeridian, so none is split.
    """
    west, south, east, north = np.asarray(bounds, float).reshape(-1, 4).T
    return shapely.box(west, south, east, north)


def split_at_antimeridian(ring: Sequence[tuple[float, float]]) -> shapely.Geometry:
    """Return a ring of (longitude, latitude) in degrees as (multi)polygon within [-180, 180].

    Each edge is taken the shorter way round; where the ring crosses the antimeridian the polygon is
    cut there. A ring that runs round a pole does not close and gives an invalid or empty polygon.
    """
    lon = np.unwrap(np.array([vertex[0] for vertex in ring], float), period=360.0)
    lat = [vertex[1] for vertex in ring]
    if abs(lon[0] - lon[-1]) > 180.0:
        return shapely.Polygon()
    polygon = shapely.Polygon(list(zip(lon, lat, strict=True)))
    if not polygon.is_valid:
        return polygon
    return wrap_geometry(polygon)


def wrap_geometry(geometry: shapely.Geometry) -> shapely.Geometry:
    """Cut a geometry whose longitudes may leave [-180, 180] at the antimeridian and wrap its parts.

    Longitudes may lie anywhere in [-540, 540] degrees.
    """
    parts = []
    for turn in (-360.0, 0.0, 360.0):
        part = shapely.intersection(geometry, shapely.box(turn - 180, -90, turn + 180, 90))
        if not part.is_empty:
            parts.append(translate(part, xoff=-turn))
    # Unions fuse the parts only where they really meet; degenerate touching lines drop out.
    polygons = [p for part in parts for p in shapely.get_parts(part) if p.geom_type == "Polygon"]
    if len(polygons) == 1:
        return polygons[0]
    return shapely.MultiPolygon(polygons)
