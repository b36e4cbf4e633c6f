"""How well the encoder finds each landform, on tiles that it never saw in training."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mars_map.encoders.compact import CompactTextEncoder, tower_vectors
from mars_map.encoders.minilm import MiniLM
from mars_map.encoders.network import CompactNetwork
from mars_map.encoders.prompts import DEFAULT_PROMPTS, average_vectors, fill_prompts
from mars_map.encoders.windows import Windows
from mars_map.planet.grid import Grid
from mars_map.training.cells import CELLS, CellTruth, cell_scores
from mars_map.training.data import TrainingData
from mars_map.training.texts import Glossary

LEAST_TILES = 15
"""A landform present in fewer tiles is not measured."""
JUDGED_TILES = 4000
"""Validation tiles that are looked at in the course of a training."""
EXAMPLES = 20
"""Tiles that stand for a landform in the measure of find-similar."""


def average_precision(scores: NDArray, relevant: NDArray[np.bool_]) -> float:
    """Return the mean of the precision at each relevant tile, best score first, 0..1.

    Ties are broken by order. A random order gives about the share of relevant tiles.
    """
    ranked = relevant[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].mean()) if ranked.any() else 0.0


@dataclass(frozen=True)
class Judge:
    """Says in the course of a training how well its network does on tiles kept out of it."""

    windows: Windows
    """Windows of a sample of the tiles."""
    labels: NDArray[np.int8]
    """(n, n_landforms) labels of the sample."""
    sentences: torch.Tensor
    """(n_texts, text_dim) sentence vectors of the wordings that training never uses."""
    about: NDArray[np.int64]
    """(n_texts,): column of the landform of each wording."""

    @classmethod
    def of(cls, data: TrainingData, tiles: NDArray[np.int64], seed: int) -> "Judge":
        """Draw `JUDGED_TILES` of some tiles."""
        sample = np.sort(np.random.default_rng(seed).permutation(tiles)[:JUDGED_TILES])
        texts = [
            (w, i) for i, key in enumerate(data.glossary.keys) for w in data.glossary.unseen[key]
        ]
        words, about = zip(*texts, strict=True)
        sentences = MiniLM().encode(list(words)).clone()
        return cls(data.windows.take(sample), data.labels[sample], sentences, np.array(about))

    @torch.inference_mode()
    def __call__(self, network: CompactNetwork) -> dict[str, float]:
        """Return the mean average precision over landforms that the sample holds."""
        images = tower_vectors(network.image, self.windows)
        device = next(network.parameters()).device
        words = network.text(self.sentences.to(device)).float().cpu().numpy()
        each: dict[int, list[float]] = {}
        for vector, column in zip(words, self.about.tolist(), strict=True):
            known = self.labels[:, column] >= 0
            relevant = self.labels[known, column] == 1
            if relevant.sum() >= LEAST_TILES:
                each.setdefault(column, []).append(
                    average_precision(images[known] @ vector, relevant)
                )
        return {"average_precision": float(np.mean([np.mean(v) for v in each.values()]))}


def measure_figures(
    text: CompactTextEncoder,
    vectors: NDArray[np.float32],
    labels: NDArray[np.int8],
    glossary: Glossary,
) -> dict[str, Any]:
    """Measure text queries, in trained and unseen wordings, and find-similar on some tiles.

    vectors: (n, dim) of the tiles; labels: (n, n_landforms). For each landform with at least
    `LEAST_TILES` tiles: `base_rate`, the share of present tiles among present and absent ones,
    which is the average precision of chance; `trained` and `unseen`, the mean average precision
    over its wordings through the default prompts; `similar`, the mean over queries by one tile;
    `strict`, that of `trained` with unknown tiles counted as absent.
    """
    landforms = {}
    for column, key in enumerate(glossary.keys):
        if (labels[:, column] == 1).sum() >= LEAST_TILES:
            words = glossary.trained[key], glossary.unseen[key]
            queries = [_query_vectors(text, w) for w in words]
            landforms[key] = _measure(vectors, labels[:, column], *queries)
    names = ("base_rate", "trained", "unseen", "similar", "strict")
    mean = {n: _mean(v[n] for v in landforms.values()) for n in names}
    return {"tiles": len(vectors), "mean": mean, "landforms": landforms}


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


def measure_cells(
    text: CompactTextEncoder,
    vectors: NDArray[np.float32],
    grid: Grid,
    glossary: Glossary,
    truth: CellTruth,
    cells: NDArray[np.bool_],
) -> dict[str, Any]:
    """Measure text queries and find-similar on some cells of one degree.

    vectors: (n_tiles, dim) of all tiles of the grid; cells: (n_cells,) which to rank. For each
    class: `cells`, how many show it; `base_rate`, their share, which is the average precision of
    chance; `trained` and `unseen`, the mean average precision over its wordings through the default
    prompts; `f1`, the mean over unseen wordings of the best F1; `similar`, the mean average
    precision over queries by the middle tile of one cell that shows it. A cell's score is the mean
    of its tiles'.
    """
    ranked = cells & np.isfinite(cell_scores(grid, np.ones(grid.n_tiles, np.float32)))
    classes = {}
    for key, shown in zip(truth.keys, truth.shown.T, strict=True):
        relevant = shown[ranked]
        each = {}
        for name, words in (("trained", glossary.trained), ("unseen", glossary.unseen)):
            queries = _query_vectors(text, words[key])
            each[name] = cell_scores(grid, vectors @ queries.T)[ranked].T
        classes[key] = {
            "cells": int(relevant.sum()),
            "base_rate": float(relevant.mean()),
            "trained": _mean(average_precision(s, relevant) for s in each["trained"]),
            "unseen": _mean(average_precision(s, relevant) for s in each["unseen"]),
            "f1": _mean(best_f1(s, relevant) for s in each["unseen"]),
            "similar": _similar_cells(vectors, grid, shown, ranked),
        }
    names = ("base_rate", "trained", "unseen", "f1", "similar")
    mean = {name: _mean(c[name] for c in classes.values()) for name in names}
    return {"cells": int(ranked.sum()), "mean": mean, "classes": classes}


def best_f1(scores: NDArray, relevant: NDArray[np.bool_]) -> float:
    """Return the best F1 of any threshold on scores, 0..1."""
    ranked = relevant[np.argsort(-scores, kind="stable")]
    found = np.cumsum(ranked)
    return float((2 * found / (np.arange(1, len(ranked) + 1) + max(found[-1], 1))).max())


def _similar_cells(
    vectors: NDArray[np.float32], grid: Grid, shown: NDArray[np.bool_], ranked: NDArray[np.bool_]
) -> float:
    random = np.random.default_rng(0)
    examples = random.permutation(np.flatnonzero(shown & ranked))[:EXAMPLES]
    lon, lat = CELLS.centers
    tiles = grid.tile_at(lon[examples], lat[examples])
    scores = cell_scores(grid, vectors @ vectors[tiles].T)
    each = []
    for cell, column in zip(examples, scores.T, strict=True):
        others = ranked.copy()
        others[cell] = False  # the example finds itself at once; that is no merit
        each.append(average_precision(column[others], shown[others]))
    return _mean(each)


def _mean(values: Iterable[float]) -> float:
    return round(float(np.mean(list(values))), 4)
