"""The tile index on disk: open it, check it, write it.

A folder of plain files: `vectors.npy` (int8 or float16, memory-mapped), `scales.npy` (int8 only),
`vectors_float16.npy` (int8 only, optional: see `TileIndex.refined`),
`fraction_valid.npy` (only where some tiles are not whole), `tiles.parquet` (GeoParquet footprints
for other programs) and `manifest.json`. Nothing in it is executed when it is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import BuildError, IndexDamagedError, MarsMapError
from mars_map.index.files import (
    FRACTION_FILE,
    REFINED_FILE,
    SCALES_FILE,
    VECTORS_FILE,
    hash_file,
)
from mars_map.index.manifest import (
    FileRecord,
    Manifest,
    ModelCard,
    Quantisation,
    read_manifest,
)
from mars_map.index.writer import IndexWriter
from mars_map.planet.grid import Grid

PIECE_ROWS = 16_384
"""Rows that `write_index` scales and stores at a time."""


@dataclass(frozen=True, eq=False)
class TileIndex:
    """An open index. Tile i of the grid is row i of the vectors."""

    folder: Path
    """Where it lies."""
    manifest: Manifest
    """What it is."""
    vectors: NDArray
    """Stored vectors, (n_tiles, dim) int8 or float16, memory-mapped and read-only."""
    scales: NDArray[np.float32] | None
    """Factor of each int8 row, (n_tiles,) float32; None for float16."""
    fraction_valid: NDArray[np.float32] | None = None
    """Share of each tile that its images cover, (n_tiles,) float32, 0 for a tile without a vector,
    such as one in a polar gap; None where every tile is whole."""
    refined: NDArray[np.float16] | None = None
    """The vectors of an int8 index less rounded, (n_tiles, dim) float16, memory-mapped: hits are
    ranked by these. None where the index has only the int8 ones."""

    @property
    def grid(self) -> Grid:
        """The tile grid."""
        return self.manifest.grid

    @property
    def n_tiles(self) -> int:
        """Number of tiles."""
        return self.vectors.shape[0]

    @property
    def dim(self) -> int:
        """Dimensions of the vectors."""
        return self.vectors.shape[1]

    @cached_property
    def present(self) -> NDArray[np.bool_] | None:
        """Which tiles have a vector, (n_tiles,), read-only; None where all have.

        Only these may be ranked: the stored row of another is zero.
        """
        if self.fraction_valid is None:
            return None
        present = np.asarray(self.fraction_valid > 0)
        present.flags.writeable = False
        return None if present.all() else present

    @cached_property
    def digest(self) -> str:
        """sha256 of the manifest, hex."""
        return self.manifest.digest

    def vector(self, tile: int) -> NDArray[np.float32]:
        """Return the unit vector of a tile, (dim,) float32; of a tile without one, zeros."""
        vector = self.vectors[tile].astype(np.float32)
        return vector / max(float(np.linalg.norm(vector)), 1e-12)


def open_index(folder: str | Path) -> TileIndex:
    """Open an index folder without reading its vectors: milliseconds at any size.

    Sizes and headers are checked here, hashes by `verify_index`. Raises IndexMissingError,
    IndexVersionError or IndexDamagedError.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    for name, record in manifest.files.items():
        _check_size(folder / _plain_name(name), record)
    n, dim = manifest.grid.n_tiles, manifest.model.dim
    vectors = _map_array(folder / VECTORS_FILE, (n, dim), manifest.quantisation)
    scales = None
    if manifest.quantisation == "int8":
        scales = _map_array(folder / SCALES_FILE, (n,), "float32")
    fraction = None
    if FRACTION_FILE in manifest.files:
        fraction = _map_array(folder / FRACTION_FILE, (n,), "float32")
    refined = None
    if REFINED_FILE in manifest.files:
        refined = _map_array(folder / REFINED_FILE, (n, dim), "float16")
    return TileIndex(folder, manifest, vectors, scales, fraction, refined)


def verify_index(folder: str | Path) -> list[str]:
    """Read every byte of an index and compare it with the manifest.

    Returns one sentence for each thing that is wrong, naming the file; an empty list for a sound
    index. Raises nothing for damage: that is what it reports.
    """
    folder = Path(folder)
    try:
        manifest = read_manifest(folder)
    except MarsMapError as error:
        return [str(error)]
    problems = []
    for name, record in manifest.files.items():
        try:
            path = folder / _plain_name(name)
            _check_size(path, record)
            if hash_file(path) != record.sha256:
                problems.append(f'"{path}" is not the file that was published: its hash differs.')
        except MarsMapError as error:
            problems.append(str(error))
    if not problems:
        try:
            open_index(folder)
        except MarsMapError as error:
            problems.append(str(error))
    return problems


def write_index(
    folder: str | Path,
    *,
    grid: Grid,
    vectors: NDArray,
    model: ModelCard,
    source: str,
    licence: str,
    quantisation: Quantisation = "int8",
    refined: bool = False,
    synthetic: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> TileIndex:
    """Publish an index: all of it appears at once under `folder`, or nothing does.

    vectors: (grid.n_tiles, model.dim) floats; rows are scaled to length 1 before they are stored.
    refined: whether an int8 index also keeps float16 rows, by which its hits are then ranked.
    An index that is already there is replaced only when the new one is whole. Returns it opened.
    Raises BuildError for vectors of another shape or with rows that are not finite or are zero, and
    for a disk that is full or read-only.
    """
    if vectors.shape != (grid.n_tiles, model.dim):
        raise BuildError(
            f"The vectors have shape {vectors.shape}; this grid and model need "
            f"({grid.n_tiles}, {model.dim})."
        )
    with IndexWriter(
        folder, grid=grid, model=model, quantisation=quantisation, refined=refined
    ) as writer:
        for start in range(0, grid.n_tiles, PIECE_ROWS):
            rows = np.asarray(vectors[start : start + PIECE_ROWS])
            writer.put(np.arange(start, start + len(rows)), rows)
        writer.publish(source=source, licence=licence, synthetic=synthetic, extra=extra)
    return open_index(folder)


def _check_size(path: Path, record: FileRecord) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise IndexDamagedError(f'The index file "{path}" is missing.') from error
    if size != record.bytes:
        raise IndexDamagedError(
            f'The index file "{path}" has {size:,} bytes and should have {record.bytes:,}; it is '
            "truncated or was replaced: copy the index again."
        )


def _map_array(path: Path, shape: tuple[int, ...], dtype: str) -> NDArray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise IndexDamagedError(
            f'The index file "{path}" is not a NumPy array; copy the index again.'
        ) from error
    if array.shape != shape or array.dtype != np.dtype(dtype):
        raise IndexDamagedError(
            f'The index file "{path}" holds {array.dtype} {array.shape} and should hold {dtype} '
            f"{shape}; copy the index again."
        )
    return array


def _plain_name(name: str) -> str:
    # A manifest from elsewhere must not make the program read outside of its folder.
    if Path(name).name != name or name in ("", ".", ".."):
        raise IndexDamagedError(f'The manifest names a file outside of the index: "{name[:60]}".')
    return name
