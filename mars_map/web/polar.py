"""Maps seen from above a pole, over HTTP: basemaps, geology and heat maps in tiles."""

import logging
from itertools import product

from starlette.requests import Request
from starlette.responses import Response

from mars_map.errors import BasemapError
from mars_map.maps.basemap import Picture
from mars_map.maps.heat import polar_heat_png
from mars_map.maps.raster import check_polar_tile
from mars_map.planet.polar import POLES, Pole
from mars_map.search import Query
from mars_map.web.overlays import polar_geology_tile
from mars_map.web.rasters import heat_query, kept_picture, picture_reply
from mars_map.web.service import service

_log = logging.getLogger(__name__)
FIRST_ZOOM = 3
"""Zoom at which a window of usual size first shows a pole."""
FIRST_COLUMNS, FIRST_ROWS = range(1, 7), range(2, 6)
"""Tiles of that zoom which it shows."""


def tile(request: Request) -> Response:
    """Answer `/mars/polar/{pole}/{layer}/{z}/{x}/{y}.jpg`: a basemap, or "geology".

    IAU_2015:49930 or 49935, one tile of 256 pixels at zoom 0, as `mars_map.planet.polar` tells.
    """
    layer = request.path_params["layer"]
    if layer == "geology":
        return picture_reply(
            request, ("polar geology", *polar_address(request)), polar_geology_tile
        )
    key = ("polar basemap", layer, *polar_address(request))
    return picture_reply(request, key, service().basemaps.polar_tile)


def warm_up() -> None:
    """Make the tiles that a first look at either pole shows: turning pixels round it takes long.

    What fails here is logged, and fails again with its sentence when a visitor asks for it.
    """
    basemaps = service().basemaps
    first = next(iter(basemaps.layers))
    try:
        for pole, x, y in product(POLES, FIRST_COLUMNS, FIRST_ROWS):
            key = ("polar basemap", first, pole, FIRST_ZOOM, x, y)
            kept_picture(key, basemaps.polar_tile)
    except BasemapError as error:
        _log.warning("%s", error)


def heat(request: Request) -> Response:
    """Answer `/mars/polar/{pole}/heat/{z}/{x}/{y}.png?{query}` with a tile of a heat map."""
    key = ("polar heat", heat_query(request), *polar_address(request))
    return picture_reply(request, key, _heat_tile)


def _heat_tile(query: Query, pole: Pole, z: int, x: int, y: int) -> Picture:
    check_polar_tile(z, x, y)
    result = service().search(query)
    mask = result.region_mask
    picture = polar_heat_png(result.scores, result.index.grid, pole, (z, x, y), mask=mask)
    return Picture(picture, "image/png")


def polar_address(request: Request) -> tuple[Pole, int, int, int]:
    """Return the pole and the tile, z, x and y, of an address. Raises BasemapError."""
    pole, z, x, y = (request.path_params[name] for name in ("pole", "z", "x", "y"))
    if pole not in POLES:
        raise BasemapError("Mars has two poles; write north or south.")
    return pole, z, x, y
