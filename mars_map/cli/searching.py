"""Commands that search an index, and tell what it is."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from mars_map.analysis.units import check_least
from mars_map.cli.labels import chosen_labels, label_options
from mars_map.cli.points import example_tile
from mars_map.cli.where import chosen_filters, chosen_region, where_options
from mars_map.errors import ExportError, IndexDamagedError, QueryError
from mars_map.export import EXPORTERS, HITS, Layer, Units, export_bytes, write_file
from mars_map.index import open_index, verify_index
from mars_map.planet.coordinates import format_point
from mars_map.search import Part, Query, Result, open_engine
from mars_map.search.query import DEFAULT_TOP_K, MAX_TOP_K
from mars_map.search.records import hit_records, result_record
from mars_map.settings import INDEX_DIR, SCHEDULER
from mars_map.web.params import parse_part
from mars_map.web.pictures import picture_file_part

FORMATS = ("table", "json", *EXPORTERS)
"""What `search` and `similar` can write: a table or JSON for the shell, and every export."""

_TEXT_FORMATS = {"table", "json"} | {key for key, made in EXPORTERS.items() if made.is_text}


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
            "--scheduler", metavar="ADDRESS", default=SCHEDULER,
            help="Scan on the workers of the Dask cluster at this address.",
        ),
        where_options,
        label_options,
        click.option(
            "--format", "form", type=click.Choice(FORMATS), default="table", show_default=True,
            help="heat: scores as GeoTIFF; html: standalone map; png, svg, pdf: figure for print; "
            "bib: what to cite.",
        ),
        click.option(
            "--as", "layer", type=click.Choice(["hits", "units"]), default="hits",
            show_default=True, help="Hits one by one, or merged where their tiles touch.",
        ),
        click.option(
            "--least-area", type=float, default=0.0, metavar="KM2",
            help="Leave smaller units out.",
        ),
        click.option(
            "-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
            help="File to write; standard output if not given.",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("words", default="")
@click.option(
    "--part",
    "others",
    multiple=True,
    metavar="KIND*WEIGHT:VALUE",
    help='Something else to mix in: "text*0.7:dunes", "tile:r176c0372"; with "-" before it, what '
    "the answer shall be unlike; may be repeated.",
)
@click.option(
    "--prompt", "prompts", multiple=True, metavar="TEMPLATE",
    help='Template with "{}" for the words, instead of the default ensemble; may be repeated.',
)  # fmt: skip
@_search_options
def search(
    words: str, others: tuple[str, ...], prompts: tuple[str, ...], folder: Path, **options: Any
) -> None:
    """Rank the planet's tiles by how well they match WORDS."""
    chosen = {"prompts": prompts} if prompts else {}
    chosen |= chosen_labels(options, folder)
    parts = [Part("text", words)] if words or not (others or chosen["yes"]) else []
    parts += [parse_part(text) for text in others]
    query = _query(options, *parts, **chosen)
    _answer(folder, query, options)


@click.command()
@click.option("--at", metavar="LON,LAT", help="A point of the example tile.")
@click.option(
    "--image", type=click.Path(path_type=Path, dir_okay=False), help="A picture, north up, instead."
)
@click.option("--width-km", type=float, help="Width of the picture on the ground, kilometres.")
@_search_options
def similar(
    at: str | None, image: Path | None, width_km: float | None, folder: Path, **options: Any
) -> None:
    """Rank the planet's tiles by how much they look like the tile at a point, or like a picture."""
    if (at is None) == (image is None):
        raise QueryError("Give one example: a point with --at, or a picture with --image.")
    if image is not None:
        example = picture_file_part(image, width_km, open_index(folder))
    else:
        example = Part("tile", example_tile(folder, at))
    query = _query(options, example, **chosen_labels(options, folder))
    _answer(folder, query, options)


