"""Options of the shell for tiles called right and wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mars_map.errors import LabelsError
from mars_map.index import open_index
from mars_map.search.labels import MAX_FILE_BYTES, LabelLayer, read_geojson


def label_options(command: Callable) -> Callable:
    """Add --yes, --no and --labels to a command."""
    options = [
        click.option("--yes", multiple=True, metavar="TILE", help="A tile that is right; repeat."),
        click.option("--no", multiple=True, metavar="TILE", help="A tile that is wrong; repeat."),
        click.option(
            "--labels", type=click.Path(path_type=Path, dir_okay=False),
            help="GeoJSON of tiles called right and wrong, as the page saves it.",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def chosen_labels(options: dict[str, Any], folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the fields `yes` and `no` of a query on the index in a folder.

    What single options say goes before the file. Raises LabelsError for a file of no use.
    """
    yes, no = options["yes"], options["no"]
    if options["labels"] is not None:
        layer = _read(options["labels"], folder)
        yes = (*yes, *(tile for tile in layer.yes if tile not in no))
        no = (*no, *(tile for tile in layer.no if tile not in yes))
    return {"yes": yes, "no": no}


def _read(path: Path, folder: Path) -> LabelLayer:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise LabelsError(f'"{path}" cannot be read: {error.strerror}.') from error
    read = read_geojson(data, open_index(folder).grid)
    if read.note:
        click.echo(f"mars-map: {read.note}", err=True)
    return read.layer
