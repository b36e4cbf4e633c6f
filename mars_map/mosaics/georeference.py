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
from mars_map.planet.systems import cylindrical_degrees, graphic_ratio, is_of_mars

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

    Raises MosaicError for a raster without a reference system or position, of another body, with
    longitudes that grow to the west, or with latitudes beyond the poles.
    """
    if dataset.crs is None:
        raise MosaicError(
            f'"{path}" has no coordinate reference system; set one, for example with '
            "gdal_edit.py -a_srs IAU_2015:49900."
        )
    if dataset.transform.is_identity:
        raise MosaicError(f'"{path}" does not say where its pixels lie; georeference it first.')
    crs = CRS.from_wkt(dataset.crs.to_wkt())
    if not is_of_mars(crs):
        raise MosaicError(f'"{path}" is not a map of Mars: its reference system has another body.')
    if any(axis.direction == "west" for axis in crs.axis_info):
        raise MosaicError(
            f'"{path}" counts longitudes to the west; warp it to IAU_2015:49900 with gdalwarp.'
        )
    to_degrees = cylindrical_degrees(crs)
    if to_degrees is None:
        metres = (
            math.sqrt(abs(dataset.transform.determinant)) * crs.axis_info[0].unit_conversion_factor
        )
        return Georeference(
            crs=dataset.crs,
            transform=dataset.transform,
            geodetic=RasterCRS.from_wkt(crs.geodetic_crs.to_wkt()),
            cylindrical=False,
            squash=graphic_ratio(crs),
            degrees_per_pixel=math.degrees(metres / crs.ellipsoid.semi_major_metre),
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
        squash=graphic_ratio(crs),
        degrees_per_pixel=abs(transform.e) or abs(transform.d),
    )
