"""Where the pixels of a raster lie on Mars, whatever its projection and the radius of its sphere.

Longitudes and latitudes are taken as they are on the raster's own body: a sphere of 3,396,000 m has
the same degrees as one of 3,396,190 m, and no datum shift is ever applied.

Plate carrée in degrees and equirectangular in metres are one thing here: x and y are longitude and
latitude, scaled. They are read without PROJ, so that pixels stay where they are at any longitude
convention (-180..180 or 0..360).
"""

import math
from dataclasses import dataclass
from pathlib import Path

import rasterio
from affine import Affine
from pyproj import CRS
from rasterio.crs import CRS as RasterCRS

from mars_map.errors import MosaicError
from mars_map.planet.sphere import RADIUS_M

RADIUS_TOLERANCE_M = 30_000.0
"""Radii in use for Mars lie between 3,376 and 3,396 km."""
DEGREES = RasterCRS.from_proj4(f"+proj=longlat +R={RADIUS_M:.0f} +no_defs")
"""Stands for the degrees of any sphere: where both sides of a warp have it, PROJ does nothing."""
POLE_SLACK_DEG = 0.1
"""Pixels of published mosaics overlap the poles by a part of their own size."""


@dataclass(frozen=True)
class Georeference:
    """How the columns and rows of a raster become degrees."""

    crs: RasterCRS
    """What `transform` leads to: `DEGREES` for cylindrical rasters, else the projection."""
    transform: Affine
    """Column and row to x and y of `crs`."""
    geodetic: RasterCRS
    """Longitude and latitude on the raster's own body."""
    cylindrical: bool
    """Whether x is longitude and y is latitude, in degrees."""
    squash: float | None
    """(a / b)^2 where the latitudes of `geodetic` are planetographic; None where planetocentric."""
    degrees_per_pixel: float
    """Size of a pixel, degrees of latitude."""


def georeference(dataset: rasterio.DatasetReader, path: str | Path) -> Georeference:
    """Return where the pixels of an open raster lie.

    Equirectangular and plate carrée rasters are planetocentric unless their reference system is
    called "ographic": the CTX mosaic names an ellipsoid and has planetocentric latitudes, scaled by
    the equatorial radius. Other projections of an ellipsoid take planetographic latitudes by their
    formulas. Raises MosaicError for a raster without a reference system or position, of another
    body, with longitudes that grow to the west, or with latitudes beyond the poles.
    """
    if dataset.crs is None:
        raise MosaicError(
            f'"{path}" has no coordinate reference system; set one, for example with '
            "gdal_edit.py -a_srs IAU_2015:49900."
        )
    if dataset.transform.is_identity:
        raise MosaicError(f'"{path}" does not say where its pixels lie; georeference it first.')
    crs = CRS.from_wkt(dataset.crs.to_wkt())
    ellipsoid = crs.ellipsoid
    if ellipsoid is None or abs(ellipsoid.semi_major_metre - RADIUS_M) > RADIUS_TOLERANCE_M:
        raise MosaicError(f'"{path}" is not a map of Mars: its reference system has another body.')
    if any(axis.direction == "west" for axis in crs.axis_info):
        raise MosaicError(
            f'"{path}" counts longitudes to the west; warp it to IAU_2015:49900 with gdalwarp.'
        )
    to_degrees = _to_degrees(crs)
    ratio = (ellipsoid.semi_major_metre / ellipsoid.semi_minor_metre) ** 2
    if to_degrees is None:
        metres = (
            math.sqrt(abs(dataset.transform.determinant)) * crs.axis_info[0].unit_conversion_factor
        )
        return Georeference(
            crs=dataset.crs,
            transform=dataset.transform,
            geodetic=RasterCRS.from_wkt(crs.geodetic_crs.to_wkt()),
            cylindrical=False,
            squash=ratio if ratio != 1.0 else None,
            degrees_per_pixel=math.degrees(metres / ellipsoid.semi_major_metre),
        )
    transform = to_degrees * dataset.transform
    edges = [(transform * (0, row))[1] for row in (0, dataset.height)]
    if max(map(abs, edges)) > 90.0 + POLE_SLACK_DEG:
        raise MosaicError(
            f'"{path}" has latitudes from {min(edges):.6g} to {max(edges):.6g} degrees; its axes '
            "are swapped or its reference system is not its own."
        )
    return Georeference(
        crs=DEGREES,
        transform=transform,
        geodetic=DEGREES,
        cylindrical=True,
        squash=ratio if ratio != 1.0 and _is_graphic(crs) else None,
        degrees_per_pixel=abs(transform.e) or abs(transform.d),
    )


def _to_degrees(crs: CRS) -> Affine | None:
    """Return what turns x and y into degrees, None for a projection where no such thing does.

    Equidistant cylindrical on the sphere: x = R cos(lat_ts) (lon - lon_0) + x_0 and
    y = R (lat - lat_0) + y_0 (Snyder 1987, USGS Professional Paper 1395, p. 91).
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


def _is_graphic(crs: CRS) -> bool:
    name = f"{crs.name} {crs.geodetic_crs.name if crs.is_projected else ''}".lower()
    return "ographic" in name and "ocentric" not in crs.name.lower()
