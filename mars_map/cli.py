"""The engine from a shell: `mars-map search "WORDS"` and its kin."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mars_map.errors import ExportError, IndexDamagedError, MarsMapError, QueryError
from mars_map.index import open_index, verify_index
from mars_map.planet.coordinates import check_point, format_point, parse_point
from mars_map.planet.regions import parse_box
from mars_map.search import Query, Result, open_engine
from mars_map.search.query import DEFAULT_TOP_K, MAX_TOP_K
from mars_map.search.records import hit_records, result_record
from mars_map.settings import DATA_DIR, INDEX_DIR

FORMATS = ("table", "json", "geojson", "shapefile", "gpkg", "parquet", "csv", "heat", "html")
"""What `search` and `similar` can write; the last two are the heat GeoTIFF and a standalone map."""

_TEXT_FORMATS = ("table", "json", "geojson", "csv")


class _Sentences(click.Group):
    """A group whose errors are one sentence on stderr, with exit code 1."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except MarsMapError as error:
            click.echo(f"mars-map: {error}", err=True)
            context.exit(1)
        except BrokenPipeError:
            # `mars-map … | head` is no error; the reader has what it wanted.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            context.exit(0)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            click.echo(f"mars-map: The output could not be written: {error.strerror}.", err=True)
            context.exit(1)


@click.group(cls=_Sentences, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mars_map")
def main() -> None:
    """Find landforms on Mars in plain words.

    Longitudes are degrees east (-180 to 180 or 0 to 360, also "137.8 E" or "42 W"), latitudes
    planetocentric.
    """


def _search_options(command: Callable) -> Callable:
    options = [
        click.option(
            "--index", "folder", type=click.Path(path_type=Path), default=INDEX_DIR,
            help="Index folder; the one that comes with mars_map if not given.",
        ),
        click.option(
            "--top-k", type=int, default=DEFAULT_TOP_K, show_default=True,
            help=f"Most hits, 1 to {MAX_TOP_K}.",
        ),
        click.option("--threshold", type=float, help="Least score of a hit, -1 to 1."),
        click.option(
            "--bbox", metavar="W,S,E,N",
            help="Only tiles in this box, degrees; west may lie east of east: it then crosses 180.",
        ),
        click.option(
            "--format", "form", type=click.Choice(FORMATS), default="table", show_default=True,
            help="heat: scores as GeoTIFF; html: standalone map.",
        ),
        click.option(
            "-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
            help="File to write; standard output if not given.",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@main.command()
@click.argument("words")
@click.option(
    "--prompt", "prompts", multiple=True, metavar="TEMPLATE",
    help='Template with "{}" for the words, instead of the default ensemble; may be repeated.',
)  # fmt: skip
@_search_options
def search(words: str, prompts: tuple[str, ...], folder: Path, **options: Any) -> None:
    """Rank the planet's tiles by how well they match WORDS."""
    chosen = {"prompts": prompts} if prompts else {}
    query = _query(options, text=words, **chosen)
    _answer(folder, query, options["form"], options["output"])


@main.command()
@click.option("--at", required=True, metavar="LON,LAT", help="A point of the example tile.")
@_search_options
def similar(at: str, folder: Path, **options: Any) -> None:
    """Rank the planet's tiles by how much they look like the tile at a point."""
    query = _query(options, tiles=(_example_tile(folder, at),))
    _answer(folder, query, options["form"], options["output"])


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default=INDEX_DIR)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def info(folder: Path, as_json: bool) -> None:
    """Tell what the index FOLDER holds and who made it."""
    index = open_index(folder)
    values = index.manifest.to_dict()
    if as_json:
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
        return
    grid = values["grid"]
    rows = {
        "folder": folder,
        "tiles": f"{index.n_tiles:,} on {values['body']} ({values['crs']})",
        "grid": ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in grid.items()),
        "vectors": f"{index.dim} dimensions, {values['quantisation']}",
        "model": f"{values['model']['id']} ({values['model']['sha256'][:12]})",
        "source": values["source"],
        "licence": values["licence"],
        "created": values["created"],
        "digest": values["digest"],
    }
    if values["synthetic"]:
        rows["synthetic"] = "yes: the vectors are made up and say nothing about Mars"
    for name, value in rows.items():
        click.echo(f"{name:<10} {value}")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default=INDEX_DIR)
