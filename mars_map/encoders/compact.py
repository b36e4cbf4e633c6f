"""The compact encoder on disk and in use: words and windows to unit vectors.

A model folder holds `config.json`, `weights.safetensors` (float16) and `figures.json` with what was
measured. The sha256 of the weights is the model's identity: an index names it.
"""

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from mars_map.encoders.minilm import MiniLM
from mars_map.encoders.network import (
    CompactNetwork,
    NetworkConfig,
    Tower,
    grey_layers,
)
from mars_map.encoders.pictures import picture_windows
from mars_map.encoders.precision import fast_precision
from mars_map.encoders.threads import threads_for
from mars_map.encoders.windows import Windows, WindowSpec
from mars_map.errors import ModelError, QueryError

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "weights.safetensors"
BATCH = 64
"""Tiles that are embedded at a time; more only spill the processor's cache."""


class CompactTextEncoder:
    """Words to unit vectors: MiniLM, then the trained head."""

    def __init__(self, folder: Path) -> None:
        network, self.model_id, self.sha256 = read_model(folder)
        self.dim = network.config.dim
        self._head = network.text
        self._minilm = MiniLM()

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector a text, (n, dim) float32.

        Raises QueryError for letters that are not Latin: MiniLM was taught English, and other
        scripts fall apart into signs that mean nothing to it.
        """
        for text in texts:
            check_script(text)
        with threads_for(texts):
            return self._head(self._minilm.encode(texts)).numpy()

    @torch.inference_mode()
    def encode_sentences(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return MiniLM's unit vector a text, before the trained head, (n, 384) float32."""
        with threads_for(texts):
            return self._minilm.encode(texts).numpy()

    def has_word(self, word: str) -> bool:
        """Tell whether MiniLM knows a word in lower case as a whole; slips fall into pieces."""
        return self._minilm.has_word(word)


class CompactImageEncoder:
    """Windows of tiles to unit vectors."""

    def __init__(self, folder: Path) -> None:
        network, self.model_id, self.sha256 = read_model(folder)
        self.dim = network.config.dim
        self.spec = network.config.windows
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._tower = network.image.to(self._device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def encode_windows(self, windows: Windows) -> NDArray[np.float32]:
        """Return one unit vector a tile, (n, dim) float32.

        Raises ModelError for windows of another number of scales or pixels than the model's.
        """
        _, scales, _, pixels, _ = windows.image.shape
        if (scales, pixels) != (len(self.spec.widths_km), self.spec.pixels):
            raise ModelError(
                f"The windows have {scales} scales of {pixels} pixels; this model needs "
                f"{len(self.spec.widths_km)} of {self.spec.pixels}."
            )
        return tower_vectors(self._tower, windows)

    @torch.inference_mode()
    def encode_pictures(
        self, pictures: Sequence[Image.Image], width_km: Sequence[float] | float | None = None
    ) -> NDArray[np.float32]:
        """Return one unit vector a picture, (n, dim) float32; north up, any size and mode.

        width_km: width on the ground, of all or of each; see `picture_windows`. The vectors come
        from brightness alone and are less sure than those of tiles, which have relief as well.
        """
        parts = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(pictures), BATCH):
            some = slice(start, start + BATCH)
            widths = width_km[some] if isinstance(width_km, Sequence) else width_km
            windows, seen = picture_windows(pictures[some], self.spec, widths)
            layers, told = tower_inputs(self._tower, windows)
            with fast_precision(self._device):
                vectors = self._tower(
                    grey_layers(layers),
                    torch.zeros_like(told),
                    torch.from_numpy(seen).to(self._device),
                )
            parts.append(vectors.float().cpu().numpy())
        return np.concatenate(parts)

    def encode_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return one unit vector a picture of unknown width, as every model of images does."""
        return self.encode_pictures(pictures)


@torch.inference_mode()
def tower_vectors(tower: Tower, windows: Windows) -> NDArray[np.float32]:
    """Return the unit vectors of windows by a tower that is ready for use, (n, dim) float32."""
    parts = [np.zeros((0, tower.dim), np.float32)]
    device = next(tower.parameters()).device
    for start in range(0, len(windows.image), BATCH):
        inputs = tower_inputs(tower, windows.take(slice(start, start + BATCH)))
        with fast_precision(device):
            parts.append(tower(*inputs).float().cpu().numpy())
    return np.concatenate(parts)


def tower_inputs(tower: Tower, windows: Windows) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the layers and the told facts that a tower takes, on its device."""
    device = next(tower.parameters()).device
    image, elevation, surface = (torch.from_numpy(values).to(device) for values in windows)
    return tower.layers_of(image, elevation), tower.told_of(elevation, surface)


def check_script(text: str) -> None:
    """Raise QueryError for a text with letters that are not Latin."""
    foreign = [c for c in text if c.isalpha() and "LATIN" not in unicodedata.name(c, "")]
    if foreign:
        raise QueryError(
            f'The text encoder reads English, and "{"".join(foreign)[:20]}" is in another script; '
            "describe the landform in English."
        )


def write_model(
    folder: Path, network: CompactNetwork, model_id: str, extra: dict[str, Any] | None = None
) -> str:
    """Write weights (float16) and configuration into a folder; return the sha256 of the weights.

    extra: what else the configuration should tell of the model, by keys of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.detach().cpu().half().contiguous() if value.is_floating_point() else value.cpu()
        for name, value in network.state_dict().items()
    }
    save_file(weights, folder / WEIGHTS_FILE)
    sha256 = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    config = {"id": model_id, "weights_sha256": sha256, "network": asdict(network.config)}
    config |= extra or {}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return sha256


def read_model(folder: Path) -> tuple[CompactNetwork, str, str]:
    """Return the network, ready for use, its name and the sha256 of its weights.

    Raises ModelError where a file is absent, is not what was written or does not fit.
    """
    folder = Path(folder)
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        content = (folder / WEIGHTS_FILE).read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f'The model file "{error.filename}" is missing; restore it.') from error
    except (OSError, ValueError) as error:
        raise ModelError(f'The model in "{folder}" cannot be read; restore its files.') from error
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        if sha256 != config["weights_sha256"]:
            raise ModelError(
                f'"{folder / WEIGHTS_FILE}" is not the file that was published: its hash differs.'
            )
        values = dict(config["network"])
        spec = values.pop("windows")
        spec = WindowSpec(int(spec["pixels"]), tuple(float(w) for w in spec["widths_km"]))
        widths = tuple(int(w) for w in values.pop("widths"))
        # Without memory: random weights, only to be written over, would cost a tenth of a second.
        with torch.device("meta"):
            network = CompactNetwork(NetworkConfig(**values, widths=widths, windows=spec))
        weights = {k: v.float() if v.is_floating_point() else v for k, v in load(content).items()}
        network.load_state_dict(weights, assign=True)
        return network.eval(), str(config["id"]), sha256
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f'The model in "{folder}" does not fit this program; restore its files.'
        ) from error
