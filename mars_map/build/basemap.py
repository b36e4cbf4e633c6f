"""Makes the embedded basemaps from the input rasters: Viking colour, MOLA shaded relief, elevation.

All three are Cloud-Optimised GeoTIFFs in plate carrée over the whole planet. The two pictures are
16384 and 8192 pixels wide, so that a map tile of 256 pixels in plate carrée (two tiles at zoom 0)
is exactly one block of the file or of one of its overviews: serving a tile decodes one block.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.shutil import copy as copy_raster
from rasterio.transform import from_bounds
from scipy.ndimage import uniform_filter1d

from mars_map.errors import BuildError
from mars_map.planet.sphere import CRS_AUTHORITY, METRES_PER_DEGREE

VIKING_INPUT = "viking_mdim21_color_1km.tif"
RELIEF_INPUT = "mola_elevation_2600m_derived.tif"
ELEVATION_INPUT = "mola_elevation_4ppd.tif"

VIKING_SIZE = (8192, 16384)
"""Rows and columns: 1.3 km a pixel, finer than the 1.6-2 km that the mosaic resolves."""
BLOCK_SIZE = 256
VIKING_QUALITY = 75
"""JPEG quality; 39.6 dB against the uncompressed resampled mosaic, at 21 MB."""
RELIEF_QUALITY = 80
RELIEF_AZIMUTHS = (270.0, 315.0, 360.0, 45.0)
"""Directions of the four lights, degrees clockwise from north; the second is the main one."""
RELIEF_WEIGHTS = (0.2, 0.45, 0.2, 0.15)
RELIEF_ALTITUDE = 40.0
"""Height of the lights above the horizon, degrees."""
RELIEF_EXAGGERATION = 3.0
"""Vertical exaggeration; most slopes of Mars at 2.6 km are below two degrees."""


def build_basemaps(
    inputs: Path, out: Path, progress: Callable[[str], None] | None = None
) -> list[Path]:
    """Write viking.tif, relief.tif and elevation.tif into `out` and return their paths.

    inputs: folder with `rasters/`, or that folder itself. progress is told what is being made. The
    files depend only on the inputs and on the versions of GDAL and its JPEG library. Needs about
    3 GB of memory and a minute. Raises BuildError where an input is absent or cannot be read.
    """
    say = progress or (lambda _message: None)
    folder = inputs / "rasters" if (inputs / "rasters").is_dir() else inputs
    out.mkdir(parents=True, exist_ok=True)
    say("basemap: Viking colour")
    viking = build_viking(_input(folder, VIKING_INPUT), out / "viking.tif")
    say("basemap: MOLA shaded relief")
    relief = build_relief(_input(folder, RELIEF_INPUT), out / "relief.tif")
    say("basemap: MOLA elevation")
    elevation = build_elevation(_input(folder, ELEVATION_INPUT), out / "elevation.tif")
    return [viking, relief, elevation]


def build_viking(source: Path, target: Path, size: tuple[int, int] = VIKING_SIZE) -> Path:
    """Resample the Viking colour mosaic (RGB, uint8) to `size` rows and columns, JPEG inside."""
    with _open(source) as mosaic:
        pixels = mosaic.read(out_shape=(3, *size), resampling=Resampling.lanczos)
    tags = {
        "SOURCE": "NASA/USGS Viking MDIM 2.1 colour mosaic, resampled with a Lanczos filter from "
        "the 1 km grid; effective resolution about 2 km",
        "LICENCE": "public domain (NASA/USGS)",
    }
    _write_cog(target, pixels, tags, compress="JPEG", quality=VIKING_QUALITY)
    return target


def build_relief(source: Path, target: Path) -> Path:
    """Shade the sharpened MOLA elevation (int16 metres) and write it as one 8-bit grey band."""
    with _open(source) as raster:
        elevation = raster.read(1).astype(np.float32)
    tags = {
        "SOURCE": "shaded relief of MOLA elevation at 2.6 km a pixel (MEGDR 4 ppd sharpened with a "
        f"MOLA normal map); four lights, vertical exaggeration {RELIEF_EXAGGERATION:g}",
        "LICENCE": "public domain (NASA PDS)",
    }
    shade = shaded_relief(elevation)[np.newaxis]
    _write_cog(target, shade, tags, compress="JPEG", quality=RELIEF_QUALITY)
    return target


def build_elevation(source: Path, target: Path) -> Path:
    """Copy MOLA's elevations (int16 metres) unchanged into a COG."""
    with _open(source) as raster:
        elevation = raster.read()
    tags = {
        "SOURCE": "PDS MGS MOLA MEGDR megt90n000cb, 4 pixels a degree, exact values",
        "LICENCE": "public domain (NASA PDS)",
        "UNITS": "metres above the areoid",
    }
    _write_cog(target, elevation, tags, compress="DEFLATE", predictor=2, level=9)
    return target


