"""Heat maps: the scores of all tiles as a picture of the planet.

Colour means rank among all tiles, not an absolute likeness, because the cosine similarities of a
query lie in a narrow band that differs from query to query: the scale runs from the upper quartile
of all tiles, which is transparent, to their 99.9th percentile. Three quarters of the planet thus
show the plain basemap, and the brightest colour is left to the best tile in a thousand.

A pixel shows the tile under its centre. Where tiles are smaller than pixels it shows the best of
the tiles that have their centres in it, so that no hit vanishes between pixels.
"""

import io
import weakref
import zlib
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mars_map.planet.grid import Grid
from mars_map.planet.polar import Pole, polar_tile_points
from mars_map.planet.sphere import CRS_AUTHORITY
from mars_map.search.scoring import NO_SCORE

LOW_QUANTILE = 0.75
"""Scores up to this quantile of all tiles are transparent."""
HIGH_QUANTILE = 0.999
"""Scores from this quantile of all tiles on have the brightest colour."""
COLOUR_MAP = "imola"
"""Perceptually uniform colour map of Crameri (2018), doi 10.5281/zenodo.1243862: blue to yellow."""
OPAQUE_FROM = 0.5
"""Place on the scale, 0 to 1, where the colour has become opaque."""
DEFAULT_SIZE = (1440, 720)
"""Columns and rows of a heat picture: two pixels to a tile of half a degree."""
LARGEST_SIZE = (1800, 900)
"""The same for grids of smaller tiles: one pixel to a tile of a fifth of a degree."""


SAMPLE_STEP = 64
"""Every how many-th score is sorted to guess where a quantile lies."""
LEVEL_ROWS = 65_536
"""Tiles whose colours are worked out at a time."""


class HeatScale(NamedTuple):
    """The scores at both ends of the colour scale."""

    low: float
    """Score that is drawn transparent, and every score below it."""
    high: float
    """Score that has the brightest colour, and every score above it."""


def heat_scale(scores: NDArray[np.floating]) -> HeatScale:
    """Return the colour scale for the scores of all tiles, (n_tiles,).

    A region changes nothing here, so that a colour keeps its meaning when the region is moved.
    Tiles without a vector have no part in it.
    """
    known = _scales.get(id(scores))
    if known is not None:
        return known
    # Most planets have no tile without a vector: then there is nothing to copy.
    scored = scores if scores.min() > NO_SCORE else scores[scores > NO_SCORE]
    scored = scored if len(scored) else scores
    scale = HeatScale(*(_quantile(scored, q) for q in (LOW_QUANTILE, HIGH_QUANTILE)))
    if not scores.flags.writeable:
        # Outlines, heat map and polar pictures of one answer ask in turn; sorting is slow.
        _scales[id(scores)] = scale
        weakref.finalize(scores, _scales.pop, id(scores), None)
    return scale


_scales: dict[int, HeatScale] = {}


def _quantile(values: NDArray[np.floating], q: float) -> float:
    """Return what `np.quantile` returns, sorting only the values about the place of interest."""
    place = q * (len(values) - 1)
    below = int(place)
    sample = np.sort(values[::SAMPLE_STEP])
    middle, spread = below // SAMPLE_STEP, 4 * int(np.sqrt(len(sample))) + 4
    low, high = sample[max(middle - spread, 0)], sample[min(middle + spread, len(sample) - 1)]
    first = below - int(np.count_nonzero(values < low))
    between = values[(values >= low) & (values <= high)]
    if not 0 <= first < len(between) - 1:  # the sample was too small to tell
        between, first = values, below
    above = min(first + 1, len(between) - 1)
    left, right = np.partition(between, (first, above))[[first, above]].astype(float)
    return float(left + (right - left) * (place - below))


