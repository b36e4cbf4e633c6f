"""Files from a folder over HTTP: Leaflet's own and those of the page's components."""

import hashlib
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mars_map.web.replies import cached_reply, refusal

TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
"""The kinds of files that are served; nothing else leaves a folder."""


def contained(folder: Path, name: str) -> Path | None:
    """Return the file of that name under a folder, or None: outside, absent, or of another kind.

    Links and ".." are resolved first, so that no name leads out of the folder.
    """
    root = folder.resolve()
    try:
        path = (root / name).resolve()
        inside = path.is_relative_to(root) and path.suffix in TYPES and path.is_file()
    except (OSError, ValueError):
        return None
    return path if inside else None


def folder_route(address: str, folder: Path) -> Route:
    """Return a route that serves the files of a folder."""

    def send(request: Request) -> Response:
        path = contained(folder, request.path_params["name"])
        if path is None:
            return refusal(404, "There is no such file.")
        content, tag = _read(path, path.stat().st_mtime_ns)
        return cached_reply(request, tag, content, TYPES[path.suffix], seconds=0)

    return Route(address + "/{name:path}", send)


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int) -> tuple[bytes, str]:
    content = path.read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:16]
