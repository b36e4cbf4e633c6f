"""Commands that make an index of something else, and something else of an index."""

from pathlib import Path

import click

_DTYPES = click.Choice(["float16", "int8"])


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--tiles", type=int, default=1_440_000, show_default=True, help="At least so many.")
@click.option("--dim", type=int, default=768, show_default=True, help="Dimensions of the vectors.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--dtype", type=_DTYPES, default="float16", show_default=True)
def synthesize(folder: Path, tiles: int, dim: int, seed: int, dtype: str) -> None:
    """Write an index with made-up vectors into FOLDER, for tests and benchmarks.

    It has clusters, and truths planted at known places: what a search with their vectors must find.
    It is marked as synthetic wherever it is shown.
    """
    from tqdm import tqdm

    from mars_map.index.synthetic import read_truths, synthesize, synthetic_grid

    total = synthetic_grid(tiles).n_tiles
    with tqdm(total=total, unit="tile", unit_scale=True, delay=2, leave=False) as bar:
        index = synthesize(
            folder, tiles=tiles, dim=dim, seed=seed, quantisation=dtype, progress=bar.update
        )
    truths = read_truths(index)
    planted = sum(len(truth.tiles) for truth in truths)
    click.echo(
        f"{folder}: {index.n_tiles:,} made-up tiles, {index.dim} dimensions, {dtype}; "
        f"{len(truths)} truths planted in {planted:,} of them."
    )
