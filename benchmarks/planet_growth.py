"""How an answer's time grows with the planet: `python -m benchmarks.planet --growth`.

Each size is made, measured and deleted. What Dask costs is the difference between one worker with
all cores of this machine and the same work without Dask; from both lines follows the number of
tiles at which several such machines are faster than one whose memory holds the index. Memory itself
comes first: an index that does not fit into one machine's page cache is read from disk each time.
"""

import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mars_map.index import TileIndex
from mars_map.index.synthetic import synthesize
from mars_map.maps.cluster_heat import cluster_heat_png
from mars_map.maps.heat import heat_png
from mars_map.search.cluster import ClusterScan
from mars_map.search.scan import scan, warm_up
from mars_map.search.scoring import best_tiles, score_all

SIZES = (360_000, 1_440_000, 5_760_000)
DIM = 768
TOP_K = 1_000
PICTURE = (1800, 900)
MACHINES = (2, 4, 8)


def growth(folder: Path, rounds: int) -> None:
    """Print a line for each size, and where Dask begins to pay."""
    from distributed import LocalCluster

    here, there = [], []
    with LocalCluster(
        n_workers=1, threads_per_worker=1, memory_limit=None, dashboard_address=":0"
    ) as cluster:
        for tiles in SIZES:
            place = folder / f"growth-{tiles}"
            index = synthesize(place, tiles=tiles, dim=DIM)
            warm_up(index)
            vectors = [index.vector(int(t)) for t in np.linspace(0, tiles - 1, rounds, dtype=int)]
            with ClusterScan(index, cluster.scheduler_address) as spread:
                ways: dict[str, Callable[[np.ndarray], object]] = {
                    "scores": lambda v, index=index: scan(index, v[np.newaxis]),
                    "answer": lambda v, index=index: _answer(index, v),
                    "answer by Dask": lambda v, spread=spread: _answer_by_dask(spread, v),
                }
                medians = _medians(ways, vectors)
            shutil.rmtree(place)
            here.append(medians["answer"])
            there.append(medians["answer by Dask"])
            shown = ", ".join(f"{name} {ms:.0f} ms" for name, ms in medians.items())
            print(f"{tiles / 1e6:.2f} M tiles: {shown}", flush=True)
    _crossing(here, there)


def _answer(index: TileIndex, vector: np.ndarray) -> tuple[np.ndarray, bytes]:
    scores = score_all(index, vector)
    return best_tiles(scores, TOP_K), heat_png(scores, index.grid, PICTURE)


def _answer_by_dask(spread: ClusterScan, vector: np.ndarray) -> tuple[np.ndarray, bytes]:
    scattered = spread.spread(vector)
    tiles, _ = spread.best_of(scattered, TOP_K)
    return tiles, cluster_heat_png(spread, scattered, PICTURE)


def _medians(
    ways: dict[str, Callable[[np.ndarray], object]], vectors: list[np.ndarray]
) -> dict[str, float]:
    durations: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way(vectors[0])
    for vector in vectors:
        for name, way in ways.items():
            start = time.perf_counter()
            way(vector)
            durations[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(values) for name, values in durations.items()}


def _crossing(here: list[float], there: list[float]) -> None:
    """Print the sizes from which several machines with Dask beat one without it."""
    slope, fixed = np.polyfit(SIZES, here, 1)
    dask_slope, dask_fixed = np.polyfit(SIZES, there, 1)
    print(f"here {fixed:.0f} ms + {slope * 1e6:.0f} ms a million tiles")
    print(f"one Dask worker {dask_fixed:.0f} ms + {dask_slope * 1e6:.0f} ms a million tiles")
    for machines in MACHINES:
        gain = slope - dask_slope / machines
        if gain <= 0:
            print(f"{machines} machines: never faster than one that holds the index in memory")
        else:
            tiles = max(dask_fixed - fixed, 0.0) / gain
            print(f"{machines} machines: faster from {tiles / 1e6:.2f} million tiles")
