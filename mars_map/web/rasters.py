"""Pictures over HTTP: basemap tiles, heat maps and thumbnails of tiles."""

import hashlib
from collections.abc import Callable, Hashable

from starlette.requests import Request
from starlette.responses import Response

from mars_map.maps.basemap import Picture
from mars_map.maps.cluster_heat import query_heat_png
from mars_map.maps.mosaic import tile_thumbnail
from mars_map.maps.thumbnails import DEFAULT_SIZE
from mars_map.search import Query
from mars_map.web.cache import PictureCache
from mars_map.web.indexes import index_name
from mars_map.web.params import query_from_request
from mars_map.web.replies import cached_reply, refusal
from mars_map.web.service import service

HOUR = 3_600
"""Seconds that a browser keeps a picture before it asks whether it has changed."""
CACHE_BYTES = 64 * 2**20
"""Most memory that pictures take in this process."""

_pictures = PictureCache(CACHE_BYTES)


def basemap(request: Request) -> Response:
    """Answer `/mars/basemap/{layer}/{z}/{x}/{y}.jpg` with a plate carrée tile of 256 pixels.

    z0 is two tiles, the western and the eastern hemisphere; rows are counted from the north.
    """
    layer, z, x, y = (request.path_params[name] for name in ("layer", "z", "x", "y"))
    return picture_reply(request, ("basemap", layer, z, x, y), service().basemaps.tile)


def heat(request: Request) -> Response:
    """Answer `/mars/heat.png?{query}` with the heat map of a query, plate carrée, whole planet.

    It is made from the query itself, so an address stays good whatever has been forgotten since.
    """
    return picture_reply(request, ("heat", heat_query(request)), _heat_picture)


def thumbnail(request: Request) -> Response:
    """Answer `/mars/thumb/{tile}.jpg?size=` with the surroundings of a tile, square, north up.

    size: width and height in pixels, 192 unless told.
    """
    grid = service().index.grid
    tile = grid.number_of(request.path_params["tile"])
    if tile < 0:
        return refusal(404, "The index has no such tile; click the map to pick one.")
    text = request.query_params.get("size", str(DEFAULT_SIZE))
    size = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
    west, south, east, north = grid.bounds(tile).tolist()
    key = ("thumb", (west + east) / 2, (south + north) / 2, size)
    return picture_reply(request, key, _thumbnail_picture)


def heat_query(request: Request) -> Query:
    """Return the query of a request without what changes no colour: top-k and threshold."""
    query = query_from_request(request)
    return query.subject.with_(region=query.region, filters=query.filters)


def _heat_picture(query: Query) -> Picture:
    return Picture(query_heat_png(service().engine, query), "image/png")


def _thumbnail_picture(lon: float, lat: float, size: int) -> Picture:
    body = tile_thumbnail(service().basemaps, service().index, lon, lat, size)
    return Picture(body, "image/jpeg")


def picture_reply(
    request: Request, key: tuple[Hashable, ...], make: Callable[..., Picture]
) -> Response:
    """Answer with the picture of that key: its kind, and the arguments that make it."""
    picture = kept_picture(key, make)
    tag = hashlib.sha256(picture.body).hexdigest()[:16]
    return cached_reply(request, tag, picture.body, picture.media_type, seconds=HOUR)


def kept_picture(key: tuple[Hashable, ...], make: Callable[..., Picture]) -> Picture:
    """Return the picture of that key, as `picture_reply` has it; made now if it is not kept."""
    return _pictures.get((index_name(), *key), lambda: make(*key[1:]))