def verify(folder: Path) -> None:
    """Compare every byte of the index FOLDER with its manifest."""
    problems = verify_index(folder)
    for problem in problems[:-1]:
        click.echo(f"mars-map: {problem}", err=True)
    if problems:
        raise IndexDamagedError(problems[-1])
    click.echo(f"{folder}: sound; every file is the one that was published.")


@main.command("build-default")
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
def build_default(inputs: Path, out: Path, train: bool) -> None:
    """Make everything in data/ again from rasters and catalogues."""
    from mars_map.build.default import build_default as build

    build(inputs, out, train=train)
    click.echo(f"{out}: built; `mars-map verify {out / 'index'}` checks the index.")


@main.group()
def evaluate() -> None:
    """Measure how well searches find what is known to be there."""


@evaluate.command()
@click.option(
    "--index",
    "folder",
    type=click.Path(path_type=Path),
    default=INDEX_DIR,
    help="Index folder; the one that comes with mars_map if not given.",
)
@click.option(
    "--catalogue",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the landform is: points, lines or polygons; CSV, GeoJSON, shapefile, GeoPackage.",
)
@click.option("--query", "words", metavar="WORDS", help="Search for words.")
@click.option("--at", metavar="LON,LAT", help="Search for what looks like the tile at a point.")
@click.option(
    "--test-blocks",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Rank only tiles in these polygons, or in the test blocks of a split.json of training.",
)
@click.option(
    "--curve",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PNG",
    help="Draw precision over recall, and F1 over K, into this file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def geolocalization(
    folder: Path,
    catalogue: Path,
    words: str | None,
    at: str | None,
    test_blocks: Path | None,
    curve: Path | None,
    as_json: bool,
) -> None:
    """Measure global geo-localization by MarsRetrieval's protocol and by a corrected one."""
    if (words is None) == (at is None):
        raise QueryError("Give the words to search for with --query, or a point with --at.")
    from mars_map.evaluation import evaluate_query, read_blocks, read_catalogue

    query = Query(text=words) if at is None else Query(tiles=(_example_tile(folder, at),))
    features = read_catalogue(catalogue)
    engine = open_engine(folder)
    blocks = read_blocks(test_blocks, engine.index.grid) if test_blocks else None
    report = evaluate_query(engine, query, features, blocks)
    if curve:
        from mars_map.evaluation.curves import write_curves

        write_curves(report.outcome, curve, f"{query.label} ({features.name})")
    text = json.dumps(report.to_dict(), ensure_ascii=False) + "\n" if as_json else report.table()
    click.echo(text, nl=False)


def _example_tile(folder: Path, at: str) -> str:
    """Return the id of the tile at a point that is written LON,LAT."""
    lon, lat = check_point(*parse_point(at))
    grid = open_index(folder).grid
    tile = int(grid.tile_at(lon, lat))
    if tile < 0:
        raise MarsMapError(
            f"The index has no tile at {format_point(lon, lat)}; choose a point "
            f"between {grid.row_edges[0]:g} and {grid.row_edges[-1]:g} latitude."
        )
    return str(grid.names([tile])[0])


def _query(options: dict[str, Any], **subject: Any) -> Query:
    region = parse_box(options["bbox"]) if options["bbox"] else None
    return Query(**subject, region=region, top_k=options["top_k"], threshold=options["threshold"])


def _answer(folder: Path, query: Query, form: str, output: Path | None) -> None:
    """Search, and write the result in a format to a file or to standard output."""
    if output is None and form not in _TEXT_FORMATS:
        raise ExportError(f"A {form} result is not text; name a file for it with -o FILE.")
    result = open_engine(folder).search(query)
    data = _render(result, form)
    if output is None:
        click.echo(data, nl=False)
    else:
        from mars_map.export import write_file

        write_file(output, data)
        click.echo(f"{output}: {len(result.hits):,} hits.", err=True)


def _render(result: Result, form: str) -> bytes:
    if form == "table":
        return _table(result).encode()
    if form == "json":
        return (json.dumps(result_record(result), ensure_ascii=False) + "\n").encode()
    from mars_map.export import export_bytes

    return export_bytes(result, form)


def _table(result: Result) -> str:
    if not len(result.hits):
        return "No tile reaches the threshold in that region; lower it or widen the region.\n"
    lines = [f"{'rank':>5}  {'score':>6}  {'tile':<10}  centre"]
    for hit in hit_records(result):
        place = format_point(hit["lon"], hit["lat"])
        lines.append(f"{hit['rank']:>5}  {hit['score']:6.3f}  {hit['tile']:<10}  {place}")
    return "\n".join(lines) + "\n"
