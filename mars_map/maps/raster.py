"""A georeferenced raster of Mars, read as map tiles and as patches, by many threads at once."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from morecantile import Tile, TileMatrixSet
from numpy.typing import NDArray
from rasterio.crs import CRS as RasterioCRS
from rasterio.errors import RasterioError
from rasterio.windows import Window
from rio_tiler.errors import RioTilerError, TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.models import ImageData

from mars_map.errors import BasemapError
from mars_map.planet.polar import POLAR_CRS, Pole, polar_tile_bounds
from mars_map.planet.sphere import mars_crs
from mars_map.planet.systems import is_of_mars

TILE_SIZE = 256
"""Width and height of a map tile, pixels."""
MAX_ZOOM = 12
"""Deepest zoom that is served; a pixel is then ten metres."""
_STRETCH_QUANTILES = (0.02, 0.98)


class Pixels(NamedTuple):
    """A piece of a raster, ready to be shown."""

    rgb: NDArray[np.uint8]
    """(rows, columns, 3)."""
    mask: NDArray[np.uint8]
    """(rows, columns): 255 where there is data, 0 elsewhere."""


class MarsRaster:
    """A raster file with a Martian CRS of any projection. Safe to share between threads."""

    def __init__(self, path: str | Path) -> None:
        """Open a file that GDAL reads.

        Raises BasemapError where it is absent, is no raster, or is not on Mars.
        """
        self.path = Path(path)
        self._idle: dict[int | None, queue.LifoQueue[Reader]] = {}
        with self._reader() as reader:
            _check_body(self.path, reader)
            self.max_zoom = min(reader.maxzoom, MAX_ZOOM)
            """Deepest zoom at which map tiles still gain detail."""
            self._bands = (1, 2, 3) if reader.dataset.count >= 3 else (1,)
            self._overviews = reader.dataset.overviews(1)
            self._stretch = self._find_stretch(reader)

    def tile(self, z: int, x: int, y: int) -> Pixels:
        """Return a map tile, clear outside the raster. Raises BasemapError where it is damaged."""
        with self._reader() as reader:
            try:
                image = reader.tile(x, y, z, tilesize=TILE_SIZE, indexes=self._bands)
            except TileOutsideBounds:
                empty = np.zeros((TILE_SIZE, TILE_SIZE, 3), np.uint8)
                return Pixels(empty, empty[..., 0])
            return self._shown(reader, image)

    def polar_tile(self, pole: Pole, z: int, x: int, y: int) -> Pixels:
        """Return a tile of a polar map, clear outside the raster, as `mars_map.planet.polar`
        counts them. Raises BasemapError where the raster is damaged.
        """
        crs = RasterioCRS.from_authority(*POLAR_CRS[pole])
        with self._reader(self._overview_for(z)) as reader:
            image = reader.part(
                polar_tile_bounds(z, x, y),
                dst_crs=crs,
                bounds_crs=crs,
                width=TILE_SIZE,
                height=TILE_SIZE,
                indexes=self._bands,
                resampling_method="bilinear",
                reproject_method="bilinear",
            )
            return self._shown(reader, image)

    def _overview_for(self, zoom: int) -> int | None:
        """Return the number of the coarsest overview as fine as a zoom level; None for the file.

        GDAL finds it by itself for map tiles, but a warp that turns round a pole reads everything.
        """
        factor = 2 ** (self.max_zoom - zoom)
        fine = [i for i, overview in enumerate(self._overviews) if overview <= factor]
        return fine[-1] if fine else None

    def preview(self, width: int) -> Pixels:
        """Return the whole raster, which must be of the whole planet, `width` pixels wide."""
        with self._reader() as reader:
            image = reader.preview(
                width=width, height=width // 2, max_size=None, indexes=self._bands
            )
            return self._shown(reader, image)

    def window(self, row: slice, column: slice, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Return rows and columns of the file resampled to a shape, (*shape, 3) uint8."""
        window = Window.from_slices(row, column)
        with self._reader() as reader:
            data = reader.dataset.read(self._bands, window=window, out_shape=shape)
        return np.broadcast_to(np.moveaxis(data, 0, -1), (*shape, 3))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the file."""
        with self._reader() as reader:
            return reader.dataset.shape

    @contextmanager
    def _reader(self, overview: int | None = None) -> Iterator[Reader]:
        """Lend a reader that no other thread uses, since GDAL's datasets are not thread-safe.

        overview: number of the overview that it takes for the whole file.
        """
        idle = self._idle.setdefault(overview, queue.LifoQueue())
        try:
            reader = idle.get_nowait()
        except queue.Empty:
            reader = self._open(overview)
        try:
            yield reader
        except (RasterioError, RioTilerError) as error:
            self._forget_error()
            raise BasemapError(
                f'The basemap "{self.path}" cannot be read; it is damaged, restore it.'
            ) from error
        finally:
            idle.put(reader)

    def _open(self, overview: int | None) -> Reader:
        if not self.path.is_file():
            raise BasemapError(f'The basemap "{self.path}" is missing; restore it.')
        try:
            options = {} if overview is None else {"OVERVIEW_LEVEL": overview}
            dataset = rasterio.open(self.path, **options)
            return Reader(str(self.path), dataset=dataset, tms=plate_carree())
        except (RasterioError, RioTilerError) as error:
            raise BasemapError(
                f'The basemap "{self.path}" is not a raster that GDAL can read.'
            ) from error

    def _forget_error(self) -> None:
        """Clear GDAL's error of this thread, or rasterio raises it at its next call on any file."""
        with suppress(RasterioError):
            rasterio.open(self.path).close()

    def _find_stretch(self, reader: Reader) -> list[tuple[float, float]] | None:
        """Return the values to show as black and white; None for bytes, which are shown as such."""
        if all(kind == "uint8" for kind in reader.dataset.dtypes[: len(self._bands)]):
            return None
        values = reader.preview(max_size=512, indexes=self._bands).array
        ranges = [np.quantile(band.compressed(), _STRETCH_QUANTILES) for band in values]
        return [(float(low), float(max(high, low + 1e-9))) for low, high in ranges]

    def _shown(self, reader: Reader, image: ImageData) -> Pixels:
        if reader.colormap:
            image = image.apply_colormap(reader.colormap)
        elif self._stretch:
            image.rescale(in_range=self._stretch)
        rgb = np.moveaxis(image.data[:3].astype(np.uint8, copy=False), 0, -1)
        return Pixels(np.broadcast_to(rgb, (*rgb.shape[:2], 3)), image.mask)


