"""Points that commands take."""

from pathlib import Path

from mars_map.index import open_index
from mars_map.planet.coordinates import parse_point


def example_tile(folder: Path, at: str) -> str:
    """Return the id of the tile at a point that is written LON,LAT. Raises CoordinateError."""
    return open_index(folder).grid.name_at(*parse_point(at))
