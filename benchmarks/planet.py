"""Search of a planet at CTX scale: `python -m benchmarks.planet [--server] [--growth]`.

Makes synthetic indexes of 1.44 million tiles of 768 dimensions, in float16 and in int8 with float16
rows to rank by, and measures in one run, all ways in turn in each round, what an answer takes:
against one bare pass of NumPy over the same vectors in float32, against torch, and against FAISS
with the table that MarsRetrieval makes of what it finds. Then what a fresh process needs for its
first answer, and how far the hits agree with those of the float32 vectors. Takes about five
minutes, 12 GB of memory and 6 GB of disk. What is printed as a ratio is of the bare pass.

--server: sessions that ask, read for ten seconds and ask again, on a real server (three minutes).
--growth: 0.36, 1.44 and 5.76 million tiles on one machine and on Dask workers (8 minutes, 9 GB of
disk at a time). --folder keeps the indexes for the next run.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mars_map.index import TileIndex, open_index
from mars_map.index.files import VECTORS_FILE
from mars_map.index.synthetic import made_up_vectors, read_truths, synthesize
from mars_map.maps.heat import heat_png
from mars_map.search.scan import cores, scan
from mars_map.search.scoring import best_tiles, rescore, score_all

TILES, DIM = 1_440_000, 768
ROUNDS = 20
TOP_K = 1_000
TABLE_K = 20_000
"""Hits that MarsRetrieval's pipeline makes a table of."""
PICTURE = (1800, 900)
QUERIES = 20
BATCHES = (2, 4, 8)


def main() -> None:
    """Run what is asked for."""
    options = parse()
    with working_folder(options.folder) as folder:
        if options.growth:
            from benchmarks.planet_growth import growth

            growth(folder, options.rounds)
            return
        half = made(folder / "float16", options, "float16")
        if options.server:
            from benchmarks.planet_server import server_load

            server_load(half.folder)
            return
        small = made(folder / "int8", options, "int8")
        print(f"{half.n_tiles:,} tiles x {half.dim}, {cores()} cores, medians of {options.rounds}")
        first_answers([half, small])
        answers(half, small, options.rounds)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--folder", type=Path, help="where the indexes are kept")
    parser.add_argument("--tiles", type=int, default=TILES)
    parser.add_argument("--dim", type=int, default=DIM)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--server", action="store_true")
    parser.add_argument("--growth", action="store_true")
    return parser.parse_args()


