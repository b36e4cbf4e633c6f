"""What a training learns from: windows, labels and words, prepared once and kept in a folder."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from mars_map.build.inputs import ELEVATION, Inputs
from mars_map.build.windows import GlobalRaster, Progress, cache_windows
from mars_map.encoders.network import NetworkConfig
from mars_map.encoders.windows import Windows, WindowSpec
from mars_map.planet.grid import EqualAreaGrid, Grid
from mars_map.training.cells import CellTruth
from mars_map.training.craters import Craters, find_craters, with_named_craters
from mars_map.training.ground import Facts
from mars_map.training.labels import make_labels
from mars_map.training.terrain import Terrain, measure_terrain, near_and_wide
from mars_map.training.texts import Glossary

Kept = TypeVar("Kept", Craters, Terrain)

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
    cell_labels: NDArray[np.int8]
    """As `labels`, by the cells of one degree that the tiles lie in; -1 for all landforms but the
    classes of `mars_map.training.cells`."""


def prepare_data(
    inputs: Inputs, work: Path, network: NetworkConfig, progress: Progress
) -> TrainingData:
    """Cut the windows, find the craters, measure the terrain and label the tiles.

    What `work` already holds is used again. Raises BuildError where an input is absent.
    """
    windows, facts = prepare_facts(inputs, work, network.windows, progress)
    return label_data(windows, facts)


def prepare_facts(
    inputs: Inputs, work: Path, spec: WindowSpec, progress: Progress
) -> tuple[Windows, Facts]:
    """Cut the windows, find the craters and measure the terrain: all that the labels rest on.

    What `work` already holds is used again. Raises BuildError where an input is absent.
    """
    windows = cache_windows(inputs, GRID, work / "windows", spec, progress)
    widths = "_".join(f"{spec.widths_km[scale]:g}" for scale in near_and_wide(spec))
    terrain = _kept(
        work / f"terrain_{widths}km.npz",
        Terrain,
        lambda: measure_terrain(windows, spec, progress),
    )
    elevation = GlobalRaster(torch.from_numpy(inputs.raster(ELEVATION)[0]))
    found = _kept(work / "craters.npz", Craters, lambda: find_craters(elevation, progress))
    craters = with_named_craters(found, inputs, elevation)
    return windows, Facts(inputs, GRID, terrain, craters)


def label_data(windows: Windows, facts: Facts) -> TrainingData:
    """Label every tile with every landform of the glossary. Raises BuildError."""
    table, glossary = make_labels(facts), Glossary.load()
    labels = np.stack([table[key] for key in glossary.keys], axis=1)
    cell_labels = CellTruth.of(facts.inputs).labels(facts.grid, glossary.keys)
    return TrainingData(facts.grid, windows, glossary, labels, cell_labels)


def _kept(path: Path, kind: type[Kept], make: Callable[[], Kept]) -> Kept:
    """Read a dataclass of arrays from a file, or make it and keep it there."""
    names = [field.name for field in fields(kind)]
    if path.is_file():
        with np.load(path) as arrays:
            if set(arrays) == set(names):  # else an earlier version measured something else
                return kind(**arrays)
    value = make()
    np.savez(path, **{name: getattr(value, name) for name in names})
    return value
