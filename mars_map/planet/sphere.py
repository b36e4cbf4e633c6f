"""The Mars sphere: radius, coordinate reference system, distances and areas.

All of mars_map uses the IAU 2015 sphere: planetocentric latitude, east-positive longitude, degrees.
Source of the radius: Archinal et al. (2018), doi 10.1007/s10569-017-9805-5.
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS

RADIUS_M = 3_396_190.0
"""Radius of the sphere in metres; the equatorial radius of the ellipsoid."""

POLAR_RADIUS_M = 3_376_200.0
"""Polar radius of the IAU 2015 ellipsoid in metres; used only for planetographic latitudes."""

CRS_AUTHORITY = ("IAU_2015", "49900")
CRS_URN = "urn:ogc:def:crs:IAU:2015:49900"
"""The name of the tiles' CRS as GeoJSON's `crs` member writes it; GDAL reads it as Mars."""

METRES_PER_DEGREE = np.pi * RADIUS_M / 180.0
"""Length of one degree along a meridian, metres."""


@cache
def mars_crs() -> CRS:
    """Return `IAU_2015:49900`: Mars, sphere, planetocentric, longitude positive east."""
    return CRS.from_authority(*CRS_AUTHORITY)


def great_circle_m(lon1: ArrayLike, lat1: ArrayLike, lon2: ArrayLike, lat2: ArrayLike) -> NDArray:
    """Return the great-circle distance in metres between points in degrees (arrays broadcast).

    Haversine formula, exact on the sphere and stable for small distances.
    """
    lon1, lat1, lon2, lat2 = (np.radians(np.asarray(v, float)) for v in (lon1, lat1, lon2, lat2))
    h = (
        np.sin((lat2 - lat1) / 2) ** 2
        + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    )
    return 2 * RADIUS_M * np.arcsin(np.sqrt(np.clip(h, 0, 1)))


def unit_vectors(lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    """Return points in degrees (arrays broadcast) as directions from the planet's centre, (..., 3).

    x points to 0 E on the equator, y to 90 E, z to the north pole.
    """
    lon, lat = np.radians(np.asarray(lon, float)), np.radians(np.asarray(lat, float))
    x, y, z = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1)


def box_area_km2(bounds: ArrayLike) -> NDArray:
    """Return the area in km2 of longitude-latitude boxes on the sphere.

    bounds: (..., 4) west, south, east, north in degrees. A box whose west lies east of its east
    runs across the antimeridian.
    """
    west, south, east, north = np.moveaxis(np.asarray(bounds, float), -1, 0)
    width = np.where(east >= west, east - west, east - west + 360.0)
    band = np.sin(np.radians(north)) - np.sin(np.radians(south))
    return (RADIUS_M / 1000.0) ** 2 * np.radians(width) * band


def planetographic_latitude(lat: ArrayLike) -> NDArray:
    """Convert planetocentric to planetographic latitude, degrees: tan(g) = tan(c) (a / b)^2."""
    ratio = (RADIUS_M / POLAR_RADIUS_M) ** 2
    return _rescale_latitude(lat, ratio)


def planetocentric_latitude(lat: ArrayLike) -> NDArray:
    """Convert planetographic to planetocentric latitude, degrees: tan(c) = tan(g) (b / a)^2."""
    ratio = (POLAR_RADIUS_M / RADIUS_M) ** 2
    return _rescale_latitude(lat, ratio)


def _rescale_latitude(lat: ArrayLike, ratio: float) -> NDArray:
    # atan2 of sine and cosine keeps the poles exact, where the tangent is infinite.
    phi = np.radians(np.asarray(lat, float))
    return np.degrees(np.arctan2(ratio * np.sin(phi), np.cos(phi)))