@contextmanager
def working_folder(folder: Path | None) -> Iterator[Path]:
    """Yield the folder that was asked for, or one that is deleted at the end."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    folder = Path(tempfile.mkdtemp(prefix="mars-map-planet-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def made(folder: Path, options: argparse.Namespace, quantisation: Any) -> TileIndex:
    """Return a synthetic index, made if it is not there."""
    if not (folder / "manifest.json").exists():
        start = time.perf_counter()
        synthesize(
            folder, tiles=options.tiles, dim=options.dim, quantisation=quantisation, refined=True
        )
        print(f"made {quantisation} index in {time.perf_counter() - start:.0f} s", flush=True)
    return open_index(folder)


FIRST_ANSWER = """
import json, sys, time
start = time.perf_counter()
from mars_map.search import Engine, Query
from mars_map.index import open_index
index = open_index(sys.argv[1])
result = Engine(index, lambda: None).search(Query.like(index.grid.names([index.n_tiles // 2])[0]))
seconds = time.perf_counter() - start
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps([seconds, int(status["RssAnon"].split()[0]) / 1024]))
"""


def first_answers(indexes: list[TileIndex]) -> None:
    """Print seconds from an empty process to its first answer, and its anonymous memory."""
    for index in indexes:
        command = [sys.executable, "-c", FIRST_ANSWER, str(index.folder)]
        runs = [
            json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
            for _ in range(5)
        ]
        seconds, megabytes = (statistics.median(values) for values in zip(*runs, strict=True))
        name = f"fresh process to first answer, {index.manifest.quantisation}"
        print(f"{name:<58}{seconds:8.2f} s, {megabytes:.0f} MB anonymous memory", flush=True)


def answers(half: TileIndex, small: TileIndex, rounds: int) -> None:
    """Print how long the ways to answer take, and how far their hits agree."""
    import faiss
    import torch

    flat = faiss.IndexFlatIP(half.dim)
    for piece in made_up_vectors(half):
        flat.add(piece)
    # FAISS's own copy serves NumPy too: a second one would be four gigabytes more.
    copy = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * half.dim).reshape(-1, half.dim)
    table = tile_table(half)
    queries = query_vectors(half)
    # Mapped copy-on-write: torch wants arrays that could be written.
    halves = torch.from_numpy(np.load(half.folder / VECTORS_FILE, mmap_mode="c"))
    ways: dict[str, Callable[[NDArray[np.float32]], Any]] = {
        "NumPy, one pass over float32": lambda v: copy @ v,
        "float16: all scores": lambda v: score_all(half, v),
        f"float16: scores, top {TOP_K:,}, heat map as PNG": lambda v: answer(half, v),
        f"int8: scores, rescoring, top {TOP_K:,}, heat map as PNG": lambda v: answer(small, v),
        "torch, float16 product, all scores rounded to float16": lambda v: (
            halves @ torch.from_numpy(v).half()
        ),
        f"FAISS flat float32: top {TABLE_K:,} and their table": lambda v: pipeline(flat, table, v),
        f"float16: scores, heat map, top {TABLE_K:,} and table": lambda v: full(half, table, v),
    }
    ways |= {
        f"float16: all scores of {count} queries in one pass": lambda v, n=count: scan(
            half, np.array([v, *queries[: n - 1]])
        )
        for count in BATCHES
    }
    durations: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(-1, rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way(queries[round_ % len(queries)])
            if round_ >= 0:
                durations[name].append((time.perf_counter() - start) * 1e3)
    bare = statistics.median(next(iter(durations.values())))
    for name, values in durations.items():
        ms = statistics.median(values)
        print(f"{name:<58}{ms:8.1f} ms{ms / bare:7.2f}", flush=True)
    for name, index in (("float16", half), ("int8 with rescoring", small)):
        shares = [overlap(index, copy, query) for query in queries]
        print(
            f"top {TOP_K:,} of {name} that float32 has too:".ljust(58)
            + f"{statistics.mean(shares):9.3%} (least {min(shares):.1%})"
        )
    error = max(float(np.abs(score_all(half, q) - copy @ q).max()) for q in queries[:3])
    print(f"{'largest error of a float16 score against float32':<58}{error:8.1e}")


def answer(index: TileIndex, vector: NDArray[np.float32]) -> tuple[NDArray[np.int64], bytes]:
    """Return the best tiles and the heat map."""
    scores = rescore(index, vector, score_all(index, vector), TOP_K)
    return best_tiles(scores, TOP_K), heat_png(scores, index.grid, PICTURE)


def query_vectors(index: TileIndex) -> list[NDArray[np.float32]]:
    """Return directions of all kinds: planted truths with some of a tile, tiles, mixtures of two.

    A bare truth is at right angles to all tiles but its own: beyond these its ranks mean nothing.
    """
    random = np.random.default_rng(1)
    tiles = [index.vector(int(tile)) for tile in random.integers(0, index.n_tiles, QUERIES)]
    truths = zip(read_truths(index), tiles, strict=False)
    vectors = [truth.vector + 0.5 * tile for truth, tile in truths]
    vectors += [a + 0.5 * b for a, b in pairwise(tiles[:7])]
    return [(v / np.linalg.norm(v)).astype(np.float32) for v in [*vectors, *tiles][:QUERIES]]


def tile_table(index: TileIndex) -> Any:
    """Return the names and centres of all tiles, as the published pipeline holds them ready."""
    import pandas as pd

    lon, lat = index.grid.centers
    return pd.DataFrame(
        {"name": index.grid.names(np.arange(index.n_tiles)), "lon": lon, "lat": lat}
    )


def pipeline(flat: Any, table: Any, vector: NDArray[np.float32]) -> Any:
    """Do what MarsRetrieval's retriever does: search, and make a table of what was found."""
    scores, tiles = flat.search(vector[np.newaxis], TABLE_K)
    return table.iloc[tiles[0]].assign(score=scores[0])


def full(index: TileIndex, table: Any, vector: NDArray[np.float32]) -> Any:
    """Do the same, with the scores of all tiles and the heat map beside it."""
    scores = score_all(index, vector)
    tiles = best_tiles(scores, TABLE_K)
    return table.iloc[tiles].assign(score=scores[tiles]), heat_png(scores, index.grid, PICTURE)


def overlap(index: TileIndex, copy: NDArray[np.float32], vector: NDArray[np.float32]) -> float:
    """Return the share of the best tiles that are the best by the float32 vectors too."""
    ours = best_tiles(rescore(index, vector, score_all(index, vector), TOP_K), TOP_K)
    return len(np.intersect1d(ours, best_tiles(copy @ vector, TOP_K))) / TOP_K


if __name__ == "__main__":
    main()
