"""A user's own image-caption pairs, read into what the image tower sees and what it should be told.

A folder (or zip file) of pairs holds a `pairs.csv` with the columns `image` and `caption`, and
`width_km` where the width on the ground is known. Rows are numbered as a spreadsheet numbers them:
the header is row 1. A row that cannot be used stops the reading and is named with its reason, or is
left out and named: none is lost in silence.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mars_map.build.windows import Progress
from mars_map.encoders.compact import check_script
from mars_map.encoders.pictures import picture_windows
from mars_map.encoders.windows import WindowSpec
from mars_map.errors import PictureError, QueryError
from mars_map.evaluation.labelled import column_of, width_of
from mars_map.evaluation.pairs import PAIRS_FILE
from mars_map.evaluation.picture_files import (
    Files,
    UnreadableError,
    open_files,
    plain_name,
    read_picture,
    read_table,
)

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_PAIRS = 8
"""Fewer pairs teach nothing that could be told from chance."""
LEAST_PICTURES = 4
"""Two to learn from, and two to measure on."""
NAMED_PROBLEMS = 3
"""Unusable rows that an error names; the rest it counts."""


class Row(NamedTuple):
    """A row of pairs.csv that can be used, as far as its text goes."""

    number: int
    """Its number, the header being 1."""
    image: str
    """Name of the picture in its collection."""
    caption: str
    """What it shows, as written."""
    width_km: float | None
    """Width on the ground, kilometres; None where it is not known."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pictures as windows, captions, and which belongs to which."""

    name: str
    """Name of the folder or zip file."""
    image: NDArray[np.uint8]
    """(n_images, s, 2, p, p) windows of the distinct pictures; see `Windows`."""
    seen: NDArray[np.bool_]
    """(n_images, s), which of the windows are there."""
    captions: list[str]
    """The distinct captions; those that differ in case or white space alone are one."""
    links: NDArray[np.int64]
    """(n_pairs, 2), number of a picture and of one of its captions; no pair occurs twice."""
    left_out: list[str]
    """Rows that take no part, each with its reason."""

    @property
    def digest(self) -> str:
        """Hash of all that is learned from, hex."""
        state = hashlib.sha256("\n".join(self.captions).encode())
        for values in (self.image, self.seen, self.links):
            state.update(np.ascontiguousarray(values).tobytes())
        return state.hexdigest()


def load_pairs(
    path: Path, spec: WindowSpec, progress: Progress, *, skip_bad: bool = False
) -> Pairs:
    """Read the pairs of a folder or zip file, and cut their pictures for a network.

    skip_bad: leave out rows that cannot be used, and name them in `Pairs.left_out`, instead of
    raising. Raises PictureError for a pairs.csv that is absent, unsound or without a needed column,
    for rows that cannot be used, and for fewer than `LEAST_PAIRS` pairs.
    """
    with open_files(path) as files:
        rows, problems = _read_rows(files)
        reader = _Reader(spec)
        for done, row in enumerate(rows, 1):
            try:
                reader.add(row, read_picture(files, row.image))
            except UnreadableError as error:
                problems.append((row.number, row.image, str(error)))
            progress("pictures", done, len(rows))
        named = [f"row {number} ({name}): {reason}" for number, name, reason in sorted(problems)]
        if named and not skip_bad:
            raise PictureError(_complaint(files.name, named))
        return _checked(reader.pairs(files.name, named))


def _read_rows(files: Files) -> tuple[list[Row], list[tuple[int, str, str]]]:
    """Return the rows, and number, picture and reason of those that cannot be used."""
    if PAIRS_FILE not in files.names:
        raise PictureError(
            f'"{files.name}" has no {PAIRS_FILE}; write one with the columns image and caption.'
        )
    table = read_table(files, PAIRS_FILE)
    for name in ("image", "caption"):
        column_of(table, (name,), f'The {PAIRS_FILE} of "{files.name}"')
    rows: list[Row] = []
    problems: list[tuple[int, str, str]] = []
    for number, cells in enumerate(table.rows, 2):
        image = plain_name(cells["image"]) if cells["image"] else ""
        try:
            width = width_of(cells.get("width_km", ""))
            check_script(cells["caption"])
        except ValueError:
            problems.append((number, image, f'width_km "{cells["width_km"][:20]}" is no length'))
        except QueryError:
            problems.append((number, image, "the caption is in a script that is not Latin"))
        else:
            if image and cells["caption"]:
                rows.append(Row(number, image, cells["caption"], width))
            else:
                lacks = "caption" if image else "picture"
                problems.append((number, image or "no name", f"without a {lacks}"))
    return rows, problems


class _Reader:
    """Collects pairs; the same picture under two names is one."""

    def __init__(self, spec: WindowSpec) -> None:
        self._spec = spec
        self._images: dict[str, tuple[int, float | None]] = {}
        self._windows: list[NDArray[np.uint8]] = []
        self._seen: list[NDArray[np.bool_]] = []
        self._captions: dict[str, tuple[int, str]] = {}
        self._links: dict[tuple[int, int], None] = {}

    def add(self, row: Row, picture: "Image") -> None:
        """Take a pair. Raises UnreadableError for a width that contradicts an earlier row."""
        digest = _digest(picture)
        if digest not in self._images:
            windows, seen = picture_windows([picture], self._spec, row.width_km)
            self._images[digest] = len(self._images), row.width_km
            self._windows.append(windows.image[0])
            self._seen.append(seen[0])
        image, width_km = self._images[digest]
        if width_km != row.width_km:
            raise UnreadableError("width_km differs from that of the same picture in another row")
        folded = " ".join(row.caption.casefold().split())
        caption, _ = self._captions.setdefault(folded, (len(self._captions), row.caption))
        self._links[image, caption] = None

    def pairs(self, name: str, left_out: list[str]) -> Pairs:
        """Return what was collected."""
        scales, p = len(self._spec.widths_km), self._spec.pixels
        return Pairs(
            name=name,
            image=np.array(self._windows, np.uint8).reshape(-1, scales, 2, p, p),
            seen=np.array(self._seen, bool).reshape(-1, scales),
            captions=[caption for _, caption in self._captions.values()],
            links=np.array(list(self._links), np.int64).reshape(-1, 2),
            left_out=left_out,
        )


def _digest(picture: "Image") -> str:
    return hashlib.sha256(f"{picture.mode} {picture.size}".encode() + picture.tobytes()).hexdigest()


def _complaint(name: str, problems: list[str]) -> str:
    rest = len(problems) - NAMED_PROBLEMS
    more = f"; and {rest:,} more" if rest > 0 else ""
    rows = "1 row" if len(problems) == 1 else f"{len(problems):,} rows"
    return (
        f'The {PAIRS_FILE} of "{name}" has {rows} that cannot be used: '
        f"{'; '.join(problems[:NAMED_PROBLEMS])}{more}; mend them, or leave them out with "
        "--skip-bad."
    )


def _checked(pairs: Pairs) -> Pairs:
    """Return pairs that can be learned from and measured. Raises PictureError for too few."""
    if len(pairs.links) < LEAST_PAIRS:
        raise PictureError(
            f'"{pairs.name}" has {len(pairs.links)} usable pairs; a training needs at least '
            f"{LEAST_PAIRS}."
        )
    if len(pairs.image) < LEAST_PICTURES or len(pairs.captions) < 2:
        raise PictureError(
            f'"{pairs.name}" has {len(pairs.image)} different pictures and '
            f"{len(pairs.captions)} different captions; a training needs at least "
            f"{LEAST_PICTURES} and 2."
        )
    return pairs
