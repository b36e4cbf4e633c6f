"""A text query from words to picture, step by step: `python -m benchmarks.query`.

Prints medians of 20 fresh queries on the embedded index and each step's share; caches are not used.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from mars_map.encoders.prompts import average_vectors, fill_prompts
from mars_map.maps.footprints import hit_arrays, to_geodataframe
from mars_map.maps.heat import heat_png
from mars_map.search import Query, Result, open_engine
from mars_map.search.scoring import best_tiles, score_all

QUERIES = [
    f"{landform} {place}"
    for landform in ("impact crater", "dunes", "chaos terrain", "canyon", "valley network")
    for place in ("with a flat floor", "in the south", "near a volcano", "at the dichotomy")
]


def main() -> None:
    """Measure start-up in a fresh process, then the steps of a query."""
    for name, seconds in start_up().items():
        print(f"{name:<44}{seconds * 1e3:8.1f} ms")
    engine = open_engine()
    encoder = engine.encoder()
    encoder.encode_text(["warm up"])
    steps: dict[str, list[float]] = {}
    for text in QUERIES:
        measure_query(engine.index, encoder, Query(text), steps)
    medians = {name: statistics.median(values) for name, values in steps.items()}
    total = sum(medians.values())
    print(f"\n{engine.index.n_tiles:,} tiles, medians of {len(QUERIES)} queries")
    for name, ms in medians.items():
        print(f"{name:<44}{ms:8.1f} ms {ms / total:5.0%}")
    print(f"{'words to heat map and footprints':<44}{total:8.1f} ms")


def measure_query(index: Any, encoder: Any, query: Query, steps: dict[str, list[float]]) -> None:
    """Run one query and add the milliseconds of each step."""

    def timed(name: str, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        value = call()
        steps.setdefault(name, []).append((time.perf_counter() - start) * 1e3)
        return value

    texts = fill_prompts(query.prompts, query.text)
    vector = timed("encode (3 prompts)", lambda: average_vectors(encoder.encode_text(texts)))
    scores = timed("score (all tiles)", lambda: score_all(index, vector))
    hits = timed("rank (top 500)", lambda: best_tiles(scores, query.top_k))
    result = Result(query, index, scores, hits, {})
    timed("heat raster (1440 x 720 PNG)", lambda: heat_png(scores, index.grid))
    timed("footprints for the map", lambda: hit_arrays(result))
    frame = timed("footprints as GeoDataFrame", lambda: to_geodataframe(result))
    assert len(frame) == len(hits)


def start_up() -> dict[str, float]:
    """Return seconds to import, open and answer for the first time, in a fresh process."""
    code = """
import time; t0 = time.perf_counter()
from mars_map.search import Query, open_engine; t1 = time.perf_counter()
engine = open_engine(); t2 = time.perf_counter()
tile = engine.index.grid.names([1000])[0]
engine.search(Query.like(tile)); t3 = time.perf_counter()
engine.encoder(); t4 = time.perf_counter()
engine.search(Query("dunes")); t5 = time.perf_counter()
print(t1 - t0, t2 - t1, t3 - t2, t4 - t3, t5 - t4)
"""
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    ).stdout
    names = (
        "import mars_map.search",
        "open the index",
        "first query by tile",
        "load the text encoder",
        "first query by words",
    )
    return dict(zip(names, map(float, output.split()), strict=True))


if __name__ == "__main__":
    main()
