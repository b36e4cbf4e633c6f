"""The tile index on disk: open it, check it, write it.

A folder of plain files: `vectors.npy` (int8 or float16, memory-mapped), `scales.npy` (int8 only),
`tiles.parquet` (GeoParquet footprints for other programs) and `manifest.json`. Nothing in it is
executed when it is read.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import BuildError, IndexDamagedError, MarsMapError
from mars_map.index.manifest import (
    FileRecord,
    Manifest,
    ModelCard,
    Quantisation,
    read_manifest,
    write_manifest,
)
from mars_map.planet.geometry import box_polygons
from mars_map.planet.grid import Grid
from mars_map.planet.sphere import mars_crs

VECTORS_FILE = "vectors.npy"
SCALES_FILE = "scales.npy"
TILES_FILE = "tiles.parquet"


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
    def digest(self) -> str:
        """sha256 of the manifest, hex."""
        return self.manifest.digest

    def vector(self, tile: int) -> NDArray[np.float32]:
        """Return the unit vector of a tile, (dim,) float32."""
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
    return TileIndex(folder, manifest, vectors, scales)


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
    synthetic: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> TileIndex:
    """Publish an index: all of it appears at once under `folder`, or nothing does.

    vectors: (grid.n_tiles, model.dim) floats; rows are scaled to length 1 before they are stored.
    An index that is already there is replaced only when the new one is whole. Returns it opened.
    Raises BuildError for vectors of another shape or with rows that are not finite or are zero, and
    for a disk that is full or read-only.
    """
    folder = Path(folder)
    if vectors.shape != (grid.n_tiles, model.dim):
        raise BuildError(
            f"The vectors have shape {vectors.shape}; this grid and model need "
            f"({grid.n_tiles}, {model.dim})."
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".index-", dir=folder.parent) as temporary:
            staging = Path(temporary) / "index"
            staging.mkdir()
            _write_vectors(staging, vectors, quantisation)
            _write_tiles(staging, grid)
            files = {p.name: FileRecord(p.stat().st_size, hash_file(p)) for p in staging.iterdir()}
            manifest = Manifest(
                grid=grid,
                model=model,
                quantisation=quantisation,
                files=files,
                source=source,
                licence=licence,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                synthetic=synthetic,
                extra=extra or {},
            )
            write_manifest(staging, manifest)
            if folder.exists():
                read_manifest(folder)  # only an index may be replaced, never some other folder
                folder.rename(Path(temporary) / "old")
            shutil.move(staging, folder)
    except OSError as error:
        raise BuildError(f'The index "{folder}" could not be written: {error.strerror}.') from error
    return open_index(folder)


def quantise_int8(vectors: NDArray) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Store unit rows as int8 with one scale a row: row ≈ int8 * scale.

    vectors: (n, dim) floats. Returns (n, dim) int8 in -127..127 and (n,) float32 scales. The scale
    also makes each stored row exactly as long as 1, so that scores stay cosines.
    """
    peak = np.maximum(np.abs(vectors).max(axis=1), 1e-12)
    steps = np.rint(vectors / peak[:, None] * 127.0).astype(np.int8)
    lengths = np.linalg.norm(steps.astype(np.float32), axis=1)
    return steps, (1.0 / np.maximum(lengths, 1e-12)).astype(np.float32)


def hash_file(path: Path) -> str:
    """Return the sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_vectors(folder: Path, vectors: NDArray, quantisation: Quantisation) -> None:
    lengths = np.linalg.norm(np.asarray(vectors, np.float32), axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        bad = int((~np.isfinite(lengths) | (lengths == 0)).sum())
        raise BuildError(f"{bad:,} of the vectors are zero or not finite; embed those tiles again.")
    unit = np.asarray(vectors, np.float32) / lengths
    if quantisation == "float16":
        np.save(folder / VECTORS_FILE, unit.astype(np.float16))
        return
    steps, scales = quantise_int8(unit)
    np.save(folder / VECTORS_FILE, steps)
    np.save(folder / SCALES_FILE, scales)


def _write_tiles(folder: Path, grid: Grid) -> None:
    import geopandas as gpd

    tiles = np.arange(grid.n_tiles)
    lon, lat = grid.centers
    columns = {"tile": grid.names(tiles), "lon": lon, "lat": lat}
    frame = gpd.GeoDataFrame(columns, geometry=box_polygons(grid.bounds(tiles)), crs=mars_crs())
    frame.to_parquet(folder / TILES_FILE, index=False, compression="zstd")


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
