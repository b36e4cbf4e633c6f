"""Pictures that visitors bring: each becomes a part of a query, and is then forgotten.

What stays of a picture is its unit vector inside of the query's own address, so that a link, a
session file or an export needs no store of pictures.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mars_map.errors import MarsMapError, PictureError
from mars_map.index import TileIndex
from mars_map.search import Part
from mars_map.search.engine import check_encoder
from mars_map.search.parts import encode_vector
from mars_map.web.indexes import INDEX_PARAM, chosen_index
from mars_map.web.params import part_to_param
from mars_map.web.replies import json_reply, refusal
from mars_map.web.service import service

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 64 * 2**20
"""Most bytes of a picture's file."""
MAX_WIDTH_KM = 21_340.0
"""Once round the equator."""


def picture_part(
    name: str, data: bytes, width_km: float | None = None, index: TileIndex | None = None
) -> Part:
    """Return the part of a query that asks for what looks like a picture.

    name: of its file. data: the file's content. width_km: width on the ground, if it is known; only
    the compact model, which sees several scales, makes use of it. index: what is to be searched,
    the page's index if not given. Raises PictureError for a file that is no sound picture,
    ModelError and ModelMismatchError where no image encoder fits.
    """
    # Imported here: it takes half a second, which the first page needs more.
    from mars_map.evaluation.picture_files import (
        TooLargeError,
        UnreadableError,
        decode_picture,
    )

    if width_km is not None and not 0 < width_km <= MAX_WIDTH_KM:
        raise PictureError(
            f"A width of {width_km:g} km is not on Mars; give more than 0 and at most "
            f"{MAX_WIDTH_KM:,.0f}, or leave it empty."
        )
    try:
        picture = decode_picture(data)
    except TooLargeError as error:
        raise PictureError(
            f'The picture "{name[:60]}" is {error}; cut it or make it smaller.'
        ) from error
    except UnreadableError as error:
        raise PictureError(
            f'The picture "{name[:60]}" is {error}; give a PNG, JPEG, TIFF, WebP, BMP or GIF.'
        ) from error
    if _is_blank(picture):
        raise PictureError(
            f'The picture "{name[:60]}" has one colour everywhere; give one that shows ground.'
        )
    index = index or service().index
    encoder = service().image_encoder(index)
    check_encoder(index, encoder)
    if width_km is not None and hasattr(encoder, "encode_pictures"):
        vector = encoder.encode_pictures([picture], width_km)[0]
    else:
        vector = encoder.encode_images([picture])[0]
    return Part("vector", encode_vector(vector), name=name)


def _is_blank(picture: "Image") -> bool:
    """Whether a picture has one value everywhere: a single pixel, an empty cut, only no-data."""
    extrema = picture.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    # A value that is not a number is not below any other.
    return not any(low < high for low, high in bands)


def picture_file_part(path: Path, width_km: float | None, index: TileIndex) -> Part:
    """Return the part of a query of an index that asks for what looks like the picture in a file.

    Raises like `picture_part`.
    """
    from mars_map.evaluation.picture_files import TooLargeError, UnreadableError, file_content

    try:
        content = file_content(path)
    except TooLargeError as error:
        raise PictureError(
            f'The picture "{path}" is {error}; cut it or make it smaller.'
        ) from error
    except UnreadableError as error:
        raise PictureError(f'The picture "{path}" is {error}; check the path.') from error
    return picture_part(path.name, content, width_km, index)


async def picture(request: Request) -> Response:
    """Answer a POST of a picture's bytes to `/mars/picture?name=&width_km=` with `part`, the value
    of `part=` in an address that asks for what looks like it.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            limit = MAX_BYTES // 2**20
            return refusal(413, f"The picture is larger than {limit} MB; give a smaller one.")
    try:
        name = request.query_params.get("name", "picture")
        width_km = _width(request.query_params.get("width_km", ""))
        with chosen_index(request.query_params.get(INDEX_PARAM, "")):
            part = await run_in_threadpool(picture_part, name, bytes(body), width_km)
    except MarsMapError as error:
        return refusal(400, str(error))
    return json_reply({"part": part_to_param(part)})


def _width(text: str) -> float | None:
    try:
        width = float(text) if text else None
    except ValueError:
        width = math.nan
    if width is not None and not math.isfinite(width):
        raise PictureError(f'"{text[:20]}" is no width; give kilometres, such as 30.')
    return width
