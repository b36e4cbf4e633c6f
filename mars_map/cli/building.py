"""Commands that make an index of images: of a mosaic, and the one that comes with mars_map."""

import sys
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mars_map.errors import BuildError
from mars_map.settings import DATA_DIR

if TYPE_CHECKING:
    from mars_map.build.ledger import Ledger
    from mars_map.build.plan import Plan, Task
    from mars_map.build.planet import Estimate, Report
    from mars_map.build.workshop import Workshop
    from mars_map.planet.grid import Grid

_BAD_SHOWN = 20
"""Bad quads that are named in the shell; the report names all."""


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


@click.command("build")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Index to write.")
@click.option("--model", required=True, help="Image encoder: a folder, or a name on the hub.")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Folder of the quads that are done and of downloads; OUT.work if not given.",
)
@click.option(
    "--grid",
    default="0.2",
    show_default=True,
    help="Degrees of a tile, from 80 S to 80 N; or regular:STEP[,SOUTH,NORTH], equal-area:HEIGHT.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Build on the Dask cluster at this address.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Threads that cut tiles, of each machine; one a processor if not given.",
)
@click.option(
    "--ahead",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Quads that are worked on, and downloaded, at once.",
)
@click.option(
    "--min-valid",
    type=click.FloatRange(0.0, 1.0),
    default=0.5,
    show_default=True,
    help="Least share of a tile that must have data for a vector.",
)
@click.option(
    "--thumbnails",
    type=click.IntRange(32, 512),
    metavar="PIXELS",
    help="Keep thumbnails so high in the index, for a mosaic that will not stay on this machine.",
)
@click.option("--nodata", type=float, help="Value of pixels without data, if the file errs.")
@click.option("--stretch", metavar="LOW,HIGH", help="Values to show as black and white.")
@click.option("--dtype", type=click.Choice(["float16", "int8"]), default="float16")
@click.option("--refined", is_flag=True, help="Keep float16 rows beside int8 ones, to rank hits.")
@click.option("--images", help="What is embedded, for the manifest.")
@click.option("--licence", help="Terms of use, for the manifest.")
@click.option("--allow-missing", is_flag=True, help="Publish although some quads are bad.")
@click.option("--yes", is_flag=True, help="Do not ask before it starts.")
def build_command(source: Path, out: Path, model: str, work: Path | None, **options: Any) -> None:
    """Make an index of a mosaic: cut SOURCE into tiles and embed them.

    SOURCE is a folder of CTX quads, a .txt file with their paths or URLs, or one raster of Mars
    that GDAL reads. The same command goes on where it was cut short.
    """
    from rasterio.errors import NotGeoreferencedWarning

    from mars_map.build.ledger import Ledger
    from mars_map.build.plan import Recipe, plan_build
    from mars_map.build.planet import publish
    from mars_map.build.workshop import Workshop
    from mars_map.index import ModelCard
    from mars_map.mosaics import Reading

    # Such a raster is a bad quad, which is told in a sentence.
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    # What is cheap to check comes before the model is loaded.
    grid = _grid(options["grid"])
    reading = Reading(nodata=options["nodata"], stretch=_stretch(options["stretch"]))
    _check_may_write(out)
    workshop = Workshop(model, options["workers"])
    encoder = workshop.encoder
    recipe = Recipe(
        grid,
        model,
        encoder.sha256,
        workshop.pixels,
        options["min_valid"],
        reading,
        options["thumbnails"] or 0,
    )
    plan = plan_build(source, recipe)
    _show_bad(plan.bad)
    ledger = Ledger(work or out.with_name(out.name + ".work"), recipe)
    todo = [task for task in plan.tasks if not ledger.has(task)]
    if todo:
        _tell_and_ask(plan, todo, workshop, ledger.folder, out, options)
    report = _embed(plan, ledger, workshop, sum(len(task.tiles) for task in todo), options)
    _show_bad(report.bad[len(plan.bad) :])
    if not options["allow_missing"]:
        _check_complete(report, ledger.folder)
    index = publish(
        plan,
        ledger,
        out,
        card=ModelCard(encoder.model_id, encoder.sha256, encoder.dim),
        report=report,
        quantisation=options["dtype"],
        refined=options["refined"],
        images=options["images"],
        licence=options["licence"],
    )
    _show_report(report, index.n_tiles, out, ledger.folder)


def _check_may_write(out: Path) -> None:
    """Raise BuildError, or what `read_manifest` does, where something else than an index lies."""
    from mars_map.index.manifest import read_manifest

    if out.is_file():
        raise BuildError(f'"{out}" is a file; name a folder for the index with --out.')
    if out.exists():
        read_manifest(out)  # only an index may be replaced; better told now than after the work


