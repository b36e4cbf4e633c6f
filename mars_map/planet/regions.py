"""Regions of the planet: boxes, latitude bands and polygons, and which tile centres lie inside."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from mars_map.errors import CoordinateError, RegionError
from mars_map.planet.coordinates import parse_latitude, parse_longitude, wrap_longitude
from mars_map.planet.geometry import split_at_antimeridian

MAX_VERTICES = 10_000
"""Most vertices that a polygon may have."""


class Region:
    """Part of the planet. Values are immutable, hashable and go to plain dicts and back."""

    kind: ClassVar[str]

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Tell for points in degrees whether they lie inside; borders are inside."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the region as plain values; `region_from_dict` reads it back."""
        raise NotImplementedError

    def geometry(self) -> shapely.Geometry:
        """Return the region as (multi)polygon in [-180, 180] degrees, split at the antimeridian."""
        raise NotImplementedError


@dataclass(frozen=True)
class Box(Region):
    """A longitude-latitude box. West may lie east of east: it then runs across the antimeridian."""

    kind: ClassVar[str] = "box"

    west: float
    """Western border, degrees east in [-180, 180]."""
    south: float
    """Southern border, degrees."""
    east: float
    """Eastern border, degrees east in [-180, 180]."""
    north: float
    """Northern border, degrees."""

    def __post_init__(self) -> None:
        _store_latitudes(self)
        for name in ("west", "east"):
            value = float(getattr(self, name))
            if not math.isfinite(value) or not -180.0 <= value <= 360.0:
                raise RegionError(f"The box's {name} of {value:g} is not on Mars; use -180 to 360.")
        if self.west == self.east:
            raise RegionError("The box has no width; west and east are the same meridian.")
        # A box of 0..360 is the whole circle, not nothing; 180 stays 180 as an eastern border.
        full = abs(self.east - self.west) >= 360.0
        object.__setattr__(self, "west", -180.0 if full else float(wrap_longitude(self.west)))
        east = 180.0 if full else float(wrap_longitude(self.east))
        object.__setattr__(self, "east", 180.0 if east == -180.0 else east)

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points lie inside."""
        lon, lat = wrap_longitude(lon), np.asarray(lat, float)
        if self.west <= self.east:
            inside = (lon >= self.west) & (lon <= self.east)
        else:
            inside = (lon >= self.west) | (lon <= self.east)
        return inside & (lat >= self.south) & (lat <= self.north)

    def to_dict(self) -> dict[str, Any]:
        """Return the box as plain values."""
        return {"kind": self.kind, "bounds": [self.west, self.south, self.east, self.north]}

    def geometry(self) -> shapely.Geometry:
        """Return one polygon, or two where the box crosses the antimeridian."""
        if self.west <= self.east:
            return shapely.box(self.west, self.south, self.east, self.north)
        return shapely.MultiPolygon(
            [
                shapely.box(self.west, self.south, 180.0, self.north),
                shapely.box(-180.0, self.south, self.east, self.north),
            ]
        )


@dataclass(frozen=True)
class LatitudeBand(Region):
    """Everything between two latitudes."""

    kind: ClassVar[str] = "band"

    south: float
    """Southern border, degrees."""
    north: float
    """Northern border, degrees."""

    def __post_init__(self) -> None:
        _store_latitudes(self)

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points lie inside."""
        lon, lat = np.broadcast_arrays(lon, np.asarray(lat, float))
        return (lat >= self.south) & (lat <= self.north)

    def to_dict(self) -> dict[str, Any]:
        """Return the band as plain values."""
        return {"kind": self.kind, "south": self.south, "north": self.north}

    def geometry(self) -> shapely.Geometry:
        """Return the band as one box round the planet."""
        return shapely.box(-180.0, self.south, 180.0, self.north)


@dataclass(frozen=True)
class Polygon(Region):
    """A simple polygon. Each edge takes the shorter way round the planet in longitude."""

    kind: ClassVar[str] = "polygon"

    vertices: tuple[tuple[float, float], ...]
    """Longitude and latitude of each corner in degrees; the last edge closes the ring."""

    def __post_init__(self) -> None:
        ring = tuple((float(lon), float(lat)) for lon, lat in self.vertices)
        if ring and ring[0] == ring[-1]:
            ring = ring[:-1]
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
        geometry = self.geometry()
        shapely.prepare(geometry)
        return shapely.intersects_xy(geometry, wrap_longitude(lon), np.asarray(lat, float))

    def to_dict(self) -> dict[str, Any]:
        """Return the polygon as plain values."""
        return {"kind": self.kind, "vertices": [list(vertex) for vertex in self.vertices]}

    def geometry(self) -> shapely.Geometry:
        """Return the polygon, in two or more parts where it crosses the antimeridian."""
        return split_at_antimeridian(self.vertices)


def parse_box(text: str) -> Box:
    """Read "W,S,E,N" in degrees, such as "-60,-20,-30,0" or "60 W,20 S,30 W,0".

    Raises RegionError or CoordinateError with one clear sentence.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4:
        raise RegionError(f'"{text[:60]}" is not a box; write W,S,E,N such as -60,-20,-30,0.')
    west, south, east, north = parts
    try:
        borders = (
            _border_longitude(west),
            parse_latitude(south),
            _border_longitude(east),
            parse_latitude(north),
        )
    except CoordinateError as error:
        raise RegionError(f"{error} A box is written W,S,E,N.") from error
    return Box(*borders)


def region_from_dict(values: Mapping[str, Any]) -> Region:
    """Build a region from `Region.to_dict`. Raises RegionError for anything else."""
    try:
        match values["kind"]:
            case "box":
                return Box(*(float(v) for v in values["bounds"]))
            case "band":
                return LatitudeBand(float(values["south"]), float(values["north"]))
            case "polygon":
                return Polygon(tuple((float(x), float(y)) for x, y in values["vertices"]))
    except (KeyError, TypeError, ValueError) as error:
        raise RegionError("The region cannot be read; draw it again.") from error
    raise RegionError(f'There is no region of kind "{str(values["kind"])[:20]}".')


def _border_longitude(text: str) -> float:
    # As a border, 360 and -180 keep their side; parse_longitude would wrap both to the west.
    try:
        return float(text)
    except ValueError:
        return parse_longitude(text)


def _store_latitudes(region: Box | LatitudeBand) -> None:
    """Check the two latitudes and store them as floats, so that equal regions are written alike."""
    south, north = float(region.south), float(region.north)
    if not (math.isfinite(south) and math.isfinite(north)):
        raise RegionError("A latitude of the region is not a number.")
    if south < -90 or north > 90:
        raise RegionError(f"Latitudes {south:g} to {north:g} leave the planet; use -90 to 90.")
    if south == north:
        raise RegionError(f"The region has no height; both of its latitudes are {south:g}.")
    if south > north:
        raise RegionError(
            f"The southern border ({south:g}) is not south of the northern one ({north:g}); "
            "swap them."
        )
    object.__setattr__(region, "south", south)
    object.__setattr__(region, "north", north)
