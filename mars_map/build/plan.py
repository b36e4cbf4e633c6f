"""What a build of an index from a mosaic has to do: which tiles of which quad, and what is bad.

A quad is one file of a mosaic; a single raster is divided into quads of its own. Each tile belongs
to the quad that its centre lies in, so every tile is embedded once, whatever the grid.
"""

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import BuildError, MosaicError
from mars_map.mosaics import BadQuad, MosaicRaster, Quad, Reading, check_quad, list_quads
from mars_map.mosaics.quads import CTX_NODATA, QUAD_DEG, SOUTH_LIMIT
from mars_map.planet.grid import Grid
from mars_map.planet.sphere import METRES_PER_DEGREE

LIST_SUFFIXES = (".txt", ".lst")
"""Files that name quads, one a line."""
PART_ROWS = 20
"""Rows of tiles of each quad that a single raster is divided into: 400 tiles or so."""
CHECKING_THREADS = 8
"""Quads whose headers are read at once; most of the time is spent waiting for the disk."""
_EDGE_DEG = 1e-6
_INSET = 0.01


@dataclass(frozen=True)
class Recipe:
    """How tiles become vectors. Two builds by one recipe can be one index."""

    grid: Grid
    """The tiles."""
    model: str
    """What `load_image_encoder` loads; every machine must find it there."""
    model_sha256: str
    """Hash of its weights, hex."""
    pixels: int
    """Width and height of a tile's picture."""
    min_valid: float = 0.5
    """Least share of a tile that must have data; tiles with less get no vector."""
    reading: Reading = field(default_factory=Reading)
    """How the rasters' values are understood."""
    thumbnails: int = 0
    """Height of the thumbnails that are kept, pixels; 0 for none."""

    @property
    def width_km(self) -> float:
        """Height of a tile on the ground, kilometres; near the equator its width as well."""
        edges = self.grid.row_edges
        return float(edges[1] - edges[0]) * METRES_PER_DEGREE / 1000.0

    def to_dict(self) -> dict[str, Any]:
        """Return what decides the vectors, as plain values."""
        reading = self.reading
        return {
            "grid": self.grid.to_dict(),
            "model_sha256": self.model_sha256,
            "pixels": self.pixels,
            "min_valid": self.min_valid,
            "nodata": reading.nodata,
            "stretch": list(reading.stretch) if reading.stretch else None,
            "thumbnails": self.thumbnails,
        }


@dataclass(frozen=True, eq=False)
class Task:
    """One quad's share of a build."""

    quad: Quad
    """The quad."""
    tiles: NDArray[np.int64]
    """Numbers of its tiles, ascending, (n,)."""
    others: tuple[str, ...] = ()
    """Rasters of the quads around it, for tiles that reach over its edge."""
    named: bool = True
    """Whether the name of its file tells where it must lie."""
    state: tuple[tuple[str, int, int], ...] = ()
    """Name, bytes and time of change of each local file: vectors of another state are not used."""


@dataclass(frozen=True)
class Plan:
    """All of a build."""

    source: Path
    """The folder, list or raster."""
    kind: Literal["folder", "list", "raster"]
    """Which of these it is."""
    recipe: Recipe
    """How tiles become vectors."""
    tasks: tuple[Task, ...]
    """Quads that can be worked on."""
    bad: tuple[BadQuad, ...]
    """Quads that are known to be bad before the work starts."""
    outside: int = 0
    """Quads that hold no tile of the grid, such as those beyond 80 degrees."""

    @property
    def n_tiles(self) -> int:
        """Tiles that may get a vector."""
        return sum(len(task.tiles) for task in self.tasks)


def plan_build(source: Path, recipe: Recipe) -> Plan:
    """Find what there is to do; local quads are opened and checked, remote ones are not.

    source: a folder of quads, a text file with their paths and URLs, or a single raster. Raises
    MosaicError where the source as a whole cannot be used, and BuildError where it has no tile.
    """
    if source.is_dir() or source.suffix.lower() in LIST_SUFFIXES:
        plan = _plan_quads(source, recipe)
    else:
        plan = _plan_raster(source, recipe)
    if not plan.tasks:
        raise BuildError(
            plan.bad[0].reason if plan.bad else f'"{source}" covers no tile of this grid.'
        )
    return plan


def _plan_quads(source: Path, recipe: Recipe) -> Plan:
    listing = list_quads(source)
    recipe = replace(recipe, reading=replace(recipe.reading, gaps=CTX_NODATA))
    sound, bad = _check_all(listing.quads, recipe.reading)
    tiles = _divide(recipe.grid, QUAD_DEG, SOUTH_LIMIT)
    by_cell = {_cell(quad.box[0] + 1, quad.box[1] + 1): quad for quad in sound}
    tasks = []
    for cell, quad in by_cell.items():
        if cell in tiles:
            others = _neighbours(recipe.grid, tiles[cell], quad, cell, by_cell)
            state = _state([quad.location, *others])
            tasks.append(Task(quad, tiles[cell], others, True, state))
    return Plan(
        source,
        "folder" if source.is_dir() else "list",
        recipe,
        tuple(tasks),
        (*listing.bad, *bad),
        len(sound) - len(tasks),
    )


