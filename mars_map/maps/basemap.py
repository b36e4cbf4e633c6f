"""Basemaps: pictures of Mars below the results, and the elevation under a point.

Map tiles are plate carrée as Leaflet's `L.CRS.EPSG4326` counts them: 256 pixels wide, two of them
over the planet at zoom 0, twice as many each way at every further zoom; x runs east from 180 W and
y south from 90 N. The embedded layers are made by `mars_map.build.basemap`; any Cloud-Optimised
GeoTIFF of Mars is a layer by naming its file.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from rasterio.errors import RasterioError

from mars_map.errors import BasemapError
from mars_map.maps.raster import (
    TILE_SIZE,
    MarsRaster,
    Pixels,
    check_polar_tile,
    check_tile,
    tile_bounds,
)
from mars_map.planet.coordinates import check_point
from mars_map.planet.polar import Pole, polar_tile_points
from mars_map.settings import BASEMAP_DIR

JPEG_QUALITY = 85
ELEVATION_COLOUR_MAP = "lipari"
"""Perceptually uniform colour map of Crameri (2018), doi 10.5281/zenodo.1243862."""
ELEVATION_RANGE_M = (-8_000.0, 12_000.0)
"""Elevations at both ends of the colours; only the highest volcanoes rise above."""
FLAT_SHADE = 164.0
"""Grey of level ground in the shaded relief: there the elevation colours are as in the legend."""


class Picture(NamedTuple):
    """An encoded picture."""

    body: bytes
    media_type: str
    """ "image/jpeg", or "image/png" where a part is clear."""


@dataclass(frozen=True)
class Layer:
    """A basemap to choose."""

    key: str
    """Short name, used in addresses."""
    title: str
    """Name for people."""
    credit: str
    """Whom to thank for it."""
    max_zoom: int
    """Deepest zoom at which map tiles still gain detail."""
    file: Path
    """The raster that it is drawn from."""


class Basemaps:
    """All layers of a program. Safe to share between threads."""

    def __init__(self, folder: str | Path = BASEMAP_DIR, extra: Iterable[str | Path] = ()) -> None:
        """Take the folder of the embedded basemaps and rasters of the user's own.

        Embedded files are opened when they are first needed, a user's at once. Raises BasemapError
        for a file of the user's that is absent, no raster or not on Mars.
        """
        self._folder = Path(folder)
        self._rasters: dict[Path, MarsRaster] = {}
        own = [self._own_layer(number, Path(path)) for number, path in enumerate(extra, start=1)]
        self.layers: dict[str, Layer] = {layer.key: layer for layer in [*self._embedded(), *own]}
        """The layers by key, the first of them the default."""

    def tile(self, key: str, z: int, x: int, y: int) -> Picture:
        """Return a map tile of a layer.

        Raises BasemapError for a layer or tile that does not exist, and for a file that is absent
        or damaged.
        """
        check_tile(z, x, y)
        pixels = self.raster(key).tile(z, x, y)
        if key == "elevation":
            pixels = self._coloured(pixels, *_pixel_centres(pixels, tile_bounds(z, x, y)))
        return encode(pixels)

    def polar_tile(self, key: str, pole: Pole, z: int, x: int, y: int) -> Picture:
        """Return a tile of a layer as seen from above a pole, as `mars_map.planet.polar` counts
        them. Raises like `tile`.
        """
        check_polar_tile(z, x, y)
        pixels = self.raster(key).polar_tile(pole, z, x, y)
        if key == "elevation":
            pixels = self._coloured(pixels, *polar_tile_points(pole, z, x, y, TILE_SIZE))
        return encode(pixels)

    def layer(self, key: str) -> Layer:
        """Return the layer of that key. Raises BasemapError where there is none."""
        try:
            return self.layers[key]
        except KeyError:
            raise BasemapError(
                f'There is no basemap "{key[:40]}"; choose from {", ".join(self.layers)}.'
            ) from None

    def planet(self, key: str, width: int) -> NDArray[np.uint8]:
        """Return a layer of the whole planet, plate carrée, (width / 2, width, 3) uint8."""
        pixels = self.raster(key).preview(width)
        if key == "elevation":
            planet = (-180.0, -90.0, 180.0, 90.0)
            pixels = self._coloured(pixels, *_pixel_centres(pixels, planet))
        return pixels.rgb

    def raster(self, key: str) -> MarsRaster:
        """Return the raster that a layer is drawn from. Raises BasemapError."""
        file = self.layer(key).file
        # Two threads may both open a file at first; one of the two is then simply forgotten.
        if file not in self._rasters:
            self._rasters[file] = MarsRaster(file)
        return self._rasters[file]

    def elevation_at(self, lon: float, lat: float) -> float:
        """Return the elevation of a point in metres above the areoid.

        Raises CoordinateError for a point off the planet, BasemapError without the file.
        """
        return float(self.elevation_of(*check_point(lon, lat)))

    def elevation_of(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float32]:
        """Return the elevations of points in degrees (arrays broadcast), metres above the areoid.

        MOLA's quarter-degree cells, interpolated bilinearly between their centres. Raises
        BasemapError without the file.
        """
        grid = self.elevations
        rows, columns = grid.shape
        x = (np.asarray(lon) + 180.0) * (columns / 360.0) - 0.5
        y = np.clip((90.0 - np.asarray(lat)) * (rows / 180.0) - 0.5, 0.0, rows - 1.0)
        x0, y0 = np.floor(x).astype(int), np.minimum(np.floor(y).astype(int), rows - 2)
        fx, fy = (x - x0).astype(np.float32), (y - y0).astype(np.float32)
        west, east = x0 % columns, (x0 + 1) % columns
        upper = (1 - fx) * grid[y0, west] + fx * grid[y0, east]
        lower = (1 - fx) * grid[y0 + 1, west] + fx * grid[y0 + 1, east]
        return upper + fy * (lower - upper)

    @cached_property
    def elevations(self) -> NDArray[np.int16]:
        """MOLA's elevations in metres, (720, 1440), north up, from 180 W. Raises BasemapError."""
        path = self._folder / "elevation.tif"
        try:
            with rasterio.open(path) as raster:
                return raster.read(1)
        except RasterioError as error:
            raise BasemapError(
                f'The elevations "{path}" are missing or damaged; restore the file.'
            ) from error

    def _embedded(self) -> list[Layer]:
        viking, relief = self._folder / "viking.tif", self._folder / "relief.tif"
        mola = "NASA / MGS MOLA"
        return [
            Layer("viking", "Viking colour", "NASA / USGS Viking MDIM 2.1", 5, viking),
            Layer("relief", "Shaded relief", mola, 4, relief),
            Layer("elevation", "Elevation", mola, 4, relief),
        ]

    def _own_layer(self, number: int, path: Path) -> Layer:
        raster = self._rasters[path] = MarsRaster(path)
        return Layer(f"own{number}", path.stem, path.name, raster.max_zoom, path)

    def _coloured(self, relief: Pixels, lon: ArrayLike, lat: ArrayLike) -> Pixels:
        """Return elevation colours, shaded by a picture of the relief at those pixel centres."""
        low, high = ELEVATION_RANGE_M
        level = np.clip((self.elevation_of(lon, lat) - low) / (high - low), 0.0, 1.0)
        colours = elevation_palette()[np.rint(level * 255).astype(np.uint8)]
        shade = relief.rgb[..., :1] / np.float32(FLAT_SHADE)
        return Pixels(np.clip(colours * shade, 0, 255).astype(np.uint8), relief.mask)


