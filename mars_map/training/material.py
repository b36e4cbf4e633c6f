"""What a training may look at: the windows of its tiles, and of each the parts that may be seen."""

import numpy as np
import torch
from numpy.typing import NDArray

from mars_map.build.windows import Progress
from mars_map.encoders.compact import tower_inputs
from mars_map.encoders.network import Tower
from mars_map.encoders.precision import fast_precision
from mars_map.encoders.windows import Windows
from mars_map.training.augment import hide_parts
from mars_map.training.data import TrainingData
from mars_map.training.lessons import Lessons
from mars_map.training.texts import TextBank

VECTORS = 512
"""Tiles that are embedded at a time."""
LEAST_SHOWN = 0.25
"""A window of which less may be seen is left out."""


class Material:
    """The tiles of a training, numbered anew, and what is said of them. Holds their windows."""

    def __init__(
        self,
        data: TrainingData,
        shown: NDArray[np.bool_],
        bank: TextBank,
        *,
        cells: float,
        seed: int,
    ) -> None:
        """Take the data of all tiles, and what of them may be learned.

        shown: (n_tiles, n_scales, parts, parts) bool, which parts of which windows may be seen; a
        tile whose nearest window may not be seen whole takes no part. cells, seed: of `Lessons`.
        """
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        tiles = np.flatnonzero(shown[:, 0].all((1, 2)))
        # Read once and in order: drawn from a file, tiles would come at the speed of the disk.
        self._windows, self._shown = data.windows.take(tiles), shown[tiles]
        self.usable = torch.from_numpy(self._shown.mean((2, 3)) >= LEAST_SHOWN)
        """(n_tiles, n_scales) bool, which windows are shown at all."""
        self.lessons = Lessons(data, tiles, bank, cells=cells, seed=seed, device=self.device)

    def see(self, tiles: NDArray[np.int64] | slice) -> tuple[Windows, torch.Tensor]:
        """Return what may be seen of the windows of tiles, and which are usable, (n, s) bool."""
        usable = self.usable[torch.from_numpy(tiles) if isinstance(tiles, np.ndarray) else tiles]
        return hide_parts(self._windows.take(tiles), self._shown[tiles]), usable.to(self.device)

    @torch.inference_mode()
    def vectors(self, tower: Tower, tick: Progress) -> torch.Tensor:
        """Return what a tower makes of every tile, of what may be seen of it, (n_tiles, dim)."""
        n = len(self._shown)
        vectors = torch.empty((n, tower.dim), device=self.device)
        for start in range(0, n, VECTORS):
            part = slice(start, start + VECTORS)
            windows, seen = self.see(part)
            layers, told = tower_inputs(tower, windows)
            told[:, : seen.shape[1]] *= seen
            with fast_precision(self.device):
                vectors[part] = tower(layers, told, seen).float()
            tick("vectors", min(start + VECTORS, n), n)
        return vectors
