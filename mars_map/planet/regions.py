"""Regions of the planet and which tile centres lie inside.

Boxes, latitude bands, polygons with or without holes, circles on the sphere, and the quadrangles
of the USGS.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from mars_map.errors import CoordinateError, RegionError
from mars_map.planet.coordinates import (
    check_point,
    parse_latitude,
    parse_longitude,
    wrap_longitude,
)
from mars_map.planet.gazetteer import Feature, Gazetteer
from mars_map.planet.geometry import split_at_antimeridian, wrap_geometry
from mars_map.planet.quadrangles import QUADRANGLES, QuadrangleBounds, find_quadrangle
from mars_map.planet.sphere import RADIUS_M, great_circle_m

MAX_VERTICES = 10_000
"""Most vertices that a polygon, or all polygons of a region together, may have."""
MAX_CIRCLE_KM = 5_000.0
"""Largest radius of a circle, a little less than a quarter of the way round the planet."""
_CIRCLE_POINTS = 256


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
        geometry = self.geometry()
        shapely.prepare(geometry)
        return shapely.intersects_xy(geometry, wrap_longitude(lon), np.asarray(lat, float))

    def to_dict(self) -> dict[str, Any]:
        """Return the polygon as plain values."""
        return {"kind": self.kind, "vertices": [list(vertex) for vertex in self.vertices]}

    def geometry(self) -> shapely.Geometry:
        """Return the polygon, in two or more parts where it crosses the antimeridian."""
        return split_at_antimeridian(self.vertices)


Ring = tuple[tuple[float, float], ...]
"""Corners of an outline, longitude and latitude in degrees; the last edge closes it."""


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
        geometry = self.geometry()
        shapely.prepare(geometry)
        return shapely.intersects_xy(geometry, wrap_longitude(lon), np.asarray(lat, float))

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


@dataclass(frozen=True)
class Circle(Region):
    """Everything within a distance of a point along great circles, also where a pole is inside."""

    kind: ClassVar[str] = "circle"

    lon: float
    """Longitude of the centre, degrees east in [-180, 180)."""
    lat: float
    """Planetocentric latitude of the centre, degrees."""
    radius_km: float
    """Radius on the sphere, kilometres, at most 5,000."""
    name: str = ""
    """What lies there, such as the name of a feature; may be empty."""

    def __post_init__(self) -> None:
        lon, lat = check_point(self.lon, self.lat)
        radius = float(self.radius_km)
        if not 0.0 < radius <= MAX_CIRCLE_KM:
            raise RegionError(
                f"The radius of {radius:g} km is not over 0 and up to {MAX_CIRCLE_KM:,.0f} km."
            )
        object.__setattr__(self, "lon", lon)
        object.__setattr__(self, "lat", lat)
        object.__setattr__(self, "radius_km", radius)
        name = "".join(c for c in self.name if c.isprintable())
        object.__setattr__(self, "name", " ".join(name.split())[:60])

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points lie inside."""
        return great_circle_m(self.lon, self.lat, lon, lat) <= self.radius_km * 1000.0

    def to_dict(self) -> dict[str, Any]:
        """Return the circle as plain values."""
        values: dict[str, Any] = {"kind": self.kind, "center": [self.lon, self.lat]}
        values["radius_km"] = self.radius_km
        return values | ({"name": self.name} if self.name else {})

    def geometry(self) -> shapely.Geometry:
        """Return the circle by 256 points of its border, in parts where it crosses 180."""
        radius = np.degrees(self.radius_km * 1000.0 / RADIUS_M)
        if abs(self.lat) + radius >= 90.0:
            return self._cap(radius)
        lon, lat = _round_the_centre(self.lat, radius)
        return wrap_geometry(shapely.Polygon(np.column_stack([self.lon + lon, lat])))

    def _cap(self, radius: float) -> shapely.Geometry:
        """Return a circle with a pole in it: all meridians from the pole to its border."""
        lon = np.linspace(-180.0, 180.0, _CIRCLE_POINTS + 1)
        # On a meridian, sin(d) of the border solves a sin(lat) + b cos(lat) = cos(radius).
        a = np.sin(np.radians(self.lat))
        b = np.cos(np.radians(self.lat)) * np.cos(np.radians(lon - self.lon))
        reach = np.arccos(np.clip(np.cos(np.radians(radius)) / np.hypot(a, b), -1.0, 1.0))
        side = 1.0 if self.lat >= 0 else -1.0
        # Measured from the equator towards the pole that lies inside.
        lat = side * np.degrees(np.arctan2(side * a, b) - reach)
        # Where the border itself passes over the pole, rounding must not step off the planet.
        border = np.column_stack([lon, np.clip(lat, -90.0, 90.0)])
        cap = shapely.Polygon([*border, (180.0, side * 90.0), (-180.0, side * 90.0)])
        return cap if cap.is_valid else cap.buffer(0.0)


