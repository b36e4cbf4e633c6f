"""What can be drawn over the map: catalogues, names of features, and the colours of geology."""

import gzip
import hashlib
import json
import zlib
from functools import cache

from starlette.requests import Request
from starlette.responses import Response

from mars_map import settings
from mars_map.errors import BasemapError
from mars_map.maps.basemap import Picture, encode
from mars_map.maps.raster import MarsRaster, check_polar_tile, check_tile
from mars_map.planet.polar import Pole
from mars_map.web.rasters import picture_reply
from mars_map.web.replies import cached_reply, refusal
from mars_map.web.service import service

NAMES = "names"
"""Key under which the gazetteer is an overlay like the catalogues."""
SECONDS_KEPT = 86_400
"""How long a browser keeps an overlay before it asks whether it has changed."""


def overlay_list(request: Request) -> Response:
    """Answer `/mars/overlay` with the catalogues: key, title, geometry, sources and licence."""
    content = json.dumps(_listed(), ensure_ascii=False).encode()
    return _reply(request, content, _tag(content))


def overlay(request: Request) -> Response:
    """Answer `/mars/overlay/{name}` with the features of a catalogue.

    `paths` has for each feature a list of paths: longitude and latitude of the first point in steps
    of 1/`scale` degree, and then what to add for each further one. `kind` is a place in `kinds`
    and `size` is in the unit that `/mars/overlay` names, for each feature. `names` has the columns
    `name`, `kind`, `lon`, `lat` and `diameter_km`, the largest feature first.
    """
    name = request.path_params["name"]
    if name == NAMES:
        content = _names()
    elif any(name == entry["key"] for entry in _listed()):
        content = _catalogue(name)
    else:
        return refusal(404, "There is no such overlay; /mars/overlay lists them.")
    return _reply(request, content, _tag(content))


def geology(request: Request) -> Response:
    """Answer `/mars/overlay/geology/{z}/{x}/{y}.jpg` with a tile of the colours of geology."""
    z, x, y = (request.path_params[name] for name in "zxy")
    return picture_reply(request, ("geology", z, x, y), _geology_tile)


def polar_geology_tile(pole: Pole, z: int, x: int, y: int) -> Picture:
    """Return a tile of the colours of geology as seen from above a pole. Raises BasemapError."""
    check_polar_tile(z, x, y)
    return encode(_geology().polar_tile(pole, z, x, y))


def _geology_tile(z: int, x: int, y: int) -> Picture:
    check_tile(z, x, y)
    return encode(_geology().tile(z, x, y))


@cache
def _geology() -> MarsRaster:
    return MarsRaster(settings.OVERLAYS_DIR / "geology.tif")


@cache
def _listed() -> list[dict[str, str | int]]:
    try:
        return json.loads(_read("overlays.json"))
    except ValueError as error:
        raise BasemapError("The list of overlays is damaged; restore its file.") from error


@cache
def _catalogue(name: str) -> bytes:
    """Return a catalogue as JSON, unpacked: whether it travels packed is settled for each reply."""
    try:
        return gzip.decompress(_read(f"{name}.json.gz"))
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise BasemapError(f'The overlay "{name}" is damaged; restore its file.') from error


@cache
def _names() -> bytes:
    features = sorted(service().gazetteer.features, key=lambda f: -(f.diameter_km or 0.0))
    columns = {
        field: [getattr(feature, field) for feature in features]
        for field in ("name", "kind", "lon", "lat", "diameter_km")
    }
    return json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode()


@cache
def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


@cache
def _tag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _read(name: str) -> bytes:
    path = settings.OVERLAYS_DIR / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise BasemapError(
            f'The overlay "{path}" cannot be read ({error.strerror}); restore the file.'
        ) from error


def _reply(request: Request, content: bytes, tag: str) -> Response:
    packs = "gzip" in request.headers.get("accept-encoding", "")
    body = _packed(content) if packs else content
    reply = cached_reply(request, tag, body, "application/json", seconds=SECONDS_KEPT)
    if packs and reply.status_code == 200:
        reply.headers["Content-Encoding"] = "gzip"
    reply.headers["Vary"] = "Accept-Encoding"
    return reply
