"""Commands that show the image-caption pairs that the encoder is taught."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mars_map.errors import BuildError, ExportError

if TYPE_CHECKING:
    from mars_map.training.inspection import Pairs


def _folders(command: Callable) -> Callable:
    options = (
        click.option(
            "--inputs",
            required=True,
            type=click.Path(path_type=Path),
            envvar="MARS_MAP_INPUTS",
            help="Folder with rasters/ and catalogues/ (also MARS_MAP_INPUTS).",
        ),
        click.option(
            "--work",
            required=True,
            type=click.Path(path_type=Path),
            envvar="MARS_MAP_WORK",
            help="Work folder of a training (also MARS_MAP_WORK); what it lacks is made, "
            "8 GB of windows among it.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


_seed_option = click.option("--seed", default=0, show_default=True, help="Of the wordings.")


@click.group()
def pairs() -> None:
    """Show the image-caption pairs that the encoder is taught."""


# A longitude west of the prime meridian begins with a minus and is no option.
@pairs.command(context_settings={"ignore_unknown_options": True})
@click.argument("place", metavar="TILE|LON,LAT")
@_folders
@_seed_option
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PNG",
    help="Picture to write; the tile's id with .png in this folder if not given.",
)
def show(place: str, inputs: Path, work: Path, seed: int, output: Path | None) -> None:
    """Print a tile's captions and facts, and draw its windows at all scales."""
    from mars_map.planet.coordinates import format_point
    from mars_map.training.inspection import parse_tile

    tile = parse_tile(place)
    if output and not output.absolute().parent.is_dir():
        raise ExportError(f"There is no folder {output.parent} to write {output.name} to.")
    made = _prepared(inputs, work, seed)
    grid = made.data.grid
    name = str(grid.names([tile])[0])
    lon, lat = (float(values[tile]) for values in grid.centers)
    click.echo(f"{name}   {format_point(lon, lat)}")
    for caption in made.captioner.captions(tile):
        click.echo(f"  {caption.text}")
    facts = made.captioner.describe(tile)
    named = [*facts.near, *facts.wide]
    lines = {
        "shows": [_plain(key) for key in facts.present],
        "does not show": [_plain(key) for key in facts.missed],
        "unknown": [_plain(key) for key in facts.unknown],
        "named": [f"{feature.name} ({_plain(feature.kind or 'not known')})" for feature in named],
    }
    for label, words in lines.items():
        click.echo(f"{label}: {', '.join(words) or 'nothing'}")
    output = output or Path(f"{name}.png")
    try:
        made.picture(tile).save(output, "PNG")
    except OSError as error:
        raise ExportError(f"{output} could not be written: {error.strerror}.") from error
    click.echo(f"picture: {output}")


@pairs.command()
@_folders
@_seed_option
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder to write the pairs to."
)
@click.option(
    "-n", "--n", "n", default=200, show_default=True, type=click.IntRange(1), help="Tiles."
)
@click.option(
    "--part",
    type=click.Choice(("train", "validation", "test")),
    default="train",
    show_default=True,
    help="Part of the split that the tiles are drawn from.",
)
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    metavar="KM",
    help="Width of the window; the nearest that there is. The near window if not given.",
)
@click.option(
    "--unseen",
    is_flag=True,
    help="One caption a tile, in wordings that training never uses, to be told from the others'.",
)
def export(
    inputs: Path,
    work: Path,
    seed: int,
    out: Path,
    n: int,
    part: str,
    scale: float | None,
    unseen: bool,
) -> None:
    """Write pairs as a folder that `mars-map train --pairs` and `evaluate pairs` read."""
    import numpy as np

    from mars_map.build.default import BarProgress

    made = _prepared(inputs, work, seed)
    widths = np.array(made.spec.widths_km)
    number = 0 if scale is None else int(np.argmin(np.abs(np.log(widths / scale))))
    tiles = made.part(part)
    if n > len(tiles):
        raise BuildError(f"The {part} part has {len(tiles):,} tiles; ask for at most so many.")
    texts = (made.unseen_texts if unseen else made.trained_texts)(tiles, n, seed)
    rows = made.export(out, texts, number, BarProgress())
    click.echo(f"{out}: {rows:,} pairs in pairs.csv, pictures {widths[number]:g} km wide")


@pairs.command()
@_folders
def stats(inputs: Path, work: Path) -> None:
    """Count windows, captions, landforms and wordings, and the tiles that show each landform."""
    from mars_map.training.inspection import Counts

    made = _prepared(inputs, work, 0)
    for line in Counts.of(made.data, made.spec).lines():
        click.echo(line)


def _prepared(inputs: Path, work: Path, seed: int) -> "Pairs":
    if not inputs.is_dir():
        raise BuildError(
            f"There is no folder {inputs}; give the one with rasters/ and catalogues/."
        )
    from mars_map.build.default import BarProgress
    from mars_map.build.inputs import Inputs
    from mars_map.training.inspection import Pairs

    click.echo("Reading the inputs and labelling every tile; half a minute …", err=True)
    return Pairs.prepare(Inputs(inputs), work, BarProgress(), seed)


def _plain(key: str) -> str:
    return key.replace("_", " ")
