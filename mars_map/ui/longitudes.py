"""How this visitor wants longitudes to be written: chosen below the map, kept by the browser.

The browser tells the page once at the start, where its choice is not the page's, and whenever it is
changed. Files are written in degrees east from -180 to 180 whatever the choice.
"""

from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mars_map.planet.coordinates import LongitudeStyle, longitude_360, wrap_longitude
from mars_map.planet.regions import Box
from mars_map.ui.state import PageState

FILES_SAY = "Longitudes in files are degrees east, -180 to 180, whatever the page shows."


def take_style(state: PageState, style: str) -> None:
    """Take over what the browser says; anything that is no style is left alone."""
    if style not in get_args(LongitudeStyle):
        return
    state.longitudes = style
    if isinstance(state.limits.region, Box):
        # The panel names the box; it is drawn anew only where it no longer shows the state.
        state.shown = None


def longitude_column(lon: ArrayLike, style: LongitudeStyle) -> tuple[NDArray[np.float64], str]:
    """Return longitudes in degrees as numbers of a style, same shape, and a column's heading."""
    if style == "360":
        return longitude_360(lon), "° E"
    if style == "360W":
        return longitude_360(-np.asarray(lon, float)), "° W"
    return wrap_longitude(lon), "° E"
