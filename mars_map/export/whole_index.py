"""A whole index as GeoParquet: every tile that has a vector, with its outline and embedding.

The columns are Earth Index's (`id`, `geometry`, `embedding`) with the centre beside them, so that
programs that read its embeddings read these. Embeddings are lists of float32 whatever the index
stores: int8 and float16 are both exact in it.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import ExportError
from mars_map.export.provenance import METADATA_KEY, program_version
from mars_map.files import whole_file
from mars_map.index import TileIndex
from mars_map.index.tiles import geo_metadata, tile_columns

if TYPE_CHECKING:
    import pyarrow as pa

PIECE_ROWS = 8_192
"""Rows of a piece and of a row group: 25 MB at 768 dimensions."""


def export_geoparquet(
    index: TileIndex, path: str | Path, *, progress: Callable[[int], object] = lambda _: None
) -> Path:
    """Write the index as a GeoParquet file and return its path.

    The metadata has the CRS (IAU_2015:49900) and, under `mars_map`, the index's manifest. An older
    file of that name is replaced when the new one is whole. progress: called with the number of
    tiles after each piece. Memory stays under 200 MB at 768 dimensions. Raises ExportError where
    the place cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise ExportError(f'"{path}" is a folder; name a file to write.')
    with writing(path), whole_file(path) as part:
        write_tables(index, part, progress)
    return path


def write_tables(index: TileIndex, path: Path, progress: Callable[[int], object]) -> None:
    """Write the GeoParquet file piece by piece, straight to its place. Raises OSError."""
    import pyarrow.parquet as pq

    pieces = index_tables(index)
    first = next(pieces)
    # Embeddings and ids hardly repeat: a dictionary of them would only cost.
    with pq.ParquetWriter(path, first.schema, compression="zstd", use_dictionary=False) as file:
        for piece in chain([first], pieces):
            file.write_table(piece)
            progress(len(piece))


def index_tables(index: TileIndex) -> Iterator["pa.Table"]:
    """Yield the tiles that have a vector in pieces of `PIECE_ROWS`, metadata on each.

    Columns: id, lon, lat, geometry, fraction_valid (where some tiles are not whole), embedding.
    """
    import pyarrow as pa

    manifest = {"program": f"mars_map {program_version()}", **index.manifest.to_dict()}
    metadata = {**geo_metadata(index.grid), METADATA_KEY: json.dumps(manifest)}
    tiles = np.arange(index.n_tiles) if index.present is None else np.flatnonzero(index.present)
    for start in range(0, len(tiles), PIECE_ROWS):
        chosen = tiles[start : start + PIECE_ROWS]
        columns = tile_columns(index.grid, chosen, "id")
        if index.fraction_valid is not None:
            columns["fraction_valid"] = pa.array(np.asarray(index.fraction_valid[chosen]))
        values = pa.array(embeddings(index, chosen).reshape(-1))
        offsets = pa.array(np.arange(len(chosen) + 1, dtype=np.int32) * index.dim)
        columns["embedding"] = pa.ListArray.from_arrays(offsets, values)
        yield pa.table(columns, metadata=metadata)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says about a file or folder into an ExportError."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise ExportError(
            f'"{path}" could not be written ({reason}); choose another place.'
        ) from error


def embeddings(index: TileIndex, tiles: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the vectors as they are stored, (n, dim): not scaled again, so that none changes."""
    rows = index.vectors[tiles].astype(np.float32)
    return rows if index.scales is None else rows * index.scales[tiles][:, None]
