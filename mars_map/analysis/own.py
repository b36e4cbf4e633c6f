"""Covariates of somebody's own: a raster of Mars, or a catalogue that distances are taken to."""

from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from mars_map.analysis.why import Measured
from mars_map.covariates import Covariate
from mars_map.covariates.distance import nearest_distance_km
from mars_map.covariates.footprints import footprint_means
from mars_map.covariates.packed import OWN_PREFIX
from mars_map.covariates.rasters import read_cells
from mars_map.errors import CatalogueError, CovariateError
from mars_map.evaluation.catalogues import read_catalogue
from mars_map.evaluation.nearness import tiles_inside
from mars_map.planet.grid import Grid

RASTERS = (".tif", ".tiff", ".img", ".cub", ".vrt", ".jp2")
"""Suffixes of rasters; any other file is read as a catalogue."""
CATALOGUES = (".csv", ".tsv", ".txt", ".geojson", ".json", ".zip", ".gpkg", ".shp")
"""Suffixes of catalogues."""
MIN_SHARE = 0.05
"""Least share of the index's tiles that a raster must cover."""
_SPACING_DEG = 0.1


def read_own(path: str | Path, grid: Grid) -> Measured:
    """Read a raster or a catalogue as a covariate of a grid's tiles.

    A raster gives the mean over each tile; where it covers a part of the planet only, the title
    tells how much, and hits are compared with ground inside it. A catalogue gives the distance from
    each tile's centre to the nearest point, line or border, 0 inside a polygon. Raises
    CovariateError for a file that cannot be read, is not of Mars, or covers under 5 % of the tiles.
    """
    path = Path(path)
    if path.suffix.lower() in RASTERS:
        return _of_raster(path, grid)
    if path.suffix.lower() in CATALOGUES:
        return _of_catalogue(path, grid)
    raise CovariateError(
        f'"{path.name}" is neither a raster nor a catalogue by its name; give one of '
        f"{', '.join((*RASTERS, *CATALOGUES))}."
    )


def _of_raster(path: Path, grid: Grid) -> Measured:
    if not path.is_file():
        raise CovariateError(f'There is no raster "{path}"; check the path.')
    cells = read_cells(path)
    values = footprint_means(cells, grid)
    share = float(np.isfinite(values).mean())
    if share < MIN_SHARE:
        raise CovariateError(
            f'"{path.name}" covers {share:.1%} of the tiles; a covariate must cover at least '
            f"{MIN_SHARE:.0%}."
        )
    spread = np.nanpercentile(values, [5, 95])
    covered = "" if share > 0.995 else f" (covers {share:.0%})"
    covariate = Covariate(
        f"{OWN_PREFIX}{path.name}",
        f"{path.stem[:40]}{covered}",
        cells.unit,
        _decimals(float(spread[1] - spread[0])),
        f"higher in {path.stem[:40]}",
        f"lower in {path.stem[:40]}",
        f"{path.name}, mean over each tile; covers {share:.1%} of the tiles",
    )
    return Measured(covariate, values)


def _of_catalogue(path: Path, grid: Grid) -> Measured:
    try:
        catalogue = read_catalogue(path)
    except CatalogueError as error:
        # A path of the server is nobody's business.
        raise CovariateError(str(error).replace(str(path), path.name)) from error
    lon, lat = _points(catalogue.geometries)
    values = nearest_distance_km(grid, lon, lat)
    values[tiles_inside(catalogue.geometries, grid).tile] = 0.0
    name = path.stem[:40]
    covariate = Covariate(
        f"{OWN_PREFIX}{path.name}",
        f"Distance to {name}",
        "km",
        0,
        f"further from {name}",
        f"nearer to {name}",
        f"{path.name}, {catalogue.n_features:,} features; along the great circle to the nearest",
    )
    return Measured(covariate, values)


def _points(geometries: NDArray[np.object_]) -> tuple[NDArray, NDArray]:
    """Return points along all outlines, at most 0.1 degrees apart, and the points themselves."""
    is_point = np.isin(
        shapely.get_type_id(geometries),
        [shapely.GeometryType.POINT, shapely.GeometryType.MULTIPOINT],
    )
    followed = shapely.segmentize(geometries[~is_point], _SPACING_DEG)
    lon, lat = np.concatenate(
        [shapely.get_coordinates(geometries[is_point]), shapely.get_coordinates(followed)]
    ).T
    return lon, lat


def _decimals(spread: float) -> int:
    """Return how many decimals show three digits of what a covariate spreads over."""
    return int(np.clip(2 - np.floor(np.log10(spread)), 0, 6)) if spread > 0 else 2
