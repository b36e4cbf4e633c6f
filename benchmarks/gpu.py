"""ViT-L/14 at 512 pixels in bfloat16 on a GPU: `python -m benchmarks.gpu`.

A vision tower of MarScope's size with random weights, as a share of what the card reaches in one
large product of matrices. It needs torch and transformers alone.
"""

import statistics
import time
from collections.abc import Callable

import torch

PIXELS, BATCH, RUNS = 512, 64, 10


def measure_gpu() -> None:
    """Print images a second of ViT-L/14 at 512 pixels, as a share of the card's matrix rate."""
    if not torch.cuda.is_available():
        print("\nThere is no GPU here: ViT-L/14 at 512 pixels in bfloat16 was not measured.")
        return
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        projection_dim=768,
        image_size=PIXELS,
        patch_size=14,
        attn_implementation="sdpa",
    )
    model = CLIPVisionModelWithProjection(config).eval().to("cuda", torch.bfloat16)
    pixels = torch.randn(BATCH, 3, PIXELS, PIXELS, device="cuda", dtype=torch.bfloat16)
    side = 8192
    a, b = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    with torch.inference_mode():
        matrix = 2 * side**3 / seconds_on_gpu(lambda: a @ b)
        seconds = seconds_on_gpu(lambda: model(pixel_values=pixels))
    images = BATCH / seconds
    flops = vit_flops(config)
    card = torch.cuda.get_device_name()
    print(f"\n{card}, ViT-L/14 at {PIXELS} pixels, bfloat16, batches of {BATCH}:")
    print(f"  images a second                     {images:10.1f}")
    print(f"  calculated, TFLOP/s                 {images * flops / 1e12:10.1f}")
    print(f"  of one product of {side:,} squared, {matrix / 1e12:.0f} TFLOP/s: "
          f"{images * flops / matrix:.0%}")  # fmt: skip


def vit_flops(config: object) -> float:
    """Return the operations of one picture: products of matrices alone, two each multiply-add."""
    width, inner = config.hidden_size, config.intermediate_size  # type: ignore[attr-defined]
    tokens = (config.image_size // config.patch_size) ** 2 + 1  # type: ignore[attr-defined]
    layer = tokens * (4 * width**2 + 2 * width * inner) + 2 * tokens**2 * width
    patches = (tokens - 1) * 3 * config.patch_size**2 * width  # type: ignore[attr-defined]
    return 2.0 * (config.num_hidden_layers * layer + patches)  # type: ignore[attr-defined]


def seconds_on_gpu(work: Callable[[], object]) -> float:
    """Return the median seconds of some work on the GPU."""
    for _ in range(3):
        work()
    seconds = []
    for _ in range(RUNS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    measure_gpu()
