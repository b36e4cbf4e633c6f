"""Tile names of other programs."""

import re
from collections.abc import Sequence

_NAME = re.compile(r"^E(_?)(\d{1,3})_(\d{1,6})_N(_?)(\d{1,2})_(\d{1,6})$", re.ASCII)


def marsretrieval_name(bounds: Sequence[float], digits: int = 1) -> str:
    """Return MarsRetrieval's name of a tile: its south-west corner, "." and "-" written as "_".

    bounds: west, south, east, north in degrees. digits: decimals, enough for the tile's step.
    The tile from 23.2 W, 5.6 S is "E_23_2_N_5_6".
    """
    # Adding zero turns -0.0, which would be written with a sign, into 0.0.
    west, south = (round(float(v), digits) + 0.0 for v in bounds[:2])
    return f"E{west:.{digits}f}_N{south:.{digits}f}".replace(".", "_").replace("-", "_")


def marsretrieval_bounds(name: str, step_deg: float) -> tuple[float, float, float, float]:
    """Return west, south, east, north in degrees of a tile by MarsRetrieval's name.

    Raises ValueError for a name of another form or a corner that is not on the planet.
    """
    match = _NAME.match(name)
    if match is None:
        raise ValueError(f"{name!r} is not a MarsRetrieval tile name such as E_23_2_N_5_6")
    west_sign, west, west_digits, south_sign, south, south_digits = match.groups()
    lon = float(f"{west}.{west_digits}") * (-1 if west_sign else 1)
    lat = float(f"{south}.{south_digits}") * (-1 if south_sign else 1)
    if not (-180 <= lon < 180 and -90 <= lat < 90):
        raise ValueError(f"the corner in the tile name {name!r} is not on the planet")
    return lon, lat, round(lon + step_deg, 9), round(lat + step_deg, 9)
