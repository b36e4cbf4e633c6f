"""Commands that ask what hits have in common."""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from mars_map.cli.points import example_tile
from mars_map.cli.where import chosen_filters, chosen_region, where_options
from mars_map.errors import QueryError
from mars_map.search import Part, Query, open_engine
from mars_map.search.query import DEFAULT_TOP_K, MAX_TOP_K
from mars_map.settings import INDEX_DIR


@click.command()
@click.argument("words", default="")
@click.option("--at", metavar="LON,LAT", help="A point of an example tile, instead of words.")
@click.option(
    "--covariate", "files", multiple=True, type=click.Path(path_type=Path, dir_okay=False),
    help="A raster of Mars or a catalogue of features to compare in as well; may be repeated.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
@click.option(
    "--index", "folder", type=click.Path(path_type=Path), default=INDEX_DIR,
    help="Index folder; the one that comes with mars_map if not given.",
)  # fmt: skip
@click.option(
    "--top-k", type=int, default=DEFAULT_TOP_K, show_default=True,
    help=f"Most hits, 1 to {MAX_TOP_K}.",
)  # fmt: skip
@click.option("--threshold", type=float, help="Least score of a hit, -1 to 1.")
@where_options
def why(
    words: str,
    at: str | None,
    files: tuple[Path, ...],
    as_json: bool,
    folder: Path,
    top_k: int,
    threshold: float | None,
    **options: Any,
) -> None:
    """Tell what sets the hits for WORDS apart from the rest of the planet.

    Hits are compared with the ground that was searched in elevation, slope, thermal inertia,
    albedo, latitude and distance to named features; docs/analysis.md tells how.
    """
    # Imported here: a search needs none of it.
    from mars_map.analysis.own import read_own
    from mars_map.analysis.why import Explainer

    if bool(words) == (at is not None):
        raise QueryError("Say what to explain: words, or a point with --at.")
    part = Part("tile", example_tile(folder, at)) if at else Part("text", words)
    query = Query(
        (part,),
        region=chosen_region(options),
        filters=chosen_filters(options),
        top_k=top_k,
        threshold=threshold,
    )
    engine = open_engine(folder)
    own = [read_own(path, engine.index.grid) for path in files]
    result = engine.search(query)
    explanation = Explainer(engine.covariate).explain(result, own)
    if result.estimate and result.estimate.sentence:
        click.echo(f"mars-map: {result.estimate.sentence}", err=True)
    if as_json:
        record = {"query": query.to_dict(), "index": engine.index.digest}
        click.echo(json.dumps(record | explanation.to_dict(), ensure_ascii=False))
        return
    click.echo(explanation.sentence)
    click.echo(f"\n{'':<26} {'delta':>6}  {'95 %':<16}  {'hits':>12}  {'ground':>12}")
    for one in explanation.comparisons:
        if np.isnan(one.delta.value):
            continue
        interval = "none"
        if one.delta.low is not None:
            interval = f"{one.delta.low:+.2f} to {one.delta.high:+.2f}"
        hits, ground = (one.covariate.value(v[2]) for v in (one.hits, one.ground))
        mark = "*" if one.delta.is_clear else " "
        click.echo(
            f"{mark} {one.covariate.title[:24]:<24} {one.delta.value:>+6.2f}  {interval:<16}  "
            f"{hits:>12}  {ground:>12}"
        )
    click.echo("\n* differs clearly; hits and ground are medians.")
    for sentence in filter(None, (one.constancy for one in explanation.comparisons)):
        click.echo(sentence)
