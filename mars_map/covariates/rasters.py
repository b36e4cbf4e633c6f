"""Rasters of Mars as cells between parallels and meridians, from any file that GDAL reads.

A raster in degrees or in an equidistant cylindrical projection is read as its cells lie, whichever
meridian it begins at. One in another projection is warped to cells of a fifth of a degree.
Latitudes are planetocentric or planetographic as `mars_map.planet.systems` tells.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mars_map.covariates.footprints import CellRaster
from mars_map.errors import CovariateError
from mars_map.planet.sphere import mars_crs, planetocentric_latitude
from mars_map.planet.systems import cylindrical_degrees, graphic_ratio, is_of_mars

if TYPE_CHECKING:
    from affine import Affine
    from pyproj import CRS
    from rasterio.io import DatasetReader

MAX_CELLS = (2048, 4096)
"""Most rows and columns that are read; a larger raster is averaged down to them, 5 km a cell on the
planet, which is finer than any tile."""
MAX_UNIT_LENGTH = 20
"""Most characters of a unit; what is longer is no unit."""
_WARPED = (900, 1800)


def read_cells(path: str | Path) -> CellRaster:
    """Read the first band of a raster of Mars, of the whole planet or of a part.

    Raises CovariateError where the file cannot be read, has no reference system or one of another
    body, is turned, or has no values.
    """
    import rasterio
    from rasterio.errors import RasterioError

    path = Path(path)
    try:
        with rasterio.open(path) as source:
            raster = _cells(source, path)
    except (RasterioError, MemoryError, ValueError) as error:
        raise CovariateError(f'"{path.name}" is not a raster that can be read.') from error
    if not np.isfinite(raster.values).any():
        raise CovariateError(f'"{path.name}" has no values: every cell is marked as no data.')
    return raster


def _cells(source: "DatasetReader", path: Path) -> CellRaster:
    crs = _mars_crs_of(source, path)
    to_degrees = cylindrical_degrees(crs)
    if to_degrees is None:
        values, west_east, south_north = _warped(source)
    elif source.transform.b or source.transform.d:
        raise CovariateError(f'The raster "{path.name}" is turned; warp it north up first.')
    else:
        values, west_east, south_north = _as_it_lies(source, crs, to_degrees)
    lat_edges = np.linspace(*south_north, values.shape[0] + 1)
    if graphic_ratio(crs) is not None:
        lat_edges = planetocentric_latitude(lat_edges)
    lon_edges = np.linspace(*west_east, values.shape[1] + 1)
    if np.abs(lat_edges).max() > 90.5 or np.abs(lon_edges).max() > 541:
        raise CovariateError(f'The bounds of "{path.name}" are not on Mars; check its transform.')
    return CellRaster(values, np.clip(lat_edges, -90.0, 90.0), lon_edges, _unit(source))


def _unit(source: "DatasetReader") -> str:
    """Return the unit of the first band as the file writes it; nothing if it is no short word."""
    unit = (source.units[0] or "").strip()
    return unit if len(unit) <= MAX_UNIT_LENGTH and unit.isprintable() else ""


def _as_it_lies(
    source: "DatasetReader", crs: "CRS", to_degrees: "Affine"
) -> tuple[NDArray, tuple, tuple]:
    """Return values from the south-west, and the longitudes and latitudes of the borders."""
    values = _values(source)
    left, bottom, right, top = source.bounds
    x, y = to_degrees * (np.array([left, right]), np.array([bottom, top]))
    if any(axis.direction == "west" for axis in crs.axis_info[:2]):
        x = -x
    if crs.is_projected:
        # One turn at most from the program's own longitudes, so that three turns find every cell.
        x = x - 360.0 * np.round(x.mean() / 360.0)
    if x[0] > x[1]:
        x, values = x[::-1], values[:, ::-1]
    if y[0] > y[1]:
        return values, tuple(x), tuple(y[::-1])
    return values[::-1], tuple(x), tuple(y)


def _warped(source: "DatasetReader") -> tuple[NDArray, tuple, tuple]:
    from rasterio.enums import Resampling
    from rasterio.transform import from_bounds
    from rasterio.vrt import WarpedVRT

    rows, columns = _WARPED
    with WarpedVRT(
        source,
        crs=mars_crs().to_wkt(),
        transform=from_bounds(-180, -90, 180, 90, columns, rows),
        width=columns,
        height=rows,
        resampling=Resampling.average,
        dtype="float32",
        nodata=float("nan"),
    ) as warped:
        values = warped.read(1, masked=True).filled(np.nan)
    return _scaled(values, source)[::-1], (-180.0, 180.0), (-90.0, 90.0)


def _values(source: "DatasetReader") -> NDArray[np.float32]:
    """Return the first band from the north, averaged down to at most `MAX_CELLS`; nan: unknown."""
    from rasterio.enums import Resampling

    shape = tuple(min(n, limit) for n, limit in zip(source.shape, MAX_CELLS, strict=True))
    average = shape != source.shape
    band = source.read(
        1,
        masked=True,
        out_shape=shape,
        resampling=Resampling.average if average else Resampling.nearest,
    )
    return _scaled(band.astype(np.float32).filled(np.nan), source)


def _scaled(values: NDArray[np.float32], source: "DatasetReader") -> NDArray[np.float32]:
    return values * np.float32(source.scales[0]) + np.float32(source.offsets[0])


def _mars_crs_of(source: "DatasetReader", path: Path) -> "CRS":
    from pyproj import CRS

    if source.crs is None:
        raise CovariateError(
            f'"{path.name}" has no coordinate reference system; set one, for example with '
            "gdal_edit.py -a_srs IAU_2015:49900."
        )
    crs = CRS.from_user_input(source.crs.to_wkt())
    if not is_of_mars(crs):
        raise CovariateError(
            f'"{path.name}" is not of Mars: its reference system ({crs.name}) has another body.'
        )
    return crs
