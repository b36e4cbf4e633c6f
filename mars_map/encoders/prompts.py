"""Prompt ensembles: a text query is put into several templates and the vectors are averaged."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import QueryError

DEFAULT_PROMPTS = (
    "a photo of {}, a type of martian terrain",
    "a satellite photo of {}.",
    "a high-resolution remote sensing image of {} on Mars.",
)
"""The three templates of MarsRetrieval's geo-localization protocol (arXiv 2602.13961)."""
MAX_PROMPTS = 20
"""Most templates of one ensemble."""
MAX_PROMPT_LENGTH = 200
"""Most characters of one template."""


def check_prompts(prompts: Iterable[str]) -> tuple[str, ...]:
    """Return the templates without empty ones. Raises QueryError if one lacks its single "{}"."""
    templates = tuple(p.strip() for p in prompts if p.strip())
    if not 1 <= len(templates) <= MAX_PROMPTS:
        raise QueryError(
            f"The ensemble has {len(templates)} prompts; write 1 to {MAX_PROMPTS}, one a line."
        )
    for template in templates:
        if template.count("{}") != 1 or len(template) > MAX_PROMPT_LENGTH:
            raise QueryError(
                f'The prompt "{template[:60]}" must hold "{{}}" once, where the words go, and at '
                f"most {MAX_PROMPT_LENGTH} characters."
            )
    return templates


def fill_prompts(prompts: Iterable[str], text: str) -> list[str]:
    """Put the words into each template."""
    return [template.replace("{}", text) for template in prompts]


def average_vectors(vectors: NDArray) -> NDArray[np.float32]:
    """Return the mean of unit vectors (n, d), renormalised to length 1, (d,) float32."""
    mean = np.asarray(vectors, np.float64).mean(axis=0)
    return (mean / max(np.linalg.norm(mean), 1e-12)).astype(np.float32)
