"""Shapes of answers over HTTP: JSON, cached bytes, and refusals of one clear sentence."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

import anyio.from_thread
from starlette.requests import Request
from starlette.responses import Response

from mars_map.errors import (
    BasemapError,
    BusyError,
    ClusterError,
    FeatureNotFoundError,
    IndexDamagedError,
    IndexMissingError,
    IndexVersionError,
    MarsMapError,
    ModelError,
    ModelMismatchError,
    SupersededError,
)
from mars_map.search.batching import while_wanted
from mars_map.web.indexes import INDEX_PARAM, chosen_index

SERVER_FAULTS = (
    BusyError,
    ClusterError,
    IndexDamagedError,
    IndexMissingError,
    IndexVersionError,
    ModelError,
    ModelMismatchError,
)
"""Errors that no other request could avoid: they answer 503, the rest 400."""

Handler = Callable[[Request], Response]

CLIENT_HAS_GONE = 499
"""What proxies log for a request whose client did not wait; nobody receives it."""


def json_reply(value: Any, status: int = 200) -> Response:
    """Return plain values as JSON."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Response(body, status, media_type="application/json")


def refusal(status: int, sentence: str) -> Response:
    """Return `{"error": sentence}` with that status."""
    return json_reply({"error": sentence}, status)


def speaks_plainly(handler: Handler) -> Handler:
    """Turn the errors of mars_map into refusals: no traceback reaches a client.

    The handler runs with the index that the request names, and its scans end when the client has
    gone.
    """

    @wraps(handler)
    def answer(request: Request) -> Response:
        index = chosen_index(request.query_params.get(INDEX_PARAM, ""))
        try:
            with index, while_wanted(lambda: not _has_gone(request)):
                return handler(request)
        except SupersededError as error:
            return refusal(CLIENT_HAS_GONE, str(error))
        except (BasemapError, FeatureNotFoundError) as error:
            return refusal(404, str(error))
        except SERVER_FAULTS as error:
            return refusal(503, str(error))
        except MarsMapError as error:
            return refusal(400, str(error))

    return answer


def _has_gone(request: Request) -> bool:
    """Tell whether the client has closed the connection. Called from a route's own thread."""
    try:
        return anyio.from_thread.run(request.is_disconnected)
    except RuntimeError:  # no event loop: the handler was called by hand
        return False


def cached_reply(
    request: Request, tag: str, body: bytes, media_type: str, *, seconds: int
) -> Response:
    """Return bytes that a browser may keep.

    tag: names the content; a browser that holds it already gets 304 and no bytes. seconds: how long
    the browser may go without asking; 0 makes it ask each time.
    """
    keep = f"private, max-age={seconds}" if seconds else "no-cache"
    headers = {"ETag": f'"{tag}"', "Cache-Control": keep, "X-Content-Type-Options": "nosniff"}
    # A proxy or the compression may have marked the tag as weak: W/"...".
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)
