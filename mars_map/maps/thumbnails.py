"""Thumbnails: the surroundings of a tile, square on the ground, north up, true to scale.

They are cut from the Viking mosaic in an azimuthal equidistant projection centred on the tile, like
the windows that the encoder saw: a crater is round in them at any latitude.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mars_map.errors import BasemapError
from mars_map.maps.basemap import JPEG_QUALITY, Basemaps
from mars_map.maps.raster import MarsRaster
from mars_map.planet.coordinates import check_point
from mars_map.planet.local import square_points

DEFAULT_WIDTH_KM = 96.0
"""Width on the ground: a tile of half a degree, 30 km, and as much again on each side."""
DEFAULT_SIZE = 192
"""Width and height in pixels."""
WIDTHS_KM = (5.0, 2000.0)
"""Least and greatest width on the ground."""
SIZES = (32, 512)
"""Least and greatest size in pixels."""
_MARGIN = 2
"""Pixels read beyond the square, for the interpolation at its edge."""


def thumbnail(
    basemaps: Basemaps,
    lon: float,
    lat: float,
    *,
    width_km: float = DEFAULT_WIDTH_KM,
    size: int = DEFAULT_SIZE,
) -> bytes:
    """Return the surroundings of a point in degrees as JPEG, `size` pixels wide and high.

    Raises CoordinateError for a point off the planet, BasemapError for a width or size outside
    `WIDTHS_KM` and `SIZES` and for a basemap that is absent or damaged.
    """
    lon, lat = check_point(lon, lat)
    if not WIDTHS_KM[0] <= width_km <= WIDTHS_KM[1] or not SIZES[0] <= size <= SIZES[1]:
        raise BasemapError(
            f"A thumbnail shows {WIDTHS_KM[0]:g} to {WIDTHS_KM[1]:,g} km in {SIZES[0]} to "
            f"{SIZES[1]} pixels; {width_km:g} km in {size} pixels is outside of that."
        )
    pixels = cut_square(basemaps.raster("viking"), lon, lat, width_km * 1000.0, size)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def cut_square(
    raster: MarsRaster, lon: float, lat: float, width_m: float, size: int
) -> NDArray[np.uint8]:
    """Return a square on the ground around a point in degrees, (size, size, 3) uint8, north up.

    raster: plate carrée of the whole planet from 180 W, for which this takes half the time of the
    warp in `mars_map.mosaics.MosaicRaster.square`. Interpolated bilinearly from the overview that
    is about as fine as the picture. Raises BasemapError where the file is damaged.
    """
    # Imported here: the first page needs no thumbnail and must not wait for it.
    from scipy.ndimage import map_coordinates

    rows, columns = raster.shape
    lons, lats = square_points(lon, lat, width_m, size)
    x = (lons + 180.0) * (columns / 360.0) - 0.5
    y = (90.0 - lats) * (rows / 180.0) - 0.5
    top, bottom = _span(y)
    top, bottom = max(top, 0), min(bottom, rows)
    west, east = _span(x)
    if east - west > columns // 2:
        # A pole is inside or near: every meridian is needed, and a little more at the seam.
        west, east = -_MARGIN, columns + _MARGIN
        x = np.mod(x, columns)
    step = max((bottom - top) // (2 * size), 1)
    patch = _read_wrapped(raster, (top, bottom), (west, east), step)
    at = np.stack(
        [
            (y - top + 0.5) * patch.shape[0] / (bottom - top) - 0.5,
            (x - west + 0.5) * patch.shape[1] / (east - west) - 0.5,
        ]
    )
    bands = np.moveaxis(patch, -1, 0)
    cut = [map_coordinates(band, at, np.uint8, order=1, mode="nearest") for band in bands]
    return np.stack(cut, axis=-1)


def _span(pixels: NDArray[np.float64]) -> tuple[int, int]:
    """Return the first pixel to read and the one after the last."""
    return int(np.floor(pixels.min())) - _MARGIN, int(np.ceil(pixels.max())) + _MARGIN + 1


def _read_wrapped(
    raster: MarsRaster, rows: tuple[int, int], columns: tuple[int, int], step: int
) -> NDArray[np.uint8]:
    """Read rows and columns, every `step` pixels; columns may leave the raster at both sides."""
    width = raster.shape[1]
    height = -(-(rows[1] - rows[0]) // step)
    parts = []
    for turn in (-width, 0, width):
        start, stop = max(columns[0], turn), min(columns[1], turn + width)
        if start < stop:
            shape = (height, -(-(stop - start) // step))
            window = slice(start - turn, stop - turn)
            parts.append(raster.window(slice(*rows), window, shape))
    return np.concatenate(parts, axis=1)
