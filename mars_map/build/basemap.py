"""Makes the embedded basemaps from the input rasters: Viking colour, MOLA shaded relief, elevation.

All three are Cloud-Optimised GeoTIFFs in plate carrée over the whole planet. The two pictures are
16384 and 8192 pixels wide, so that a map tile of 256 pixels in plate carrée (two tiles at zoom 0)
is exactly one block of the file or of one of its overviews: serving a tile decodes one block.
"""

from functools import partial
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.shutil import copy as copy_raster
from rasterio.transform import from_bounds
from scipy.ndimage import uniform_filter1d

from mars_map.build.inputs import ELEVATION, MOLA_ELEVATION, VIKING_COLOUR, Inputs, mend_seam
from mars_map.build.windows import Progress
from mars_map.errors import BuildError
from mars_map.files import whole_file
from mars_map.planet.sphere import CRS_AUTHORITY, METRES_PER_DEGREE

VIKING_SIZE = (8192, 16384)
"""Rows and columns: 1.3 km a pixel, finer than the 1.6-2 km that the mosaic resolves."""
BLOCK_SIZE = 256
"""Width and height of a block of the file, and of a map tile."""
COLOUR_BLOCK = 8
"""Pixels over which colour, but not brightness, is averaged: the source was compressed twice, and
its colour stands in blocks of about this size that show as squares when the map is enlarged."""
JPEG_QUALITY = 75
"""For Viking, 39.6 dB against the resampled mosaic before compression, at 21 MB."""
RELIEF_LIGHTS = ((270.0, 0.2), (315.0, 0.45), (360.0, 0.2), (45.0, 0.15))
"""Azimuth in degrees clockwise from north and weight of each light; the weights add up to 1."""
RELIEF_ALTITUDE = 40.0
"""Height of the lights above the horizon, degrees."""
RELIEF_EXAGGERATION = 8.0
"""Vertical exaggeration: most slopes of Mars at 2.6 km are below two degrees."""


def build_basemaps(
    inputs: Inputs, out: Path, progress: Progress, *, size: tuple[int, int] = VIKING_SIZE
) -> list[Path]:
    """Write viking.tif, relief.tif and elevation.tif into a folder and return their paths.

    size: rows and columns of the Viking picture.
    The files depend only on the inputs and on the versions of GDAL and of its JPEG library. Takes
    half a minute and about 2 GB of memory. Raises BuildError where an input is absent or cannot be
    read, or the disk cannot be written.
    """
    steps = (
        ("viking.tif", VIKING_COLOUR, partial(build_viking, size=size)),
        ("relief.tif", ELEVATION, build_relief),
        ("elevation.tif", MOLA_ELEVATION, build_elevation),
    )
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for done, (name, source, build) in enumerate(steps):
        progress("basemaps", done, len(steps))
        build(inputs.path(source), out / name)
        paths.append(out / name)
    progress("basemaps", len(steps), len(steps))
    return paths


def build_viking(source: Path, target: Path, size: tuple[int, int] = VIKING_SIZE) -> None:
    """Resample the Viking colour mosaic (3 bands uint8) to `size`, (rows, columns), as JPEG."""
    with _open(source) as mosaic:
        pixels = mosaic.read(out_shape=(3, *size), resampling=Resampling.lanczos)
    mend_seam(pixels)
    pixels = smooth_colour(pixels)
    tags = {
        "SOURCE": "NASA/USGS Viking MDIM 2.1 colour mosaic, 1 km grid, resampled by a Lanczos "
        f"filter, colour averaged over {COLOUR_BLOCK} pixels; effective resolution about 2 km",
        "LICENCE": "public domain (NASA/USGS)",
    }
    write_cog(target, pixels, tags, compress="JPEG", quality=JPEG_QUALITY)


