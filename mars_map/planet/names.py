"""Tile names of other programs."""

import re

_NAME = re.compile(r"^E(_?)(\d{1,3})_(\d{1,6})_N(_?)(\d{1,2})_(\d{1,6})$", re.ASCII)


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