@cache
def heat_palette() -> NDArray[np.uint8]:
    """Return the colours of the scale, (256, 4) red, green, blue, alpha; the first is clear."""
    from cmcrameri import cm

    position = np.linspace(0.0, 1.0, 256)
    colours = np.rint(getattr(cm, COLOUR_MAP)(position) * 255).astype(np.uint8)
    colours[:, 3] = np.rint(255 * np.minimum(position / OPAQUE_FROM, 1.0))
    colours.flags.writeable = False
    return colours


@lru_cache(maxsize=4)
def pixel_tiles(grid: Grid, width: int, height: int) -> NDArray[np.int32]:
    """Return the tile under the centre of each pixel of a picture of the planet, -1 for none.

    Plate carrée, north up, from 180 W; (height, width) int32, read-only. Kept for the grids and
    sizes used last, because it costs more than everything else about a heat map.
    """
    lon = -180.0 + (np.arange(width) + 0.5) * 360.0 / width
    lat = 90.0 - (np.arange(height) + 0.5) * 180.0 / height
    tiles = grid.tile_at(lon[np.newaxis, :], lat[:, np.newaxis]).astype(np.int32)
    tiles.flags.writeable = False
    return tiles


@lru_cache(maxsize=4)
def tile_pixels(grid: Grid, width: int, height: int) -> NDArray[np.int32] | None:
    """Return the pixel that the centre of each tile lies in, (n_tiles,) int32, counted by rows.

    None where pixels are no larger than tiles: then each tile is under the centre of some pixel.
    """
    step = float(grid.row_edges[1] - grid.row_edges[0])
    if step > 180.0 / height * (1 - 1e-9):
        return None
    lon, lat = grid.centers
    columns = np.clip((lon + 180.0) * (width / 360.0), 0, width - 1).astype(np.int32)
    rows = np.clip((90.0 - lat) * (height / 180.0), 0, height - 1).astype(np.int32)
    pixels = rows * np.int32(width) + columns
    pixels.flags.writeable = False
    return pixels


def picture_size(grid: Grid) -> tuple[int, int]:
    """Return columns and rows of the picture that suits a grid."""
    step = float(grid.row_edges[1] - grid.row_edges[0])
    return DEFAULT_SIZE if step > 0.25 else LARGEST_SIZE


