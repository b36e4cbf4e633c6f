"""Thumbnails from the images that an index was made of, where they are on this machine or kept.

`mars-map build` tells in the manifest, as `extra["mosaic"]`, which folder of quads or which raster
it cut. A tile is then shown as finely as its encoder saw it. `--thumbnails` keeps small pictures in
the index, for images that are elsewhere or were only downloaded. Else the basemap stands in.
"""

import io
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mars_map.errors import MosaicError
from mars_map.index import TileIndex
from mars_map.index.files import THUMBNAIL_PLACES_FILE, THUMBNAILS_FILE
from mars_map.maps.basemap import JPEG_QUALITY, Basemaps
from mars_map.maps.thumbnails import DEFAULT_WIDTH_KM, SIZES, thumbnail
from mars_map.mosaics import Frame, MosaicRaster, Quad, Reading, list_quads
from mars_map.mosaics.raster import overlay
from mars_map.planet.sphere import METRES_PER_DEGREE

AROUND = 1.2
"""Width of a thumbnail in heights of its tile."""
MIN_VALID = 0.1
"""Least share of a thumbnail that the mosaic must show; else the basemap does."""


class Mosaic:
    """The images of an index. Safe to share between threads."""

    def __init__(self, told: dict[str, Any]) -> None:
        """Take what a manifest tells. Raises MosaicError where the images are not here."""
        location = Path(told["location"])
        if not location.exists() or told["kind"] == "list":
            raise MosaicError(f'The images "{location}" are not on this machine.')
        self._quads: tuple[Quad, ...] = ()
        self._raster = location
        if told["kind"] == "folder":
            self._quads = tuple(q for q in list_quads(location).quads if q.is_ready)
        stretch = tuple(told["stretch"]) if told.get("stretch") else None
        self._reading = Reading(told.get("nodata"), told.get("gaps"), stretch)

    def square(self, lon: float, lat: float, width_m: float, size: int) -> Frame | None:
        """Return a square on the ground around a point, north up; None where there is no image.

        Raises MosaicError where a file is damaged.
        """
        frame = None
        for path in self._around(lon, lat, width_m / 2 / METRES_PER_DEGREE):
            with MosaicRaster(path, self._reading) as raster:
                piece = raster.square(lon, lat, width_m, size)
            frame = piece if frame is None else overlay(frame, piece)
            if frame.valid.all():
                break
        return frame

    def _around(self, lon: float, lat: float, reach: float) -> list[Path]:
        """Return the rasters that may lie within so many degrees of a point."""
        if not self._quads:
            return [self._raster]
        wide = reach / max(np.cos(np.radians(lat)), 0.02)
        found = []
        for quad in self._quads:
            west, south, east, north = quad.box
            off = abs((lon - (west + east) / 2 + 180.0) % 360.0 - 180.0) - (east - west) / 2
            if off < wide and south - reach < lat < north + reach:
                found.append((off, Path(quad.location)))
        return [path for _, path in sorted(found)]


def tile_thumbnail(
    basemaps: Basemaps, index: TileIndex, lon: float, lat: float, size: int
) -> bytes:
    """Return the ground around a tile's centre as JPEG, `size` pixels wide and high.

    From the index's own images where they are here and whole; else the picture that the index keeps
    of the tile, in the size that it has; else as `thumbnail` does, which also raises for a size
    that is not allowed.
    """
    if SIZES[0] <= size <= SIZES[1]:
        picture = _cut(index, lon, lat, size) or _kept(index, int(index.grid.tile_at(lon, lat)))
        if picture:
            return picture
    return thumbnail(basemaps, lon, lat, size=size)


def thumbnail_width_km(index: TileIndex, tile: int) -> float:
    """Return the width on the ground of what `tile_thumbnail` shows of a tile, kilometres."""
    west, south, east, north = index.grid.bounds(tile).tolist()
    height_km = (north - south) * METRES_PER_DEGREE / 1000.0
    if index.present is None or index.present[tile]:
        if _mosaic_of(index) is not None:
            return AROUND * height_km
        if _kept(index, tile) is not None:
            middle = math.radians((south + north) / 2)
            return (east - west) * math.cos(middle) * METRES_PER_DEGREE / 1000.0
    return DEFAULT_WIDTH_KM


def _cut(index: TileIndex, lon: float, lat: float, size: int) -> bytes | None:
    mosaic = _mosaic_of(index)
    if mosaic is None:
        return None
    edges = index.grid.row_edges
    width_m = AROUND * float(edges[1] - edges[0]) * METRES_PER_DEGREE
    try:
        frame = mosaic.square(lon, lat, width_m, size)
    except MosaicError:
        return None  # the gallery is not the place to tell of a damaged quad
    if frame is None or frame.valid.mean() < MIN_VALID:
        return None
    pixels = frame.pixels[..., 0] if frame.pixels.shape[-1] == 1 else frame.pixels
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def _kept(index: TileIndex, tile: int) -> bytes | None:
    """Return a tile's picture in the index, None where it keeps none."""
    places = _places_of(index)
    if places is None or tile < 0 or places[tile, 1] == 0:
        return None
    start, length = places[tile].tolist()
    with (index.folder / THUMBNAILS_FILE).open("rb") as file:
        file.seek(start)
        return file.read(length)


@lru_cache(maxsize=8)
def _places_of(index: TileIndex) -> NDArray[np.int64] | None:
    if THUMBNAIL_PLACES_FILE not in index.manifest.files:
        return None
    return np.load(index.folder / THUMBNAIL_PLACES_FILE, mmap_mode="r", allow_pickle=False)


@lru_cache(maxsize=8)
def _mosaic_of(index: TileIndex) -> Mosaic | None:
    told = index.manifest.extra.get("mosaic")
    try:
        return Mosaic(told) if told else None
    except (MosaicError, KeyError, TypeError, ValueError):
        return None