def build_relief(source: Path, target: Path) -> None:
    """Shade the sharpened MOLA elevation (int16 metres) as one 8-bit grey band."""
    with _open(source) as raster:
        elevation = raster.read(1).astype(np.float32)
    tags = {
        "SOURCE": "shaded from MOLA elevation, MEGDR 4 pixels a degree sharpened to 2.6 km with a "
        f"MOLA normal map; {len(RELIEF_LIGHTS)} lights, vertical exaggeration "
        f"{RELIEF_EXAGGERATION:g}",
        "LICENCE": "public domain (NASA PDS)",
    }
    shade = shaded_relief(elevation)[np.newaxis]
    write_cog(target, shade, tags, compress="JPEG", quality=JPEG_QUALITY)


def build_elevation(source: Path, target: Path) -> None:
    """Store MOLA's elevations (int16 metres) unchanged."""
    with _open(source) as raster:
        elevation = raster.read()
    tags = {
        "SOURCE": "PDS MGS MOLA MEGDR megt90n000cb, 4 pixels a degree, exact values",
        "LICENCE": "public domain (NASA PDS)",
        "UNITS": "metres above the areoid",
    }
    write_cog(target, elevation, tags, compress="DEFLATE", predictor=2, level=9)


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
        width = min(round(stretch) | 1, columns // 4 | 1)
        smooth[row] = uniform_filter1d(elevation[row], width, mode="wrap")
    east = (np.roll(smooth, -1, 1) - np.roll(smooth, 1, 1)) / (2 * step * cosine[:, None])
    north = -np.gradient(smooth, axis=0) / step
    return _lambert(east.astype(np.float32), north.astype(np.float32))


def smooth_colour(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average the hue of a picture of the whole planet and keep its brightness sharp.

    (3, rows, columns) uint8 in and out, both sides a multiple of `COLOUR_BLOCK`. Colour is the pair
    of difference signals of ITU-R BT.601, and wraps round the planet.
    """
    brightness, *differences = Image.fromarray(pixels.transpose(1, 2, 0)).convert("YCbCr").split()
    smooth = (_smooth_difference(difference) for difference in differences)
    picture = Image.merge("YCbCr", (brightness, *smooth)).convert("RGB")
    return np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))


def _smooth_difference(band: Image.Image) -> Image.Image:
    margin = 8
    coarse = np.pad(np.asarray(band.reduce(COLOUR_BLOCK)), ((0, 0), (margin, margin)), mode="wrap")
    blurred = Image.fromarray(coarse).filter(ImageFilter.GaussianBlur(1.0))
    inside = (margin, 0, coarse.shape[1] - margin, coarse.shape[0])
    return blurred.resize(band.size, Image.Resampling.BICUBIC, box=inside)


def _lambert(east: NDArray[np.float32], north: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return brightness 0..255 of a surface with the slopes dz/dx east and dz/dy north."""
    east, north = RELIEF_EXAGGERATION * east, RELIEF_EXAGGERATION * north
    altitude = np.radians(RELIEF_ALTITUDE)
    shade = np.zeros_like(east)
    for azimuth, weight in RELIEF_LIGHTS:
        sine, cosine = np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))
        across = -(sine * east + cosine * north) * np.cos(altitude)
        shade += weight * np.clip(across + np.sin(altitude), 0.0, None)
    shade /= np.sqrt(1.0 + east**2 + north**2)
    return np.clip(np.rint(255.0 * shade), 0, 255).astype(np.uint8)


def write_cog(target: Path, pixels: NDArray, tags: dict[str, str], **options: str | int) -> None:
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
    options |= {"driver": "COG", "blocksize": BLOCK_SIZE, "overview_resampling": "AVERAGE"}
    options |= {"overview_quality": options["quality"]} if "quality" in options else {}
    try:
        with whole_file(target) as part, MemoryFile() as memory:
            with memory.open(**profile) as plain:
                plain.write(pixels)
                plain.update_tags(**tags)
            with memory.open() as plain:
                copy_raster(plain, part, **options)
    except (rasterio.errors.RasterioError, OSError) as error:
        raise BuildError(f"{target} could not be written: {error}.") from error


def _open(path: Path) -> rasterio.DatasetReader:
    try:
        return rasterio.open(path)
    except rasterio.RasterioIOError as error:
        raise BuildError(f"The input raster {path} cannot be read: {error}.") from error
