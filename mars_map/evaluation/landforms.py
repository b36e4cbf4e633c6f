"""Landform retrieval, the second task of MarsRetrieval (arXiv 2602.13961), on labelled pictures.

Every class is asked for, and all pictures are ranked by cosine similarity: by its words, put into
the prompts of that protocol, or by each of its pictures. The figures and their chance are those of
`mars_map.evaluation.ranking`.

Crops of one observation look alike whatever they show, so that a class from five observations can
be found by its light. Therefore:

- *by picture*: every picture is an item, as published. A picture that asks is compared only with
  pictures of other observations, and the figure of a class is the mean over its pictures.
- *by observation*: the pictures of one observation and one class are one item, ranked by the best
  of them. With pictures that ask, each observation's count once in the mean as well. Chance is then
  the mean of a thousand random orders of the pictures: an observation with many has a better best.
- Intervals are bootstrapped over observations (`mars_map.evaluation.bootstrap`): those of all
  pictures for words, those of the pictures that ask for pictures. A class from a single observation
  has none.
- Identical pictures count once; with different labels they are left out.

Classes that are no landform ("other", "background", ...) are ranked, and asked for only in words
that are given for them.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mars_map.encoders.prompts import DEFAULT_PROMPTS, average_vectors, check_prompts, fill_prompts
from mars_map.errors import PictureError
from mars_map.evaluation.embedding import LeftOut, Source, embed
from mars_map.evaluation.encoders import Encoder
from mars_map.evaluation.labelled import Labelled, Sample, read_labelled
from mars_map.evaluation.landform_questions import (
    Outcome,
    Pictures,
    ask_by_pictures,
    ask_by_vectors,
)
from mars_map.evaluation.landform_report import ClassFigures, LandformReport
from mars_map.evaluation.picture_files import open_files
from mars_map.search.parts import clean_text

BACKGROUND = frozenset({"other", "others", "background", "none", "unlabelled", "unlabeled"})
"""Labels that say what a picture does not show."""


def evaluate_landforms(
    path: str | Path,
    encoder: Encoder,
    *,
    by: str = "text",
    words: Mapping[str, str] | None = None,
    prompts: Sequence[str] = DEFAULT_PROMPTS,
    width_km: float | None = None,
    observation_pattern: str | None = None,
) -> LandformReport:
    """Judge an encoder by the labelled pictures of a folder or zip file.

    by: "text" or "image". words: what to ask for a label, instead of the label itself. width_km:
    width on the ground of pictures for which the collection gives none. observation_pattern: as in
    `read_labelled`. Raises PictureError where there is nothing to rank or to ask, QueryError for
    words or prompts that cannot be searched, and ModelError for an encoder that gives no vectors.
    """
    prompts = check_prompts(prompts)
    with open_files(path) as files:
        labelled = read_labelled(files, observation_pattern)
        words = _asked_words(labelled, words or {})
        vectors = _word_vectors(words, prompts, encoder) if by == "text" else {}
        sources = [Source(s.name, s.width_km or width_km) for s in labelled.samples]
        embedded = embed(files, sources, encoder)
    samples = [labelled.samples[i] for i in embedded.kept]
    keep, copies = _distinct(samples, embedded.digests)
    left_out = [*labelled.left_out, *embedded.left_out, *copies]
    pictures = Pictures.of([samples[i] for i in keep], embedded.vectors[keep])
    _check_enough(pictures, words, labelled.name, left_out)
    asked = [label for label in pictures.labels if label in words]
    numbers = [pictures.labels.index(label) for label in asked]
    if by == "text":
        outcomes = ask_by_vectors(pictures, numbers, np.array([vectors[a] for a in asked]))
    else:
        outcomes = [ask_by_pictures(pictures, number) for number in numbers]
    return LandformReport(
        data=labelled.name,
        model_id=encoder.model_id,
        model_sha256=encoder.sha256,
        by=by,
        n_pictures=pictures.n,
        n_observations=pictures.n_observations,
        grouped=labelled.grouped,
        classes=[
            _class_figures(pictures, a, words[a] if by == "text" else None, o)
            for a, o in zip(asked, outcomes, strict=True)
        ],
        not_asked=[label for label in pictures.labels if label not in words],
        left_out=left_out,
    )


def _word_vectors(
    words: Mapping[str, str], prompts: Sequence[str], encoder: Encoder
) -> dict[str, NDArray[np.float32]]:
    """Return a vector for each label; before any picture is read, since words may be refused."""
    return {
        label: average_vectors(encoder.encode_text(fill_prompts(prompts, text)))
        for label, text in words.items()
    }


def _class_figures(
    pictures: Pictures, label: str, words: str | None, outcome: Outcome
) -> ClassFigures:
    members = pictures.label == pictures.labels.index(label)
    n_observations = len(np.unique(pictures.observation[members]))
    return ClassFigures(label, words, int(members.sum()), n_observations, outcome)


def _asked_words(labelled: Labelled, given: Mapping[str, str]) -> dict[str, str]:
    """Return the words for each label that is asked for."""
    labels = sorted({sample.label for sample in labelled.samples})
    for label in given:
        if label not in labels:
            raise PictureError(
                f'No picture of "{labelled.name}" is labelled "{label}"; the labels are '
                f"{', '.join(labels)}."
            )
    words = {x: _plain(x) for x in labels if x.lower() not in BACKGROUND}
    return words | {label: clean_text(text) for label, text in given.items()}


def _plain(label: str) -> str:
    """Return a label as words, as the published protocol does it."""
    return re.sub(r"[_-]+", " ", label).strip()


def _distinct(samples: Sequence[Sample], digests: Sequence[str]) -> tuple[list[int], list[LeftOut]]:
    """Return the pictures to keep: one of identical ones, none where their labels differ."""
    alike: dict[str, list[int]] = {}
    for i, digest in enumerate(digests):
        alike.setdefault(digest, []).append(i)
    keep, left_out = [], []
    for members in alike.values():
        if len({samples[i].label for i in members}) > 1:
            reason = "identical to a picture of another label"
            left_out += [LeftOut(samples[i].name, reason) for i in members]
            continue
        keep.append(members[0])
        reason = "identical to another picture"
        left_out += [LeftOut(samples[i].name, reason) for i in members[1:]]
    return sorted(keep), left_out


def _check_enough(
    pictures: Pictures, words: Mapping[str, str], name: str, left_out: Sequence[LeftOut]
) -> None:
    n = pictures.n
    lost = f" ({len(left_out):,} left out)" if left_out else ""
    if n < 2:
        raise PictureError(
            f'"{name}" has {n} usable picture{"s" if n != 1 else ""}{lost}; '
            "a ranking needs at least two."
        )
    if len(pictures.labels) < 2:
        raise PictureError(
            f'All pictures of "{name}" are labelled "{pictures.labels[0]}"{lost}; '
            "a ranking needs pictures of another class."
        )
    if not any(label in words for label in pictures.labels):
        raise PictureError(
            f'"{name}" has no class to ask for: its labels are {", ".join(pictures.labels)}; '
            "give words for one of them."
        )
