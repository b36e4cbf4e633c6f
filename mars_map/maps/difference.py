"""The difference of two queries as a picture: where one ranks the ground higher than the other."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from mars_map.maps.heat import LOW_QUANTILE, palette_png, picture_size, pixel_tiles
from mars_map.planet.grid import Grid
from mars_map.planet.polar import Pole, polar_tile_points

COLOUR_MAP = "vik"
"""Diverging colour map of Crameri (2018), doi 10.5281/zenodo.1243862: blue, white, red."""
SPAN = 0.5
"""Difference of percentiles, in favour of either, that has the strongest colour."""
OPAQUE_FROM = 0.9
"""Percentile by the query that ranks a tile higher from which on the colour is opaque."""
SHADES, FADES = 31, 8
"""Steps of colour and of transparency: together they fit a palette of 256."""


@cache
def difference_palette() -> NDArray[np.uint8]:
    """Return the colours, (256, 4) red, green, blue, alpha: clear, then each fade's shades."""
    from cmcrameri import cm

    shades = np.rint(getattr(cm, COLOUR_MAP)(np.linspace(0, 1, SHADES)) * 255).astype(np.uint8)
    palette = np.zeros((256, 4), np.uint8)
    for fade in range(FADES):
        rows = slice(1 + fade * SHADES, 1 + (fade + 1) * SHADES)
        palette[rows] = shades
        palette[rows, 3] = round(255 * (fade + 1) / FADES)
    palette.flags.writeable = False
    return palette


def difference_levels(percentiles: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return the place in the palette of each tile, (n_tiles,); 0 is clear.

    percentiles: share of the ground below each tile by both queries, (2, n_tiles), nan for tiles
    that are not compared. The colour is their difference, red where the first is higher. What is
    in the upper quarter of neither is clear, as it is on the heat maps of both.
    """
    first, second = percentiles
    known = np.isfinite(first) & np.isfinite(second)
    difference = np.where(known, first - second, 0.0)
    highest = np.where(known, np.maximum(first, second), 0.0)
    shade = np.rint((np.clip(difference / SPAN, -1, 1) + 1) / 2 * (SHADES - 1)).astype(int)
    share = (highest - LOW_QUANTILE) / (OPAQUE_FROM - LOW_QUANTILE)
    fade = np.ceil(np.clip(share, 0, 1) * FADES).astype(int)
    return np.where(fade > 0, 1 + (fade - 1) * SHADES + shade, 0).astype(np.uint8)


def difference_png(
    percentiles: NDArray[np.floating], grid: Grid, size: tuple[int, int] | None = None
) -> bytes:
    """Return the difference as a PNG of the planet, plate carrée, north up, from 180 W.

    percentiles: as for `difference_levels`. size: columns and rows, `picture_size` if not given.
    """
    return _png(percentiles, pixel_tiles(grid, *(size or picture_size(grid))))


def polar_difference_png(
    percentiles: NDArray[np.floating], grid: Grid, pole: Pole, tile: tuple[int, int, int]
) -> bytes:
    """Return a tile of the difference as seen from above a pole, 256 pixels wide.

    tile: z, x, y as `mars_map.planet.polar` counts them.
    """
    return _png(percentiles, grid.tile_at(*polar_tile_points(pole, *tile)))


def _png(percentiles: NDArray[np.floating], tiles: NDArray[np.integer]) -> bytes:
    """Return the picture whose pixels show the tiles of these numbers, -1 for none."""
    levels = np.append(difference_levels(percentiles), np.uint8(0))
    return palette_png(levels[tiles], difference_palette())


def difference_colours(stops: int = 9) -> list[str]:
    """Return colours of the scale for a legend, from the second query's side to the first's."""
    shades = difference_palette()[1 + (FADES - 1) * SHADES :][:SHADES]
    chosen = shades[np.linspace(0, SHADES - 1, stops).round().astype(int)]
    return [f"rgb({red} {green} {blue})" for red, green, blue, _ in chosen.tolist()]
