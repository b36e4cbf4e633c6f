"""Commands that measure how well searches find what is known to be there."""

import json
from pathlib import Path

import click

from mars_map.cli.points import example_tile
from mars_map.errors import QueryError
from mars_map.search import Query, open_engine
from mars_map.settings import INDEX_DIR


@click.group()
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

    query = Query(text=words) if at is None else Query(tiles=(example_tile(folder, at),))
    features = read_catalogue(catalogue)
    engine = open_engine(folder)
    blocks = read_blocks(test_blocks, engine.index.grid) if test_blocks else None
    report = evaluate_query(engine, query, features, blocks)
    if curve:
        from mars_map.evaluation.curves import write_curves

        write_curves(report.outcome, curve, f"{query.label} ({features.name})")
    text = json.dumps(report.to_dict(), ensure_ascii=False) + "\n" if as_json else report.table()
    click.echo(text, nl=False)
