"""Tiles and queries to vectors, against plain PyTorch: `python -m benchmarks.embedding [MODEL]`.

Both run the same weights on the same windows of the embedded basemaps and the same words. *Plain*
is what one writes first: float32, PyTorch's own memory format, eager, on all threads; tiles in
batches of 64, all at once or one by one; sentences by transformers' tokenizer and BertModel, in the
order given. *Ours* is what `CompactImageEncoder.encode_windows` and
`CompactTextEncoder.encode_text` do.

The ways take turns, so that a busy moment of the machine meets all of them. Prints medians, ratios
to the first plain way, and the least cosine between the vectors of that way and each other.
"""

import copy
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F
from transformers import AutoTokenizer, BertModel

from mars_map.encoders.compact import CompactTextEncoder, read_model, tower_inputs, tower_vectors
from mars_map.encoders.minilm import MAX_TOKENS, model_folder
from mars_map.encoders.network import CompactNetwork, ImageTower, JoinedTowers, Tower
from mars_map.encoders.precision import has_fast_bfloat16
from mars_map.encoders.prompts import DEFAULT_PROMPTS, fill_prompts
from mars_map.encoders.windows import Windows
from mars_map.settings import MODEL_DIR
from mars_map.training.rehearsal import basemap_windows
from mars_map.training.texts import Glossary

TILES, QUERIES, RUNS, PLAIN_BATCH = 256, 24, 9, 64
FEW = 32
"""Tiles that are embedded one by one."""

Vectors = NDArray[np.float32]


def main() -> None:
    """Measure tiles on every device that there is, then queries."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else MODEL_DIR
    network, model_id, _ = read_model(folder)
    windows = basemap_windows(network.config.windows, TILES, seed=1)
    print(f"{model_id}, {torch.get_num_threads()} threads, medians of {RUNS} runs in turns")
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for name in devices:
        measure_tiles(network, windows, torch.device(name))
    words = [w for wordings in Glossary.load().trained.values() for w in wordings]
    queries = words[:: len(words) // QUERIES][:QUERIES]
    measure_queries(folder, network, [fill_prompts(DEFAULT_PROMPTS, q) for q in queries])


def measure_tiles(network: CompactNetwork, windows: Windows, device: torch.device) -> None:
    """Print tiles a second of each way on one device."""
    plain = read_tower(network, device, torch.contiguous_format)
    ours = read_tower(network, device, torch.channels_last)
    few = windows.take(np.arange(FEW))
    ways = {
        f"plain, batches of {PLAIN_BATCH}": (lambda: plain_tiles(plain, windows, PLAIN_BATCH)),
        f"plain, all {TILES} at once": (lambda: plain_tiles(plain, windows, TILES)),
        "plain, one by one": (lambda: plain_tiles(plain, few, 1)),
        "ours": (lambda: tower_vectors(ours, windows)),
    }
    title = device.type if device.type == "cpu" else torch.cuda.get_device_name(device)
    kind = "bfloat16" if has_fast_bfloat16(device.type) else "float32"
    compare(f"tiles a second, {title} (ours in {kind})", ways)


def measure_queries(folder: Path, network: CompactNetwork, queries: list[list[str]]) -> None:
    """Print queries a second, each of three prompts, asked one after the other or all together."""
    encoder, plain = CompactTextEncoder(folder), PlainText(network)
    together = [text for prompts in queries for text in prompts]
    compare(
        "queries a second, one after the other",
        {
            "plain, 3 prompts at once": lambda: np.concatenate([plain(p) for p in queries]),
            "plain, prompts one by one": lambda: np.concatenate([plain([t]) for t in together]),
            "ours": lambda: np.concatenate([encoder.encode_text(p) for p in queries]),
        },
        len(DEFAULT_PROMPTS),
    )
    compare(
        f"queries a second, {len(queries)} together",
        {"plain": lambda: plain(together), "ours": lambda: encoder.encode_text(together)},
        len(DEFAULT_PROMPTS),
    )


def compare(title: str, ways: Mapping[str, Callable[[], Vectors]], rows: int = 1) -> None:
    """Let the ways take turns, and print how many things of some rows each does in a second."""
    first = {name: way() for name, way in ways.items()}  # warms up
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(RUNS):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    bare, expected = None, next(iter(first.values()))
    print(f"\n{title:<44}{'a second':>10}{'ratio':>8}{'cosine':>10}")
    for name, vectors in first.items():
        speed = len(vectors) / rows / statistics.median(seconds[name])
        bare = bare or speed
        cosine = (vectors * expected[: len(vectors)]).sum(1).min()
        print(f"  {name:<42}{speed:10.1f}{speed / bare:8.2f}{cosine:10.5f}", flush=True)


def read_tower(network: CompactNetwork, device: torch.device, layout: torch.memory_format) -> Tower:
    """Return a copy of the image tower on a device."""
    return copy.deepcopy(network.image).eval().to(device, memory_format=layout)


@torch.inference_mode()
def plain_tiles(tower: Tower, windows: Windows, batch: int) -> Vectors:
    """Embed windows as plainly as can be."""
    parts = []
    for start in range(0, len(windows.image), batch):
        layers, told = tower_inputs(tower, windows.take(slice(start, start + batch)))
        if isinstance(tower, JoinedTowers):
            beside = [_plain_tower(one, layers, told) for one in tower.towers]
            vectors = F.normalize(tower.join(torch.cat(beside, 1)), dim=1)
        else:
            vectors = _plain_tower(tower, layers, told)
        parts.append(vectors.cpu().numpy())
    return np.concatenate(parts)


def _plain_tower(tower: ImageTower, layers: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
    width = torch.tensor(tower.widths_km, device=layers.device).repeat(len(layers))
    features = tower.trunk(layers.flatten(0, 1), width).reshape(len(layers), -1)
    return tower.embed(features, told)


class PlainText:
    """Texts to vectors as the model's page tells to do it."""

    def __init__(self, network: CompactNetwork) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(model_folder())
        self.model = BertModel.from_pretrained(model_folder()).eval()
        self.head = network.text

    @torch.inference_mode()
    def __call__(self, texts: list[str]) -> Vectors:
        """Return one unit vector a text."""
        tokens = self.tokenizer(
            texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        )
        hidden = self.model(**tokens).last_hidden_state
        mask = tokens["attention_mask"][..., None]
        mean = (hidden * mask).sum(1) / mask.sum(1)
        return self.head(F.normalize(mean, dim=1)).numpy()


if __name__ == "__main__":
    main()
