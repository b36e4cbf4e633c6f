"""Brings a quad to the disk for as long as it is worked on: downloads and unpacks it."""

import errno
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mars_map.errors import BuildError, MosaicError
from mars_map.mosaics.quads import file_name, is_url

PREFIX = "quad-"
"""Begins the name of every folder that is made here."""
TRIES = 5
"""Connections in a row that bring nothing; each other goes on where the last was cut."""
PAUSE_S = 2.0
"""Wait before the second try; doubled at each further one."""
TIMEOUT_S = (10.0, 60.0)
"""Longest wait for a connection, and for the next bytes."""
CHUNK = 1 << 16
"""Bytes written at a time; so many are lost when a connection is cut."""


@contextmanager
def fetched(location: str, folder: Path) -> Iterator[Path]:
    """Give the path of a quad's raster; what was brought into `folder` is deleted afterwards.

    location: a path or URL, of a raster or of a zip file with one. Raises MosaicError for what
    cannot be had, and BuildError for a disk that is full.
    """
    zipped = file_name(location).lower().endswith(".zip")
    if not is_url(location) and not zipped:
        yield Path(location)
        return
    with _full_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        place = tempfile.TemporaryDirectory(prefix=PREFIX, dir=folder, ignore_cleanup_errors=True)
    with place as name:
        with _full_disk(folder):
            path = Path(location)
            if is_url(location):
                path = Path(name) / file_name(location)
                download(location, path)
            if zipped:
                path = _unpack(path, Path(name), location)
        yield path


def clear(folder: Path) -> None:
    """Delete what a build that was killed had fetched."""
    for place in folder.glob(f"{PREFIX}*"):
        shutil.rmtree(place, ignore_errors=True)


def download(url: str, path: Path) -> None:
    """Download a file; broken connections are taken up again. Raises MosaicError and OSError."""
    import requests

    reason, attempt, had = "", 0, 0
    while attempt < TRIES:
        if attempt:
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
        try:
            if _continue(requests, url, path):
                return
            reason = "the connection is cut again and again"
        except requests.RequestException as error:
            reason = f"{_failure(requests, error)} again and again"
        have = path.stat().st_size if path.exists() else 0
        attempt, had = (1 if have > had else attempt + 1), have
    raise MosaicError(f'"{url}" cannot be downloaded: {reason}.')


def _failure(requests: Any, error: Exception) -> str:
    """Return in a few words why a request failed."""
    reply = getattr(error, "response", None)
    if reply is not None:
        return f"the server answers {reply.status_code}"
    if isinstance(error, requests.Timeout):
        return "the server does not answer"
    if isinstance(error, requests.ConnectionError):
        return "there is no connection to the server"
    return f"the request fails ({type(error).__name__})"


def remote_size(url: str) -> int | None:
    """Return the bytes of a file on a server; None where it does not say."""
    import requests

    try:
        reply = requests.head(url, timeout=TIMEOUT_S, allow_redirects=True)
        return int(reply.headers["Content-Length"]) if reply.ok else None
    except (requests.RequestException, KeyError, ValueError):
        return None


def _continue(requests: Any, url: str, path: Path) -> bool:
    """Download what is not there yet; tell whether the file is whole."""
    start = path.stat().st_size if path.exists() else 0
    headers = {"Range": f"bytes={start}-"} if start else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as reply:
        if reply.status_code in (400, 401, 403, 404, 410):
            raise MosaicError(
                f'"{url}" cannot be downloaded: the server answers {reply.status_code}.'
            )
        reply.raise_for_status()
        again = reply.status_code == 206
        size = int(reply.headers.get("Content-Length", -1))
        with path.open("ab" if again else "wb") as file:
            for chunk in reply.iter_content(CHUNK):
                file.write(chunk)
    return size < 0 or path.stat().st_size == size + (start if again else 0)


def _unpack(path: Path, folder: Path, location: str) -> Path:
    """Unpack the one GeoTIFF of a zip file, and delete the zip file if it was downloaded."""
    try:
        with zipfile.ZipFile(path) as archive:
            rasters = [
                name for name in archive.namelist() if name.lower().endswith((".tif", ".tiff"))
            ]
            if len(rasters) != 1:
                raise MosaicError(
                    f'"{location}" holds {len(rasters)} GeoTIFFs and should hold one.'
                )
            target = folder / Path(rasters[0]).name
            with archive.open(rasters[0]) as packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file, CHUNK)
    except (zipfile.BadZipFile, zipfile.zlib.error, EOFError) as error:
        raise MosaicError(f'"{location}" is no zip file, or damaged or cut short.') from error
    except FileNotFoundError as error:
        raise MosaicError(f'There is no "{location}".') from error
    if is_url(location):
        path.unlink()
    return target


@contextmanager
def _full_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BuildError(
                f'The disk of "{folder}" is full; make room and run the same command again, it '
                "goes on where it was."
            ) from error
        raise
