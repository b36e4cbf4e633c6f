"""Commands that measure how well an encoder finds what is known to be there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mars_map.cli.points import example_tile
from mars_map.encoders.prompts import DEFAULT_PROMPTS
from mars_map.errors import QueryError
from mars_map.index import open_index
from mars_map.search import Query, open_engine
from mars_map.search.opening import fitting_folder
from mars_map.settings import INDEX_DIR, MODEL_DIR

if TYPE_CHECKING:
    from mars_map.evaluation import LandformReport, PairReport, PictureQuery, Report

OWN_SPLIT = "mars_map"
"""The value of --test-blocks that means the blocks of mars_map's own training."""

_model_option = click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=MODEL_DIR,
    help="Model folder; the one that comes with mars_map if not given.",
)
_width_option = click.option(
    "--width-km",
    type=click.FloatRange(min=0, min_open=True),
    help="Width on the ground of pictures for which nothing else gives it, kilometres.",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def _curve_option(what: str) -> Callable[[Callable], Callable]:
    return click.option(
        "--curve",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="PNG",
        help=f"Draw {what} into this file.",
    )


@click.group()
def evaluate() -> None:
    """Measure how well an encoder finds what is known to be there."""


@evaluate.command()
@click.option(
    "--index",
    "folder",
    type=click.Path(path_type=Path),
    default=INDEX_DIR,
    help="Index folder; the one that comes with mars_map if not given. It is searched with the "
    "model that made it, which is looked for in MARS_MAP_MODEL and beside the index.",
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
    "--image",
    "images",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Search for what looks like a picture; several are averaged.",
)
@_width_option
@click.option(
    "--test-blocks",
    is_flag=False,
    flag_value=OWN_SPLIT,
    metavar="[FILE]",
    help="Judge in these polygons too, or in the test blocks of a split.json of training; without "
    "a file, in the test blocks of the model that comes with mars_map.",
)
@_curve_option("precision over recall, and F1 over K,")
@_json_option
def geolocalization(
    folder: Path,
    catalogue: Path,
    words: str | None,
    at: str | None,
    images: tuple[Path, ...],
    width_km: float | None,
    test_blocks: str | None,
    curve: Path | None,
    as_json: bool,
) -> None:
    """Measure global geo-localization by MarsRetrieval's protocol and by a corrected one.

    With --test-blocks, the figures are those of the blocks; those of the whole index follow.
    """
    if (words is not None) + (at is not None) + bool(images) != 1:
        raise QueryError(
            "Give one thing to search for: words with --query, a point with --at, or a picture "
            "with --image."
        )
    from mars_map.evaluation import evaluate_query, read_blocks, read_catalogue

    query: Query | PictureQuery
    if words is not None:
        query = Query(words)
    elif at is not None:
        query = Query.like(example_tile(folder, at))
    else:
        query = _picture_query(images, folder, width_km)
    features = read_catalogue(catalogue)
    engine = open_engine(folder)
    blocks = read_blocks(_split_file(test_blocks), engine.index.grid) if test_blocks else None
    report = evaluate_query(engine, query, features, blocks)
    if curve:
        from mars_map.evaluation.curves import write_curves

        write_curves(report.outcome, curve, f"{query.label} ({features.name})")
    _print(report, as_json)


@evaluate.command()
@click.argument("data", type=click.Path(path_type=Path), metavar="FOLDER_OR_ZIP")
@_model_option
@click.option(
    "--by",
    type=click.Choice(["text", "image"]),
    default="text",
    show_default=True,
    help="What asks for a class: its words, or each of its pictures.",
)
@click.option(
    "--words",
    multiple=True,
    metavar="LABEL=WORDS",
    help="What to ask for a label, instead of the label itself; may be repeated.",
)
@click.option(
    "--prompt",
    "prompts",
    multiple=True,
    metavar="TEMPLATE",
    help='Template with "{}" for the words, instead of the default ensemble; may be repeated.',
)
@click.option(
    "--observation",
    "pattern",
    metavar="REGEX",
    help="What the first group matches in a file's name is the observation that it was cut from.",
)
@_width_option
@_curve_option("precision over recall of each class")
@_json_option
def landforms(
    data: Path,
    model: Path,
    by: str,
    words: tuple[str, ...],
    prompts: tuple[str, ...],
    pattern: str | None,
    width_km: float | None,
    curve: Path | None,
    as_json: bool,
) -> None:
    """Measure landform retrieval over labelled pictures.

    FOLDER_OR_ZIP has a folder of pictures for each class, or an index.csv with the columns file and
    label, and if known observation and width_km. Nothing is unpacked.
    """
    from mars_map.evaluation import evaluate_landforms, load_encoder

    report = evaluate_landforms(
        data,
        load_encoder(model),
        by=by,
        words=_words(words),
        prompts=prompts or DEFAULT_PROMPTS,
        width_km=width_km,
        observation_pattern=pattern,
    )
    _draw(report, curve)
    _print(report, as_json)


@evaluate.command()
@click.argument("data", type=click.Path(path_type=Path), metavar="FOLDER_OR_ZIP")
@_model_option
@_width_option
@_curve_option("recall over rank")
@_json_option
def pairs(
    data: Path, model: Path, width_km: float | None, curve: Path | None, as_json: bool
) -> None:
    """Measure how pictures find their captions, and captions their pictures.

    FOLDER_OR_ZIP has a pairs.csv with the columns image and caption, and if known width_km.
    """
    from mars_map.evaluation import evaluate_pairs, load_encoder

    report = evaluate_pairs(data, load_encoder(model), width_km=width_km)
    _draw(report, curve)
    _print(report, as_json)


def _picture_query(
    images: tuple[Path, ...], folder: Path, width_km: float | None
) -> "PictureQuery":
    from mars_map.encoders import load_image_encoder
    from mars_map.evaluation import PictureQuery

    model = fitting_folder(open_index(folder))
    return PictureQuery.read(images, load_image_encoder(model), width_km)


def _split_file(value: str) -> Path:
    if value != OWN_SPLIT:
        return Path(value)
    from mars_map.training.split import SPLIT_FILE

    return SPLIT_FILE


def _words(pairs: tuple[str, ...]) -> dict[str, str]:
    """Return what LABEL=WORDS say. Raises QueryError for anything else."""
    words = {}
    for pair in pairs:
        label, separator, text = pair.partition("=")
        if not (separator and label.strip() and text.strip()):
            raise QueryError(f'"{pair}" is not LABEL=WORDS, such as "spider=araneiform terrain".')
        words[label.strip()] = text.strip()
    return words


def _draw(report: "LandformReport | PairReport", path: Path | None) -> None:
    if path is None:
        return
    from mars_map.evaluation.retrieval_curves import write_retrieval_curves

    write_retrieval_curves(report, path)


def _print(report: "Report | LandformReport | PairReport", as_json: bool) -> None:
    text = json.dumps(report.to_dict(), ensure_ascii=False) + "\n" if as_json else report.table()
    # Names of files need not be sound Unicode.
    click.echo(text.encode("utf-8", "replace").decode(), nl=False)
