"""What five yes and five no are worth, catalogue by catalogue.

A user is simulated: begins at a tile that shows the feature (any; or with words, one among the best
hits of these), is asked about six tiles at a time as the page asks, and says yes to one that is
right and no to one that is wrong, until there are five of each; where none of the six is right, the
hits are scrolled to the first that is. The refined query is then compared with queries by each of
the five yes alone: the best of these, which only somebody who knows the catalogue could choose, and
the middle one. Average precision is the corrected AUPRC of docs/evaluation.md; labelled tiles are
never ranked. "All labels" is what the same method makes of every tile of the catalogue.

The encoder that is in the repository was trained with captions made from most of these catalogues.
The table says which ones; on the test blocks it has seen none of the ground. `benchmarks.left_out`
trains without each of them.
`python -m benchmarks.feedback --inputs DIR`
"""

import argparse
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
import shapely.geometry
from numpy.typing import NDArray

from mars_map.build.inputs import (
    DUNE_FIELDS,
    GLACIER_LIKE_FORMS,
    GRABEN,
    LANDSLIDES,
    LAYERED_EJECTA,
    NOMENCLATURE,
    WRINKLE_RIDGES,
    Inputs,
)
from mars_map.errors import CatalogueError
from mars_map.evaluation import Catalogue, GroundTruth, read_catalogue
from mars_map.search import Engine, Query, open_engine
from mars_map.search.feedback import refine, suggest
from mars_map.search.scoring import score_all
from mars_map.training.split import Split

HYDRATED_MINERALS = "catalogues/hydrated_minerals_carter2013.csv"
CONTACTS = "catalogues/geologic_contacts_sim3292.geojson"
LABELS = 5
ASKED = 6
"""Tiles that the page asks about at a time."""
SCROLLED = 3000
"""Hits that the simulated user would look through for one that is right."""
SEEN = 200
"""Best hits of words among which the first yes is."""
ROUNDS = 40
LEAST_TILES = 30
"""A catalogue with fewer tiles on some ground is not judged there."""


@dataclass(frozen=True)
class Subject:
    """What the simulated user looks for."""

    name: str
    trained: str
    """How training used it: "yes", "no", "left out", or "in part" where only a class that holds it
    was."""
    catalogue: Catalogue
    words: str = ""
    """Words for it that training taught, or nothing."""


@dataclass(frozen=True)
class Outcome:
    """Average precisions of one simulated user."""

    best: float
    """Of the best of the queries by one yes alone."""
    middle: float
    """Of the middle one of these."""
    words: float
    """Of the words alone; nan without any."""
    refined: float
    """Of the query with five yes and five no."""


def main() -> None:
    """Simulate users on each catalogue and ground, and print the table."""
    options = _options()
    engine = open_engine()
    rows = []
    for subject in subjects(Inputs(options.inputs)):
        rows += judge_subject(engine, subject, options.seeds)
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def judge_subject(engine: Engine, subject: Subject, seeds: int) -> list[dict]:
    """Simulate users on the planet and on the test blocks; print and return the rows."""
    grid = engine.index.grid
    grounds = {
        "the planet": np.ones(grid.n_tiles, bool),
        "test blocks": Split.load().test_tiles(grid),
    }
    truth = GroundTruth.of(subject.catalogue, grid)
    rows = []
    for ground, tiles in grounds.items():
        for words in dict.fromkeys(("", subject.words)):
            row = judge(engine, truth, tiles, words, seeds)
            if row is not None:
                about = {"what": subject.name, "trained": subject.trained, "words": words}
                rows.append({"ground": ground, **about, **row})
                print(_line(rows[-1]), flush=True)
    return rows


def subjects(inputs: Inputs) -> Iterator[Subject]:
    """Yield the catalogues, and classes of them that training knew less of or nothing."""

    def whole(file: str) -> Catalogue:
        return read_catalogue(inputs.path(file))

    def rows(file: str, column: str, *kinds: str) -> Catalogue:
        with inputs.path(file).open(encoding="utf-8", newline="") as table:
            found = [r for r in csv.DictReader(table) if r[column].startswith(kinds)]
        places = shapely.points([[float(r["lon"]), float(r["lat"])] for r in found])
        return Catalogue(f"{file}: {kinds[0]}", places, {})

    yield Subject("landslides", "yes", whole(LANDSLIDES), "landslides")
    yield Subject("glacier-like forms", "yes", whole(GLACIER_LIKE_FORMS), "glacier")
    yield Subject("dune fields", "yes", whole(DUNE_FIELDS), "dunes")
    yield Subject("wrinkle ridges", "yes", whole(WRINKLE_RIDGES), "wrinkle ridges")
    yield Subject("graben", "yes", whole(GRABEN), "graben")
    yield Subject("layered ejecta", "yes", whole(LAYERED_EJECTA), "layered ejecta")
    yield Subject("debris flows", "in part", rows(LANDSLIDES, "type", "DF"))
    yield Subject("linear dunes", "yes", _dunes(inputs, "L"))
    yield Subject("hydrated minerals", "no", whole(HYDRATED_MINERALS))
    yield Subject("pit chains (catenae)", "no", rows(NOMENCLATURE, "feature_type", "Catena"))
    yield Subject("geologic contacts", "no", whole(CONTACTS))


