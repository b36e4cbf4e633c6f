"""Yes and no on catalogues that training never used: the encoder is trained anew without each.

For every catalogue an encoder is trained in which no text and no cell tells of what it holds, the
planet is embedded, and the users of `benchmarks.feedback` search it without words. The trainings
are shorter than the default encoder's, a quarter of an hour of one core each with all that follows;
the ratios compare queries on the same vectors.
Needs the folder of inputs and windows that a training has cut:
`python -m benchmarks.left_out --inputs DIR --work DIR`
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.feedback import judge_subject, subjects
from mars_map.build.embed import build_index
from mars_map.build.inputs import Inputs
from mars_map.encoders.compact import CompactImageEncoder, write_model
from mars_map.encoders.network import NetworkConfig
from mars_map.search import Engine, open_engine
from mars_map.training.data import GRID, TrainingData, prepare_data
from mars_map.training.loop import TrainingConfig
from mars_map.training.material import Material
from mars_map.training.split import Split
from mars_map.training.team import train_network
from mars_map.training.texts import TextBank

TOLD_BY = {
    "landslides": (
        "landslide",
        "large_landslide",
        "rock_avalanche",
        "slump",
        "canyon_landslide",
        "crater_landslide",
    ),
    "glacier-like forms": ("glacier", "crater_glacier"),
    "dune fields": (
        "dunes",
        "barchan_dunes",
        "transverse_dunes",
        "linear_dunes",
        "dome_dunes",
        "sand_sheet",
        "large_dune_field",
        "crater_dunes",
        "canyon_dunes",
    ),
    "wrinkle ridges": ("wrinkle_ridge", "ridged_plains", "lava_ridges"),
    "graben": ("graben", "fractured_crater", "volcano_graben"),
    "layered ejecta": ("ejecta", "rampart_crater", "pedestal_crater"),
}
"""Landforms of the glossary whose labels rest on each catalogue."""
CLASSES = {"debris flows": "landslides", "linear dunes": "dune fields"}
"""Classes of a catalogue, judged where it was left out."""


def main() -> None:
    """Train, embed and judge without each catalogue, and print the table."""
    options = _options()
    inputs = Inputs(options.inputs)
    data = prepare_data(inputs, options.work, NetworkConfig(), lambda *_: None)
    judged = list(subjects(inputs))
    rows = []
    for catalogue in options.only or TOLD_BY:
        with tempfile.TemporaryDirectory() as folder:
            engine = train_without(data, TOLD_BY[catalogue], options.steps, Path(folder))
            for subject in judged:
                if CLASSES.get(subject.name, subject.name) == catalogue:
                    without = replace(subject, trained="left out", words="")
                    rows += judge_subject(engine, without, options.seeds)
    for ground in dict.fromkeys(row["ground"] for row in rows):
        ratios = [np.log(row["ratio"]) for row in rows if row["ground"] == ground]
        print(f"{ground}: {np.exp(np.mean(ratios)):.2f} of the best single tile (geometric mean)")
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def train_without(data: TrainingData, keys: tuple[str, ...], steps: int, folder: Path) -> Engine:
    """Train an encoder that is told nothing of some landforms; return an engine on its planet."""
    told = ~np.isin(data.glossary.keys, keys)
    unknown = np.int8(-1)
    data = replace(
        data,
        labels=np.where(told, data.labels, unknown),
        cell_labels=np.where(told, data.cell_labels, unknown),
    )
    network = NetworkConfig()
    config = replace(TrainingConfig(), steps=steps, batch=96, warm_up=50, average=0.99)
    shown = Split.load().shown_parts(GRID, network.windows.widths_km)
    bank = TextBank.make(data.glossary, data.labels[shown[:, 0].all((1, 2))], config.seed)
    material = Material(data, shown, bank, cells=config.cells, seed=config.seed)
    write_model(folder / "model", train_network(material, network, config, folder), "left-out")
    encoder = CompactImageEncoder(folder / "model")
    build_index(encoder, data.windows, GRID, folder / "index", lambda *_: None)
    return open_engine(folder / "index")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.left_out", description=__doc__)
    parser.add_argument("--inputs", type=Path, required=True, help="folder of rasters, catalogues")
    parser.add_argument("--work", type=Path, required=True, help="folder with windows/")
    parser.add_argument("--only", action="append", choices=TOLD_BY, help="catalogue, repeatable")
    parser.add_argument("--steps", type=int, default=300, help="of each training (%(default)s)")
    parser.add_argument("--seeds", type=int, default=6, help="simulated users (%(default)s)")
    parser.add_argument("-o", "--output", type=Path, help="file for the figures, JSON")
    return parser.parse_args()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
