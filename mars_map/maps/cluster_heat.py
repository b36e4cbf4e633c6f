"""Heat maps of an index on Dask workers: each draws its shards, and they join on the way back.

What reaches this process is one picture, whatever the number of tiles.
"""

import numpy as np
from numpy.typing import NDArray

from mars_map.maps.heat import (
    HIGH_QUANTILE,
    LOW_QUANTILE,
    HeatScale,
    colour_levels,
    heat_png,
    palette_png,
    picture_size,
    pixel_tiles,
    tile_pixels,
)
from mars_map.search import Engine, Query
from mars_map.search.cluster import ClusterScan, Scattered
from mars_map.search.shards import Shard, open_shard


def query_heat_png(engine: Engine, query: Query) -> bytes:
    """Return the heat map of a query as `heat_png` does, drawn on the workers where it has some.

    Raises like `Engine.search`.
    """
    scan = engine.scan
    # Hits of a refined index are scored anew here, which the workers know nothing of.
    if isinstance(scan, ClusterScan) and engine.index.refined is None:
        vector, _ = engine.vector(query)
        return cluster_heat_png(scan, scan.spread(vector), mask=engine.searched(query))
    result = engine.search(query)
    return heat_png(result.scores, result.index.grid, mask=result.region_mask)


def cluster_heat_png(
    scan: ClusterScan,
    scattered: Scattered,
    size: tuple[int, int] | None = None,
    *,
    mask: NDArray[np.bool_] | None = None,
) -> bytes:
    """Return the heat map of a query as `mars_map.maps.heat.heat_png` does, drawn on the workers.

    scattered: what `scan.spread` returned for the query's vector. mask: (n_tiles,), tiles to draw;
    None for all. The picture is the same, pixel for pixel. Raises ClusterError.
    """
    scale = HeatScale(*scan.quantiles(scattered, (LOW_QUANTILE, HIGH_QUANTILE)))
    size = size or picture_size(scan.index.grid)
    masks = [None if mask is None else np.packbits(mask[s[2] : s[3]]) for s in scan.shards]
    return palette_png(scan.reduce(np.maximum, _draw_shard, scattered, scale, size, each=masks))


def _draw_shard(
    scores: NDArray[np.float32],
    shard: Shard,
    scale: HeatScale,
    size: tuple[int, int],
    mask: NDArray[np.uint8] | None,
) -> NDArray[np.uint8]:
    """Draw the tiles of one shard on a clear picture of the planet, (height, width) uint8.

    mask: bits of the tiles to draw; None for all.
    """
    index, first, end = open_shard(shard), shard[2], shard[3]
    levels = colour_levels(scores, scale)
    if mask is not None:
        levels[:-1][np.unpackbits(mask, count=end - first) == 0] = 0
    tiles = pixel_tiles(index.grid, *size)
    # The entry past the last one of the shard is clear: for pixels over other shards and none.
    inside = (tiles >= first) & (tiles < end)
    picture = levels[np.where(inside, tiles - first, end - first)]
    pixels = tile_pixels(index.grid, *size)
    if pixels is not None:
        np.maximum.at(picture.reshape(-1), pixels[first:end], levels[:-1])
    return picture
