"""Pictures in a folder or in a zip file, read one at a time and never extracted.

What cannot be read raises `UnreadableError` with the reason in a few words; whoever reads a
collection counts it and names it, so that no picture is lost in silence. Files whose names begin
with a dot, and the folder `__MACOSX` that one archiver adds, are no part of a collection.
"""

import csv
import io
import os
import warnings
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mars_map.errors import PictureError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif"})
"""Suffixes of the files that are taken for pictures."""
MAX_FILES = 200_000
"""Most files of a collection."""
MAX_FILE_BYTES = 64 * 2**20
"""Most bytes of one file, unpacked."""
MAX_PIXELS = 100_000_000
"""Most pixels of one picture."""

# Only what is asked for: Pillow's other formats call other programs or are rarely tested.
_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")
BEHIND = 128
"""Grey that stands where a picture is transparent: neither bright nor dark ground."""


class UnreadableError(Exception):
    """A file of a collection cannot be read; the message is the reason in a few words."""


class TooLargeError(UnreadableError):
    """A picture is sound, for all that is known, and larger than what is read."""


class Files(Protocol):
    """The files of a collection, by names with slashes, relative to its top."""

    name: str
    """Name of the folder or zip file."""
    names: tuple[str, ...]
    """Names of the files, sorted."""

    def read(self, name: str) -> bytes:
        """Return a file's content, at most `MAX_FILE_BYTES`. Raises UnreadableError."""
        ...


@contextmanager
def open_files(path: str | Path) -> Iterator[Files]:
    """Open a folder or a zip file. Raises PictureError where there is none or it is damaged."""
    path = Path(path)
    if path.is_dir():
        yield _Folder(path)
        return
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise PictureError(f'There is no folder or zip file "{path}"; check the path.') from error
    except (OSError, zipfile.BadZipFile) as error:
        raise PictureError(f'"{path}" is neither a folder nor a sound zip file.') from error
    with archive:
        yield _Archive(path, archive)


def read_picture(files: Files, name: str) -> "Image":
    """Return a picture of a collection, as `decode_picture` does. Raises UnreadableError."""
    return decode_picture(files.read(name))


def file_content(path: Path) -> bytes:
    """Return a file's content, at most `MAX_FILE_BYTES`. Raises UnreadableError."""
    try:
        with path.open("rb") as file:
            return _limited(file.read(MAX_FILE_BYTES + 1))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise UnreadableError("not there") from error
    except (OSError, ValueError) as error:
        raise UnreadableError("not readable") from error


def decode_picture(data: bytes) -> "Image":
    """Return a picture, loaded whole, upright and without transparency, in whatever mode it is.

    Of several frames the first counts. Raises UnreadableError.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # Pillow's warnings are of tags that do not matter here, and of sizes that are checked.
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(data), formats=_FORMATS)
            if picture.width * picture.height > MAX_PIXELS:
                raise TooLargeError(f"larger than {MAX_PIXELS:,} pixels")
            picture.load()
            return _opaque(ImageOps.exif_transpose(picture))
    except Image.DecompressionBombError as error:
        raise TooLargeError(f"larger than {MAX_PIXELS:,} pixels") from error
    except Image.UnidentifiedImageError as error:
        raise UnreadableError("not a picture by its content") from error
    except (OSError, SyntaxError, ValueError, EOFError, LookupError, ArithmeticError) as error:
        # Pillow raises any of these for damaged content, depending on where the damage is.
        raise UnreadableError("truncated or damaged") from error


def _opaque(picture: "Image") -> "Image":
    if not picture.has_transparency_data:
        return picture
    from PIL import Image

    layers = picture.convert("RGBA")
    ground = Image.new("RGBA", layers.size, (BEHIND, BEHIND, BEHIND, 255))
    return Image.alpha_composite(ground, layers).convert("RGB")


def is_picture(name: str) -> bool:
    """Tell whether a file is a picture by its suffix."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


