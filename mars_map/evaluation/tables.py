"""Catalogues as tables of text: one feature a row, with columns of longitude and latitude."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from mars_map.errors import CatalogueError

_LON, _LAT = "(?:lon|lng|long|longitude)", "(?:lat|latitude)"
_BEFORE = "(?:c|cent|center|centre|mean|e|east)?"
_AFTER = "(?:c|cent|center|centre|e|east|n|deg|degrees|dd|180|360|circimg|elliimg)*"
_LONGITUDE = re.compile(f"{_BEFORE}{_LON}{_AFTER}")
_WEST_LONGITUDE = re.compile(f"(?:w|west){_LON}|{_LON}(?:w|west)")
_LATITUDE = re.compile(f"{_BEFORE}{_LAT}{_AFTER}")


def read_table(path: Path) -> NDArray[np.object_]:
    """Read a table separated by commas, semicolons or tabs, with names in its first line.

    Columns are found by the names in use ("lon", "Longitude", "CENTER_LON", "LON_CIRC_IMG", "x");
    names such as "lon_w" mean longitudes positive west. Returns one point a row in degrees east as
    written, (n,); None for a row without two numbers. Raises CatalogueError.
    """
    try:
        # Only the numbers are used: a name in another encoding must not cost the table.
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            header = file.readline()
            separator = max(",;\t", key=header.count)
            names = next(csv.reader([header], delimiter=separator), [])
            x, y, sign = _columns(path, names)
            # Strict: an unclosed quotation mark would swallow the rows after it.
            rows = csv.reader(file, delimiter=separator, strict=True)
            values = np.array([_numbers(row, x, y) for row in rows if row], float).reshape(-1, 2)
    except OSError as error:
        raise CatalogueError(f'"{path}" cannot be read: {error.strerror}.') from error
    except csv.Error as error:
        raise CatalogueError(f'"{path}" is not a sound table of text: {error}.') from error
    points = shapely.points(sign * values[:, 0], values[:, 1])
    return np.where(np.isnan(values).any(axis=1), None, points)


def _columns(path: Path, names: Sequence[str]) -> tuple[int, int, float]:
    """Return the columns of longitude and latitude, and -1.0 for longitudes positive west."""
    plain = [re.sub(r"[\W_]+", "", name.lower()) for name in names]
    x, y, sign = _find(plain, _LONGITUDE), _find(plain, _LATITUDE), 1.0
    if x is None:
        x = _find(plain, _WEST_LONGITUDE)
        sign = 1.0 if x is None else -1.0
    if x is None and y is None and {"x", "y"} <= set(plain):
        x, y = plain.index("x"), plain.index("y")
    if x is None or y is None:
        missing = "longitudes" if x is None else "latitudes"
        raise CatalogueError(f'"{path}" has no column of {missing}; name the two "lon" and "lat".')
    return x, y, sign


def _find(names: Sequence[str], pattern: re.Pattern) -> int | None:
    """Return the first of the shortest names that fit, which is the plainest; None without one."""
    fitting = [i for i, name in enumerate(names) if pattern.fullmatch(name)]
    return min(fitting, key=lambda i: len(names[i]), default=None)


def _numbers(row: Sequence[str], x: int, y: int) -> tuple[float, float]:
    try:
        return float(row[x]), float(row[y])
    except (IndexError, ValueError):
        return float("nan"), float("nan")
