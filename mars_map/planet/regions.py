"""Regions of the planet and which tile centres lie inside.

Boxes, latitude bands, polygons with or without holes, circles on the sphere, and the quadrangles
of the USGS: all kinds, from one place, and how each is read from what a person or a program wrote.
"""

from collections.abc import Mapping
from typing import Any

from mars_map.errors import CoordinateError, RegionError
from mars_map.planet.boxes import Box, LatitudeBand, Quadrangle
from mars_map.planet.circles import MAX_CIRCLE_KM, Circle, feature_circle, named_circle
from mars_map.planet.coordinates import parse_latitude, parse_longitude
from mars_map.planet.polygons import MultiPolygon, Polygon, Ring
from mars_map.planet.region import Region

__all__ = [
    "MAX_CIRCLE_KM",
    "Box",
    "Circle",
    "LatitudeBand",
    "MultiPolygon",
    "Polygon",
    "Quadrangle",
    "Region",
    "Ring",
    "feature_circle",
    "named_circle",
    "parse_box",
    "parse_circle",
    "region_from_dict",
]


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


def _border_longitude(text: str) -> float:
    # As a border, 360 and -180 keep their side; parse_longitude would wrap both to the west.
    try:
        return float(text)
    except ValueError:
        return parse_longitude(text)
