"""Paired image-text retrieval, the first task of MarsRetrieval (arXiv 2602.13961).

A collection of pairs is a folder or zip file with a `pairs.csv`: columns `image` and `caption`, and
`width_km` where the width on the ground is known. Every picture asks for its caption among all
captions, and every caption for its picture among all pictures, by cosine similarity of the caption
as it is written.

One caption may belong to several pictures, and one picture may have several captions. Identical
pictures, and captions that differ in case or white space alone, are one; each is ranked once and
asks once, and *every* partner that it has in any row is a right answer. The rank is that of the
best right answer. Where nothing occurs twice this is the published protocol, in which a second
picture with the same caption is a wrong answer.

The figures: recall@1, @5 and @10, the share of questions whose rank is at most that (the published
code leaves out 5); the median rank; MRR, the mean of 1 / rank. *Chance* is exact: with r right ones
among n, a random order has its first right one behind rank k with the probability
C(n - r, k) / C(n, k). Intervals are bootstrapped over the questions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import PictureError
from mars_map.evaluation.bootstrap import interval, resamples
from mars_map.evaluation.embedding import LeftOut, Source, by_reason, embed, left_out_lines
from mars_map.evaluation.encoders import Encoder
from mars_map.evaluation.labelled import column_of, width_of
from mars_map.evaluation.picture_files import Files, open_files, plain_name, read_table
from mars_map.evaluation.ranking import Estimate, no_hit, tie_keys

PAIRS_FILE = "pairs.csv"
DEPTHS = (1, 5, 10)
"""The ranks of recall@k."""
_CHUNK = 256


@dataclass(frozen=True, eq=False)
class Direction:
    """How well one side finds the other."""

    ranks: NDArray[np.int64]
    """Rank of the best right answer to each question, from 1, (q,)."""
    n_right: NDArray[np.int64]
    """Right answers to each question, (q,)."""
    n_candidates: int
    """Answers that were ranked."""

    def recall(self, depth: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the share of questions whose rank is at most each depth, (k,)."""
        return (self.ranks[:, None] <= depth).mean(axis=0)

    def chance_recall(self, depth: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what a random order reaches in the mean at each depth, (k,)."""
        counts, times = np.unique(self.n_right, return_counts=True)
        missed = np.array([no_hit(self.n_candidates, int(r), depth) for r in counts])
        return 1 - times @ missed / times.sum()

    def estimates(self) -> dict[str, Estimate]:
        """Return recall_at_1, recall_at_5, recall_at_10, median_rank and mrr.

        The chance of the median rank is the rank that half of the questions reach at random.
        """
        every = np.arange(1, self.n_candidates + 1)
        by_chance = self.chance_recall(every)
        chances = [float(by_chance[min(d, self.n_candidates) - 1]) for d in DEPTHS]
        chances.append(float(every[np.argmax(by_chance >= 0.5 - 1e-12)]))
        chances.append(float((np.diff(by_chance, prepend=0.0) / every).sum()))
        values = _figures(self.ranks)
        repeated = (np.repeat(self.ranks, n) for n in resamples(np.arange(len(self.ranks))))
        draws = np.array([_figures(ranks) for ranks in repeated])
        names = (*(f"recall_at_{depth}" for depth in DEPTHS), "median_rank", "mrr")
        return {
            name: Estimate(float(values[i]), chances[i], *interval(draws[:, i]))
            for i, name in enumerate(names)
        }


@dataclass(frozen=True, eq=False)
class PairReport:
    """The outcome, and everything that it is the outcome of."""

    data: str
    """Name of the folder or zip file."""
    model_id: str
    """Name of the model."""
    model_sha256: str
    """Hash of its weights, hex."""
    n_pairs: int
    """Rows that take part."""
    image_to_text: Direction
    """Pictures ask for captions."""
    text_to_image: Direction
    """Captions ask for pictures."""
    left_out: Sequence[LeftOut]
    """Rows that take no part."""

    def to_dict(self) -> dict[str, Any]:
        """Return one JSON-ready object.

        Keys: `task`, `data`, `model` (id, sha256), `n_pairs`, `image_to_text` and `text_to_image`
        (n, the questions; n_candidates; and recall_at_1, recall_at_5, recall_at_10, median_rank and
        mrr, each an object with value, chance, low and high), `left_out` (names by reason).
        """
        return {
            "task": "pairs",
            "data": self.data,
            "model": {"id": self.model_id, "sha256": self.model_sha256},
            "n_pairs": self.n_pairs,
            "image_to_text": _record(self.image_to_text),
            "text_to_image": _record(self.text_to_image),
            "left_out": by_reason(self.left_out),
        }

    def table(self) -> str:
        """Return the figures for people, lines that end in a line break."""
        n_images, n_captions = len(self.image_to_text.ranks), len(self.text_to_image.ranks)
        heads = " ".join(f"{head:>{w}}" for head, w in (("value", 9), ("chance", 9), ("95 %", 16)))
        lines = [
            f"pairs        {self.data}: {self.n_pairs:,} of {n_images:,} pictures and "
            f"{n_captions:,} captions",
            f"model        {self.model_id}",
            *left_out_lines(self.left_out),
            "",
            f"{'':<14} {'picture to caption':>36}   {'caption to picture':>36}",
            f"{'':<14} {heads}   {heads}",
        ]
        sides = (self.image_to_text.estimates(), self.text_to_image.estimates())
        for name in sides[0]:
            cells = "   ".join(_cells(side[name], name == "median_rank") for side in sides)
            lines.append(f"{name.replace('_at_', '@').replace('_', ' '):<14} {cells}")
        return "\n".join(line.rstrip() for line in lines) + "\n"


def evaluate_pairs(
    path: str | Path, encoder: Encoder, *, width_km: float | None = None
) -> PairReport:
    """Judge an encoder by the captioned pictures of a folder or zip file.

    width_km: width on the ground of pictures for which the collection gives none. Raises
    PictureError where there is no sound pairs.csv or nothing to choose between, and what the
    encoder raises for a caption.
    """
    with open_files(path) as files:
        rows, left_out = read_pairs(files)
        # Before any picture is read, since a caption may be refused.
        texts = _text_vectors([row.caption for row in rows], encoder)
        sources = [Source(row.image, row.width_km or width_km) for row in rows]
        distinct = list(dict.fromkeys(sources))
        embedded = embed(files, distinct, encoder)
    pictures: dict[str, NDArray[np.float32]] = {}
    digest_of: dict[Source, str] = {}
    for i, digest, vector in zip(embedded.kept, embedded.digests, embedded.vectors, strict=True):
        digest_of[distinct[i]] = digest
        pictures.setdefault(digest, vector)
    pairs = [
        (digest_of[source], _folded(row.caption))
        for row, source in zip(rows, sources, strict=True)
        if source in digest_of
    ]
    left_out = [*left_out, *embedded.left_out]
    to_text, to_image = _both_ways(pairs, pictures, texts, files.name)
    return PairReport(
        data=files.name,
        model_id=encoder.model_id,
        model_sha256=encoder.sha256,
        n_pairs=len(pairs),
        image_to_text=to_text,
        text_to_image=to_image,
        left_out=left_out,
    )


class Pair(NamedTuple):
    """A row of pairs.csv."""

    image: str
    """Name of the picture in its collection."""
    caption: str
    """What it shows, as written."""
    width_km: float | None
    """Width on the ground, kilometres; None where it is not known."""


def read_pairs(files: Files) -> tuple[list[Pair], list[LeftOut]]:
    """Read a pairs.csv and which of its rows cannot be used. Raises PictureError without one."""
    if PAIRS_FILE not in files.names:
        raise PictureError(
            f'"{files.name}" has no {PAIRS_FILE}; write one with the columns image and caption.'
        )
    table = read_table(files, PAIRS_FILE)
    for name in ("image", "caption"):
        column_of(table, (name,), f'The {PAIRS_FILE} of "{files.name}"')
    rows, left_out = [], []
    for number, row in enumerate(table.rows, 1):
        name = plain_name(row["image"]) if row["image"] else ""
        if not name or not row["caption"]:
            lacks = "caption" if name else "picture"
            left_out.append(LeftOut(name or f"row {number}", f"without a {lacks}"))
            continue
        try:
            rows.append(Pair(name, row["caption"], width_of(row.get("width_km", ""))))
        except ValueError:
            left_out.append(LeftOut(name, "with a width that is no length"))
    return rows, left_out


def _folded(caption: str) -> str:
    return " ".join(caption.casefold().split())


def _text_vectors(captions: Sequence[str], encoder: Encoder) -> dict[str, NDArray[np.float32]]:
    """Return a vector for each distinct caption, as it is written where it stands first."""
    written: dict[str, str] = {}
    for caption in captions:
        written.setdefault(_folded(caption), caption)
    vectors = encoder.encode_text(list(written.values()))
    return dict(zip(written, np.asarray(vectors, np.float32), strict=True))


def _both_ways(
    pairs: Sequence[tuple[str, str]],
    pictures: Mapping[str, NDArray[np.float32]],
    texts: Mapping[str, NDArray[np.float32]],
    name: str,
) -> tuple[Direction, Direction]:
    """Let pictures ask for captions, and captions for pictures."""
    images = list(dict.fromkeys(image for image, _ in pairs))
    captions = list(dict.fromkeys(caption for _, caption in pairs))
    if min(len(images), len(captions)) < 2:
        raise PictureError(
            f'"{name}" has {len(images)} usable picture(s) with {len(captions)} different '
            "caption(s); there must be at least two of each to choose between."
        )
    row = {image: i for i, image in enumerate(images)}
    column = {caption: i for i, caption in enumerate(captions)}
    links = np.unique([(row[image], column[caption]) for image, caption in pairs], axis=0)
    image_vectors = np.array([pictures[image] for image in images])
    text_vectors = np.array([texts[caption] for caption in captions])
    return (
        rank_partners(image_vectors, text_vectors, links),
        rank_partners(text_vectors, image_vectors, links[:, ::-1]),
    )


def rank_partners(
    questions: NDArray[np.float32], answers: NDArray[np.float32], links: NDArray[np.int64]
) -> Direction:
    """Rank all answers to each question by cosine similarity, and find the best right one.

    questions: (q, dim) and answers: (n, dim), unit vectors. links: (l, 2) pairs of a question and
    one of its right answers; every question has one. Answers of equal score rank in an order drawn
    from a fixed seed.
    """
    keys = tie_keys(len(answers))
    ranks = np.empty(len(questions), np.int64)
    for start in range(0, len(questions), _CHUNK):
        scores = questions[start : start + _CHUNK] @ answers.T
        right = np.zeros(scores.shape, bool)
        here = links[(links[:, 0] >= start) & (links[:, 0] < start + len(scores))]
        right[here[:, 0] - start, here[:, 1]] = True
        best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
        level = scores == best
        key = np.where(right & level, keys, len(answers)).min(axis=1, keepdims=True)
        before = (scores > best) | (level & (keys < key))
        ranks[start : start + len(scores)] = 1 + before.sum(axis=1)
    return Direction(ranks, np.bincount(links[:, 0], minlength=len(questions)), len(answers))


def _figures(ranks: NDArray[np.int64]) -> list[float]:
    recalls = [float((ranks <= depth).mean()) for depth in DEPTHS]
    return [*recalls, float(np.median(ranks)), float((1 / ranks).mean())]


def _record(direction: Direction) -> dict[str, Any]:
    estimates = {name: e._asdict() for name, e in direction.estimates().items()}
    return {"n": len(direction.ranks), "n_candidates": direction.n_candidates, **estimates}


def _cells(estimate: Estimate, is_rank: bool) -> str:
    form = ".1f" if is_rank else ".3f"
    spread = "-"
    if estimate.low is not None and estimate.high is not None:
        spread = f"{estimate.low:{form}} to {estimate.high:{form}}"
    return f"{estimate.value:>9{form}} {estimate.chance:>9{form}} {spread:>16}"
