"""What a trained encoder's words and scores are worth, measured on blocks kept out of training.

Two files go into the model's folder. `vocabulary.safetensors` holds sentence vectors of all trained
wordings, of their single words and of things too small to be seen, and a prototype of each
landform; `calibration.json` holds the curves that turn scores into probabilities, the limits of
what counts as known, and how well both stood up to a check. `mars_map.search.calibration` reads
them.

Familiarity: the limits are set on one half of the `unseen` wordings of the glossary, which must be
accepted, and of the words of unknown.toml, which must not; the other half is counted. A wording's
half follows from its hash.

Precision: curves are fitted on validation tiles whose label is known (1 or 0; -1 is left out), see
`mars_map.training.hierarchy`. A bootstrap over the blocks was tried first: with thirteen patches
of validation ground, most landforms in three or fewer of them, its 90 % intervals held the truth of
held-out patches in 45 to 50 % of the cases. Choices were made on validation patches left out of the
fit and on training ground, where curves with an effect of each patch had a quarter more error. The
test blocks are only counted; a look at them led to checks on larger ground than a few patches.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from mars_map.build.embed import embed_windows
from mars_map.build.windows import Progress
from mars_map.encoders.compact import CompactImageEncoder, CompactTextEncoder
from mars_map.encoders.prompts import DEFAULT_PROMPTS, average_vectors, fill_prompts
from mars_map.encoders.windows import Windows
from mars_map.planet.blocks import patch_numbers
from mars_map.planet.grid import Grid
from mars_map.search.calibration import (
    CALIBRATION_FILE,
    VERSION,
    VOCABULARY_FILE,
    Calibration,
    Landform,
)
from mars_map.search.vocabulary import (
    Likeness,
    Term,
    TooSmall,
    Vocabulary,
    split_parts,
    vocabulary_words,
)
from mars_map.training.data import GRID
from mars_map.training.hierarchy import Counts, Curves, fit_curves
from mars_map.training.split import Split
from mars_map.training.texts import Glossary

RESOLUTION_KM = 5.0
"""The smallest that the embedded default shows: two pixels and a half of Viking and of MOLA."""
LEAST_TILES, LEAST_PATCHES = 30, 3
"""A landform in fewer validation tiles or patches is said to rest on the others."""
PLANET_TILES = 3000.0
"""Tiles of the planet that count beside those of the validation blocks when it is told how common a
landform is there: a few neighbouring patches hold none of most landforms by chance."""
STOLEN = 0.02
"""Most of the unseen wordings that may be taken for something too small."""
TEMPERATURES = (0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07)
FOLDS, SHUFFLES = 5, 2
"""Parts that the validation patches are left out in, and how many times they are dealt."""
TOP_SHARES = (0.003, 0.02)
"""Shares of the tiles that count as hits in a check; 500 hits of the planet are 0.003."""
LEAST_HITS = 10
CHECK_WORDINGS = 3
"""Wordings of a landform that are checked, of the trained and of the unseen."""
CHECK_JOINTS = 100
"""Queries for two landforms that are checked on each part of the ground."""
TOGETHER = 200
"""Tiles in which two landforms occur together if such queries ask for them."""


@dataclass(frozen=True)
class Unknown:
    """Words that are never taught."""

    never: dict[str, tuple[str, ...]]
    """Lists of words for no landform of Mars, by kind."""
    too_small: dict[str, dict[str, Any]]
    """Things below the resolution: `name`, `words`, `size`, `data`."""

    @classmethod
    def load(cls) -> "Unknown":
        """Read the lists of the package."""
        path = Path(__file__).with_name("unknown.toml")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        never = {kind: tuple(entry["words"]) for kind, entry in table["never"].items()}
        return cls(never, table["too_small"])

    @property
    def small_words(self) -> list[tuple[int, str]]:
        """The number of each small thing with each of its wordings."""
        entries = enumerate(self.too_small.values())
        return [(i, words) for i, entry in entries for words in entry["words"]]


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
    words = Words.of(encoder, glossary, Unknown.load())
    vocabulary, familiarity = set_limits(words)
    patches = patch_numbers(*grid.centers)
    test, validation = split.test_tiles(grid), split.validation_tiles(grid)
    queries = Queries.of(encoder, glossary, vocabulary, _pairs(labels[~test]))
    base = _base_rates(labels[~test])
    learned = Ground.of(vectors, labels, patches, validation)
    counts = Counts.of(learned.vectors @ queries.prototypes.T, learned.labels, learned.places)
    landforms = _landforms(glossary, fit_curves(counts, _logit(base)), base, counts)
    table = {
        "version": VERSION,
        "model": encoder.model_id,
        "weights_sha256": encoder.sha256,
        "resolution_km": RESOLUTION_KM,
        "familiarity": familiarity,
        "landforms": [
            asdict(landform) | examples
            for landform, examples in zip(landforms, _examples(counts), strict=True)
        ],
        "wordings": list(zip(vocabulary.wordings, vocabulary.landforms.tolist(), strict=True)),
        "words": list(vocabulary.words),
        "too_small": [
            {**small._asdict(), "wordings": int((vocabulary.small_wordings == i).sum())}
            for i, small in enumerate(vocabulary.small)
        ],
    }
    tensors = {
        "wordings": _bytes(vocabulary.vectors),
        "words": _bytes(vocabulary.word_vectors),
        "too_small": _bytes(vocabulary.small_vectors),
        "prototypes": queries.prototypes.astype(np.float16),
    }
    final = Calibration.of(table, tensors)
    table["checks"] = {
        "left_out_validation": _check_left_out(final, glossary, queries, learned, counts, base),
        "test": _summary(_check(final, queries, Ground.of(vectors, labels, patches, test))),
    }
    save_file(tensors, folder / VOCABULARY_FILE)
    text = json.dumps(table, ensure_ascii=False, indent=1)
    (folder / CALIBRATION_FILE).write_text(_compact(text) + "\n", encoding="utf-8")
    return table


# Familiarity


@dataclass(frozen=True)
class Words:
    """All wordings of the glossary and of unknown.toml, compared with what is taught."""

    vocabulary: Vocabulary
    """With limits that let everything through."""
    unseen: list[tuple[int, str]]
    """The number of each landform with each of its unseen wordings."""
    never: list[tuple[str, str]]
    """The kind of each list with each of its words."""
    likeness: Likeness
    """Of those, of the small things, and of the parts of all of them."""
    small: list[str]
    """Wordings of the small things."""

    @classmethod
    def of(cls, encoder: CompactTextEncoder, glossary: Glossary, unknown: Unknown) -> "Words":
        """Encode everything once."""
        encode = encoder.encode_sentences
        taught = [(i, w) for i, key in enumerate(glossary.keys) for w in glossary.trained[key]]
        wordings = [w for _, w in taught]
        words = vocabulary_words(wordings)
        small = [w for _, w in unknown.small_words]
        vocabulary = Vocabulary(
            wordings=tuple(wordings),
            landforms=np.array([i for i, _ in taught], np.int64),
            vectors=encode(wordings),
            words=words,
            word_vectors=encode(words),
            small=tuple(
                TooSmall(entry["name"], entry["size"], entry["data"])
                for entry in unknown.too_small.values()
            ),
            small_wordings=np.array([i for i, _ in unknown.small_words], np.int64),
            small_vectors=encode(small),
            threshold=0.0,
            small_margin=2.0,
            temperature=0.03,
        )
        unseen = [(i, w) for i, key in enumerate(glossary.keys) for w in glossary.unseen[key]]
        never = [(kind, w) for kind, ws in unknown.never.items() for w in ws]
        texts = dict.fromkeys([w for _, w in unseen] + [w for _, w in never] + small)
        parts = dict.fromkeys(part for text in texts for part in _parts(text))
        likeness = vocabulary.likeness([*texts, *(p for p in parts if p not in texts)], encoder)
        return cls(vocabulary, unseen, never, likeness, small)

    def values(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the likeness by which each text is accepted or not."""
        return np.array([self.vocabulary.reading(t, self.likeness).likeness for t in texts])

    def rows(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the rows of `likeness` of some texts."""
        return np.array([self.likeness.texts.index(text) for text in texts], np.int64)


def set_limits(words: Words) -> tuple[Vocabulary, dict[str, Any]]:
    """Set what counts as known on one half of all lists, and count the other half.

    Returns the vocabulary with its limits, and them with the counts as plain values.
    """
    unseen, never, small = [w for _, w in words.unseen], [w for _, w in words.never], words.small
    chosen = {name: _halves(ws) for name, ws in (("u", unseen), ("n", never), ("s", small))}
    u, n = words.values(unseen), words.values(never)
    threshold = _best_threshold(u[chosen["u"]], n[chosen["n"]])
    rows = words.rows(unseen)
    stolen = words.likeness.small[rows].max(1) - words.likeness.taught[rows].max(1)
    margin = round(float(np.quantile(stolen[chosen["u"]], 1 - STOLEN)), 3)
    right = np.array([i for i, _ in words.unseen])
    each = words.vocabulary.by_landform(words.likeness.taught[rows])
    temperature = min(
        TEMPERATURES, key=lambda t: _surprise(each[chosen["u"]] / t, right[chosen["u"]])
    )
    vocabulary = replace(
        words.vocabulary, threshold=threshold, small_margin=margin, temperature=temperature
    )
    rest = {name: ~half for name, half in chosen.items()}
    order = np.argsort(-each[rest["u"]], axis=1)
    places = (order == right[rest["u"]][:, None]).argmax(1)
    caught = _small_kept_apart(words, margin)
    kinds = np.array([kind for kind, _ in words.never])
    counted = {
        "unseen_accepted": _rate(u[rest["u"]] >= threshold),
        "never_accepted": _rate(n[rest["n"]] >= threshold),
        "never_accepted_by_kind": {
            kind: _rate(n[rest["n"] & (kinds == kind)] >= threshold)
            for kind in dict.fromkeys(kinds.tolist())
        },
        "too_small_recognised": _rate(caught[rest["s"]]),
        "unseen_taken_for_too_small": _rate(stolen[rest["u"]] >= margin),
        "unseen_read_right_first": _rate(places == 0),
        "unseen_read_right_of_three": _rate(places < 3),
        "unseen_counted": int(rest["u"].sum()),
        "never_counted": int(rest["n"].sum()),
        "too_small_counted": int(rest["s"].sum()),
    }
    limits = {"threshold": threshold, "small_margin": margin, "temperature": temperature}
    return vocabulary, {**limits, "other_half": counted}


def _small_kept_apart(words: Words, margin: float) -> NDArray[np.bool_]:
    """Tell which wordings of small things would be recognised by the other ones alone."""
    rows = words.rows(words.small)
    like = words.likeness.small[rows].copy()
    np.fill_diagonal(like, -1.0)
    return like.max(1) >= words.likeness.taught[rows].max(1) + margin


def _best_threshold(known: NDArray, unknown: NDArray) -> float:
    """Return the limit at which fewest known values are refused and unknown ones accepted."""
    values = np.unique(np.concatenate([known, unknown]))
    middles = (values[1:] + values[:-1]) / 2
    cost = [(known < m).mean() + (unknown >= m).mean() for m in middles]
    best = middles[np.flatnonzero(cost == np.min(cost))]
    return round(float(best[len(best) // 2]), 3)


def _surprise(logits: NDArray, right: NDArray[np.int64]) -> float:
    """Return the mean negative log probability of the right columns under a softmax."""
    top = logits.max(1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(1)) + top[:, 0]
    return float((total - logits[np.arange(len(right)), right]).mean())


def _halves(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which texts are in the half that sets the limits."""
    return np.array([hashlib.sha256(text.encode()).digest()[0] % 2 == 0 for text in texts])


def _parts(text: str) -> list[str]:
    return [part for part, _ in split_parts(text)]


def _rate(hits: NDArray[np.bool_]) -> float | None:
    return round(float(hits.mean()), 4) if len(hits) else None


# Precision


@dataclass(frozen=True)
class Question:
    """A query whose true answer the labels tell."""

    kind: str
    """trained, unseen or joined: how its words were found."""
    text: str
    """The words."""
    columns: tuple[int, ...]
    """The landforms that are asked for together."""


@dataclass(frozen=True)
class Queries:
    """The queries of a check, read and encoded as the engine would."""

    prototypes: NDArray[np.float32]
    """The mean vector of each landform's trained wordings, (n_landforms, dim), length 1."""
    questions: tuple[Question, ...]
    """What is asked; words that are not known are left out."""
    vectors: NDArray[np.float32]
    """What the engine searches for, (n_questions, dim)."""
    terms: tuple[tuple[Term, ...], ...]
    """What it reads."""

    @classmethod
    def of(
        cls,
        encoder: CompactTextEncoder,
        glossary: Glossary,
        vocabulary: Vocabulary,
        pairs: NDArray[np.int64],
    ) -> "Queries":
        """Put queries together. pairs: columns of landforms that occur together, (n, 2)."""
        vectors = _query_vectors(encoder, [w for ws in glossary.trained.values() for w in ws])
        ends = np.cumsum([len(wordings) for wordings in glossary.trained.values()])
        prototypes = np.stack([average_vectors(part) for part in np.split(vectors, ends[:-1])])
        asked = list(_questions(glossary, pairs, _random(0)))
        likeness = vocabulary.likeness(
            list(dict.fromkeys(t for q in asked for t in (q.text, *_parts(q.text)))),
            encoder,
        )
        readings = [vocabulary.reading(question.text, likeness) for question in asked]
        known = [(q, r.terms) for q, r in zip(asked, readings, strict=True) if r.terms]
        questions = tuple(question for question, _ in known)
        return cls(
            prototypes,
            questions,
            _query_vectors(encoder, [question.text for question in questions]),
            tuple(terms for _, terms in known),
        )


def _query_vectors(encoder: CompactTextEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the vectors that the engine would search for, (n, dim)."""
    filled = [prompt for text in texts for prompt in fill_prompts(DEFAULT_PROMPTS, text)]
    vectors = encoder.encode_text(filled).reshape(len(texts), len(DEFAULT_PROMPTS), -1)
    return np.stack([average_vectors(each) for each in vectors])


def _questions(
    glossary: Glossary, pairs: NDArray[np.int64], random: np.random.Generator
) -> Iterator[Question]:
    """Ask for landforms in trained and unseen wordings, and for two at once."""
    for column, key in enumerate(glossary.keys):
        for kind, wordings in (("trained", glossary.trained), ("unseen", glossary.unseen)):
            for text in random.permutation(wordings[key])[:CHECK_WORDINGS].tolist():
                yield Question(kind, text, (column,))
    for pair in random.permutation(pairs)[:CHECK_JOINTS].tolist():
        said = [str(random.choice(glossary.trained[glossary.keys[i]])) for i in pair]
        yield Question("joined", " and ".join(said), tuple(pair))


def _pairs(labels: NDArray[np.int8]) -> NDArray[np.int64]:
    """Return the columns of landforms that are present together in `TOGETHER` tiles, (n, 2)."""
    present = (labels == 1).astype(np.float32)
    return np.argwhere(np.triu(present.T @ present, 1) >= TOGETHER)


@dataclass(frozen=True)
class Ground:
    """Tiles of some blocks."""

    vectors: NDArray[np.float32]
    labels: NDArray[np.int8]
    patches: NDArray[np.int64]
    places: NDArray[np.int64]
    """Running number of each tile's patch."""

    @classmethod
    def of(
        cls, vectors: NDArray, labels: NDArray, patches: NDArray, mask: NDArray[np.bool_]
    ) -> "Ground":
        """Take the tiles of a mask."""
        _, places = np.unique(patches[mask], return_inverse=True)
        return cls(vectors[mask], labels[mask], patches[mask], places)

    def part(self, mask: NDArray[np.bool_]) -> "Ground":
        """Take some of the tiles."""
        return Ground.of(self.vectors, self.labels, self.patches, mask)


@dataclass(frozen=True)
class Outcome:
    """An estimate beside the truth."""

    kind: str
    share: float
    estimate: float
    low: float
    high: float
    truth: float


def _examples(counts: Counts) -> list[dict[str, int]]:
    """Return how many validation tiles and patches show each landform."""
    tiles, patches = counts.present.sum((1, 2)), (counts.present.sum(2) > 0).sum(1)
    return [{"positives": int(n), "patches": int(k)} for n, k in zip(tiles, patches, strict=True)]


def _landforms(
    glossary: Glossary, curves: Curves, base: NDArray[np.float64], counts: Counts
) -> tuple[Landform, ...]:
    """Put the curves into plain values.

    base: share of the planet's tiles with each landform, (n,). Validation blocks hold more or less
    of it than the planet, and by as much the planet's tiles of the same score are less or more
    likely to show it: Bayes' rule with other odds beforehand (Saerens, Latinne & Decaestecker 2002,
    doi 10.1162/089976602753284446).
    """
    examples = _examples(counts)
    known, present = counts.known.sum((1, 2)), counts.present.sum((1, 2))
    there = (present + PLANET_TILES * base) / (known + PLANET_TILES)
    means = curves.mean + np.stack([_logit(base) - _logit(there), np.zeros(len(base))], axis=1)
    factors = np.linalg.cholesky(curves.covariance)
    return tuple(
        Landform(
            key=key,
            name=glossary.trained[key][0],
            base_rate=round(float(base[i]), 6),
            curve=_rounded(means[i]),
            spread=_rounded(factors[i][np.tril_indices(2)]),
            scatter=round(float(curves.scatter[i]), 4),
            pooled=(
                examples[i]["positives"] < LEAST_TILES or examples[i]["patches"] < LEAST_PATCHES
            ),
        )
        for i, key in enumerate(glossary.keys)
    )


def _check_left_out(
    final: Calibration,
    glossary: Glossary,
    queries: Queries,
    ground: Ground,
    counts: Counts,
    base: NDArray[np.float64],
) -> dict[str, Any]:
    """Fit on all validation patches but some, estimate on those, and compare."""
    random = _random(1)
    outcomes: list[Outcome] = []
    n_patches = int(ground.places.max()) + 1
    for _ in range(SHUFFLES):
        dealt = random.permutation(n_patches)
        for fold in range(min(FOLDS, n_patches)):
            out = dealt[fold::FOLDS]
            rest = counts.without(out)
            curves = fit_curves(rest, _logit(base))
            fitted = replace(final, landforms=_landforms(glossary, curves, base, rest))
            outcomes += _check(fitted, queries, ground.part(np.isin(ground.places, out)))
    return _summary(outcomes)


def _check(calibration: Calibration, queries: Queries, ground: Ground) -> list[Outcome]:
    """Estimate the precision of the queries' hits on some ground, and count the truth."""
    outcomes = []
    asked = zip(queries.questions, queries.vectors, queries.terms, strict=True)
    for question, vector, terms in asked:
        some = ground.labels[:, question.columns]
        truth = np.where((some == 0).any(1), 0, some.min(1))
        known = np.flatnonzero(truth >= 0)
        if len(known) < 10 * LEAST_HITS:
            continue
        best = known[np.argsort(-(ground.vectors[known] @ vector), kind="stable")]
        for share in TOP_SHARES:
            hits = best[: max(round(share * len(known)), LEAST_HITS)]
            found = calibration.precision(
                ground.vectors[hits], ground.patches[hits], terms, len(hits)
            )
            right = float((truth[hits] == 1).mean())
            outcomes.append(Outcome(question.kind, share, *found, right))
    return outcomes


def _summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return how often the interval held, by kind of query and share of tiles."""
    rows: dict[str, Any] = {}
    for kind in dict.fromkeys(o.kind for o in outcomes):
        for share in TOP_SHARES:
            some = [o for o in outcomes if (o.kind, o.share) == (kind, share)]
            values = np.array([[o.estimate, o.low, o.high, o.truth] for o in some])
            value, low, high, truth = values.T
            # Both are shares of few tiles: half a thousandth apart is the same.
            held = (truth >= low - 5e-4) & (truth <= high + 5e-4)
            rows[f"{kind}, best {share:.1%}"] = {
                "queries": len(some),
                "interval_holds": round(float(held.mean()), 3),
                "mean_estimate": round(float(value.mean()), 3),
                "mean_truth": round(float(truth.mean()), 3),
                "mean_error": round(float(np.abs(value - truth).mean()), 3),
                "mean_width": round(float((high - low).mean()), 3),
            }
    return rows


def _base_rates(labels: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the share of tiles that show each landform among those known, never 0 or 1."""
    return ((labels == 1).sum(0) + 1.0) / ((labels >= 0).sum(0) + 100.0)


def _logit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(p / (1 - p))


def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _rounded(values: NDArray) -> tuple[float, ...]:
    return tuple(round(float(v), 4) for v in values)


def _bytes(rows: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return unit vectors as whole numbers that keep their directions: a cosine is off by .001."""
    return np.rint(rows * (127 / np.abs(rows).max(axis=1, keepdims=True))).astype(np.int8)


def _compact(text: str) -> str:
    """Put lists of an indented JSON text that hold no list or object on one line."""
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: re.sub(r"\s*\n\s*", " ", found.group()), text)
