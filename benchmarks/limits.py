"""What limits the encoder's figures: the ground there is to learn from, or the pictures' sharpness.

The closed-set network of `benchmarks.closed_set` is trained on a part of the training blocks, or on
windows that were blurred, and judged on the validation blocks by the mean average precision over
the twenty classes on cells of one degree. What the last doubling gave is what a further one might.
`python -m benchmarks.limits --inputs DIR --work DIR`
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.closed_set import classify, near, train
from mars_map.build.inputs import Inputs
from mars_map.build.windows import open_windows
from mars_map.encoders.windows import Windows, WindowSpec
from mars_map.planet.blocks import block_numbers
from mars_map.training.cells import CELLS, CellTruth, cell_scores
from mars_map.training.data import GRID
from mars_map.training.figures import average_precision
from mars_map.training.split import Split

GROUND = (0.25, 0.5)
"""Shares of the training blocks."""
BLURS = (2,)
"""Pixels of the near window that become one."""


def main() -> None:
    """Train each variant and print its mean average precision beside the whole's."""
    options = _options()
    folder = options.work / "windows"
    windows = open_windows(folder)
    spec = WindowSpec(**json.loads((folder / "windows.json").read_text())["spec"])
    truth, split = CellTruth.of(Inputs(options.inputs)), Split.load()
    usable = split.training_tiles(GRID, tuple(spec.widths_km))
    judged = split.validation_tiles(GRID)
    cells = CELLS.tile_at(*GRID.centers)
    ground, seen = near(windows, usable), near(windows, judged)
    blocks = block_numbers(*(values[usable] for values in GRID.centers))
    shown = truth.shown[cells[usable]]

    def run(name: str, part: np.ndarray, blur: int) -> float:
        model = train(blurred(ground.take(part), blur), shown[part], spec, options.steps)
        scores = np.full((GRID.n_tiles, len(truth.keys)), np.nan, np.float32)
        scores[judged] = classify(model, blurred(seen, blur), spec)
        mean = mean_precision(truth, cell_scores(GRID, scores), split.validation_tiles(CELLS))
        print(f"{name:24}{len(part):>9,} tiles {mean:.3f}", flush=True)
        return mean

    everything = np.arange(len(shown))
    whole = run("all", everything, 1)
    rows = {f"{share:.0%} of the blocks": (some(blocks, share), 1) for share in GROUND}
    rows |= {f"blurred {blur} to 1": (everything, blur) for blur in BLURS}
    for name, variant in rows.items():
        print(f"{name:24}{run(name, *variant) / whole:8.2f} of all", flush=True)


def some(blocks: np.ndarray, share: float) -> np.ndarray:
    """Return the numbers of the tiles in a share of the blocks, drawn at random."""
    numbers = np.unique(blocks)
    kept = np.random.default_rng(1).permutation(numbers)[: round(share * len(numbers))]
    return np.flatnonzero(np.isin(blocks, kept))


def blurred(windows: Windows, blur: int) -> Windows:
    """Return windows whose pixels are means over squares of `blur` pixels."""
    if blur == 1:
        return windows
    image, elevation = (
        np.concatenate([_blurred(part, blur) for part in np.array_split(values, 64)])
        for values in windows[:2]
    )
    return Windows(image, elevation, windows.surface)


def _blurred(values: np.ndarray, blur: int) -> np.ndarray:
    flat = torch.from_numpy(values.astype(np.float32)).flatten(0, -3)[:, None]
    small = F.avg_pool2d(flat, blur)
    smooth = F.interpolate(small, size=flat.shape[-2:], mode="bilinear", align_corners=False)
    return np.rint(smooth.numpy()).astype(values.dtype).reshape(values.shape)


def mean_precision(truth: CellTruth, scores: np.ndarray, judged: np.ndarray) -> float:
    """Return the mean average precision over the classes that the judged cells have."""
    ranked = judged & np.isfinite(scores[:, 0])
    pairs = zip(truth.shown[ranked].T, scores[ranked].T, strict=True)
    return float(
        np.mean([average_precision(column, shown) for shown, column in pairs if shown.any()])
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--inputs", type=Path, required=True, help="folder of rasters, catalogues")
    parser.add_argument("--work", type=Path, required=True, help="folder with windows/")
    parser.add_argument("--steps", type=int, default=400, help="of each training (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
