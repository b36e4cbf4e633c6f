"""The table of tiles as GeoParquet, written in pieces so that a planet of millions fits in memory.

Used for `tiles.parquet` of an index and for the export of a whole index; the format is GeoParquet
1.1.0 with polygons as WKB and the CRS as PROJJSON.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mars_map.planet.geometry import box_polygons
from mars_map.planet.grid import Grid
from mars_map.planet.sphere import mars_crs

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 16_384
"""Rows of a piece, and of a row group of the file."""


def geo_metadata(grid: Grid) -> dict[str, str]:
    """Return the `geo` entry that GeoParquet wants in a file with the tiles of a grid."""
    bounds = [-180.0, float(grid.row_edges[0]), 180.0, float(grid.row_edges[-1])]
    column = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": mars_crs().to_json_dict(),
        "orientation": "counterclockwise",
        "bbox": bounds,
    }
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    return {"geo": json.dumps(geo)}


def tile_columns(grid: Grid, tiles: NDArray[np.int64], name: str = "tile") -> dict[str, Any]:
    """Return the columns of some tiles: id (called `name`), lon and lat of the centre, geometry.

    tiles: (n,) numbers. Outlines are well-known binary, counterclockwise, degrees, planetocentric.
    """
    import pyarrow as pa
    import shapely

    bounds = grid.bounds(tiles)
    return {
        name: pa.array(grid.names(tiles), pa.string()),
        "lon": pa.array((bounds[:, 0] + bounds[:, 2]) / 2),
        "lat": pa.array((bounds[:, 1] + bounds[:, 3]) / 2),
        "geometry": pa.array(shapely.to_wkb(box_polygons(bounds)), pa.binary()),
    }


def tile_tables(grid: Grid, fraction_valid: NDArray[np.float32] | None) -> Iterator["pa.Table"]:
    """Yield the table of all tiles in pieces of `ROWS`, the GeoParquet metadata on each.

    fraction_valid: (n_tiles,) column of that name, or None to leave it out.
    """
    import pyarrow as pa

    for start in range(0, grid.n_tiles, ROWS):
        tiles = np.arange(start, min(start + ROWS, grid.n_tiles))
        columns = tile_columns(grid, tiles)
        if fraction_valid is not None:
            columns["fraction_valid"] = pa.array(np.asarray(fraction_valid[tiles], np.float32))
        yield pa.table(columns, metadata=geo_metadata(grid))
