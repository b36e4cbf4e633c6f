"""Longitudes and latitudes as people and files write them.

Inside mars_map a longitude is in [-180, 180), positive east, and a latitude is planetocentric.
"""

import re
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mars_map.errors import CoordinateError

LongitudeStyle = Literal["180", "360", "360W"]
"""How a longitude is written: -180..180 east, 0..360 east, or 0..360 west."""

_NUMBER = re.compile(r"^([+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*°?\s*([A-Za-z]*)$")
_WORDS = {"east": "E", "west": "W", "north": "N", "south": "S"}


def wrap_longitude(lon: ArrayLike) -> NDArray:
    """Bring longitudes of any convention into [-180, 180), degrees east."""
    lon = np.asarray(lon, float)
    wrapped = np.mod(lon + 180.0, 360.0) - 180.0
    # Adding 180 rounds: a longitude that needs no wrapping must come back bit for bit.
    inside = (lon >= -180.0) & (lon < 180.0)
    return np.where(inside, lon, np.where(wrapped >= 180.0, -180.0, wrapped))[()]


def longitude_360(lon: ArrayLike) -> NDArray:
    """Bring longitudes of any convention into [0, 360), degrees east."""
    lon = np.mod(np.asarray(lon, float), 360.0)
    return np.where(lon >= 360.0, 0.0, lon)[()]


def parse_longitude(text: str) -> float:
    """Read a longitude such as "137.8 E", "42 W", "-42", "222.2" or "317.9°".

    Returns degrees east in [-180, 180). Raises CoordinateError for anything else, and for numbers
    outside -180..360.
    """
    value, hemisphere = _read_angle(text, "EW", "longitude", "137.8 E, 42 W or 222.2")
    if hemisphere and value < 0:
        raise CoordinateError(f'"{text}" has both a sign and a hemisphere; write one of the two.')
    if not -180.0 <= value <= 360.0:
        raise CoordinateError(f"Longitude {value:g} is not on Mars; use -180 to 360.")
    return float(wrap_longitude(-value if hemisphere == "W" else value))


def parse_latitude(text: str) -> float:
    """Read a planetocentric latitude such as "5.4 S", "-5.4" or "18.4°N", in degrees.

    Raises CoordinateError for anything else, and for numbers outside -90..90.
    """
    value, hemisphere = _read_angle(text, "NS", "latitude", "5.4 S, 18.4 N or -5.4")
    if hemisphere and value < 0:
        raise CoordinateError(f'"{text}" has both a sign and a hemisphere; write one of the two.')
    if not -90.0 <= value <= 90.0:
        raise CoordinateError(f"Latitude {value:g} is not on Mars; use -90 to 90.")
    return -value if hemisphere == "S" else value


def parse_point(text: str) -> tuple[float, float]:
    """Read "LON,LAT" ("137.8 E, 5.4 S" or "-42,18"); hemispheres may put latitude first.

    Returns (longitude in [-180, 180), latitude). Raises CoordinateError.
    """
    parts = [part for part in re.split(r"\s*[,;]\s*", text.strip()) if part]
    if len(parts) != 2:
        raise CoordinateError(f'"{text}" is not a point; write LON,LAT such as "137.8,-5.4".')
    if re.search(r"[NSns]", parts[0]) and not re.search(r"(?i)east|west", parts[0]):
        parts.reverse()
    return parse_longitude(parts[0]), parse_latitude(parts[1])


def format_longitude(lon: float, style: LongitudeStyle = "180", digits: int = 2) -> str:
    """Write a longitude for people: "137.80° E", "222.20° E" or "137.80° W" by style."""
    if style == "180":
        lon = float(wrap_longitude(lon))
        return f"{abs(lon):.{digits}f}° {'W' if lon < 0 else 'E'}"
    if style == "360":
        return f"{longitude_360(lon):.{digits}f}° E"
    return f"{longitude_360(-np.asarray(lon)):.{digits}f}° W"


def format_latitude(lat: float, digits: int = 2) -> str:
    """Write a latitude for people: "5.40° S"."""
    return f"{abs(lat):.{digits}f}° {'S' if lat < 0 else 'N'}"


def format_point(lon: float, lat: float, style: LongitudeStyle = "180", digits: int = 2) -> str:
    """Write a point for people, latitude first as maps do: "5.40° S, 137.80° E"."""
    return f"{format_latitude(lat, digits)}, {format_longitude(lon, style, digits)}"


def check_point(lon: float, lat: float) -> tuple[float, float]:
    """Return the point with its longitude in [-180, 180), or raise CoordinateError."""
    if not (np.isfinite(lon) and np.isfinite(lat)):
        raise CoordinateError("A coordinate is not a number; use degrees such as 137.8,-5.4.")
    if not -180.0 <= lon <= 360.0:
        raise CoordinateError(f"Longitude {lon:g} is not on Mars; use -180 to 360.")
    if not -90.0 <= lat <= 90.0:
        raise CoordinateError(f"Latitude {lat:g} is not on Mars; use -90 to 90.")
    return float(wrap_longitude(lon)), float(lat)


def _read_angle(text: str, letters: str, noun: str, examples: str) -> tuple[float, str]:
    match = _NUMBER.match(text.strip().replace("−", "-"))
    suffix = match.group(2) if match else ""
    hemisphere = _WORDS.get(suffix.lower(), suffix.upper())
    if match is None or (hemisphere and hemisphere not in letters) or len(hemisphere) > 1:
        raise CoordinateError(f'"{text[:40]}" is not a {noun}; write it like {examples}.')
    return float(match.group(1)), hemisphere