def judge(
    engine: Engine, truth: GroundTruth, ground: NDArray[np.bool_], words: str, seeds: int
) -> dict | None:
    """Return means and spreads over simulated users; None where the ground has too few tiles."""
    right = np.zeros(truth.grid.n_tiles, bool)
    right[truth.corrected.near.tile] = True
    if np.count_nonzero(right & ground) < LEAST_TILES:
        return None
    prior = engine.vector(Query(words))[0] if words else None

    def precision(vector: NDArray[np.float32], left_out: list[int]) -> float:
        scores = score_all(engine.index, vector)
        return truth.evaluate(scores, tiles=ground, left_out=left_out).corrected.auprc

    outcomes = []
    for seed in range(seeds):
        yes, no = label(engine, right, ground, prior, seed)
        refined = precision(_refine(engine, prior, yes, no), yes + no)
        alone = [precision(engine.index.vector(tile), yes + no) for tile in yes]
        said = precision(prior, yes + no) if prior is not None else np.nan
        outcomes.append(Outcome(max(alone), float(np.median(alone)), said, refined))
    every = np.flatnonzero(right & ground)
    informed = precision(_refine(engine, prior, every.tolist(), []), every[:1].tolist())
    base = float((right & ground).sum() / ground.sum())
    return _summary(outcomes) | {"informed": informed, "base_rate": base}


def label(
    engine: Engine,
    right: NDArray[np.bool_],
    ground: NDArray[np.bool_],
    prior: NDArray[np.float32] | None,
    seed: int,
) -> tuple[list[int], list[int]]:
    """Let the simulated user answer until there are five yes and five no."""
    random = np.random.default_rng(seed)
    begin = np.flatnonzero(right & ground)
    if prior is not None:
        # Where fewer than these are right, they are the best of those that are.
        scores = score_all(engine.index, prior)
        seen = np.flatnonzero(ground)
        seen = seen[np.argsort(-scores[seen])][:SEEN]
        begin = seen[right[seen]] if right[seen].any() else begin[np.argsort(-scores[begin])][:1]
    yes, no = [int(random.choice(begin))], []
    for _ in range(ROUNDS):
        if len(yes) == LABELS and len(no) == LABELS:
            break
        scores = score_all(engine.index, _refine(engine, prior, yes, no))
        asked = suggest(scores, engine.index, yes, no, k=ASKED, allowed=ground)
        for answer, tiles in ((True, yes), (False, no)):
            fits = [int(tile) for tile in random.permutation(asked) if right[tile] == answer]
            found = fits or _scroll(scores, ground, right == answer, yes + no)
            if found and len(tiles) < LABELS:
                tiles.append(found[0])
    return yes, no


def _scroll(
    scores: NDArray, ground: NDArray[np.bool_], wanted: NDArray[np.bool_], labelled: list[int]
) -> list[int]:
    order = np.flatnonzero(ground)
    order = order[np.argsort(-scores[order])][:SCROLLED]
    return [int(tile) for tile in order[wanted[order]] if tile not in labelled][:1]


def _refine(
    engine: Engine, prior: NDArray[np.float32] | None, yes: list[int], no: list[int]
) -> NDArray[np.float32]:
    if prior is not None and not yes and not no:
        return prior
    vectors = [
        np.array([engine.index.vector(t) for t in tiles], np.float32).reshape(-1, engine.index.dim)
        for tiles in (yes, no)
    ]
    return refine(prior, *vectors, background=engine.background).vector


def _summary(outcomes: list[Outcome]) -> dict:
    best, middle, words, refined = (
        np.array([getattr(o, name) for o in outcomes])
        for name in ("best", "middle", "words", "refined")
    )
    ratios = np.log2(refined / best)
    return {
        "best": float(best.mean()),
        "middle": float(middle.mean()),
        "words_alone": float(words.mean()),
        "refined": float(refined.mean()),
        "ratio": float(2 ** ratios.mean()),
        "ratio_low": float(2 ** np.quantile(ratios, 0.1)),
        "ratio_high": float(2 ** np.quantile(ratios, 0.9)),
        "doubled": float((ratios >= 1).mean()),
        "ratio_to_middle": float(2 ** np.log2(refined / middle).mean()),
    }


def _dunes(inputs: Inputs, kind: str) -> Catalogue:
    document = json.loads(inputs.path(DUNE_FIELDS).read_text(encoding="utf-8"))
    fields = [
        shapely.geometry.shape(feature["geometry"])
        for feature in document["features"]
        if kind in feature["properties"]["type"].replace(" ", "").split(",")
    ]
    if not fields:
        raise CatalogueError(f'The dune fields have none of type "{kind}"; check the file.')
    return Catalogue(f"{DUNE_FIELDS}: {kind}", np.array(fields, object), {})


def _line(row: dict) -> str:
    """Return the figures of one catalogue on one ground as a line of text."""
    words = f'"{row["words"]}"' if row["words"] else "no words"
    return (
        f"{row['ground']:<12}{row['what']:<22}{row['trained']:<9}{words:<18}"
        f"base {row['base_rate']:.4f}  one tile: middle {row['middle']:.3f}, best {row['best']:.3f}"
        f"  words {row['words_alone']:.3f}  5 yes, 5 no {row['refined']:.3f}"
        f"  ratio to best {row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})"
        f"  to middle {row['ratio_to_middle']:.2f}  all labels {row['informed']:.3f}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=Path, required=True, help="folder of the inputs")
    parser.add_argument("--seeds", type=int, default=10, help="simulated users")
    parser.add_argument("-o", "--output", type=Path, help="file for the figures, JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