def shaded_relief(elevation: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Shade a plate-carrée elevation of the whole planet, metres, (rows, columns), as 8-bit grey.

    Lambert shading under several lights (the weighted sum of Mark 1992, USGS OFR 92-422, with fixed
    weights). The east-west size of a pixel shrinks with the cosine of the latitude; rows are first
    averaged along the parallel over 1 / cos(latitude) pixels, so that a slope is taken over about
    the same distance on the ground in both directions and the poles do not dissolve into streaks.
    """
    rows, columns = elevation.shape
    latitude = 90.0 - (np.arange(rows) + 0.5) * 180.0 / rows
    cosine = np.cos(np.radians(latitude))
    step = METRES_PER_DEGREE * 180.0 / rows
    smooth = np.empty_like(elevation)
    for row, stretch in enumerate(1.0 / cosine):
        width = min(int(round(stretch)) | 1, columns // 4 | 1)
        smooth[row] = uniform_filter1d(elevation[row], width, mode="wrap")
    east = (np.roll(smooth, -1, 1) - np.roll(smooth, 1, 1)) / (2 * step * cosine[:, None])
    north = -np.gradient(smooth, axis=0) / step
    return _lambert(east.astype(np.float32), north.astype(np.float32))


def _lambert(east: NDArray[np.float32], north: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return brightness 0..255 of a surface with the slopes dz/dx east and dz/dy north."""
    east, north = RELIEF_EXAGGERATION * east, RELIEF_EXAGGERATION * north
    altitude = np.radians(RELIEF_ALTITUDE)
    shade = np.zeros_like(east)
    for azimuth, weight in zip(np.radians(RELIEF_AZIMUTHS), RELIEF_WEIGHTS, strict=True):
        across = -(np.sin(azimuth) * east + np.cos(azimuth) * north) * np.cos(altitude)
        shade += weight * np.clip(across + np.sin(altitude), 0.0, None)
    shade /= np.sqrt(1.0 + east**2 + north**2)
    return np.clip(np.rint(255.0 * shade), 0, 255).astype(np.uint8)


def _write_cog(target: Path, pixels: NDArray, tags: dict[str, str], **options: object) -> None:
    """Write (bands, rows, columns) of the whole planet as COG beside `target`, then rename it."""
    count, rows, columns = pixels.shape
    profile = {
        "driver": "GTiff",
        "count": count,
        "height": rows,
        "width": columns,
        "dtype": pixels.dtype.name,
        "crs": ":".join(CRS_AUTHORITY),
        "transform": from_bounds(-180, -90, 180, 90, columns, rows),
    }
    partial = target.with_name(target.name + ".part")
    with MemoryFile() as memory:
        with memory.open(**profile) as plain:
            plain.write(pixels)
            plain.update_tags(**tags)
        with memory.open() as plain:
            copy_raster(
                plain,
                partial,
                driver="COG",
                blocksize=BLOCK_SIZE,
                overview_resampling="AVERAGE",
                overview_quality=options.get("quality", 75),
                **options,
            )
    os.replace(partial, target)


def _input(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise BuildError(f"The input raster {path} is absent; name the folder that holds {name}.")
    return path


def _open(path: Path) -> rasterio.DatasetReader:
    try:
        return rasterio.open(path)
    except rasterio.RasterioIOError as error:
        raise BuildError(f"The input raster {path} cannot be read: {error}.") from error
