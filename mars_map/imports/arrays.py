"""Sources with vectors in a `.npy` file: MarsRetrieval databases, and an array with a CSV."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import ForeignIndexError
from mars_map.imports.pickles import read_pickle
from mars_map.imports.placing import Anchor, Positions
from mars_map.imports.source import Source, array_pieces
from mars_map.planet.names import marsretrieval_bounds

FEATURES_FILE, METADATA_FILE, COORDINATES_FILE = "features.npy", "metadata.pkl", "coordinates.pkl"
"""Files of a MarsRetrieval database: (n, dim) float32, list of n picture names such as
"E_23_2_N_5_6.png", list of n (longitude, latitude) of south-west corners, degrees."""
LON_NAMES = ("lon", "longitude", "centre_lon", "center_lon")
LAT_NAMES = ("lat", "latitude", "centre_lat", "center_lat")
"""Columns that positions are looked for in."""


def marsretrieval_source(folder: Path) -> Source:
    """Open a MarsRetrieval database (arXiv 2602.13961), a folder with its three files.

    The tile of a row is the one its name states; where `coordinates.pkl` is there too, both must
    agree. Rows whose names are no tile's have no position. Pickles are not executed. Raises
    ForeignIndexError.
    """
    vectors = open_vectors(folder / FEATURES_FILE)
    stated = None  # read first and alone: a million pairs of Python numbers take 200 MB
    if (folder / COORDINATES_FILE).exists():
        stated = _coordinates(folder / COORDINATES_FILE, len(vectors))
    names = _names(folder / METADATA_FILE, len(vectors))
    corners = np.array([_corner(name) for name in names])
    if stated is not None:
        _check_corners(corners, stated, names)
    positions = Positions(corners[:, 0], corners[:, 1], "corner")
    return Source(
        "MarsRetrieval database", folder.name, vectors.shape[1], positions, array_pieces(vectors)
    )


def array_source(file: Path, table: Path, anchor: Anchor = "centre") -> Source:
    """Open a `.npy` file with one vector a row and a CSV with the same rows.

    table: has a header with lon and lat, planetocentric degrees east on Mars; other columns are
    not read. anchor: what of a tile they are. Raises ForeignIndexError.
    """
    import pandas as pd

    vectors = open_vectors(file)
    try:
        header = list(pd.read_csv(table, nrows=0).columns)
        lon, lat = (find_column(header, names, table) for names in (LON_NAMES, LAT_NAMES))
        frame = pd.read_csv(table, usecols=[lon, lat], dtype=np.float64)
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        reason = getattr(error, "strerror", None) or error
        raise ForeignIndexError(f'"{table}" cannot be read as CSV: {reason}.') from error
    if len(frame) != len(vectors):
        raise ForeignIndexError(
            f'"{table}" has {len(frame):,} rows and "{file}" {len(vectors):,}; they must be the '
            "same, in the same order."
        )
    positions = Positions(frame[lon].to_numpy(), frame[lat].to_numpy(), anchor)
    return Source("array with CSV", file.name, vectors.shape[1], positions, array_pieces(vectors))


def open_vectors(path: Path) -> NDArray:
    """Return a `.npy` file of vectors memory-mapped, (n, dim) of numbers.

    Nothing is unpickled. Raises ForeignIndexError.
    """
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise ForeignIndexError(f'"{path}" cannot be read: {error.strerror}.') from error
    except (ValueError, EOFError) as error:
        raise ForeignIndexError(
            f'"{path}" is not a whole NumPy array of numbers; copy it again.'
        ) from error
    if not isinstance(vectors, np.ndarray) or vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise ForeignIndexError(f'"{path}" does not hold one vector of numbers a row.')
    if not vectors.size:
        raise ForeignIndexError(f'"{path}" holds no vectors.')
    return vectors


def find_column(columns: list[str], names: tuple[str, ...], file: Path) -> str:
    """Return the first of some names that a table has as a column. Raises ForeignIndexError."""
    for name in names:
        if name in columns:
            return name
    raise ForeignIndexError(
        f'"{file}" has no column {" or ".join(names)}; it has {", ".join(columns[:12])[:200]}.'
    )


def _names(path: Path, rows: int) -> list[str]:
    names = _as_list(read_pickle(path))
    if len(names) != rows or not all(isinstance(name, str) for name in names):
        raise ForeignIndexError(
            f'"{path}" should hold {rows:,} names, one for each vector; the files do not belong '
            "together."
        )
    return names


def _coordinates(path: Path, rows: int) -> NDArray[np.float64]:
    pairs = _as_list(read_pickle(path))
    try:
        # None stands for a name that MarsRetrieval itself could not read.
        values = np.array([(np.nan, np.nan) if None in pair else pair for pair in pairs], float)
        if values.shape != (rows, 2):
            raise ValueError("wrong shape")
    except (TypeError, ValueError) as error:
        raise ForeignIndexError(
            f'"{path}" should hold {rows:,} pairs of longitude and latitude, one for each vector; '
            "the files do not belong together."
        ) from error
    return values


def _as_list(value: Any) -> list:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, (list, tuple)) else []


def _corner(name: str) -> tuple[float, float]:
    stem = name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
    try:
        return marsretrieval_bounds(stem, 0.0)[:2]
    except ValueError:
        return np.nan, np.nan


def _check_corners(
    corners: NDArray[np.float64], stated: NDArray[np.float64], names: list[str]
) -> None:
    apart = ~(np.abs(corners - stated).max(axis=1) < 1e-6)
    apart &= np.isfinite(corners[:, 0]) | np.isfinite(stated[:, 0])
    if apart.any():
        row = int(np.flatnonzero(apart)[0])
        raise ForeignIndexError(
            f'Row {row} is called "{names[row][:60]}" and lies at {stated[row, 0]:g}, '
            f"{stated[row, 1]:g} by {COORDINATES_FILE}; the files do not belong together."
        )
