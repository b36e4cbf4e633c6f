"""Write an index piece by piece, rows in any order, and publish it whole or not at all.

    with IndexWriter(folder, grid=grid, model=ModelCard(...)) as writer:
        for tiles, vectors in pieces:
            writer.put(tiles, vectors)
        writer.publish(source=..., licence=...)
    index = open_index(folder)

Everything is written beside the folder, with plain file writes: a full disk is then an error that
can be told, where a memory map would kill the process.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import BuildError
from mars_map.index.files import (
    FRACTION_FILE,
    REFINED_FILE,
    SCALES_FILE,
    TILES_FILE,
    VECTORS_FILE,
    hash_file,
    save_array,
)
from mars_map.index.manifest import (
    FileRecord,
    Manifest,
    ModelCard,
    Quantisation,
    read_manifest,
    write_manifest,
)
from mars_map.index.tiles import tile_tables
from mars_map.planet.grid import Grid

UNIT_WITHIN = 2.0**-11
"""Rows whose length differs from 1 by no more are stored in float16 as they are: float16 itself
rounds by as much, and what was exported comes back bit for bit."""
SPARE_BYTES = 120
"""Bytes of `tiles.parquet` and the small files a tile, an upper estimate for the check of space."""


class IndexWriter:
    """Writes one index. Used as a context; leaving it without `publish` leaves nothing behind."""

    def __init__(
        self,
        folder: str | Path,
        *,
        grid: Grid,
        model: ModelCard,
        quantisation: Quantisation = "int8",
        refined: bool = False,
    ) -> None:
        """Prepare to write an index of a grid to `folder`, by a model.

        refined: whether an int8 index also keeps float16 rows, by which its hits are then ranked.
        Raises BuildError where the disk has too little room or cannot be written, and
        IndexMissingError where `folder` is there and no index: only an index may be replaced.
        """
        self.folder = Path(folder)
        self.grid, self.model, self.quantisation = grid, model, quantisation
        self._keeps_refined = refined and quantisation == "int8"
        self._dtype = np.dtype(np.int8 if quantisation == "int8" else np.float16)
        self._scales = np.zeros(grid.n_tiles if quantisation == "int8" else 0, np.float32)
        self._fraction = np.zeros(grid.n_tiles, np.float32)
        if self.folder.exists():
            read_manifest(self.folder)
        with self._errors():
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._check_space()
            self._temporary = tempfile.TemporaryDirectory(prefix=".index-", dir=self.folder.parent)
            self._staging = Path(self._temporary.name) / "index"
            self._staging.mkdir()
            self._file = self._start_vectors(VECTORS_FILE, self._dtype)
            self._refined: BinaryIO | None = None
            if self._keeps_refined:
                self._refined = self._start_vectors(REFINED_FILE, np.dtype(np.float16))

    def __enter__(self) -> "IndexWriter":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for file in filter(None, (self._file, self._refined)):
                file.close()
        except OSError:
            pass  # what could not be flushed is thrown away with the rest
        finally:
            self._temporary.cleanup()

    def put(
        self,
        tiles: NDArray[np.int64],
        vectors: NDArray,
        fraction_valid: NDArray[np.float32] | None = None,
    ) -> None:
        """Store the vectors of some tiles; rows are scaled to length 1.

        tiles: (n,) numbers, each once in the whole index. vectors: (n, dim) floats. fraction_valid:
        (n,) share of each tile that its images cover, above 0 to 1; 1 if not given. Raises
        BuildError for another shape, for rows that are zero or not finite, for a tile that was
        stored before and for a disk that is full.
        """
        tiles = np.asarray(tiles, np.int64)
        if vectors.shape != (len(tiles), self.model.dim):
            raise BuildError(
                f"The vectors have shape {vectors.shape}; these tiles and this model need "
                f"({len(tiles)}, {self.model.dim})."
            )
        share = np.ones(len(tiles), np.float32) if fraction_valid is None else fraction_valid
        if not ((share > 0) & (share <= 1)).all():
            raise BuildError("The valid fraction of a tile with a vector is above 0 and at most 1.")
        order = np.argsort(tiles, kind="stable")
        tiles, rows = tiles[order], unit_rows(vectors[order], self.quantisation)
        again = self._fraction[tiles] > 0
        again[1:] |= tiles[1:] == tiles[:-1]
        if again.any():
            name = self.grid.names(tiles[again][:1])[0]
            raise BuildError(f"The tile {name} has more than one vector; give each tile one.")
        with self._errors():
            if self._refined is not None:
                self._write_rows(self._refined, tiles, rows.astype(np.float16))
            if self.quantisation == "int8":
                rows, self._scales[tiles] = quantise_int8(rows)
            self._fraction[tiles] = np.asarray(share, np.float32)[order]
            self._write_rows(self._file, tiles, rows.astype(self._dtype))

    def add_files(self, write: Callable[[Path], object]) -> None:
        """Let the caller write further files of the index into a folder that it is given.

        They are published with the rest and recorded in the manifest. Raises BuildError for a disk
        that is full.
        """
        with self._errors():
            write(self._staging)

    def publish(
        self,
        *,
        source: str,
        licence: str,
        synthetic: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Make the index appear under its folder; one that was there is replaced.

        Tiles that were never put have no vector: the file `fraction_valid.npy` then says so. Raises
        BuildError without any vector, and for a disk that is full.
        """
        if not self._fraction.any():
            raise BuildError("There is no vector to write an index of.")
        with self._errors():
            for file in filter(None, (self._file, self._refined)):
                file.close()
            self._write_side_files()
            files = {
                path.name: FileRecord(path.stat().st_size, hash_file(path))
                for path in self._staging.iterdir()
            }
            manifest = Manifest(
                grid=self.grid,
                model=self.model,
                quantisation=self.quantisation,
                files=files,
                source=source,
                licence=licence,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                synthetic=synthetic,
                extra=extra or {},
            )
            write_manifest(self._staging, manifest)
            if self.folder.exists():
                read_manifest(self.folder)  # only an index may be replaced, never another folder
                self.folder.rename(Path(self._temporary.name) / "old")
            shutil.move(self._staging, self.folder)

    def _check_space(self) -> None:
        row = self.model.dim * (self._dtype.itemsize + 2 * self._keeps_refined) + SPARE_BYTES
        needed, free = self.grid.n_tiles * row, shutil.disk_usage(self.folder.parent).free
        if needed > free:
            raise BuildError(
                f'The index "{self.folder}" needs {needed / 1e9:,.1f} GB and the disk has '
                f"{free / 1e9:,.1f} GB free; make room or write it elsewhere."
            )

    def _start_vectors(self, name: str, dtype: np.dtype) -> BinaryIO:
        file = (self._staging / name).open("wb")
        shape = (self.grid.n_tiles, self.model.dim)
        header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        self._start = file.tell()
        # Rows that are never written are zero, and take no room where the file system has holes.
        file.truncate(self._start + shape[0] * shape[1] * dtype.itemsize)
        return file

    def _write_rows(self, file: BinaryIO, tiles: NDArray[np.int64], rows: NDArray) -> None:
        """Write rows by ascending tile; neighbours in one go."""
        stride = self.model.dim * rows.itemsize
        breaks = np.flatnonzero(np.diff(tiles) != 1) + 1
        for first, last in zip([0, *breaks], [*breaks, len(tiles)], strict=True):
            if last > first:
                file.seek(self._start + int(tiles[first]) * stride)
                file.write(rows[first:last].tobytes())

    def _write_side_files(self) -> None:
        import pyarrow.parquet as pq

        if self.quantisation == "int8":
            save_array(self._staging / SCALES_FILE, self._scales)
        whole = bool((self._fraction == 1).all())
        if not whole:
            save_array(self._staging / FRACTION_FILE, self._fraction)
        pieces = tile_tables(self.grid, None if whole else self._fraction)
        first = next(pieces)
        with pq.ParquetWriter(self._staging / TILES_FILE, first.schema, compression="zstd") as file:
            file.write_table(first)
            for piece in pieces:
                file.write_table(piece)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # pyarrow has a number and a text of its own in the place of the system's words.
            reason = os.strerror(error.errno) if error.errno else error
            raise BuildError(
                f'The index "{self.folder}" could not be written: {reason}.'
            ) from error


