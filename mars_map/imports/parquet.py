"""Embeddings in (Geo)Parquet, as Earth Index, Major TOM, Clay and mars_map itself publish them.

Earth Index has the columns `id`, `geometry` (the tile's outline) and `embedding`; Major TOM
`unique_id`, `geometry`, `centre_lon`, `centre_lat` and `embedding`, in many files; Clay `geometry`
and `embeddings`. Sources: the cloudnativegeo/geo-embeddings-survey repository and the data set
cards of Major-TOM on Hugging Face.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from mars_map.errors import ForeignIndexError, IndexDamagedError
from mars_map.imports.arrays import LAT_NAMES, LON_NAMES, find_column
from mars_map.imports.placing import FINEST_DEG, Anchor, Positions
from mars_map.imports.source import PIECE_ROWS, Source
from mars_map.planet.grid import Grid, grid_from_dict
from mars_map.planet.sphere import RADIUS_M

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

VECTOR_NAMES = ("embedding", "embeddings", "vector", "features")
"""Columns that vectors are looked for in."""
METADATA_KEY = "mars_map"
"""Key under which our own exports tell their manifest, as JSON."""


def parquet_source(
    path: Path,
    *,
    column: str | None = None,
    anchor: Anchor = "centre",
    assume_mars: bool = False,
) -> Source:
    """Open a (Geo)Parquet file, or a folder of them, with one embedding a row.

    column: the one with the vectors, looked for if not given. anchor: what of a tile a point is;
    outlines say it themselves. assume_mars: take the degrees for planetocentric ones on Mars
    whatever CRS the file states. Raises ForeignIndexError.
    """
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    opened = [_open(file) for file in files]
    for file in opened:
        _check_crs(file, files[0], assume_mars)
    columns = opened[0].schema_arrow.names
    vectors = find_column(columns, (column,) if column else VECTOR_NAMES, path)
    positions = _positions(opened, path, anchor)

    def pieces() -> Iterator[NDArray]:
        for file in opened:
            for batch in _read([file], [vectors], path, PIECE_ROWS):
                yield _matrix(batch.column(0), dim, path)

    dim = _dimensions(opened[0], vectors, path)
    return Source("GeoParquet embeddings", path.name, dim, positions, pieces, _own_grid(opened[0]))


def _open(file: Path) -> "pq.ParquetFile":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file)
    except OSError as error:
        raise ForeignIndexError(f'"{file}" cannot be read: {error.strerror or error}.') from error
    except pa.ArrowInvalid as error:
        raise ForeignIndexError(f'"{file}" is not a whole Parquet file; copy it again.') from error


def _metadata(file: "pq.ParquetFile", key: str) -> dict[str, Any]:
    try:
        values = json.loads((file.schema_arrow.metadata or {}).get(key.encode(), b"{}"))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _own_grid(file: "pq.ParquetFile") -> Grid | None:
    grid = _metadata(file, METADATA_KEY).get("grid")
    if not isinstance(grid, dict):
        return None
    try:
        made = grid_from_dict(grid)
    except IndexDamagedError:
        return None  # then the positions tell
    step = made.to_dict().get("step_deg") or made.to_dict().get("row_height_deg")
    return made if step >= FINEST_DEG else None


def _check_crs(file: "pq.ParquetFile", path: Path, assume_mars: bool) -> None:
    """Refuse degrees of another body or of another kind. A table without CRS is taken for Mars."""
    geo = _metadata(file, "geo")
    if not geo or assume_mars:
        return
    columns = geo.get("columns")
    column = columns.get(str(geo.get("primary_column"))) if isinstance(columns, dict) else None
    column = column if isinstance(column, dict) else {}
    # By the specification a file that names no CRS is in longitude and latitude of WGS 84.
    stated = column.get("crs", "OGC:CRS84")
    try:
        crs = CRS.from_user_input(stated) if isinstance(stated, (str, dict)) else None
    except CRSError:
        crs = None
    if crs is None or not _is_ours(crs):
        raise ForeignIndexError(
            f'"{path}" states the CRS "{crs.name if crs else "none that is known"}"; mars_map '
            "needs planetocentric degrees east on Mars (IAU_2015:49900): convert it, or say "
            "--assume-mars where it is in these and only the label is wrong."
        )


def _is_ours(crs: CRS) -> bool:
    ellipsoid = crs.ellipsoid
    return bool(
        crs.is_geographic
        and ellipsoid is not None
        and abs(ellipsoid.semi_major_metre - RADIUS_M) < 1_000
        and ellipsoid.inverse_flattening == 0
        and any(axis.direction == "east" for axis in crs.axis_info)
    )


def _positions(files: list["pq.ParquetFile"], path: Path, anchor: Anchor) -> Positions:
    columns = files[0].schema_arrow.names
    geo = _metadata(files[0], "geo")
    outline = str(geo.get("primary_column", "geometry"))
    if outline in columns:
        return _from_outlines(_read(files, [outline], path), anchor, path)
    if "bbox" in columns:
        return _from_boxes(_read(files, ["bbox"], path), path)
    lon, lat = (find_column(columns, names, path) for names in (LON_NAMES, LAT_NAMES))
    parts = [
        [batch.column(i).cast("double").to_numpy(zero_copy_only=False) for i in (0, 1)]
        for batch in _read(files, [lon, lat], path)
    ]
    return Positions(*(np.concatenate(part) for part in zip(*parts, strict=True)), anchor)


def _from_outlines(batches: Iterator["pa.RecordBatch"], anchor: Anchor, path: Path) -> Positions:
    import shapely

    try:
        parts = [
            shapely.bounds(shapely.from_wkb(batch.column(0).to_numpy(zero_copy_only=False)))
            for batch in batches
        ]
    except (shapely.errors.GEOSException, TypeError, ValueError) as error:
        raise ForeignIndexError(f'"{path}" has geometry that is not well-known binary.') from error
    return _from_bounds(np.concatenate(parts), anchor)


def _from_boxes(batches: Iterator["pa.RecordBatch"], path: Path) -> Positions:
    """Read GeoParquet's covering: a struct of xmin, ymin, xmax, ymax."""
    edges = ("xmin", "ymin", "xmax", "ymax")
    try:
        parts = [
            np.stack([batch.column(0).field(e).to_numpy(zero_copy_only=False) for e in edges], 1)
            for batch in batches
        ]
    except (KeyError, AttributeError, TypeError) as error:
        raise ForeignIndexError(
            f'The column bbox of "{path}" has no xmin, ymin, xmax and ymax.'
        ) from error
    return _from_bounds(np.concatenate(parts).astype(np.float64), "centre")