@cache
def plate_carree() -> TileMatrixSet:
    """Return the map's tile matrix set: IAU_2015:49900, two tiles over the planet at zoom 0."""
    extent = [-180.0, -90.0, 180.0, 90.0]
    return TileMatrixSet.custom(
        extent, mars_crs(), id="MarsPlateCarree", matrix_scale=[2, 1], maxzoom=MAX_ZOOM
    )


def check_tile(z: int, x: int, y: int) -> None:
    """Raise BasemapError for a map tile that is not on the planet."""
    if not (0 <= z <= MAX_ZOOM and 0 <= x < 2 ** (z + 1) and 0 <= y < 2**z):
        raise BasemapError(f"There is no map tile {z}/{x}/{y}; zoom runs from 0 to {MAX_ZOOM}.")


def check_polar_tile(z: int, x: int, y: int) -> None:
    """Raise BasemapError for a tile that is not on a polar map."""
    if not (0 <= z <= MAX_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
        raise BasemapError(f"There is no polar tile {z}/{x}/{y}; zoom runs from 0 to {MAX_ZOOM}.")


def tile_bounds(z: int, x: int, y: int) -> tuple[float, float, float, float]:
    """Return west, south, east, north of a map tile in degrees."""
    return tuple(plate_carree().xy_bounds(Tile(x, y, z)))


def _check_body(path: Path, reader: Reader) -> None:
    from pyproj import CRS

    crs = reader.dataset.crs
    if crs is None:
        raise BasemapError(
            f'"{path}" has no coordinate reference system; set one, for example with '
            "gdal_edit.py -a_srs IAU_2015:49900."
        )
    if not is_of_mars(CRS.from_user_input(crs.to_wkt())):
        raise BasemapError(f'"{path}" is not a map of Mars: its reference system has another body.')
