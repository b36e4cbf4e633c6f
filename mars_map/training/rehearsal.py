"""What a fine-tuned encoder must not forget: the planet's own tiles, and the words of the glossary.

A model that is taught new pairs alone unlearns the rest within a hundred steps. So it rehearses:
tiles of the embedded basemaps must keep the vectors that the base model gives them, and so must the
wordings of the glossary (learning without forgetting, Li and Hoiem 2016, arXiv 1606.09282). Part of
the tiles is shown as a user's picture would be, in grey and without relief, and still must be where
the base model puts the whole tile: what is learned from pictures then holds for tiles as well.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from mars_map.build.windows import WindowSources, cut_windows
from mars_map.encoders.compact import tower_inputs, tower_vectors
from mars_map.encoders.minilm import MiniLM
from mars_map.encoders.network import CompactNetwork, grey_layers
from mars_map.encoders.precision import fast_precision
from mars_map.encoders.windows import Windows, WindowSpec
from mars_map.errors import BuildError
from mars_map.settings import BASEMAP_DIR
from mars_map.training.texts import TEMPLATES, Glossary

GREY = 0.5
"""Share of the rehearsed tiles that is shown as a picture."""

ROWS = 4096
"""Most rows of a basemap that are read: its overview of 2.6 km is near what the mosaic resolves,
and takes two seconds and half a gigabyte instead of ten and two."""


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """Tiles and words with the vectors that the base model gives them."""

    windows: Windows
    """Windows of n tiles."""
    images: torch.Tensor
    """(n, dim) vectors of the tiles, float32."""
    sentences: torch.Tensor
    """(m, text_dim) sentence vectors of the wordings."""
    words: torch.Tensor
    """(m, dim) vectors of the wordings, float32."""

    @classmethod
    def of(
        cls, base: CompactNetwork, minilm: MiniLM, tiles: int, words: int, seed: int
    ) -> "Rehearsal":
        """Ask the base model about n tiles anywhere on the planet and about n trained wordings.

        Raises BuildError where the embedded basemaps are not there.
        """
        device = next(base.parameters()).device
        windows = basemap_windows(base.config.windows, tiles, seed)
        # Out of inference mode, to be differentiated.
        sentences = minilm.encode(_some_wordings(words, seed)).clone().to(device)
        with torch.no_grad():
            words = base.text(sentences)
        images = torch.from_numpy(tower_vectors(base.image, windows)).to(device)
        return cls(windows, images, sentences, words)

    def loss(
        self, network: CompactNetwork, random: np.random.Generator, tiles: int, words: int
    ) -> torch.Tensor:
        """Return how far a network is from the base model on a draw of tiles and words.

        That is the mean of 1 - cosine of the words' vectors plus that of the tiles'.
        """
        some = random.integers(len(self.sentences), size=words)
        chosen = torch.from_numpy(some).to(self.words.device)
        told = 1 - F.cosine_similarity(network.text(self.sentences[chosen]), self.words[chosen])
        if not tiles:
            return told.mean()
        some = random.integers(len(self.images), size=tiles)
        layers, facts = tower_inputs(network.image, self.windows.take(some))
        seen = _show_in_grey(layers, facts, random)
        with fast_precision(layers.device):
            images = network.image(layers, facts, seen).float()
        target = self.images[torch.from_numpy(some).to(images.device)]
        return told.mean() + (1 - F.cosine_similarity(images, target)).mean()


def _some_wordings(n: int, seed: int) -> list[str]:
    """Draw n wordings of the glossary, each in a template."""
    random = np.random.default_rng(seed)
    wordings = [w for words in Glossary.load().trained.values() for w in words]
    drawn = random.permutation(len(wordings))[:n]
    return [random.choice(TEMPLATES).replace("{}", wordings[i]) for i in drawn]


def _show_in_grey(
    layers: torch.Tensor, facts: torch.Tensor, random: np.random.Generator
) -> torch.Tensor:
    """Show some tiles as pictures of one or more windows, in place; return what is seen."""
    n, scales = layers.shape[:2]
    grey = torch.from_numpy(random.random(n) < GREY).to(layers.device)
    layers[grey] = grey_layers(layers[grey])
    facts[grey] = 0.0
    widest = torch.from_numpy(random.integers(scales, size=n)).to(layers.device)
    return torch.arange(scales, device=layers.device) <= widest[:, None].where(
        grey[:, None], torch.tensor(scales, device=layers.device)
    )


def basemap_windows(spec: WindowSpec, n: int, seed: int, folder: Path = BASEMAP_DIR) -> Windows:
    """Cut the windows of n places, drawn uniformly over the planet, from the embedded basemaps.

    They are coarser than what an index is built from, and their surface is not known. Raises
    BuildError where the basemaps cannot be read.
    """
    random = np.random.default_rng(seed)
    lon = random.uniform(-180, 180, n)
    lat = np.degrees(np.arcsin(random.uniform(-1, 1, n)))
    colour, elevation = (_read(folder / name) for name in ("viking.tif", "elevation.tif"))
    return cut_windows(WindowSources.from_rasters(colour, elevation[0], spec), lon, lat, spec)


def _read(path: Path) -> NDArray:
    import rasterio
    from rasterio.errors import RasterioIOError

    try:
        with rasterio.open(path) as raster:
            shrink = -(-raster.height // ROWS)
            return raster.read(
                out_shape=(raster.count, raster.height // shrink, raster.width // shrink)
            )
    except RasterioIOError as error:
        raise BuildError(
            f'The basemap "{path}", on which a fine-tuning rehearses what it must not forget, '
            "cannot be read; restore data/basemap."
        ) from error