def _pixel_centres(
    pixels: Pixels, bounds: tuple[float, float, float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitudes, (1, columns), and latitudes, (rows, 1), of a plate carrée picture."""
    rows, columns = pixels.mask.shape
    west, south, east, north = bounds
    lon = west + (np.arange(columns) + 0.5) * (east - west) / columns
    lat = north - (np.arange(rows) + 0.5) * (north - south) / rows
    return lon[np.newaxis, :], lat[:, np.newaxis]


@cache
def elevation_palette() -> NDArray[np.uint8]:
    """Return the colours of elevation over `ELEVATION_RANGE_M`, (256, 3) red, green, blue."""
    from cmcrameri import cm

    colours = getattr(cm, ELEVATION_COLOUR_MAP)(np.linspace(0.0, 1.0, 256))[:, :3]
    return np.rint(colours * 255).astype(np.uint8)


def encode(pixels: Pixels, quality: int = JPEG_QUALITY) -> Picture:
    """Return pixels as JPEG, or as PNG where a part has no data and must stay clear."""
    file = io.BytesIO()
    if pixels.mask.all():
        Image.fromarray(np.ascontiguousarray(pixels.rgb)).save(file, "JPEG", quality=quality)
        return Picture(file.getvalue(), "image/jpeg")
    Image.fromarray(np.dstack([pixels.rgb, pixels.mask])).save(file, "PNG", compress_level=1)
    return Picture(file.getvalue(), "image/png")
