"""One training from beginning to end: data, split, training, figures, model folder."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mars_map.build.embed import embed_windows
from mars_map.build.inputs import Inputs
from mars_map.build.windows import Progress
from mars_map.encoders.compact import CompactImageEncoder, CompactTextEncoder, write_model
from mars_map.encoders.network import CompactNetwork, NetworkConfig
from mars_map.planet.grid import Grid
from mars_map.training.calibrate import write_calibration
from mars_map.training.cells import CELLS, CellTruth
from mars_map.training.curve import LOSSES_FILE, VALIDATION_FILE
from mars_map.training.data import GRID, TrainingData, prepare_data
from mars_map.training.figures import Judge, measure_cells, measure_figures
from mars_map.training.history import append_row
from mars_map.training.loop import Report, TrainingConfig
from mars_map.training.material import Material
from mars_map.training.split import Split
from mars_map.training.team import train_network
from mars_map.training.texts import TextBank

MODEL_ID = "mars_map-compact-4"
"""Name of the default model."""
TOWERS = 4
"""Image towers of the default model."""
VALIDATE_EVERY = 200
"""Steps between two looks at the validation tiles."""


def train_default(
    inputs: Inputs,
    work: Path,
    out: Path,
    *,
    network: NetworkConfig | None = None,
    config: TrainingConfig | None = None,
    progress: Progress,
    model_id: str = MODEL_ID,
    watch: Report = lambda state: None,
) -> dict:
    """Train, measure and calibrate the compact encoder; write its folder and return its figures.

    work: folder for windows and checkpoint; a training that was cut short goes on from there.
    watch: told of each checkpoint, when losses.csv and validation.csv in `work` are up to date.
    """
    network, config = network or NetworkConfig(towers=TOWERS), config or TrainingConfig()
    data = prepare_data(inputs, work, network, progress)
    split = Split.load()
    shown = split.shown_parts(GRID, network.windows.widths_km)
    bank = TextBank.make(data.glossary, data.labels[shown[:, 0].all((1, 2))], config.seed)
    material = Material(data, shown, bank, cells=config.cells, seed=config.seed)
    judge = Judge.of(data, np.flatnonzero(split.validation_tiles(GRID)), config.seed)

    def report(state: dict[str, float], averaged: CompactNetwork) -> None:
        append_row(work / LOSSES_FILE, state)
        if state["step"] % VALIDATE_EVERY == 0 or state["step"] % config.steps == 0:
            append_row(work / VALIDATION_FILE, {"step": state["step"], **judge(averaged)})
        watch(state)

    trained = train_network(material, network, config, work, report, progress)
    write_model(out, trained, model_id)
    figures = {
        "trained_on_windows": material.usable.sum(0).tolist(),
        "training": asdict(config),
        "test": _measure(inputs, data, out, split.test_tiles, progress),
        "validation": _measure(inputs, data, out, split.validation_tiles, progress),
    }
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    write_calibration(out, data.windows, data.labels, data.glossary, split, progress)
    return figures


def _measure(
    inputs: Inputs,
    data: TrainingData,
    model: Path,
    part: Callable[[Grid], NDArray[np.bool_]],
    progress: Progress,
) -> dict:
    """Measure a model on one part of the split, by landforms of tiles and by classes of cells."""
    text, image = CompactTextEncoder(model), CompactImageEncoder(model)
    tiles = np.flatnonzero(part(GRID))
    vectors = np.zeros((GRID.n_tiles, image.dim), np.float32)
    vectors[tiles] = embed_windows(image, data.windows.take(tiles), progress)
    cells, glossary = part(CELLS), data.glossary
    return {
        **measure_figures(text, vectors[tiles], data.labels[tiles], glossary),
        "one_degree": measure_cells(text, vectors, GRID, glossary, CellTruth.of(inputs), cells),
    }
