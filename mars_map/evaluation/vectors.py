"""Catalogues as vector files: GeoJSON, and what GDAL reads; brought to degrees on the Mars sphere.

GeoJSON is read here and not by GDAL, which takes a file without a reference system for Earth and
does not tell whether the file said so.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import shapely.geometry
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from mars_map.errors import CatalogueError
from mars_map.planet.sphere import mars_crs, planetocentric_latitude
from mars_map.planet.systems import is_of_mars


def read_geojson(path: Path) -> NDArray[np.object_]:
    """Read GeoJSON: one geometry a feature, (n,); None for a feature without a sound one.

    Without a `crs` member the coordinates are degrees on Mars. Raises CatalogueError.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        features = [document] if document["type"] == "Feature" else document["features"]
        geometries = np.array([_geometry(feature) for feature in features], object)
    except OSError as error:
        raise CatalogueError(f'"{path}" cannot be read: {error.strerror}.') from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CatalogueError(f'"{path}" is not a collection of features in GeoJSON.') from error
    if document.get("crs") is None:
        return geometries
    return to_mars_degrees(geometries, _named_crs(path, document["crs"]), path)


def read_vectors(path: Path) -> NDArray[np.object_]:
    """Read a shapefile, alone or zipped, or a GeoPackage: one geometry a row, (n,) or None.

    Without a reference system the coordinates are degrees on Mars. Raises CatalogueError.
    """
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        layers = [name for name, kind in pyogrio.list_layers(path) if kind is not None]
        if len(layers) != 1:
            raise CatalogueError(
                f'"{path}" has {len(layers)} layers with geometries; give a file with one.'
            )
        frame = pyogrio.read_dataframe(path, layer=layers[0], columns=[], on_invalid="ignore")
    except (DataLayerError, DataSourceError) as error:
        raise CatalogueError(
            f'"{path}" cannot be read; it is damaged or lacks one of its parts.'
        ) from error
    geometries = np.asarray(frame.geometry.array, object)
    return geometries if frame.crs is None else to_mars_degrees(geometries, frame.crs, path)


def to_mars_degrees(geometries: NDArray[np.object_], crs: CRS, path: Path) -> NDArray[np.object_]:
    """Bring geometries to degrees east and planetocentric latitude.

    Latitudes of a geographic or projected system on an ellipsoid are planetographic by definition
    and are converted, unless the system says that they are planetocentric. Raises CatalogueError
    for a system of another body and for angles that are not degrees.
    """
    _check_body(crs, path)
    flattened = crs.ellipsoid.semi_major_metre != crs.ellipsoid.semi_minor_metre
    if crs.is_projected:
        transformer = Transformer.from_crs(crs, mars_crs(), always_xy=True)

        def convert(x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
            # PROJ takes latitudes of the ellipsoid for latitudes of the sphere.
            lon, lat = transformer.transform(x, y)
            return lon, planetocentric_latitude(lat) if flattened else lat
    else:
        # By hand: with always_xy, PROJ swaps the axes of systems that are positive west.
        axes = crs.axis_info[:2]
        if any(abs(axis.unit_conversion_factor - np.pi / 180) > 1e-9 for axis in axes):
            raise CatalogueError(f'The coordinates of "{path}" are not degrees; reproject it.')
        sign = -1.0 if any(axis.direction == "west" for axis in axes) else 1.0
        planetographic = flattened and crs.is_geographic

        def convert(x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
            return sign * x, planetocentric_latitude(y) if planetographic else y

    return shapely.transform(geometries, convert, interleaved=False)


def _check_body(crs: CRS, path: Path) -> None:
    if not is_of_mars(crs):
        raise CatalogueError(
            f'The reference system of "{path}" ({crs.name}) is not of Mars; if the coordinates '
            "are, give it IAU_2015:49900 or remove it."
        )


def _named_crs(path: Path, member: Any) -> CRS:
    try:
        return CRS.from_user_input(member["properties"]["name"])
    except (CRSError, KeyError, TypeError) as error:
        raise CatalogueError(
            f'The reference system that "{path}" names is not known; use {mars_crs().srs} or none.'
        ) from error


def _geometry(feature: Any) -> shapely.Geometry | None:
    # Whatever is wrong with one feature, the caller counts it and reads on.
    try:
        return shapely.force_2d(shapely.geometry.shape(feature["geometry"]))
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        shapely.errors.ShapelyError,
    ):
        return None
