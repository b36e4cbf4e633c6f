"""How well the encoder finds each landform, on tiles that it never saw in training."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mars_map.build.embed import embed_windows
from mars_map.build.windows import Progress
from mars_map.encoders.compact import CompactImageEncoder, CompactTextEncoder
from mars_map.encoders.prompts import DEFAULT_PROMPTS, average_vectors, fill_prompts
from mars_map.training.data import TrainingData

LEAST_TILES = 15
"""A landform present in fewer tiles is not measured."""
EXAMPLES = 20
"""Tiles that stand for a landform in the measure of find-similar."""


def average_precision(scores: NDArray, relevant: NDArray[np.bool_]) -> float:
    """Return the mean of the precision at each relevant tile, best score first, 0..1.

    Ties are broken by order. A random order gives about the share of relevant tiles.
    """
    ranked = relevant[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].mean()) if ranked.any() else 0.0


def measure_figures(
    text: CompactTextEncoder,
    image: CompactImageEncoder,
    data: TrainingData,
    tiles: NDArray[np.int64],
    progress: Progress,
) -> dict[str, Any]:
    """Measure text queries, in trained and unseen wordings, and find-similar on some tiles.

    For each landform with at least `LEAST_TILES` tiles: `base_rate`, the share of present tiles
    among present and absent ones, which is the average precision of chance; `trained` and `unseen`,
    the mean average precision over its wordings through the default prompts; `similar`, the mean
    over queries by one tile; `strict`, that of `trained` with unknown tiles counted as absent.
    """
    vectors = embed_windows(image, data.windows.take(tiles), progress)
    landforms = {}
    for column, key in enumerate(data.glossary.keys):
        labels = data.labels[tiles, column]
        if (labels == 1).sum() >= LEAST_TILES:
            words = data.glossary.trained[key], data.glossary.unseen[key]
            queries = [_query_vectors(text, w) for w in words]
            landforms[key] = _measure(vectors, labels, *queries)
    names = ("base_rate", "trained", "unseen", "similar", "strict")
    mean = {n: round(float(np.mean([v[n] for v in landforms.values()])), 4) for n in names}
    return {"tiles": len(tiles), "mean": mean, "landforms": landforms}


def _measure(vectors: NDArray, labels: NDArray, trained: NDArray, unseen: NDArray) -> dict:
    known, present = labels >= 0, labels == 1
    examples = np.random.default_rng(0).permutation(np.flatnonzero(present))[:EXAMPLES]

    def mean_ap(queries: NDArray, among: NDArray[np.bool_]) -> float:
        scores = vectors[among] @ queries.T
        each = [average_precision(column, present[among]) for column in scores.T]
        return round(float(np.mean(each)), 4)

    return {
        "tiles": int(present.sum()),
        "base_rate": round(float(present[known].mean()), 5),
        "trained": mean_ap(trained, known),
        "unseen": mean_ap(unseen, known),
        "similar": _similar(vectors, labels, examples),
        "strict": mean_ap(trained, np.ones(len(labels), bool)),
    }


def _similar(vectors: NDArray, labels: NDArray, examples: NDArray[np.int64]) -> float:
    each = []
    for tile in examples:
        others = labels >= 0
        others[tile] = False  # the example finds itself at once; that is no merit
        each.append(average_precision(vectors[others] @ vectors[tile], labels[others] == 1))
    return round(float(np.mean(each)), 4)


def _query_vectors(text: CompactTextEncoder, words: tuple[str, ...]) -> NDArray[np.float32]:
    filled = [prompt for w in words for prompt in fill_prompts(DEFAULT_PROMPTS, w)]
    vectors = text.encode_text(filled).reshape(len(words), len(DEFAULT_PROMPTS), -1)
    return np.stack([average_vectors(v) for v in vectors])
