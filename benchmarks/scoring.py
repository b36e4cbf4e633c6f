"""Ways to score all tiles against one query: `python -m benchmarks.scoring [INDEX]`.

Prints for each way the median of 20 runs, its ratio to the bare pass of NumPy over a float32 copy,
the extra memory it holds, and how far its scores are from float64.
"""

import sys

import faiss
import numpy as np
import torch

from benchmarks.timing import median_ms
from mars_map.index import open_index
from mars_map.search.scoring import best_tiles, score_all
from mars_map.settings import INDEX_DIR

MEGABYTE = 2**20


def main() -> None:
    """Run all ways on one index."""
    index = open_index(sys.argv[1] if len(sys.argv) > 1 else INDEX_DIR)
    query = index.vector(index.n_tiles // 3)
    stored = np.array(index.vectors)
    scales = 1.0 if index.scales is None else np.array(index.scales)
    copy = stored.astype(np.float32)
    exact = stored.astype(np.float64) @ query * scales
    half = torch.from_numpy(copy).half()
    half_query = torch.from_numpy(query).half()[:, None]
    flat = faiss.IndexFlatIP(index.dim)
    flat.add(copy)
    ways = {
        "NumPy, float32 copy": (lambda: copy @ query * scales, copy.nbytes),
        "NumPy, in chunks (ours)": (lambda: score_all(index, query), 0),
        "torch, float16 copy": (
            lambda: (half @ half_query).float().numpy()[:, 0] * scales,
            copy.nbytes // 2,
        ),
        "torch, in chunks": (lambda: _torch_chunks(stored, query) * scales, 0),
        "FAISS flat, every score": (lambda: _faiss_all(flat, query) * scales, copy.nbytes),
    }
    print(f"{index.n_tiles:,} x {index.dim} {index.manifest.quantisation}, medians of 20 runs")
    print(f"{'way':<26}{'ms':>8}{'ratio':>7}{'MB':>7}{'error':>10}")
    bare = None
    for name, (call, extra) in ways.items():
        ms = median_ms(call)
        bare = bare or ms
        error = np.abs(call() - exact).max()
        print(f"{name:<26}{ms:8.2f}{ms / bare:7.2f}{extra / MEGABYTE:7.0f}{error:10.1e}")
    scores = score_all(index, query)
    ms = median_ms(lambda: best_tiles(scores, 500))
    print(f"{'ranking, top 500 (ours)':<26}{ms:8.2f}{ms / bare:7.2f}")
    ms = median_ms(lambda: flat.search(query[None], 500))
    print(f"{'FAISS flat, top 500 only':<26}{ms:8.2f}{ms / bare:7.2f}")


def _torch_chunks(stored: np.ndarray, query: np.ndarray, rows: int = 2048) -> np.ndarray:
    vectors, vector = torch.from_numpy(stored), torch.from_numpy(query)
    scores = torch.empty(len(stored))
    for start in range(0, len(stored), rows):
        part = vectors[start : start + rows].float()
        torch.mv(part, vector, out=scores[start : start + rows])
    return scores.numpy()


def _faiss_all(index: faiss.Index, query: np.ndarray) -> np.ndarray:
    values, tiles = index.search(query[None], index.ntotal)
    scores = np.empty(index.ntotal, np.float32)
    scores[tiles[0]] = values[0]
    return scores


if __name__ == "__main__":
    main()