class Table(NamedTuple):
    """A table of text."""

    columns: tuple[str, ...]
    """Names of the columns, lower-case."""
    rows: list[dict[str, str]]
    """Cells by column, without outer space; "" where a row is short. Empty rows are left out."""


def read_table(files: Files, name: str) -> Table:
    """Read a table separated by commas, semicolons or tabs, with names in its first line.

    Raises PictureError for a table that cannot be read.
    """
    try:
        text = files.read(name).decode("utf-8-sig", errors="replace")
    except UnreadableError as error:
        raise PictureError(f'"{name}" in "{files.name}" is {error}.') from error
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    try:
        # Strict: an unclosed quotation mark would swallow the rows after it.
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise PictureError(
            f'"{name}" in "{files.name}" is not a sound table of text: {error}.'
        ) from error
    keys = tuple(key.strip().lower() for key in rows[0]) if rows else ()
    return Table(keys, [_cells(keys, row) for row in rows[1:] if any(row)])


def _cells(keys: tuple[str, ...], row: list[str]) -> dict[str, str]:
    return dict.fromkeys(keys, "") | {k: c.strip() for k, c in zip(keys, row, strict=False)}


def plain_name(name: str) -> str:
    """Return a file's name as a table may write it, with slashes and without "./"."""
    return str(PurePosixPath(name.replace("\\", "/")))


class _Folder:
    """A folder and what lies below it."""

    def __init__(self, path: Path) -> None:
        self.name = path.resolve().name
        self._path = path
        names: list[str] = []
        for root, folders, files in os.walk(path):
            folders[:] = sorted(f for f in folders if not _is_hidden(f))
            below = Path(root).relative_to(path)
            names += [(below / f).as_posix() for f in files if not _is_hidden(f)]
            _check_number(names, self.name)
        self.names = tuple(sorted(names))

    def read(self, name: str) -> bytes:
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or Path(name).is_absolute():
            raise UnreadableError("outside the folder")
        return file_content(self._path / name)


class _Archive:
    """A zip file; where all of it lies in one folder, names are relative to that."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.name = path.name
        self._archive = archive
        entries = {plain_name(e.filename): e for e in archive.infolist() if not e.is_dir()}
        seen = {n: e for n, e in entries.items() if not _hidden_parts(n)}
        _check_number(list(seen), self.name)
        top = _top(seen)
        seen = {n.removeprefix(top): e for n, e in seen.items()}
        self._entries = seen
        self.names = tuple(sorted(seen))

    def read(self, name: str) -> bytes:
        entry = self._entries.get(name)
        if entry is None:
            raise UnreadableError("not there")
        try:
            # The size that the archive states need not be true: no more than the limit is unpacked.
            with self._archive.open(entry) as file:
                return _limited(file.read(MAX_FILE_BYTES + 1))
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
            raise UnreadableError("truncated or damaged") from error
        except (RuntimeError, NotImplementedError) as error:
            raise UnreadableError("encrypted or packed in an unknown way") from error


def _top(names: Collection[str]) -> str:
    """Return the folder, with its slash, in which a whole archive lies; "" where there is none.

    A single folder that holds nothing but pictures is a class and no such folder.
    """
    tops = {name.partition("/")[0] for name in names}
    below = any(name.count("/") > 1 or name.lower().endswith(".csv") for name in names)
    whole = len(tops) == 1 and below and all("/" in name for name in names)
    return f"{tops.pop()}/" if whole else ""


def _limited(data: bytes) -> bytes:
    if len(data) > MAX_FILE_BYTES:
        raise TooLargeError(f"larger than {MAX_FILE_BYTES // 2**20} MB")
    return data


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _hidden_parts(name: str) -> bool:
    return any(_is_hidden(part) and part != ".." for part in PurePosixPath(name).parts)


def _check_number(names: list[str], where: str) -> None:
    if len(names) > MAX_FILES:
        raise PictureError(f'"{where}" has more than {MAX_FILES:,} files; give a part of it.')
