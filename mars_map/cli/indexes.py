"""Commands that make an index of something else, and something else of an index."""

import re
from pathlib import Path
from typing import Any

import click

from mars_map.errors import ForeignIndexError
from mars_map.index import open_index
from mars_map.settings import INDEX_DIR

_DTYPES = click.Choice(["float16", "int8"])
_REFINED = click.option(
    "--refined", is_flag=True, help="Keep float16 rows beside int8 ones, to rank hits."
)


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Index folder to write."
)
@click.option("--model-id", required=True, help="Name of the model that made the vectors.")
@click.option(
    "--model-sha256",
    required=True,
    help="Hash of its weights, 64 hex digits: only this model may search the index.",
)
@click.option("--dtype", type=_DTYPES, default="float16", show_default=True)
@_REFINED
@click.option("--grid", help="regular:STEP[,SOUTH,NORTH] or equal-area:HEIGHT; found if not given.")
@click.option("--table", type=click.Path(path_type=Path), help="CSV with the rows of a .npy file.")
@click.option("--column", help="Column with the vectors of a Parquet file.")
@click.option(
    "--position",
    "anchor",
    type=click.Choice(["centre", "corner"]),
    default="centre",
    show_default=True,
    help="What of a tile the points of a CSV or Parquet file are.",
)
@click.option(
    "--assume-mars",
    is_flag=True,
    help="Take degrees for planetocentric ones on Mars whatever CRS the file states.",
)
@click.option("--images", help="What was embedded, for the manifest.")
@click.option("--licence", help="Terms of use, for the manifest.")
def import_command(
    source: Path, out: Path, model_id: str, model_sha256: str, grid: str | None, **options: Any
) -> None:
    """Make an index of SOURCE, embeddings of another program.

    SOURCE is a MarsRetrieval database (features.npy, metadata.pkl, coordinates.pkl), GeoParquet as
    Earth Index or Major TOM publish it, or a .npy file with a CSV. Nothing in it is executed.
    """
    from tqdm import tqdm

    from mars_map.imports import import_source, open_source, parse_grid
    from mars_map.index import ModelCard

    if not re.fullmatch(r"[0-9a-f]{64}", model_sha256.lower()):
        raise ForeignIndexError("--model-sha256 is not a sha256; give its 64 hex digits.")
    reading = {name: options[name] for name in ("table", "column", "anchor", "assume_mars")}
    opened = open_source(source, **reading)
    with tqdm(total=opened.rows, unit="row", unit_scale=True, delay=2, leave=False) as bar:
        report = import_source(
            opened,
            out,
            model=ModelCard(model_id, model_sha256.lower(), opened.dim),
            quantisation=options["dtype"],
            refined=options["refined"],
            grid=parse_grid(grid) if grid else None,
            images=options["images"],
            licence=options["licence"],
            progress=bar.update,
        )
    click.echo(f"{out}: {report.imported:,} of {report.rows:,} rows of the {opened.format}.")
    for number, what in (
        (report.rescaled, "rows were not of length 1 and were rescaled"),
        (report.unusable, "rows left out: zero or not finite"),
        (report.unplaced, "rows left out: no position"),
        (report.empty, "tiles have no vector and are never hits"),
    ):
        if number:
            click.echo(f"{number:>11,} {what}")


@click.command("export-index")
@click.argument("folder", type=click.Path(path_type=Path), default=INDEX_DIR)
@click.option(
    "--format",
    "form",
    type=click.Choice(["geoparquet", "stac", "faiss"]),
    default="geoparquet",
    show_default=True,
    help="stac: a folder with a collection, an item and the GeoParquet; faiss: an index for FAISS, "
    "and a table of its ids beside it.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File or new folder.")
def export_index(folder: Path, form: str, out: Path) -> None:
    """Write the whole index FOLDER, outlines and embeddings, for other programs."""
    from tqdm import tqdm

    from mars_map.export.faiss_index import export_faiss
    from mars_map.export.stac import export_stac
    from mars_map.export.whole_index import export_geoparquet

    index = open_index(folder)
    export = {"geoparquet": export_geoparquet, "stac": export_stac, "faiss": export_faiss}[form]
    with tqdm(total=index.n_tiles, unit="tile", unit_scale=True, delay=2, leave=False) as bar:
        export(index, out, progress=bar.update)
    click.echo(f"{out}: the tiles of {folder} with their embeddings.")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--tiles", type=int, default=1_440_000, show_default=True, help="At least so many.")
@click.option("--dim", type=int, default=768, show_default=True, help="Dimensions of the vectors.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--dtype", type=_DTYPES, default="float16", show_default=True)
@_REFINED
def synthesize(folder: Path, tiles: int, dim: int, seed: int, dtype: str, refined: bool) -> None:
    """Write an index with made-up vectors into FOLDER, for tests and benchmarks.

    It has clusters, and truths planted at known places: what a search with their vectors must find.
    It is marked as synthetic wherever it is shown.
    """
    from tqdm import tqdm

    from mars_map.index.synthetic import read_truths, synthesize, synthetic_grid

    total = synthetic_grid(tiles).n_tiles
    with tqdm(total=total, unit="tile", unit_scale=True, delay=2, leave=False) as bar:
        index = synthesize(
            folder,
            tiles=tiles,
            dim=dim,
            seed=seed,
            quantisation=dtype,
            refined=refined,
            progress=bar.update,
        )
    truths = read_truths(index)
    planted = sum(len(truth.tiles) for truth in truths)
    click.echo(
        f"{folder}: {index.n_tiles:,} made-up tiles, {index.dim} dimensions, {dtype}; "
        f"{len(truths)} truths planted in {planted:,} of them."
    )
