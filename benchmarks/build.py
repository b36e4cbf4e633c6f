"""Quads to vectors: how fast, and how long the encoder waits: `python -m benchmarks.build [MODEL]`.

A strip of a CTX quad, 4 by 1 degrees at 5 m a pixel, is written in rows and LZW as GeoTIFFs often
are: 47,420 by 11,855 pixels of made-up ground. Its 100 tiles of 0.2 degrees are then cut to 512
pixels, encoded, and both at once by `Workshop.embed`, which is what `mars-map build` does with a
quad. The encoder waits while no picture is with it: that share is what the cutting costs.

Where there is a GPU, `benchmarks.gpu` measures on it what a planet needs.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image
from rasterio.transform import from_bounds

from benchmarks.gpu import measure_gpu
from mars_map.build.plan import Recipe, Task, plan_build
from mars_map.build.workshop import Workshop, cut_run, tile_runs
from mars_map.planet.grid import RegularGrid
from mars_map.planet.sphere import METRES_PER_DEGREE, RADIUS_M
from mars_map.settings import MODEL_DIR

ROWS, COLUMNS, PIXELS, RUNS = 11_855, 47_420, 512, 3


def main() -> None:
    """Measure this machine's processors, then its GPU."""
    model = sys.argv[1] if len(sys.argv) > 1 else str(MODEL_DIR)
    with tempfile.TemporaryDirectory() as folder:
        source = write_strip(Path(folder) / "strip.tif")
        measure_build(source, model)
    measure_gpu()


def write_strip(path: Path) -> Path:
    """Write made-up ground: hills of some kilometres, and noise of a pixel."""
    rng = np.random.default_rng(0)
    hills = Image.fromarray(rng.normal(128, 30, (60, 240)).clip(1, 255).astype(np.uint8))
    hills = np.asarray(hills.resize((COLUMNS, ROWS), Image.Resampling.BICUBIC))
    noise = np.tile(rng.normal(0, 6, (512, 512)).astype(np.int8), (1, COLUMNS // 512 + 1))
    bounds = [degrees * METRES_PER_DEGREE for degrees in (4, -28, 8, -27)]
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "width": COLUMNS,
        "height": ROWS,
        "crs": f"+proj=eqc +R={RADIUS_M:.0f} +units=m",
        "transform": from_bounds(*bounds, COLUMNS, ROWS),
        "compress": "lzw",
    }
    with rasterio.open(path, "w", **profile) as file:
        for top in range(0, ROWS, 512):
            part = hills[top : top + 512].astype(np.int16)
            part += noise[: len(part), :COLUMNS]
            window = ((top, top + len(part)), (0, COLUMNS))
            file.write(part.clip(1, 255).astype(np.uint8), 1, window=window)
    return path


def measure_build(source: Path, model: str) -> None:
    """Print images a second of cutting, encoding and both, and how long the encoder waits."""
    workshop = Workshop(model)
    encoder = workshop.encoder
    recipe = Recipe(RegularGrid(0.2), model, encoder.sha256, PIXELS)
    (task,) = plan_build(source, recipe).tasks
    runs = tile_runs(recipe, task.tiles)
    pictures = [p for run in runs for p in cut_run([source], run, recipe).pictures]
    print(
        f"{len(pictures)} tiles of {PIXELS} pixels from {COLUMNS // 20:,}, {workshop.threads} "
        f"threads, {encoder.model_id}; images a second, medians of {RUNS}"
    )
    n = len(pictures)
    one = rate(n, lambda: [cut_run([source], run, recipe) for run in runs])
    cut = rate(n, lambda: list(workshop.cut(task, recipe, [source])))
    encode = rate(n, lambda: workshop.encode(pictures, recipe))
    workshop.encoding.reset()
    both = rate(n, lambda: embed(workshop, task, recipe), warm_up=False)
    print(f"  {'':<36}{'a second':>10}{'processor ms':>14}")
    tell("decode and cut, one thread", one)
    tell("decode and cut, all threads", cut)
    tell("encode", encode)
    tell("decode + cut + encode, as built", both)
    print(f"  {'share of time the encoder waits':<36}{workshop.encoding.waiting:10.0%}")
    workshop.close()


def embed(workshop: Workshop, task: Task, recipe: Recipe) -> None:
    """Do one quad's work."""
    done = workshop.embed(task, recipe, Path(tempfile.gettempdir()))
    assert len(done.tiles) == len(task.tiles)  # type: ignore[union-attr]


def tell(what: str, measured: tuple[float, float]) -> None:
    """Print one line."""
    print(f"  {what:<36}{measured[0]:10.1f}{measured[1]:14.1f}", flush=True)


def rate(n: int, work: Callable[[], object], warm_up: bool = True) -> tuple[float, float]:
    """Return how many of n things a second some work does, and its processor time, ms each.

    Medians of some runs; the second hardly depends on what else the machine does.
    """
    if warm_up:
        work()
    wall, processor = [], []
    for _ in range(RUNS):
        start = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return n / statistics.median(wall), statistics.median(processor) / n * 1e3


if __name__ == "__main__":
    main()
