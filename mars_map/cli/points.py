"""Points that commands take."""

from pathlib import Path

from mars_map.errors import MarsMapError
from mars_map.index import open_index
from mars_map.planet.coordinates import check_point, format_point, parse_point


def example_tile(folder: Path, at: str) -> str:
    """Return the id of the tile at a point that is written LON,LAT."""
    lon, lat = check_point(*parse_point(at))
    grid = open_index(folder).grid
    tile = int(grid.tile_at(lon, lat))
    if tile < 0:
        raise MarsMapError(
            f"The index has no tile at {format_point(lon, lat)}; choose a point "
            f"between {grid.row_edges[0]:g} and {grid.row_edges[-1]:g} latitude."
        )
    return str(grid.names([tile])[0])
