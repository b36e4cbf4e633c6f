"""Makes everything in `data/` from a folder of inputs: `mars-map build-default`."""

import shutil
from pathlib import Path

from tqdm import tqdm

from mars_map.build.basemap import build_basemaps
from mars_map.build.covariates import build_covariates
from mars_map.build.embed import build_index
from mars_map.build.gazetteer import build_gazetteer
from mars_map.build.inputs import Inputs
from mars_map.build.overlays import build_overlays
from mars_map.build.windows import Progress, cache_windows
from mars_map.encoders import load_image_encoder
from mars_map.encoders.compact import read_model
from mars_map.errors import BuildError
from mars_map.planet.grid import EqualAreaGrid
from mars_map.settings import MODEL_DIR

DEFAULT_GRID = EqualAreaGrid(0.5)
"""Rows of half a degree (29.6 km), 165,016 tiles from pole to pole."""


def build_default(
    inputs: Path,
    out: Path,
    *,
    train: bool = False,
    model: Path | None = None,
    work: Path | None = None,
    progress: Progress | None = None,
) -> None:
    """Write basemaps, covariates, gazetteer, model and index into a folder, from the inputs.

    train: train the encoder anew; otherwise the model in the folder `model`, or else the one in
    `out`, or else the one that came with the program, embeds the tiles. work: folder of the windows
    (8 GB), of the checkpoint and of what else is not published; `work` beside `out` unless given.
    What is there is used again.
    Raises BuildError where an input is absent, and ModelError where a model is.
    """
    source = Inputs(Path(inputs))
    if model is not None:
        _check_model(model, out / "model")
    work = Path(work) if work else Path(out).parent / "work"
    progress = progress or BarProgress()
    build_gazetteer(source, out / "gazetteer.csv")
    build_basemaps(source, out / "basemap", progress)
    build_overlays(source, out / "overlays")
    build_covariates(source, out / "covariates", progress)
    if train:
        # Training stands above the build; this step alone reaches up to it.
        from mars_map.training.run import train_default

        train_default(source, work, out / "model", progress=progress)
    elif not (out / "model").is_dir():
        shutil.copytree(model or MODEL_DIR, out / "model")
    encoder = load_image_encoder(out / "model")
    windows = cache_windows(source, DEFAULT_GRID, work / "windows", encoder.spec, progress)
    build_index(encoder, windows, DEFAULT_GRID, out / "index", progress)


def _check_model(model: Path, target: Path) -> None:
    """Raise ModelError for no sound model, and BuildError where the target is another one."""
    _, _, sha256 = read_model(model)
    if target.is_dir() and read_model(target)[2] != sha256:
        raise BuildError(
            f'"{target}" holds another model than "{model}"; name another folder with --out.'
        )


class BarProgress:
    """Shows each step as a bar on stderr."""

    def __init__(self) -> None:
        self._step, self._bar = "", None

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show that a step is done so far."""
        if step != self._step:
            # What an earlier run has done is no work of this one: rate and time left are.
            bar = tqdm(total=total, initial=done, desc=step, unit_scale=True)
            self._step, self._bar = step, bar
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.close()
            self._step = ""

    def note(self, **values: str) -> None:
        """Show some values beside the bar until others are noted."""
        if self._bar is not None:
            self._bar.set_postfix(values)
