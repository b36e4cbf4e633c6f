"""Regions with corners: a simple polygon, or several with holes."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from mars_map.errors import RegionError
from mars_map.planet.coordinates import wrap_longitude
from mars_map.planet.geometry import split_at_antimeridian
from mars_map.planet.region import Region

MAX_VERTICES = 10_000
"""Most vertices that a polygon, or all polygons of a region together, may have."""

Ring = tuple[tuple[float, float], ...]
"""Corners of an outline, longitude and latitude in degrees; the last edge closes it."""


@dataclass(frozen=True)
class Polygon(Region):
    """A simple polygon. Each edge takes the shorter way round the planet in longitude."""

    kind: ClassVar[str] = "polygon"

    vertices: tuple[tuple[float, float], ...]
    """Longitude and latitude of each corner in degrees; the last edge closes the ring."""

    def __post_init__(self) -> None:
        ring = _open_ring(self.vertices)
        if not 3 <= len(ring) <= MAX_VERTICES:
            raise RegionError(
                f"A polygon needs 3 to {MAX_VERTICES:,} corners; this one has {len(ring):,}."
            )
        for lon, lat in ring:
            if not (math.isfinite(lon) and -180 <= lon <= 360 and -90 <= lat <= 90):
                raise RegionError(f"The corner {lon:g}, {lat:g} of the polygon is not on Mars.")
        object.__setattr__(self, "vertices", ring)
        geometry = split_at_antimeridian(ring)
        if not geometry.is_valid or geometry.area == 0:
            raise RegionError(
                "The polygon crosses itself, encloses a pole or encloses nothing; draw it as one "
                "simple outline, or use a latitude band for a polar region."
            )

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points lie inside."""
        return _inside(self.geometry(), lon, lat)

    def to_dict(self) -> dict[str, Any]:
        """Return the polygon as plain values."""
        return {"kind": self.kind, "vertices": [list(vertex) for vertex in self.vertices]}

    def geometry(self) -> shapely.Geometry:
        """Return the polygon, in two or more parts where it crosses the antimeridian."""
        return split_at_antimeridian(self.vertices)


@dataclass(frozen=True)
class MultiPolygon(Region):
    """Several polygons, each with or without holes. Edges take the shorter way in longitude."""

    kind: ClassVar[str] = "polygons"

    polygons: tuple[tuple[Ring, ...], ...]
    """Each polygon's outline and then its holes."""

    def __post_init__(self) -> None:
        polygons = tuple(
            tuple(_open_ring(ring) for ring in polygon) for polygon in self.polygons if polygon
        )
        count = sum(len(ring) for polygon in polygons for ring in polygon)
        if not polygons or count > MAX_VERTICES:
            raise RegionError(
                f"A region of polygons needs 3 to {MAX_VERTICES:,} corners; this one has {count:,}."
            )
        object.__setattr__(self, "polygons", polygons)
        for polygon in polygons:
            for ring in polygon:
                Polygon(ring)
        if self.geometry().area == 0:
            raise RegionError("The holes of the polygons leave nothing of them; draw them again.")

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points lie inside."""
        return _inside(self.geometry(), lon, lat)

    def to_dict(self) -> dict[str, Any]:
        """Return the polygons as plain values."""
        polygons = [[[list(v) for v in ring] for ring in rings] for rings in self.polygons]
        return {"kind": self.kind, "polygons": polygons}

    def geometry(self) -> shapely.Geometry:
        """Return the union of the polygons without their holes."""
        parts = []
        for outline, *holes in self.polygons:
            part = split_at_antimeridian(outline)
            for hole in holes:
                part = shapely.difference(part, split_at_antimeridian(hole))
            parts.append(part)
        united = shapely.union_all(parts)
        flat = [p for p in shapely.get_parts(united) if p.geom_type == "Polygon"]
        return flat[0] if len(flat) == 1 else shapely.MultiPolygon(flat)


def _open_ring(ring: Iterable[tuple[float, float]]) -> Ring:
    """Return a ring as floats, without the repetition of its first corner at the end."""
    corners = tuple((float(lon), float(lat)) for lon, lat in ring)
    return corners[:-1] if corners and corners[0] == corners[-1] else corners


def _inside(geometry: shapely.Geometry, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
    """Tell which points lie inside of a geometry or on its border."""
    shapely.prepare(geometry)
    return shapely.intersects_xy(geometry, wrap_longitude(lon), np.asarray(lat, float))
