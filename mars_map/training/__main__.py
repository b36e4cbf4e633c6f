"""`python -m mars_map.training`: train the compact encoder from a folder of inputs."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from mars_map.build.default import BarProgress
from mars_map.build.inputs import Inputs
from mars_map.errors import MarsMapError
from mars_map.training.loop import TrainingConfig
from mars_map.training.run import train_default


def main(arguments: list[str] | None = None) -> int:
    """Run the training; return 0, or 1 after one sentence on stderr that says what is wrong."""
    options = _parser().parse_args(arguments)
    config = replace(TrainingConfig(), steps=options.steps, seed=options.seed)
    try:
        figures = train_default(
            Inputs(options.inputs), options.work, options.out, config=config, progress=BarProgress()
        )
    except MarsMapError as error:
        print(error, file=sys.stderr)
        return 1
    for key, value in figures["landforms"].items():
        print(f"{key:18} {value['trained']:.3f}  unseen wording {value['unseen']:.3f}  ", end="")
        print(f"similar {value['similar']:.3f}  chance {value['base_rate']:.3f}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mars_map.training",
        description="Train the compact encoder on Viking, MOLA and the catalogues, and measure it "
        "on blocks that it never saw. A training that was cut short goes on where it stopped.",
    )
    inputs = os.environ.get("MARS_MAP_INPUTS")
    parser.add_argument(
        "--inputs",
        type=Path,
        default=inputs and Path(inputs),
        required=not inputs,
        help="folder with rasters/ and catalogues/ (also MARS_MAP_INPUTS)",
    )
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for windows (5.4 GB) and checkpoint"
    )
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    defaults = TrainingConfig()
    parser.add_argument("--steps", type=int, default=defaults.steps, help="updates (%(default)s)")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="(%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