def unit_rows(vectors: NDArray, quantisation: Quantisation) -> NDArray[np.float32]:
    """Return rows scaled to length 1, (n, dim) float32.

    For float16, rows that are of length 1 within its own rounding are left alone. Raises BuildError
    for rows that are zero or not finite.
    """
    rows = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    bad = int((~np.isfinite(lengths) | (lengths == 0)).sum())
    if bad:
        raise BuildError(f"{bad:,} of the vectors are zero or not finite; embed those tiles again.")
    if quantisation == "float16":
        lengths = np.where(np.abs(lengths - 1) <= UNIT_WITHIN, np.float32(1), lengths)
    return rows / lengths


def quantise_int8(vectors: NDArray) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Store unit rows as int8 with one scale a row: row ≈ int8 * scale.

    vectors: (n, dim) floats. Returns (n, dim) int8 in -127..127 and (n,) float32 scales. The scale
    also makes each stored row exactly as long as 1, so that scores stay cosines.
    """
    peak = np.maximum(np.abs(vectors).max(axis=1), 1e-12)
    steps = np.rint(vectors / peak[:, None] * 127.0).astype(np.int8)
    lengths = np.linalg.norm(steps.astype(np.float32), axis=1)
    return steps, (1.0 / np.maximum(lengths, 1e-12)).astype(np.float32)
