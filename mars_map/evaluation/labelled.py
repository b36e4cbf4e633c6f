"""Labelled pictures: a folder or zip file with a folder for each class, or with an index.csv.

An `index.csv` names the columns `file` and `label`, and may name an observation (`observation`,
`hirise_observation` and the like) and `width_km`, the width of the picture on the ground. Without
one, the folder that a picture lies in is its label.

An *observation* is one image of a camera, from which several labelled crops may come: neighbours in
light, season and ground. Without observations each picture stands for itself.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from mars_map.errors import PictureError
from mars_map.evaluation.embedding import LeftOut
from mars_map.evaluation.picture_files import Files, Table, is_picture, plain_name, read_table

INDEX_FILE = "index.csv"
_FILE_COLUMNS = ("file", "filename", "image", "path")
_LABEL_COLUMNS = ("label", "class")


@dataclass(frozen=True)
class Sample:
    """A labelled picture."""

    name: str
    """Name of the file in its collection."""
    label: str
    """Its class."""
    observation: str
    """What it was cut from; its own name where that is not known."""
    width_km: float | None = None
    """Width on the ground, kilometres; None where it is not known."""


@dataclass(frozen=True)
class Labelled:
    """A collection of labelled pictures that are still to be read."""

    name: str
    """Name of the folder or zip file."""
    samples: Sequence[Sample]
    """The pictures."""
    left_out: Sequence[LeftOut]
    """Rows and files that cannot be used."""
    grouped: bool
    """Whether observations are known."""


def read_labelled(files: Files, observation_pattern: str | None = None) -> Labelled:
    """Read which pictures there are and what they show.

    observation_pattern: a regular expression; what its first group (or all of it) matches in a
    file's name is the observation. Raises PictureError where nothing is labelled, the table lacks a
    column, or the pattern is none.
    """
    if INDEX_FILE in files.names:
        samples, left_out, grouped = _from_table(files, read_table(files, INDEX_FILE))
    else:
        samples, left_out = _from_folders(files)
        grouped = False
    if observation_pattern is not None:
        samples, grouped = _observed(samples, observation_pattern), True
    if not samples:
        raise PictureError(
            f'"{files.name}" has no labelled picture; give a folder with a folder of pictures for '
            f"each class, or with an {INDEX_FILE} whose columns are file and label."
        )
    return Labelled(files.name, samples, left_out, grouped)


def column_of(table: Table, names: Sequence[str], where: str) -> str:
    """Return the first of some columns that a table has. Raises PictureError without one."""
    for name in names:
        if name in table.columns:
            return name
    raise PictureError(
        f'{where} has no column "{names[0]}"; it has {", ".join(table.columns) or "none"}.'
    )


def width_of(cell: str) -> float | None:
    """Return a width as a table writes it, None for an empty cell. Raises ValueError."""
    if not cell:
        return None
    width = float(cell)
    if not 0 < width < float("inf"):
        raise ValueError(cell)
    return width


def _from_table(files: Files, table: Table) -> tuple[list[Sample], list[LeftOut], bool]:
    where = f'The {INDEX_FILE} of "{files.name}"'
    file_column = column_of(table, _FILE_COLUMNS, where)
    label_column = column_of(table, _LABEL_COLUMNS, where)
    observations = [c for c in table.columns if c.split("_")[-1] == "observation"]
    samples, left_out = [], []
    for number, row in enumerate(table.rows, 1):
        name = plain_name(row[file_column]) if row[file_column] else ""
        if not name or not row[label_column]:
            lacks = "label" if name else "file"
            left_out.append(LeftOut(name or f"row {number}", f"without a {lacks}"))
            continue
        try:
            width = width_of(row.get("width_km", ""))
        except ValueError:
            left_out.append(LeftOut(name, "with a width that is no length"))
            continue
        observation = row[observations[0]] if observations else ""
        samples.append(Sample(name, row[label_column], observation or name, width))
    listed = {sample.name for sample in samples} | {name for name, _ in left_out}
    unlisted = (name for name in files.names if is_picture(name) and name not in listed)
    left_out += [LeftOut(name, f"not listed in {INDEX_FILE}") for name in unlisted]
    return samples, left_out, bool(observations)


def _from_folders(files: Files) -> tuple[list[Sample], list[LeftOut]]:
    samples, left_out = [], []
    for name in files.names:
        label, _, below = name.partition("/")
        if not below:
            left_out.append(LeftOut(name, "in no folder of a class"))
        elif not is_picture(name):
            left_out.append(LeftOut(name, "not a picture by its name"))
        else:
            samples.append(Sample(name, label, name))
    return samples, left_out


def _observed(samples: Sequence[Sample], pattern: str) -> list[Sample]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise PictureError(
            f'"{pattern}" is no regular expression for observations: {error}.'
        ) from error
    observed = []
    for sample in samples:
        found = expression.search(PurePosixPath(sample.name).name)
        if found is None:
            raise PictureError(
                f'The pattern "{pattern}" finds no observation in "{sample.name}"; it must fit '
                "the name of every picture."
            )
        observation = found[1] if expression.groups else found[0]
        observed.append(
            Sample(sample.name, sample.label, observation or sample.name, sample.width_km)
        )
    return observed
