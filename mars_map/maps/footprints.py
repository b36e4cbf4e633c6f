"""Footprints: the outlines of the hits, as a table for GIS and as arrays for the live map."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mars_map.planet.geometry import box_polygons
from mars_map.planet.grid import Grid
from mars_map.planet.sphere import mars_crs
from mars_map.search import Result

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

PLACE_COLUMNS = {
    "tile": "id of the tile in the query's index",
    "lon": "longitude of the tile's centre, degrees east, -180 to 180",
    "lat": "planetocentric latitude of the tile's centre, degrees",
    "west": "western border, degrees east",
    "south": "southern border, degrees",
    "east": "eastern border, degrees east",
    "north": "northern border, degrees",
}
"""Columns that say where a tile is."""
ORIGIN_COLUMNS = {
    "query": "the words of the query, or the tiles that it was to look like",
    "model": "name of the query's model and the first digits of its sha256",
    "index": "first digits of the sha256 of the query's index",
    "date": "when the table was made, UTC, ISO 8601",
}
"""Columns that say where a table comes from."""
COLUMNS = {
    "rank": "place in the answer, 1 for the best",
    "score": "cosine similarity to the query, -1 to 1",
    **PLACE_COLUMNS,
    **ORIGIN_COLUMNS,
}
"""Columns of a table of hits and what they mean; names fit the ten characters of a shapefile."""

SHORT_HASH = 12
"""Digits of a hash in the columns; the metadata of a file has all of them."""
DIGITS = 6
"""Decimals of scores and degrees; 1e-6 degrees are six centimetres."""


def to_geodataframe(result: Result, date: datetime | None = None) -> "GeoDataFrame":
    """Return the hits, best first, with the columns `COLUMNS` and their outlines as geometry.

    CRS is IAU_2015:49900. A tile never crosses the antimeridian, so every outline is one polygon
    without holes. date: what to write into the column; now if not given.
    """
    import geopandas as gpd

    places, outlines = place_columns(result.index.grid, result.hits)
    columns = {
        "rank": np.arange(1, len(result.hits) + 1, dtype=np.int32),
        "score": result.hit_scores.astype(np.float64).round(DIGITS),
        **places,
        **origin_columns(result, date),
    }
    return gpd.GeoDataFrame(columns, geometry=outlines, crs=mars_crs())


def place_columns(
    grid: Grid, tiles: NDArray[np.int64]
) -> tuple[dict[str, Any], NDArray[np.object_]]:
    """Return `PLACE_COLUMNS` of some tiles, and their outlines as polygons, (n,) objects."""
    # Also west + 360 / n has digits in the sixteenth place; neighbours still share their edge.
    bounds = np.round(grid.bounds(tiles), 9)
    west, south, east, north = bounds.T
    columns = {
        "tile": grid.names(tiles),
        "lon": ((west + east) / 2).round(DIGITS),
        "lat": ((south + north) / 2).round(DIGITS),
        "west": west.round(DIGITS),
        "south": south.round(DIGITS),
        "east": east.round(DIGITS),
        "north": north.round(DIGITS),
    }
    return columns, box_polygons(bounds)


def origin_columns(result: Result, date: datetime | None = None) -> dict[str, str]:
    """Return `ORIGIN_COLUMNS` of the answer to a query; date: now if not given."""
    model = result.index.manifest.model
    return {
        "query": result.query.label,
        "model": f"{model.id} {model.sha256[:SHORT_HASH]}",
        "index": result.index.digest[:SHORT_HASH],
        "date": iso_date(date),
    }


def hit_arrays(result: Result) -> dict[str, list[Any]]:
    """Return the hits for the live map: `tiles` (numbers, best first) and `scores`, same length.

    The map knows the grid and makes the outlines itself, which keeps 20,000 hits at 0.3 MB.
    """
    scores = result.hit_scores.astype(np.float64).round(DIGITS)
    return {"tiles": result.hits.tolist(), "scores": scores.tolist()}


def iso_date(date: datetime | None = None) -> str:
    """Return a date and time as "2026-01-31T12:00:00Z"; now if none is given."""
    moment = (date or datetime.now(UTC)).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