def _check_complete(report: "Report", folder: Path) -> None:
    """Raise BuildError where some quads cannot be used."""
    if report.bad:
        raise BuildError(
            f"{len(report.bad):,} of {report.quads:,} quads cannot be used "
            f"({folder / 'report.json'} names them); mend them and run the same command "
            "again, or publish without them with --allow-missing."
        )


def _tell_and_ask(
    plan: "Plan",
    todo: list["Task"],
    workshop: "Workshop",
    work: Path,
    out: Path,
    options: dict[str, Any],
) -> None:
    """Say what the build will take, refuse it where the disk is too small, and ask."""
    from mars_map.build.planet import check_disk, estimate

    needed = estimate(
        plan, todo, workshop, options["dtype"], options["ahead"], refined=options["refined"]
    )
    _show_plan(plan, needed, workshop.encoder, len(todo), work)
    check_disk(needed, work, out)
    if not options["yes"] and sys.stdin.isatty():
        click.confirm("Go on?", abort=True)


def _embed(
    plan: "Plan", ledger: "Ledger", workshop: "Workshop", tiles: int, options: dict[str, Any]
) -> "Report":
    from tqdm import tqdm

    from mars_map.build.cluster import run_here, run_on_cluster
    from mars_map.build.fetch import clear
    from mars_map.build.planet import embed_all

    scratch, address = ledger.folder / "downloads", options["scheduler"]
    clear(scratch)
    with tqdm(total=tiles, unit="tile", unit_scale=True, smoothing=0.05, disable=not tiles) as bar:
        if address:
            common = {"threads": options["workers"], "progress": bar.update}
            run = partial(run_on_cluster, recipe=plan.recipe, address=address, **common)
            return embed_all(plan, ledger, run)
        common = {"at_once": options["ahead"], "progress": bar.update}
        run = partial(run_here, recipe=plan.recipe, workshop=workshop, scratch=scratch, **common)
        return embed_all(plan, ledger, run, workshop)


def _grid(text: str) -> "Grid":
    from mars_map.imports import parse_grid

    return parse_grid(text if ":" in text else f"regular:{text}")


def _stretch(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(number) for number in text.split(","))
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise BuildError("--stretch takes two numbers, the lower first, such as -8000,12000.")
    return low, high


def _show_plan(plan: "Plan", needed: "Estimate", encoder: Any, todo: int, work: Path) -> None:
    done = len(plan.tasks) - todo
    click.echo(
        f"{len(plan.tasks):,} quads with {plan.n_tiles:,} tiles of {plan.recipe.pixels} pixels"
        + (f", {done:,} quads done already" if done else "")
        + (f"; {plan.outside:,} more lie outside of the grid" if plan.outside else "")
    )
    click.echo(f"model     {encoder.model_id}, {encoder.dim} dimensions")
    cut = f"cutting {needed.cut_s * 1e3:,.1f} ms, " if needed.cut_s else "without cutting: "
    click.echo(
        f"time      about {_hours(needed.hours)} of this machine ({cut}encoding "
        f"{needed.encode_s * 1e3:,.1f} ms a tile, {needed.threads} threads); multiply it by what "
        "the machine costs an hour"
    )
    if needed.download_bytes != 0:
        size = needed.download_bytes
        told = f"about {size / 1e9:,.1f} GB" if size else "the server does not say how much"
        click.echo(f"download  {told}; deleted quad by quad")
    total = needed.work_bytes + needed.index_bytes + needed.fetch_bytes
    click.echo(
        f"disk      {total / 1e9:,.2f} GB: index {needed.index_bytes / 1e9:,.2f}, work in {work} "
        f"{(needed.work_bytes + needed.fetch_bytes) / 1e9:,.2f}"
    )


def _hours(hours: float) -> str:
    if hours >= 1.0:
        return f"{hours:,.1f} hours"
    return f"{hours * 60:.0f} minutes" if hours >= 1 / 60 else "a minute"


def _show_bad(bad: Any) -> None:
    for quad in bad[:_BAD_SHOWN]:
        click.echo(f"bad quad {quad.name}: {quad.reason}", err=True)
    if len(bad) > _BAD_SHOWN:
        click.echo(f"and {len(bad) - _BAD_SHOWN:,} more bad quads", err=True)


def _show_report(report: "Report", n_tiles: int, out: Path, work: Path) -> None:
    click.echo(f"{out}: {report.tiles:,} of {n_tiles:,} tiles, from {report.done:,} quads.")
    if report.empty:
        click.echo(f"{report.empty:>11,} tiles of these quads have too little data for a vector")
    if report.bad:
        click.echo(f"{len(report.bad):>11,} quads are missing ({work / 'report.json'})")
    if report.embedded_now:
        rate = report.embedded_now / report.seconds
        waited = "" if report.waiting is None else f"; the encoder waited {report.waiting:.0%}"
        click.echo(f"{rate:>11,.1f} tiles a second{waited}")
    click.echo(f"{work} can be deleted.")
