"""Indexes of other programs as ours: MarsRetrieval databases, GeoParquet, arrays with a table.

    report = import_source(open_source("marscope_db"), "marscope", model=ModelCard(...))

Nothing of the source is executed, every row is on its tile or it is an error, and what was left out
is counted. docs/imports.md has the formats.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import ForeignIndexError
from mars_map.imports.arrays import FEATURES_FILE, array_source, marsretrieval_source
from mars_map.imports.parquet import parquet_source
from mars_map.imports.placing import Anchor, find_grid, parse_grid, place
from mars_map.imports.source import Source
from mars_map.index import IndexWriter, ModelCard, TileIndex, open_index
from mars_map.index.manifest import MANIFEST_FILE, Quantisation
from mars_map.index.writer import UNIT_WITHIN
from mars_map.planet.grid import Grid

__all__ = ["ImportReport", "Source", "import_source", "open_source", "parse_grid"]


@dataclass(frozen=True, eq=False)
class ImportReport:
    """What an import did."""

    index: TileIndex
    """The new index, open."""
    rows: int
    """Rows of the source."""
    imported: int
    """Rows that became a tile's vector."""
    unusable: int
    """Rows left out because their vector is zero or not finite."""
    unplaced: int
    """Rows left out because they state no position."""
    rescaled: int
    """Rows imported that were not of length 1."""

    @property
    def empty(self) -> int:
        """Tiles of the grid without a vector."""
        return self.index.n_tiles - self.imported


def open_source(
    path: str | Path,
    *,
    table: Path | None = None,
    column: str | None = None,
    anchor: Anchor = "centre",
    assume_mars: bool = False,
) -> Source:
    """Open embeddings of another program, whichever of the known formats they are.

    path: a MarsRetrieval database, a Parquet file or a folder of them, or a `.npy` file with a CSV
    of the same name beside it (or named by `table`). The rest as in `array_source` and
    `parquet_source`. Raises ForeignIndexError.
    """
    path = Path(path)
    if not path.exists():
        raise ForeignIndexError(f'There is no "{path}" to import.')
    if (path / MANIFEST_FILE).exists():
        raise ForeignIndexError(f'"{path}" is an index of mars_map already; open it with --index.')
    if (path / FEATURES_FILE).exists():
        return marsretrieval_source(path)
    if path.suffix in (".parquet", ".geoparquet", ".gpq") or any(path.glob("*.parquet")):
        return parquet_source(path, column=column, anchor=anchor, assume_mars=assume_mars)
    if path.suffix == ".npy":
        return array_source(path, table or path.with_suffix(".csv"), anchor)
    raise ForeignIndexError(
        f'"{path}" is neither a MarsRetrieval database (features.npy, metadata.pkl, '
        "coordinates.pkl), nor Parquet, nor a .npy file with a CSV."
    )


def import_source(
    source: Source,
    folder: str | Path,
    *,
    model: ModelCard,
    quantisation: Quantisation = "float16",
    refined: bool = False,
    grid: Grid | None = None,
    images: str | None = None,
    licence: str | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> ImportReport:
    """Write a source as an index and tell what was done.

    model: which model made the vectors; a query by another is refused. refined: as for
    `IndexWriter`. grid: the one that the rows lie on, found if not given. images, licence: what was
    embedded and the terms, as the manifest tells them. Rows without a position, and rows that are
    zero or not finite, are left out and counted; their tiles have no vector and are never hits.
    progress: called with the number of rows after each piece. Memory stays under 400 MB at 1.44
    million rows. Raises ForeignIndexError and BuildError.
    """
    if model.dim != source.dim:
        raise ForeignIndexError(
            f'"{source.name}" has vectors of {source.dim} dimensions, not {model.dim}.'
        )
    grid = grid or source.grid or find_grid(source.positions)
    tiles = place(source.positions, grid)
    counts = _Counts()
    with IndexWriter(
        folder, grid=grid, model=model, quantisation=quantisation, refined=refined
    ) as writer:
        start = 0
        for vectors in source.pieces():
            chosen = counts.choose(tiles[start : start + len(vectors)], vectors)
            writer.put(tiles[start : start + len(vectors)][chosen], vectors[chosen])
            start += len(vectors)
            progress(len(vectors))
        if not counts.imported:
            raise ForeignIndexError(f'"{source.name}" has no vector that is finite and not zero.')
        writer.publish(
            source=images or f'imported from the {source.format} "{source.name}"',
            licence=licence or "not stated by the source",
            extra={
                "imported": {
                    "format": source.format,
                    "name": source.name,
                    "rows": source.rows,
                    "unusable": counts.unusable,
                    "unplaced": counts.unplaced,
                }
            },
        )
    return ImportReport(open_index(folder), source.rows, **vars(counts))


class _Counts:
    """Chooses the rows that can be imported, and counts the others."""

    def __init__(self) -> None:
        self.imported = self.unusable = self.unplaced = self.rescaled = 0

    def choose(self, tiles: NDArray[np.int64], vectors: NDArray) -> NDArray[np.bool_]:
        """Return which rows of a piece to write, (n,)."""
        lengths = np.linalg.norm(vectors, axis=1)
        placed = tiles >= 0
        usable = np.isfinite(lengths) & (lengths > 0)
        chosen = placed & usable
        self.unplaced += int((~placed).sum())
        self.unusable += int((placed & ~usable).sum())
        self.imported += int(chosen.sum())
        self.rescaled += int((chosen & (np.abs(lengths - 1) > UNIT_WITHIN)).sum())
        return chosen
