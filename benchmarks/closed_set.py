"""Text queries against a classifier that knows only the classes: average precision by class.

A convolutional network of about a million parameters is trained (five minutes on one quiet core)
to tell the twenty classes of `mars_map.training.cells` apart, on the windows of the training tiles,
and ranks the cells of one degree in the test blocks. It may learn the very classes that it is
judged on; the default encoder is asked in words that its training never used.
Needs the folder of inputs and windows that a training has cut:
`python -m benchmarks.closed_set --inputs DIR --work DIR`
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from mars_map.build.inputs import Inputs
from mars_map.build.windows import open_windows
from mars_map.encoders.network import Trunk, window_layers
from mars_map.encoders.windows import Windows, WindowSpec
from mars_map.settings import MODEL_DIR
from mars_map.training.augment import Augmentation, turn_and_enlarge
from mars_map.training.cells import CELLS, CellTruth, cell_scores
from mars_map.training.data import GRID
from mars_map.training.figures import average_precision
from mars_map.training.split import Split

SCALE = 0
"""Only the near window: what a plain classifier of tiles would be given."""
BATCH = 256
LEARNING_RATE = 2e-3


class Classifier(nn.Module):
    """The encoder's trunk, narrower, and one output a class."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.trunk = Trunk((48, 96, 192))
        self.head = nn.Linear(2 * 192, classes)
        nn.init.constant_(self.head.bias, -3.0)

    def forward(self, layers: torch.Tensor, width_km: torch.Tensor) -> torch.Tensor:
        """layers: (n, CHANNELS, p, p); returns (n, classes) logits."""
        return self.head(self.trunk(layers, width_km))


def main() -> None:
    """Train the classifier, rank the test cells by it, and print it beside the default encoder."""
    options = _options()
    windows = open_windows(options.work / "windows")
    spec = WindowSpec(**json.loads((options.work / "windows" / "windows.json").read_text())["spec"])
    truth, split = CellTruth.of(Inputs(options.inputs)), Split.load()
    usable = split.training_tiles(GRID, tuple(spec.widths_km))
    cells = CELLS.tile_at(*GRID.centers)
    model = train(near(windows, usable), truth.shown[cells[usable]], spec, options.steps)
    tiles = split.test_tiles(GRID)
    scores = np.full((GRID.n_tiles, len(truth.keys)), np.nan, np.float32)
    scores[tiles] = classify(model, near(windows, tiles), spec)
    report(truth, cell_scores(GRID, scores), split.test_tiles(CELLS), options.model)


def near(windows: Windows, tiles: np.ndarray) -> Windows:
    """Return the nearest window of some tiles, read in order."""
    part = np.flatnonzero(tiles)
    image = np.stack([windows.image[tile, SCALE] for tile in part])[:, None]
    elevation = np.stack([windows.elevation[tile, SCALE] for tile in part])[:, None]
    return Windows(image, elevation, windows.surface[part])


def train(windows: Windows, shown: np.ndarray, spec: WindowSpec, steps: int) -> Classifier:
    """Train on tiles that show the classes of their cell, (n_tiles, n_classes)."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    model = Classifier(shown.shape[1]).to(memory_format=torch.channels_last)
    print(
        f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {len(shown)} tiles"
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    share = np.maximum(shown.mean(0), 1e-4)
    rarity = np.minimum(np.where(shown, share**-0.5, 1.0).max(1), 12.0)
    weight = torch.from_numpy(np.clip(np.sqrt((1 - share) / share), 1, 12)).float()
    start = time.process_time()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / 50, 1.02 * (1 - step / steps))
        tiles = random.choice(len(shown), BATCH, p=rarity / rarity.sum())
        views = turn_and_enlarge(windows.take(tiles), Augmentation(), random, torch.device("cpu"))
        target = torch.from_numpy(shown[tiles]).float()
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(*_layers(*views, spec))
        weights = 1 + (weight - 1) * target
        loss = F.binary_cross_entropy_with_logits(logits.float(), target, weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    print(
        f"{steps} steps of {BATCH} tiles in {(time.process_time() - start) / 60:.1f} core minutes"
    )
    return model.eval()


@torch.inference_mode()
def classify(model: Classifier, windows: Windows, spec: WindowSpec) -> np.ndarray:
    """Return the logits of all windows, (n, n_classes)."""
    parts = []
    for start in range(0, len(windows.image), 2 * BATCH):
        part = windows.take(slice(start, start + 2 * BATCH))
        views = (torch.from_numpy(values) for values in part[:2])
        with torch.autocast("cpu", torch.bfloat16):
            parts.append(model(*_layers(*views, spec)).float())
    return torch.cat(parts).numpy()


def report(truth: CellTruth, scores: np.ndarray, test: np.ndarray, model: Path) -> None:
    """Print average precision by class of the classifier, beside a model's figures."""
    ranked = test & np.isfinite(scores[:, 0])
    figures = json.loads((model / "figures.json").read_text(encoding="utf-8"))
    encoder = figures["test"]["one_degree"]["classes"]
    print(f"{'class':18}{'chance':>8}{'closed set':>12}{'text query':>12}{'ratio':>8}")
    closed, text = [], []
    for key, shown, column in zip(truth.keys, truth.shown.T, scores.T, strict=True):
        closed.append(average_precision(column[ranked], shown[ranked]))
        text.append(encoder[key]["unseen"])
        print(
            f"{key:18}{shown[ranked].mean():8.3f}{closed[-1]:12.3f}{text[-1]:12.3f}"
            f"{text[-1] / closed[-1]:8.2f}"
        )
    means = truth.shown[ranked].mean(), np.mean(closed), np.mean(text)
    print("{:18}{:8.3f}{:12.3f}{:12.3f}{:8.2f}".format("mean", *means, means[2] / means[1]))


def _layers(
    image: torch.Tensor, elevation: torch.Tensor, spec: WindowSpec
) -> tuple[torch.Tensor, torch.Tensor]:
    width = torch.full((len(image),), float(spec.widths_km[SCALE]))
    layers = window_layers(image[:, 0], elevation[:, 0], width)
    return layers.contiguous(memory_format=torch.channels_last), width


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.closed_set", description=__doc__)
    parser.add_argument("--inputs", type=Path, required=True, help="folder of rasters, catalogues")
    parser.add_argument("--work", type=Path, required=True, help="folder with windows/")
    parser.add_argument("--model", type=Path, default=MODEL_DIR, help="model folder to compare")
    parser.add_argument("--steps", type=int, default=700, help="of training (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
