"""One training from beginning to end: data, split, training, figures, model folder."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mars_map.build.inputs import Inputs
from mars_map.build.windows import Progress
from mars_map.encoders.compact import CompactImageEncoder, CompactTextEncoder, write_model
from mars_map.encoders.network import NetworkConfig
from mars_map.training.data import GRID, prepare_data
from mars_map.training.figures import measure_figures
from mars_map.training.loop import Trainer, TrainingConfig
from mars_map.training.split import Split
from mars_map.training.texts import TextBank

MODEL_ID = "mars_map-compact-1"
"""Name of the default model."""


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
