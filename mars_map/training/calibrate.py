"""What a trained encoder's words and scores are worth, measured on blocks kept out of training.

Two files go into the model's folder. `vocabulary.safetensors` holds sentence vectors of all trained
wordings, of their single words and of things too small to be seen, and a prototype of each
landform; `calibration.json` holds the curves that turn scores into probabilities, the limits of
what counts as known, and how well both stood up to a check. `mars_map.search.calibration` reads
them.

Familiarity is set in `mars_map.training.familiarity`, and the curves of precision in
`mars_map.training.precision`. The test blocks are only counted; a look at them led to checks on
larger ground than a few patches.
"""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from mars_map.build.embed import embed_windows
from mars_map.build.windows import Progress
from mars_map.encoders.compact import CompactImageEncoder, CompactTextEncoder
from mars_map.encoders.windows import Windows
from mars_map.planet.blocks import patch_numbers
from mars_map.planet.grid import Grid
from mars_map.search.calibration import CALIBRATION_FILE, VERSION, VOCABULARY_FILE, Calibration
from mars_map.search.vocabulary import Vocabulary
from mars_map.training.data import GRID
from mars_map.training.familiarity import Unknown, Words, set_limits
from mars_map.training.hierarchy import Counts, fit_curves
from mars_map.training.precision import Blocks, base_rates, examples_of, landforms_of, logit
from mars_map.training.precision_checks import (
    Queries,
    check_left_out,
    check_precision,
    landforms_together,
    summarise,
)
from mars_map.training.split import Split
from mars_map.training.texts import Glossary

RESOLUTION_KM = 5.0
"""The smallest that the embedded default shows: two pixels and a half of Viking and of MOLA."""


def write_calibration(
    folder: Path,
    windows: Windows,
    labels: NDArray[np.int8],
    glossary: Glossary,
    split: Split,
    progress: Progress,
    grid: Grid = GRID,
) -> dict[str, Any]:
    """Calibrate the model in a folder, write both files and return the contents of the first.

    windows: of all tiles of the grid, memory-mapped; those of the validation and test blocks are
    embedded. labels: (n_tiles, n_landforms), 1, 0 or -1, columns in the order of the glossary. The
    test blocks are only counted, at the very end: nothing is set by them.
    """
    tiles = np.flatnonzero(split.validation_tiles(grid) | split.test_tiles(grid))
    found = embed_windows(CompactImageEncoder(folder), windows.take(tiles), progress)
    vectors = np.zeros((grid.n_tiles, found.shape[1]), np.float32)
    vectors[tiles] = found
    return calibrate(folder, vectors, labels, glossary, split, grid)


def calibrate(
    folder: Path,
    vectors: NDArray[np.float32],
    labels: NDArray[np.int8],
    glossary: Glossary,
    split: Split,
    grid: Grid = GRID,
) -> dict[str, Any]:
    """Do what `write_calibration` does with vectors of the tiles that are there already.

    vectors: (n_tiles, dim), unit vectors; read on the validation and test blocks only.
    """
    encoder = CompactTextEncoder(folder)
    vocabulary, familiarity = set_limits(Words.of(encoder, glossary, Unknown.load()))
    patches = patch_numbers(*grid.centers)
    test, validation = split.test_tiles(grid), split.validation_tiles(grid)
    queries = Queries.of(encoder, glossary, vocabulary, landforms_together(labels[~test]))
    base = base_rates(labels[~test])
    learned = Blocks.of(vectors, labels, patches, validation)
    counts = Counts.of(learned.vectors @ queries.prototypes.T, learned.labels, learned.places)
    landforms = landforms_of(glossary, fit_curves(counts, logit(base)), base, counts)
    table = {
        "version": VERSION,
        "model": encoder.model_id,
        "weights_sha256": encoder.sha256,
        "resolution_km": RESOLUTION_KM,
        "familiarity": familiarity,
        "landforms": [
            asdict(landform) | examples
            for landform, examples in zip(landforms, examples_of(counts), strict=True)
        ],
        **_words(vocabulary),
    }
    tensors = {
        "wordings": _bytes(vocabulary.vectors),
        "words": _bytes(vocabulary.word_vectors),
        "too_small": _bytes(vocabulary.small_vectors),
        "prototypes": queries.prototypes.astype(np.float16),
    }
    final = Calibration.of(table, tensors)
    tested = check_precision(final, queries, Blocks.of(vectors, labels, patches, test))
    table["checks"] = {
        "left_out_validation": check_left_out(final, glossary, queries, learned, counts, base),
        "test": summarise(tested),
    }
    save_file(tensors, folder / VOCABULARY_FILE)
    text = json.dumps(table, ensure_ascii=False, indent=1)
    (folder / CALIBRATION_FILE).write_text(_compact(text) + "\n", encoding="utf-8")
    return table


def _words(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the texts of a vocabulary as plain values, in the order of its vectors."""
    return {
        "wordings": list(zip(vocabulary.wordings, vocabulary.landforms.tolist(), strict=True)),
        "words": list(vocabulary.words),
        "too_small": [
            {**small._asdict(), "wordings": int((vocabulary.small_wordings == i).sum())}
            for i, small in enumerate(vocabulary.small)
        ],
    }


def _bytes(rows: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return unit vectors as whole numbers that keep their directions: a cosine is off by .001."""
    return np.rint(rows * (127 / np.abs(rows).max(axis=1, keepdims=True))).astype(np.int8)


def _compact(text: str) -> str:
    """Put lists of an indented JSON text that hold no list or object on one line."""
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: re.sub(r"\s*\n\s*", " ", found.group()), text)
