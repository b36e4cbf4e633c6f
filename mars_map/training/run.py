"""One training from beginning to end: facts, labels, split, training, figures, model folder."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mars_map.build.inputs import ELEVATION, Inputs
from mars_map.build.windows import GlobalRaster, Progress, cache_windows
from mars_map.encoders.compact import CompactImageEncoder, CompactTextEncoder, write_model
from mars_map.encoders.network import NetworkConfig
from mars_map.encoders.windows import Windows
from mars_map.planet.grid import EqualAreaGrid, Grid
from mars_map.training.craters import Craters, find_craters, with_named_craters
from mars_map.training.figures import measure_figures
from mars_map.training.labels import Facts, make_labels
from mars_map.training.loop import Trainer, TrainingConfig
from mars_map.training.split import Split
from mars_map.training.terrain import Terrain, measure_terrain
from mars_map.training.texts import Glossary, TextBank

MODEL_ID = "mars_map-compact-1"
"""Name of the default model."""
GRID = EqualAreaGrid(0.5)
"""The tiles that are learned from: those of the default index."""


@dataclass(frozen=True)
class TrainingData:
    """Windows, labels and words of a training."""

    grid: Grid
    """The tiles."""
    windows: Windows
    """Their windows, memory-mapped."""
    glossary: Glossary
    """Landforms and their words."""
    labels: NDArray[np.int8]
    """(n_tiles, n_landforms), columns in the order of the glossary."""


def prepare_data(
    inputs: Inputs, work: Path, network: NetworkConfig, progress: Progress
) -> TrainingData:
    """Cut the windows, find the craters, measure the terrain and label the tiles.

    What `work` already holds is used again. Raises BuildError where an input is absent.
    """
    windows = cache_windows(inputs, GRID, work / "windows", network.windows, progress)
    terrain = _kept(
        work / "terrain.npz",
        Terrain,
        lambda: measure_terrain(windows, network.windows, progress),
    )
    elevation = GlobalRaster(torch.from_numpy(inputs.raster(ELEVATION)[0]))
    found = _kept(work / "craters.npz", Craters, lambda: find_craters(elevation, progress))
    craters = with_named_craters(found, inputs, elevation)
    table = make_labels(Facts(inputs, GRID, terrain, craters))
    glossary = Glossary.load()
    labels = np.stack([table[key] for key in glossary.keys], axis=1)
    return TrainingData(GRID, windows, glossary, labels)


def train_default(
    inputs: Inputs,
    work: Path,
    out: Path,
    *,
    network: NetworkConfig | None = None,
    config: TrainingConfig | None = None,
    progress: Progress,
    model_id: str = MODEL_ID,
) -> dict:
    """Train the compact encoder, write its folder and return its figures on the test blocks.

    work: folder for windows and checkpoint; a training that was cut short goes on from there.
    """
    network, config = network or NetworkConfig(), config or TrainingConfig()
    data = prepare_data(inputs, work, network, progress)
    split = Split.load()
    # Validation blocks served the choices; the final training uses them too.
    tiles = np.flatnonzero(split.training_tiles(GRID, max(network.windows.widths_km), True))
    bank = TextBank.make(data.glossary, data.labels[tiles], config.seed)
    if not (work / "checkpoint.safetensors").is_file():
        (work / "losses.csv").unlink(missing_ok=True)
    trainer = Trainer(data.windows, data.labels, tiles, bank, network, config)

    def report(state: dict[str, float]) -> None:
        progress("training", int(state["step"]), config.steps)
        with (work / "losses.csv").open("a", encoding="utf-8") as file:
            file.write(f"{int(state['step'])},{state['loss']:.4f},{state['rate']:.6f}\n")

    write_model(out, trainer.run(work / "checkpoint.safetensors", report), model_id)
    test = np.flatnonzero(split.test_tiles(GRID))
    figures = {
        "trained_on_tiles": len(tiles),
        "training": asdict(config),
        **measure_figures(CompactTextEncoder(out), CompactImageEncoder(out), data, test, progress),
    }
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return figures


def _kept(path: Path, kind: type, make):
    """Read a dataclass of arrays from a file, or make it and keep it there."""
    if path.is_file():
        with np.load(path) as arrays:
            return kind(**arrays)
    value = make()
    np.savez(path, **{field.name: getattr(value, field.name) for field in fields(kind)})
    return value