def _from_bounds(bounds: NDArray[np.float64], anchor: Anchor) -> Positions:
    sizes = bounds[:, 2:] - bounds[:, :2]
    if not np.nanmax(sizes, initial=0.0) > 0:
        return Positions(bounds[:, 0], bounds[:, 1], anchor)  # points
    return Positions(
        (bounds[:, 0] + bounds[:, 2]) / 2, (bounds[:, 1] + bounds[:, 3]) / 2, "centre", sizes
    )


def _read(
    files: list["pq.ParquetFile"], columns: list[str], path: Path, rows: int = PIECE_ROWS * 8
) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    try:
        for file in files:
            yield from file.iter_batches(rows, columns=columns)
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise ForeignIndexError(f'"{path}" cannot be read whole: {error}.') from error


def _dimensions(file: "pq.ParquetFile", column: str, path: Path) -> int:
    for batch in _read([file], [column], path, 1):
        values = batch.column(0)
        if values[0].is_valid:
            return len(_flat(values)) or 1
    raise ForeignIndexError(f'"{path}" has no vector in its first row.')


def _matrix(column: "pa.Array", dim: int, path: Path) -> NDArray[np.float32]:
    """Return a column of lists as (n, dim) float32, rows of NaN where a list is missing."""
    valid = np.asarray(column.is_valid())
    values = _flat(column.drop_null())
    if len(values) != int(valid.sum()) * dim:
        raise ForeignIndexError(
            f'The vectors of "{path}" are not all of {dim} dimensions; one index has one length.'
        )
    rows = np.full((len(column), dim), np.nan, np.float32)
    rows[valid] = values.reshape(-1, dim)
    return rows


def _flat(column: "pa.Array") -> NDArray:
    import pyarrow as pa

    # Major TOM's cards declare (1, dim): a list in a list.
    while (
        pa.types.is_list(column.type)
        or pa.types.is_large_list(column.type)
        or (pa.types.is_fixed_size_list(column.type))
    ):
        column = column.flatten()
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise ForeignIndexError(f"The vectors are of type {column.type}, which is no number.")
    return column.to_numpy(zero_copy_only=False)
