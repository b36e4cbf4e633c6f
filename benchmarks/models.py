"""MarScope's model at full size, with random weights: `python -m benchmarks.models`.

Writes ViT-L-14-quickgelu at 512 px (429 M parameters) in the hub's layout into a temporary folder,
and compares what mars_map makes of it with open_clip, output for output; then what each precision
of words costs and how far it agrees. `--published` adds other published architectures. Needs 6 GB
of memory, 2 GB of disk, and open_clip in .venv/reference, where `make test` puts it.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mars_map.encoders import family_model, load_image_encoder, load_text_encoder
from mars_map.encoders.agreement import measure, query_ms, sentences
from mars_map.encoders.clip import ClipTextEncoder
from mars_map.encoders.hub import locate
from tests.reference import (
    open_clip,
    pictures,
    write_clip_tokenizer,
    write_openclip,
    write_siglip_tokenizer,
)

CLIP_LARGE = {
    "projection_dim": 768,
    "text_config": {
        "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12,
        "eos_token_id": 2,
    },
    "vision_config": {
        "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
        "num_hidden_layers": 24, "patch_size": 14,
    },
}  # fmt: skip
"""openai/clip-vit-large-patch14."""
MARSCOPE = ("ViT-L-14-quickgelu", 512)
PUBLISHED = (
    ("ViT-B-32", 224),
    ("ViT-B-16-plus-240", 240),
    ("ViT-L-14", 224),
    ("ViT-L-14-336-quickgelu", 336),
)


def main() -> None:
    """Write, load and compare; print differences, cosines, milliseconds and memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--published", action="store_true")
    options = parser.parse_args()
    for name, size in (MARSCOPE, *(PUBLISHED if options.published else ())):
        with tempfile.TemporaryDirectory() as folder:
            write_random(Path(folder), name, size)
            compare(Path(folder), size)
            if (name, size) == MARSCOPE:
                words(Path(folder))
    for family in ("CLIP", "SigLIP") if options.published else ():
        with tempfile.TemporaryDirectory() as folder:
            compare_transformers(Path(folder), family)


def write_random(folder: Path, name: str, size: int) -> None:
    """Write a model of a published architecture with random weights, in the hub's layout."""
    library = open_clip()
    config = library.get_model_config(name)
    trained = json.loads(json.dumps(config))
    config["vision_cfg"]["image_size"] = size
    torch.manual_seed(0)
    # The weights have the positions of the size that the architecture was first trained at.
    model = library.model.CLIP(**trained)
    write_openclip(folder, model, {"model_cfg": config, "preprocess_cfg": {}})
    count = sum(p.numel() for p in model.parameters()) / 1e6
    print(f"\n{name} at {size} px: {count:.0f} M parameters")


@torch.inference_mode()
def compare(folder: Path, size: int) -> None:
    """Compare words and pictures with open_clip's own."""
    library = open_clip()
    model = library.create_model(f"local-dir:{folder}").eval()
    prepare = library.transform.image_transform_v2(
        library.transform.PreprocessCfg(**model.visual.preprocess_cfg), is_train=False
    )
    texts, images = sentences()[:40], pictures((size, size), (700, 600))
    tokens = library.get_tokenizer(f"local-dir:{folder}")(texts)
    expected_texts = model.encode_text(tokens, normalize=True).numpy()
    start = time.perf_counter()
    expected_images = [model.encode_image(prepare(i)[None], normalize=True).numpy() for i in images]
    theirs = (time.perf_counter() - start) / len(images)
    del model
    report("words", load_text_encoder(folder, "float32").encode_text(texts), expected_texts)
    for precision in ("float32", "bfloat16"):
        encoder = load_image_encoder(folder, precision)
        start = time.perf_counter()
        found = np.concatenate([encoder.encode_images([image]) for image in images])
        seconds = (time.perf_counter() - start) / len(images)
        report(f"pictures, {precision}", found, np.concatenate(expected_images))
        print(f"  {seconds:.1f} s a picture (open_clip, float32: {theirs:.1f} s)")


@torch.inference_mode()
def compare_transformers(folder: Path, family: str) -> None:
    """Write clip-vit-large-patch14 or siglip-base-patch16-224 at random, and compare it."""
    import transformers
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    torch.manual_seed(0)
    if family == "CLIP":
        write_clip_tokenizer(folder)
        model = transformers.CLIPModel(transformers.CLIPConfig(**CLIP_LARGE)).eval()
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
        prepare = CLIPImageProcessorPil()
    else:
        tokenizer = write_siglip_tokenizer(folder, 1)
        model = transformers.SiglipModel(transformers.SiglipConfig()).eval()
        prepare = SiglipImageProcessorPil()
    model.save_pretrained(folder)
    prepare.save_pretrained(folder)
    print(f"\n{family} of transformers: {sum(p.numel() for p in model.parameters()) / 1e6:.0f} M")
    texts, images = [text.lower() for text in sentences()[:40]], pictures((224, 224), (700, 600))
    length = model.config.text_config.max_position_embeddings
    options = {"padding": "max_length", "truncation": True, "max_length": length}
    tokens = tokenizer(texts, return_tensors="pt", **options).input_ids
    expected_texts = unit(model.get_text_features(input_ids=tokens).pooler_output)
    pixels = prepare([image.convert("RGB") for image in images], return_tensors="pt")
    expected_images = unit(model.get_image_features(**pixels).pooler_output)
    del model
    report("words", load_text_encoder(folder, "float32").encode_text(texts), expected_texts)
    found = load_image_encoder(folder, "float32").encode_images(images)
    report("pictures", found, expected_images)


def words(folder: Path) -> None:
    """Measure what words cost in each precision, and how far it agrees with float32."""
    model = family_model(locate(folder))
    for row in measure(model, ("float32", "bfloat16", "int8")):
        encoder = ClipTextEncoder(model, row.precision)
        print(
            f"  words, {row.precision}: 1 prompt {query_ms(encoder, 1):.0f} ms, 3 prompts "
            f"{row.query_ms:.0f} ms; {row.sentences} sentences, cosine to float32 least "
            f"{row.least:.5f}, mean {row.mean:.5f}",
            flush=True,
        )


def unit(features: torch.Tensor) -> NDArray:
    """Return features scaled to length 1."""
    return torch.nn.functional.normalize(features, dim=-1).numpy()


def report(what: str, found: NDArray, expected: NDArray | Sequence) -> None:
    """Print how far unit vectors agree."""
    expected = np.asarray(expected)
    cosines = (found * expected).sum(axis=1)
    print(
        f"  {what}: largest difference {np.abs(found - expected).max():.1e}, "
        f"cosine least {cosines.min():.6f}, mean {cosines.mean():.6f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
