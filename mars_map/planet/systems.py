"""Reference systems as files of Mars name them: of which body, and what their coordinates mean."""

import math

from affine import Affine
from pyproj import CRS

from mars_map.planet.sphere import RADIUS_M

RADIUS_TOLERANCE_M = 30_000.0
"""Radii in use for Mars lie between 3,376 and 3,396 km."""


def is_of_mars(crs: CRS) -> bool:
    """Tell whether a reference system has a body of the size of Mars."""
    ellipsoid = crs.ellipsoid
    if ellipsoid is None:
        return False
    return abs(ellipsoid.semi_major_metre - RADIUS_M) <= RADIUS_TOLERANCE_M


def cylindrical_degrees(crs: CRS) -> Affine | None:
    """Return what turns x and y of a raster into degrees, None for a projection where nothing does.

    Longitudes count in the direction of the system's own axes. Equidistant cylindrical on the
    sphere: x = R cos(lat_ts) (lon - lon_0) + x_0 and y = R (lat - lat_0) + y_0 (Snyder 1987, USGS
    Professional Paper 1395, p. 91).
    """
    if crs.is_geographic:
        return Affine.identity()
    operation = crs.coordinate_operation
    if operation is None or not operation.method_name.startswith("Equidistant Cylindrical"):
        return None
    # In radians and metres, whatever the units of the reference system.
    terms = {term.name: term.value * term.unit_conversion_factor for term in operation.params}
    unit, radius = crs.axis_info[0].unit_conversion_factor, crs.ellipsoid.semi_major_metre
    step_y = math.degrees(1.0 / radius)
    step_x = step_y / math.cos(terms.get("Latitude of 1st standard parallel", 0.0))
    west = math.degrees(terms.get("Longitude of natural origin", 0.0))
    south = math.degrees(terms.get("Latitude of natural origin", 0.0))
    x_0, y_0 = terms.get("False easting", 0.0), terms.get("False northing", 0.0)
    return Affine(step_x * unit, 0.0, west - step_x * x_0, 0.0, step_y * unit, south - step_y * y_0)


def graphic_ratio(crs: CRS) -> float | None:
    """Return (a / b)^2 where latitudes of a raster are planetographic, None where planetocentric.

    Equidistant cylindrical and plate carrée rasters are planetocentric unless their reference
    system is called "ographic": the CTX mosaic names an ellipsoid and has planetocentric latitudes,
    scaled by the equatorial radius. Other projections of an ellipsoid take planetographic latitudes
    by their formulas.
    """
    ratio = (crs.ellipsoid.semi_major_metre / crs.ellipsoid.semi_minor_metre) ** 2
    is_graphic = cylindrical_degrees(crs) is None or _is_called_graphic(crs)
    return ratio if ratio != 1.0 and is_graphic else None


def _is_called_graphic(crs: CRS) -> bool:
    name = f"{crs.name} {crs.geodetic_crs.name if crs.is_projected else ''}".lower()
    return "ographic" in name and "ocentric" not in crs.name.lower()