def _plan_raster(source: Path, recipe: Recipe) -> Plan:
    height = float(recipe.grid.row_edges[1] - recipe.grid.row_edges[0])
    side, base = PART_ROWS * height, float(recipe.grid.row_edges[0])
    tasks = []
    with MosaicRaster(source, recipe.reading) as raster:
        state = _state([str(source)])
        for (column, row), tiles in _divide(recipe.grid, side, base).items():
            covered = tiles[_touches(raster, recipe.grid.bounds(tiles))]
            if len(covered):
                west, south = -180.0 + column * side, base + row * side
                box = (west, south, min(west + side, 180.0), min(south + side, 90.0))
                quad = Quad(f"E{west:g}_N{south:g}", str(source), box)
                tasks.append(Task(quad, covered, named=False, state=state))
    tasks.sort(key=lambda task: (task.quad.box[1], task.quad.box[0]))
    return Plan(source, "raster", recipe, tuple(tasks), ())


def _check_all(quads: Iterable[Quad], reading: Reading) -> tuple[list[Quad], list[BadQuad]]:
    def check(quad: Quad) -> str:
        if not quad.is_ready:
            return ""  # checked when it is downloaded or unpacked
        try:
            check_quad(quad.location, quad.box, reading)
        except MosaicError as error:
            return str(error)
        return ""

    quads = list(quads)
    with ThreadPoolExecutor(CHECKING_THREADS) as pool:
        reasons = list(pool.map(check, quads))
    sound = [quad for quad, reason in zip(quads, reasons, strict=True) if not reason]
    bad = [
        BadQuad(quad.name, quad.location, reason)
        for quad, reason in zip(quads, reasons, strict=True)
        if reason
    ]
    return sound, bad


def _divide(grid: Grid, side: float, south: float) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Return the tiles whose centres lie in each square of some degrees, by column and row."""
    lon, lat = grid.centers
    columns = np.floor((lon + 180.0) / side + 1e-9).astype(np.int64)
    rows = np.floor((lat - south) / side + 1e-9).astype(np.int64)
    keys = rows * math.ceil(360.0 / side) + columns
    order = np.argsort(keys, kind="stable")
    breaks = np.flatnonzero(np.diff(keys[order])) + 1
    return {(int(columns[part[0]]), int(rows[part[0]])): part for part in np.split(order, breaks)}


def _cell(lon: float, lat: float) -> tuple[int, int]:
    return math.floor((lon + 180.0) / QUAD_DEG), math.floor((lat - SOUTH_LIMIT) / QUAD_DEG)


def _neighbours(
    grid: Grid,
    tiles: NDArray[np.int64],
    quad: Quad,
    cell: tuple[int, int],
    by_cell: dict[tuple[int, int], Quad],
) -> tuple[str, ...]:
    """Return the local rasters around a quad where its tiles reach over its edge."""
    bounds = grid.bounds(tiles)
    west, south, east, north = quad.box
    low, high = bounds.min(axis=0), bounds.max(axis=0)
    reach_x = (low[0] < west - _EDGE_DEG, high[2] > east + _EDGE_DEG)
    reach_y = (low[1] < south - _EDGE_DEG, high[3] > north + _EDGE_DEG)
    steps_x = [0, *(step for step, reaches in zip((-1, 1), reach_x, strict=True) if reaches)]
    steps_y = [0, *(step for step, reaches in zip((-1, 1), reach_y, strict=True) if reaches)]
    around = round(360.0 / QUAD_DEG)
    found = (by_cell.get(((cell[0] + x) % around, cell[1] + y)) for x in steps_x for y in steps_y)
    return tuple(
        other.location
        for other in found
        if other is not None and other is not quad and other.is_ready
    )


def _touches(raster: MosaicRaster, bounds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which boxes have their middle or a corner on the raster, (n,)."""
    west, south, east, north = bounds.T
    # A box that only shares an edge with the raster is not on it.
    inset = _INSET * (east - west), _INSET * (north - south)
    west, east, south, north = west + inset[0], east - inset[0], south + inset[1], north - inset[1]
    points = [((west + east) / 2, (south + north) / 2)]
    points += [(lon, lat) for lon in (west, east) for lat in (south, north)]
    return np.logical_or.reduce([raster.contains(lon, lat) for lon, lat in points])


def _state(locations: Iterable[str]) -> tuple[tuple[str, int, int], ...]:
    found = []
    for location in locations:
        if Path(location).is_file():
            status = Path(location).stat()
            found.append((Path(location).name, status.st_size, status.st_mtime_ns))
        else:
            found.append((location, 0, 0))
    return tuple(found)
