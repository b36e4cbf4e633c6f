"""A raster of a mosaic, read in frames: boxes of longitude and latitude at any number of pixels."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from pyproj import Transformer
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.transform import from_bounds
from rasterio.vrt import WarpedVRT

from mars_map.errors import MosaicError
from mars_map.mosaics.georeference import georeference
from mars_map.planet.sphere import RADIUS_M, planetographic_latitude

Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees; east may be up to 360 more than west."""

GDAL_OPTIONS = {"GDAL_ERROR_ON_LIBJPEG_WARNING": True, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
"""A JPEG that ends too soon is an error, and a folder of 4,000 quads is not listed for each one."""
WARP_MEMORY_MB = 256
"""Most memory of a warp; a strip of a CTX quad, 47,420 by 2,371 pixels, takes 112 MB."""


class Frame(NamedTuple):
    """The pixels of a box of longitude and latitude, north up."""

    pixels: NDArray[np.uint8]
    """(rows, columns, bands), one band of grey or three of red, green and blue."""
    valid: NDArray[np.bool_]
    """(rows, columns): where the raster has data."""


@dataclass(frozen=True)
class Reading:
    """How the values of a raster are to be understood."""

    nodata: float | None = None
    """Value of pixels without data; what the file itself says if not given."""
    gaps: float | None = None
    """The same, for files that say nothing."""
    stretch: tuple[float, float] | None = None
    """Values to show as black and white; needed for anything but bytes."""


class MosaicRaster:
    """One raster, open. Not for several threads at once: let each open its own."""

    def __init__(self, path: str | Path, reading: Reading | None = None) -> None:
        """Open a raster that GDAL reads. Raises MosaicError where it is not one of Mars."""
        self.path, self._reading = Path(path), reading or Reading()
        if not self.path.is_file():
            raise MosaicError(f'There is no "{path}".')
        with self._errors():
            self._dataset = rasterio.open(self.path)
        try:
            self._bands = _colour_bands(self._dataset, self.path)
            self._check_type()
            self.georeference = georeference(self._dataset, self.path)
        except MosaicError:
            self.close()
            raise

    def __enter__(self) -> "MosaicRaster":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._dataset.close()

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points, planetocentric degrees of any longitude, lie on the raster."""
        place = self.georeference
        lon, lat = np.broadcast_arrays(np.asarray(lon, float), np.asarray(lat, float))
        lat = lat if place.squash is None else planetographic_latitude(lat)
        x, y = lon, lat
        if not place.cylindrical:
            x, y = self._projection.transform(lon, lat)  # infinite where it has no place
        found = np.zeros(lon.shape, bool)
        rows, columns = self._dataset.shape
        for turn in (-360.0, 0.0, 360.0) if place.cylindrical else (0.0,):
            with np.errstate(invalid="ignore"):
                column, row = ~place.transform * (x + turn, y)
            # An edge that two rasters share belongs to both, rounding or not.
            inside = (column >= -0.01) & (column <= columns + 0.01)
            found |= inside & (row >= -0.01) & (row <= rows + 0.01)
        return found

    def frame(self, bounds: Bounds, rows: int, columns: int) -> Frame:
        """Return a box of planetocentric latitude and longitude, resampled to rows and columns.

        Bilinear; where the raster is finer than the frame, over all of its pixels, as GDAL's warp
        does. Nothing is valid off the raster. Raises MosaicError where the file is damaged.
        """
        west, south, east, north = bounds
        place = self.georeference
        if place.squash is not None:
            south, north = planetographic_latitude([south, north]).tolist()
        empty = np.zeros((rows, columns, len(self._bands)), np.uint8)
        frame = Frame(empty, np.zeros((rows, columns), bool))
        into = from_bounds(west, south, east, north, columns, rows)
        for transform in self._turned(west, east):
            frame = overlay(frame, self._warp(transform, place.geodetic, into, frame.valid.shape))
        return frame

    def square(self, lon: float, lat: float, width_m: float, size: int) -> Frame:
        """Return a square on the ground around a point, north up, (size, size).

        In an azimuthal equidistant projection centred on the point, on the sphere. Raises as
        `frame` does.
        """
        half = width_m / 2
        crs = rasterio.CRS.from_proj4(
            f"+proj=aeqd +lat_0={lat:.9f} +lon_0={lon:.9f} +R={RADIUS_M:.0f} +units=m +no_defs"
        )
        into = from_bounds(-half, -half, half, half, size, size)
        reach = math.degrees(width_m / RADIUS_M) / max(math.cos(math.radians(lat)), 0.01)
        frame = Frame(
            np.zeros((size, size, len(self._bands)), np.uint8), np.zeros((size, size), bool)
        )
        degrees = math.degrees(width_m / size / RADIUS_M)
        for transform in self._turned(lon - reach, lon + reach):
            frame = overlay(frame, self._warp(transform, crs, into, (size, size), degrees))
        return frame

    def _turned(self, west: float, east: float) -> Iterator[Affine]:
        """Give the transform, at every count of longitude in which the raster meets a span.

        There are two where the raster's own seam runs through the span.
        """
        place = self.georeference
        if not place.cylindrical:
            yield place.transform
            return
        left, right = _span(place.transform, self._dataset.shape)
        for turn in (-360.0, 0.0, 360.0):
            if west < right + turn and east > left + turn:
                yield Affine.translation(turn, 0.0) * place.transform

    def _warp(
        self,
        transform: Affine,
        crs: rasterio.CRS,
        into: Affine,
        shape: tuple[int, int],
        degrees: float | None = None,
    ) -> Frame:
        """Resample to a shape; `degrees` is the size of a pixel, that of `into` if not given."""
        factor = (degrees or abs(into.e)) / self.georeference.degrees_per_pixel
        with self._errors(), self._level(factor) as (dataset, scale):
            alpha = ColorInterp.alpha in dataset.colorinterp
            with WarpedVRT(
                dataset,
                src_crs=self.georeference.crs,
                src_transform=transform * scale,
                crs=crs,
                transform=into,
                height=shape[0],
                width=shape[1],
                resampling=Resampling.bilinear,
                src_nodata=self._nodata,
                add_alpha=not alpha,
                warp_mem_limit=WARP_MEMORY_MB,
                UNIFIED_SRC_NODATA="YES",
            ) as warped:
                band = dataset.colorinterp.index(ColorInterp.alpha) if alpha else dataset.count
                data = warped.read((*self._bands, band + 1))
        return Frame(self._shown(np.moveaxis(data[:-1], 0, -1)), data[-1] > 0)

    @contextmanager
    def _level(self, factor: float) -> Iterator[tuple[rasterio.DatasetReader, Affine]]:
        """Give the coarsest overview that still has every pixel asked for, and its scale."""
        factors = self._dataset.overviews(1)
        level = sum(step <= factor for step in factors) - 1
        if level < 0:
            yield self._dataset, Affine.identity()
            return
        with rasterio.open(self.path, overview_level=level) as overview:
            height, width = self._dataset.shape
            yield overview, Affine.scale(width / overview.width, height / overview.height)

    @cached_property
    def _projection(self) -> Transformer:
        systems = (self.georeference.geodetic, self.georeference.crs)
        return Transformer.from_crs(*(crs.to_wkt() for crs in systems), always_xy=True)

    @property
    def _nodata(self) -> float | None:
        if self._reading.nodata is not None:
            return self._reading.nodata
        return self._reading.gaps if self._dataset.nodata is None else self._dataset.nodata

    def _check_type(self) -> None:
        kinds = {self._dataset.dtypes[band - 1] for band in self._bands}
        if kinds != {"uint8"} and self._reading.stretch is None:
            raise MosaicError(
                f'"{self.path}" has {min(kinds - {"uint8"})} values; name those to show as black '
                "and white with --stretch LOW,HIGH."
            )

    def _shown(self, values: NDArray) -> NDArray[np.uint8]:
        if self._reading.stretch is None:
            return values.astype(np.uint8, copy=False)
        low, high = self._reading.stretch
        share = (values.astype(np.float32) - low) / (high - low)
        return np.rint(np.nan_to_num(share).clip(0.0, 1.0) * 255.0).astype(np.uint8)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what GDAL raises into a sentence."""
        try:
            with rasterio.Env(**GDAL_OPTIONS):
                yield
        except RasterioError as error:
            # GDAL keeps an error of this thread, and rasterio raises it at its next call.
            with suppress(RasterioError):
                rasterio.open(self.path).close()
            raise MosaicError(
                f'"{self.path}" cannot be read: it is no raster, or damaged or cut short; '
                "get it again."
            ) from error


def overlay(below: Frame, above: Frame) -> Frame:
    """Return a frame with its gaps filled from another of the same box."""
    pixels = np.where(below.valid[..., np.newaxis], below.pixels, above.pixels)
    return Frame(pixels, below.valid | above.valid)


def _span(transform: Affine, shape: tuple[int, int]) -> tuple[float, float]:
    rows, columns = shape
    corners = [transform * corner for corner in ((0, 0), (columns, 0), (0, rows), (columns, rows))]
    return min(x for x, _ in corners), max(x for x, _ in corners)


def _colour_bands(dataset: rasterio.DatasetReader, path: Path) -> tuple[int, ...]:
    kinds = dataset.colorinterp
    if kinds[0] == ColorInterp.palette:
        raise MosaicError(
            f'"{path}" has a colour table; expand it with gdal_translate -expand rgb first.'
        )
    colours = [band for band, kind in enumerate(kinds, 1) if kind != ColorInterp.alpha]
    return tuple(colours[:3]) if len(colours) >= 3 else (colours[0],)