def heat_levels(
    scores: NDArray[np.floating],
    grid: Grid,
    size: tuple[int, int] | None = None,
    *,
    mask: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Return the picture as places in the palette, (height, width) uint8; 0 is clear.

    scores: (n_tiles,), of all tiles. size: columns and rows, `picture_size` if not given. mask:
    (n_tiles,), tiles to draw; None for all.
    """
    size = size or picture_size(grid)
    levels = tile_levels(scores, mask)
    picture = np.take(levels, pixel_tiles(grid, *size))
    pixels = tile_pixels(grid, *size)
    if pixels is not None:
        np.maximum.at(picture.reshape(-1), pixels, levels[:-1])
    return picture


def heat_png(
    scores: NDArray[np.floating],
    grid: Grid,
    size: tuple[int, int] | None = None,
    *,
    mask: NDArray[np.bool_] | None = None,
) -> bytes:
    """Return the heat map as a PNG with 256 colours and transparency; arguments as `heat_levels`.

    An 8-bit palette at the lowest compression is seven times quicker to write than RGBA.
    """
    return palette_png(heat_levels(scores, grid, size, mask=mask))


def polar_heat_png(
    scores: NDArray[np.floating],
    grid: Grid,
    pole: Pole,
    tile: tuple[int, int, int],
    *,
    mask: NDArray[np.bool_] | None = None,
) -> bytes:
    """Return a tile of the heat map as seen from above a pole, 256 pixels wide, as `heat_png`.

    tile: z, x, y as `mars_map.planet.polar` counts them.
    """
    tiles = grid.tile_at(*polar_tile_points(pole, *tile))
    return palette_png(tile_levels(scores, mask)[tiles])


def points_heat_png(
    scores: NDArray[np.floating],
    grid: Grid,
    lon: NDArray[np.floating],
    lat: NDArray[np.floating],
    *,
    mask: NDArray[np.bool_] | None = None,
) -> bytes:
    """Return the heat map of any pixels as `heat_png`; lon, lat: their centres, (rows, columns)."""
    return palette_png(tile_levels(scores, mask)[grid.tile_at(lon, lat)])


def tile_levels(scores: NDArray[np.floating], mask: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """Return the place in the palette of each tile, and 0 for the tile numbered -1, (n + 1,).

    mask: (n_tiles,), tiles to draw; None for all.
    """
    levels = colour_levels(scores, heat_scale(scores))
    if mask is not None:
        levels[:-1][~mask] = 0
    return levels


def colour_levels(scores: NDArray[np.floating], scale: HeatScale) -> NDArray[np.uint8]:
    """Return the place of each score in the palette, and a clear one past the last, (n + 1,)."""
    levels = np.zeros(len(scores) + 1, np.uint8)
    factor = np.float32(255.0 / max(scale.high - scale.low, 1e-9))
    for start in range(0, len(scores), LEVEL_ROWS):
        # In pieces, which stay in the cache through all five steps.
        position = scores[start : start + LEVEL_ROWS] - np.float32(scale.low)
        position *= factor
        np.clip(position, 0.0, 255.0, out=position)
        np.rint(position, out=position)
        levels[start : start + len(position)] = position
    return levels


def palette_png(levels: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None) -> bytes:
    """Return a picture of places in a palette, (height, width), as a PNG.

    palette: (256, 4) red, green, blue, alpha; `heat_palette` if not given.
    """
    palette = heat_palette() if palette is None else palette
    picture = Image.fromarray(levels, "L")
    picture.putpalette(palette[:, :3].tobytes())
    file = io.BytesIO()
    # Runs of one colour are most of a heat map: seeking nothing else is quicker and packs better.
    picture.save(
        file,
        "PNG",
        compress_level=1,
        compress_type=zlib.Z_RLE,
        transparency=palette[:, 3].tobytes(),
    )
    return file.getvalue()


def score_raster(
    scores: NDArray[np.floating], grid: Grid, *, mask: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Return the scores as a raster of the planet, (rows, columns) float32, NaN where none is.

    Plate carrée, north up, from 180 W; every pixel has the score of the tile under its centre. A
    regular grid gets one pixel a tile; rows that follow the cosine get two pixels a row.
    """
    values = np.append(np.asarray(scores, np.float32), np.float32(np.nan))
    if mask is not None:
        values[:-1][~mask] = np.nan
    return values[pixel_tiles(grid, *_raster_size(grid))]


def score_geotiff(
    scores: NDArray[np.floating],
    grid: Grid,
    *,
    mask: NDArray[np.bool_] | None = None,
    tags: dict[str, str] | None = None,
) -> bytes:
    """Return `score_raster` as a GeoTIFF in IAU_2015:49900, deflated, NaN as nodata.

    tags: texts to store in the file's metadata.
    """
    from rasterio.io import MemoryFile
    from rasterio.transform import from_bounds

    values = score_raster(scores, grid, mask=mask)
    rows, columns = values.shape
    profile = {
        "driver": "GTiff",
        "width": columns,
        "height": rows,
        "count": 1,
        "dtype": "float32",
        "nodata": float("nan"),
        "crs": ":".join(CRS_AUTHORITY),
        "transform": from_bounds(-180, -90, 180, 90, columns, rows),
        "compress": "deflate",
        "predictor": 3,
        "tiled": True,
    }
    with MemoryFile() as memory:
        with memory.open(**profile) as raster:
            raster.write(values, 1)
            raster.set_band_description(1, "score")
            raster.update_tags(**(tags or {}))
        return memory.read()


def _raster_size(grid: Grid) -> tuple[int, int]:
    step = float(grid.row_edges[1] - grid.row_edges[0])
    if len(np.unique(grid.row_columns)) > 1:
        step /= 2
    return round(360.0 / step), round(180.0 / step)
