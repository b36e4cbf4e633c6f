"""Commands that make what comes with mars_map."""

from pathlib import Path

import click

from mars_map.errors import BuildError
from mars_map.settings import DATA_DIR


@click.command("build-default")
@click.option(
    "--inputs",
    required=True,
    type=click.Path(path_type=Path),
    envvar="MARS_MAP_INPUTS",
    help="Folder with rasters/ and catalogues/; data/PROVENANCE.md tells what must be there.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=DATA_DIR,
    show_default=True,
    help="Folder to write.",
)
@click.option("--train", is_flag=True, help="Train the encoder anew first (the longest step).")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="Embed with the model in this folder; with that in --out, or the one that comes with "
    "mars_map, if not given.",
)
def build_default(inputs: Path, out: Path, train: bool, model: Path | None) -> None:
    """Make everything in data/ again from rasters and catalogues."""
    from mars_map.build.default import build_default as build

    if train and model:
        raise BuildError("--train makes a model and --model names one; give one of the two.")
    build(inputs, out, train=train, model=model)
    click.echo(f"{out}: built; `mars-map verify {out / 'index'}` checks the index.")