@dataclass(frozen=True)
class Quadrangle(Region):
    """One of the thirty quadrangles, by its code "MC-01" to "MC-30", number or name."""

    kind: ClassVar[str] = "quadrangle"

    code: str
    """Code, such as "MC-23"; a name such as "Aeolis" is changed into it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", find_quadrangle(str(self.code)).code)

    @property
    def bounds(self) -> QuadrangleBounds:
        """Name and borders."""
        return QUADRANGLES[self.code]

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points lie inside."""
        return self._box().contains(lon, lat)

    def to_dict(self) -> dict[str, Any]:
        """Return the quadrangle as plain values."""
        return {"kind": self.kind, "code": self.code}

    def geometry(self) -> shapely.Geometry:
        """Return the quadrangle as one box."""
        return self._box().geometry()

    def _box(self) -> Box:
        return Box(self.bounds.west, self.bounds.south, self.bounds.east, self.bounds.north)


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


def parse_circle(text: str) -> Circle:
    """Read "LON,LAT,KM", such as "137.8,-5.4,100", and a name after a third comma.

    Raises RegionError or CoordinateError with one clear sentence.
    """
    parts = [part.strip() for part in text.split(",", 3)]
    try:
        if len(parts) < 3:
            raise ValueError
        radius = float(parts[2].lower().removesuffix("km"))
    except ValueError as error:
        raise RegionError(
            f'"{text[:60]}" is not a circle; write LON,LAT,KM such as 137.8,-5.4,100.'
        ) from error
    lon, lat = parse_longitude(parts[0]), parse_latitude(parts[1])
    return Circle(lon, lat, radius, *parts[3:])


def feature_circle(feature: Feature) -> Circle:
    """Return the circle on the sphere that has a feature's centre and diameter.

    Raises RegionError for a feature without a known size, or one too large to be a circle.
    """
    if not feature.diameter_km:
        raise RegionError(f"The gazetteer does not tell how large {feature.name} is; draw a box.")
    radius = feature.diameter_km / 2
    if radius > MAX_CIRCLE_KM:
        raise RegionError(f"{feature.name} is too large for a circle; use a latitude band.")
    return Circle(feature.lon, feature.lat, radius, feature.name)


def named_circle(gazetteer: Gazetteer, name: str) -> Circle:
    """Return the circle of the feature of that name; where it has no size, of the next that has.

    So "Hellas", an albedo feature, is Hellas Planitia. Raises FeatureNotFoundError or RegionError.
    """
    feature = gazetteer.find(name)
    sized = [other for other in gazetteer.search(name, 20) if other.diameter_km]
    return feature_circle(feature if feature.diameter_km or not sized else sized[0])


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
            case "polygons":
                return MultiPolygon(
                    tuple(tuple(_ring(ring) for ring in rings) for rings in values["polygons"])
                )
            case "circle":
                lon, lat = (float(v) for v in values["center"])
                return Circle(lon, lat, float(values["radius_km"]), str(values.get("name", "")))
            case "quadrangle":
                return Quadrangle(values["code"])
    except (KeyError, TypeError, ValueError) as error:
        raise RegionError("The region cannot be read; draw it again.") from error
    raise RegionError(f'There is no region of kind "{str(values["kind"])[:20]}".')


def _ring(values: Any) -> Ring:
    return tuple((float(x), float(y)) for x, y in values)


def _open_ring(ring: Iterable[tuple[float, float]]) -> Ring:
    """Return a ring as floats, without the repetition of its first corner at the end."""
    corners = tuple((float(lon), float(lat)) for lon, lat in ring)
    return corners[:-1] if corners and corners[0] == corners[-1] else corners


def _round_the_centre(lat: float, radius: float) -> tuple[NDArray, NDArray]:
    """Return the border of a circle round (0, lat), degrees, that reaches no pole.

    Points at equal azimuths at the distance `radius` (Snyder 1987, p. 31, eq. 5-5 and 5-6).
    """
    azimuth = np.linspace(0.0, 2 * np.pi, _CIRCLE_POINTS, endpoint=False)
    phi, c = np.radians(lat), np.radians(radius)
    height = np.sin(phi) * np.cos(c) + np.cos(phi) * np.sin(c) * np.cos(azimuth)
    turn = np.arctan2(
        np.sin(c) * np.sin(azimuth),
        np.cos(phi) * np.cos(c) - np.sin(phi) * np.sin(c) * np.cos(azimuth),
    )
    return np.degrees(turn), np.degrees(np.arcsin(height))


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