@click.command()
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
    refined = "" if index.refined is None else ", hits ranked by float16 rows"
    rows = {
        "folder": folder,
        "tiles": f"{index.n_tiles:,} on {values['body']} ({values['crs']})",
        "grid": ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in grid.items()),
        "vectors": f"{index.dim} dimensions, {values['quantisation']}{refined}",
        "model": f"{values['model']['id']} ({values['model']['sha256'][:12]})",
        "source": values["source"],
        "licence": values["licence"],
        "created": values["created"],
        "digest": values["digest"],
    }
    if index.present is not None:
        blank = index.n_tiles - int(index.present.sum())
        rows["blank"] = f"{blank:,} of the tiles have no vector and are never hits"
    if values["synthetic"]:
        rows["synthetic"] = "yes: the vectors are made up and say nothing about Mars"
    for name, value in rows.items():
        click.echo(f"{name:<10} {value}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=INDEX_DIR)
def verify(folder: Path) -> None:
    """Compare every byte of the index FOLDER with its manifest."""
    problems = verify_index(folder)
    for problem in problems[:-1]:
        click.echo(f"mars-map: {problem}", err=True)
    if problems:
        raise IndexDamagedError(problems[-1])
    click.echo(f"{folder}: sound; every file is the one that was published.")


def _query(options: dict[str, Any], *parts: Part, **subject: Any) -> Query:
    return Query(
        parts,
        region=chosen_region(options),
        filters=chosen_filters(options),
        top_k=options["top_k"],
        threshold=options["threshold"],
        **subject,
    )


def _answer(folder: Path, query: Query, options: dict[str, Any]) -> None:
    """Search, and write the result in a format to a file or to standard output."""
    form, output = options["form"], options["output"]
    layer = Units(check_least(options["least_area"])) if options["layer"] == "units" else HITS
    if output is None and form not in _TEXT_FORMATS:
        raise ExportError(f"A {form} result is not text; name a file for it with -o FILE.")
    result = open_engine(folder, scheduler=options["scheduler"]).search(query)
    data = _render(result, form, layer)
    if result.refinement:
        click.echo(f"mars-map: {result.refinement}.", err=True)
    if result.estimate and result.estimate.sentence:
        # On standard error, so that what reads the answer from a pipe sees nothing of it.
        click.echo(f"mars-map: {result.estimate.sentence}", err=True)
    if output is None:
        click.echo(data, nl=False)
    else:
        write_file(output, data)
        click.echo(f"{output}: {len(result.hits):,} hits.", err=True)


def _render(result: Result, form: str, layer: Layer) -> bytes:
    if form == "table":
        return (_table(result) if layer is HITS else _units_table(result, layer)).encode()
    if form == "json" and layer is HITS:
        return (json.dumps(result_record(result), ensure_ascii=False) + "\n").encode()
    return export_bytes(result, "geojson" if form == "json" else form, layer=layer)


def _units_table(result: Result, layer: Layer) -> str:
    frame = layer.table(result, datetime.now(UTC))
    if not len(frame):
        return "No unit is as large as that; lower the least area.\n"
    lines = [f"{'unit':>5}  {'tiles':>6}  {'km2':>11}  {'score':>6}  centroid"]
    for row in frame.itertuples():
        place = format_point(row.lon, row.lat)
        lines.append(
            f"{row.unit:>5}  {row.tiles:>6}  {row.area_km2:>11,.0f}  {row.mean_score:6.3f}  {place}"
        )
    return "\n".join(lines) + "\n"


def _table(result: Result) -> str:
    if not len(result.hits):
        return "No tile reaches the threshold in that region; lower it or widen the region.\n"
    lines = [f"{'rank':>5}  {'score':>6}  {'tile':<10}  centre"]
    for hit in hit_records(result):
        place = format_point(hit["lon"], hit["lat"])
        lines.append(f"{hit['rank']:>5}  {hit['score']:6.3f}  {hit['tile']:<10}  {place}")
    return "\n".join(lines) + "\n"
