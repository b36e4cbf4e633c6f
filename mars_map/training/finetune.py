"""Teaching the compact encoder a user's own pictures and captions: one command, one folder.

The folder holds the training as it goes on, and the model at its end. The training itself is in
`mars_map.training.fine_tuner`.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from mars_map.build.windows import Progress
from mars_map.encoders.compact import CONFIG_FILE, WEIGHTS_FILE, read_model, write_model
from mars_map.errors import BuildError
from mars_map.training.curve import CURVE_FILE, LOSSES_FILE, VALIDATION_FILE
from mars_map.training.fine_tuner import CHECKPOINT_FILE, FineTuneConfig, FineTuner
from mars_map.training.loop import Report
from mars_map.training.pairs_folder import load_pairs

FIGURES_FILE = "figures.json"
_RUN = "fine_tuning"
"""Key of config.json that tells by which training a model was made."""
_FILES = frozenset(
    (
        CHECKPOINT_FILE,
        CONFIG_FILE,
        CURVE_FILE,
        FIGURES_FILE,
        LOSSES_FILE,
        VALIDATION_FILE,
        WEIGHTS_FILE,
    )
)
"""All that a fine-tuning leaves in its folder; another file makes it somebody else's."""


def fine_tune(
    source: Path,
    out: Path,
    *,
    base: Path,
    config: FineTuneConfig | None = None,
    skip_bad: bool = False,
    progress: Progress,
    watch: Report = lambda state: None,
) -> dict[str, Any]:
    """Fine-tune a model on a folder of pairs, write its folder and return its figures.

    source: folder or zip file with a pairs.csv. out: an empty or absent folder, or one in which the
    same training was cut short (it goes on) or finished (its figures are returned). base: folder of
    the model to start from. watch: told of each checkpoint. Raises PictureError for pairs that
    cannot be used, ModelError for a base model that cannot, and BuildError for a folder that holds
    something else and a disk that does not take what is written.
    """
    config = config or FineTuneConfig()
    network, base_id, base_sha256 = read_model(base)
    _check_folder(out)
    pairs = load_pairs(source, network.config.windows, progress, skip_bad=skip_bad)
    based_on = {"id": base_id, "sha256": base_sha256}
    run = json.dumps([asdict(config), based_on, pairs.digest], sort_keys=True)
    finished = _finished(out, run)
    if finished is not None:
        return finished
    tuner = FineTuner(network, pairs, config)
    trained = tuner.run(out, run, progress, watch)
    extra = {"based_on": based_on, _RUN: _digest(run)}
    with _writing(out):
        (out / FIGURES_FILE).unlink(missing_ok=True)
        write_model(out, trained, f"{base_id}+{pairs.name}", extra)
        figures = {
            "based_on": based_on,
            "pairs": tuner.count(),
            "training": {**asdict(config), "steps": tuner.steps},
            "before": tuner.recall(tuner.base).to_dict(),
            "after": tuner.recall(read_model(out)[0]).to_dict(),
        }
        (out / FIGURES_FILE).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        (out / CHECKPOINT_FILE).unlink(missing_ok=True)
    return figures


def _check_folder(out: Path) -> None:
    """Raise BuildError for a place that holds anything but a fine-tuning."""
    if not out.exists():
        return
    ours = out.is_dir() and all(
        path.name in _FILES or path.suffix == ".part" for path in out.iterdir()
    )
    if not ours or ((out / CONFIG_FILE).exists() and _config(out).get(_RUN) is None):
        raise BuildError(f'"{out}" holds something else; name an empty or a new folder with --out.')


def _finished(out: Path, run: str) -> dict[str, Any] | None:
    """Return the figures of a training that is done, or None for one that is not.

    Raises BuildError where the folder holds the outcome of another.
    """
    if not (out / CONFIG_FILE).is_file() or not (out / FIGURES_FILE).is_file():
        return None
    if _config(out).get(_RUN) != _digest(run):
        raise BuildError(
            f'"{out}" holds a model of another training: pairs, base model or settings differ; '
            "name another folder with --out."
        )
    return json.loads((out / FIGURES_FILE).read_text(encoding="utf-8"))


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _digest(run: str) -> str:
    return hashlib.sha256(run.encode()).hexdigest()


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise BuildError(
            f'The model could not be written into "{out}" ({error}); make room and repeat the '
            "command: it goes on from here."
        ) from error
