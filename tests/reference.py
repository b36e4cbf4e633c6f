"""The reference libraries that loaders are checked against, and models of their own making.

Models have random weights: what is compared is arithmetic, output for output.
"""

import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mars_map.encoders.tokens import byte_signs

FOLDER = Path(sys.prefix) / "reference"
ABSENT = "open_clip is not in .venv/reference; `make test` puts it there"

TEXTS = [
    "dunes",
    "a photo of linear dunes inside a crater, a type of martian terrain",
    "Crater’s rim &amp; floor — “don't”  \n twice",
    "Ångström-wide polygons, 3.7 km across; naïve café",
    "word " * 90,
    "",
]


def open_clip() -> ModuleType:
    """Return open_clip, imported beside whatever build of torch there is.

    A CPU build has no torchvision of its own; the one of PyPI imports once the two operators that
    it extends are declared.
    """
    if "open_clip" not in sys.modules:
        if not (FOLDER / "open_clip").is_dir():
            assert os.environ.get("CI") != "true", ABSENT
            pytest.skip(ABSENT)
        sys.path.append(str(FOLDER))
        if not torch.cuda.is_available():
            open_clip.operators = torch.library.Library("torchvision", "DEF")
            for name in ("nms", "qnms"):
                signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                open_clip.operators.define(name + signature)
    import open_clip as library

    return library


def write_openclip(folder: Path, model: torch.nn.Module, config: dict[str, Any]) -> Path:
    """Write a model in the hub's layout of OpenCLIP: configuration and safetensors."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    return folder


def pictures(*sizes: tuple[int, int]) -> list[Image.Image]:
    """Return grey and coloured noise, smooth enough that resizing matters."""
    random = np.random.default_rng(3)
    made = []
    for i, (width, height) in enumerate(sizes):
        coarse = random.integers(0, 256, (max(height // 3, 1), max(width // 3, 1), 3), np.uint8)
        picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        made.append(picture.convert("L" if i % 2 else "RGB"))
    return made


def write_clip_tokenizer(folder: Path) -> int:
    """Write a CLIP vocabulary of bytes and a few merges; return its size."""
    from transformers import CLIPTokenizer

    signs = byte_signs()
    merges = [("d", "u"), ("n", "e"), ("ne", "s</w>"), ("c", "r")]
    pieces = [*signs, *(s + "</w>" for s in signs), *map("".join, merges)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=20).save_pretrained(folder)
    return len(pieces)


def write_siglip_tokenizer(folder: Path, version: int) -> Any:
    """Write a small tokenizer of SigLIP's first or second kind; return it."""
    from transformers import GemmaTokenizer, SiglipTokenizer

    if version == 2:
        pieces = ["<pad>", "<eos>", "<bos>", "<unk>", *map(chr, range(33, 127)), "▁", "du"]
        vocabulary = {piece: number for number, piece in enumerate(pieces)}
        GemmaTokenizer(vocab=vocabulary, merges=[("d", "u")]).save_pretrained(folder)
        return GemmaTokenizer.from_pretrained(folder)
    import sentencepiece

    corpus = folder / "corpus.txt"
    corpus.write_text(
        "\n".join(f"{t} dunes in craters, number {i}" for i, t in enumerate("abcd" * 9))
    )
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "spiece"), vocab_size=60, minloglevel=2,
        hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
    )  # fmt: skip
    SiglipTokenizer(str(folder / "spiece.model")).save_pretrained(folder)
    return SiglipTokenizer.from_pretrained(folder)
