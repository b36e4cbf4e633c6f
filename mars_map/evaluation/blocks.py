"""Part of the planet on which a search is judged, such as the blocks held out from training."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import CatalogueError
from mars_map.evaluation.catalogues import read_catalogue
from mars_map.evaluation.nearness import tiles_inside
from mars_map.planet.blocks import block_numbers
from mars_map.planet.grid import Grid


class Blocks(NamedTuple):
    """The tiles on which a search is judged."""

    name: str
    """Name of the file."""
    tiles: NDArray[np.bool_]
    """Whether each tile is one of them, (n_tiles,)."""


def read_blocks(path: str | Path, grid: Grid) -> Blocks:
    """Read which tiles of a grid to rank: those whose centres lie in the blocks of a file.

    The file holds polygons, or it is the split that training commits: JSON whose `test` lists
    blocks of 15 x 20 degrees, numbered by rows of 18 from the south-west corner. Raises
    CatalogueError for any other file, and where no tile is left.
    """
    path = Path(path)
    numbers = _split_numbers(path)
    if numbers is None:
        tiles = np.zeros(grid.n_tiles, bool)
        tiles[tiles_inside(read_catalogue(path).geometries, grid).tile] = True
    else:
        tiles = np.isin(block_numbers(*grid.centers), numbers)
    if not tiles.any():
        raise CatalogueError(f'No tile of the index lies in the blocks of "{path}"; give polygons.')
    return Blocks(path.name, tiles)


def _split_numbers(path: Path) -> list[int] | None:
    """Return the numbers of a split's test blocks; None for a file that is no split."""
    if path.suffix.lower() != ".json":
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
        return [int(number) for number in values["test"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        # Then it has to be a catalogue, whose reader says what is wrong with it.
        return None
