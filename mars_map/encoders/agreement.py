"""How far fast words agree with exact ones, measured on a model itself: weights decide it."""

import statistics
import time
from dataclasses import dataclass
from itertools import product

import numpy as np

from mars_map.encoders.clip import TYPICAL, ClipTextEncoder, Precision
from mars_map.encoders.model import FamilyModel
from mars_map.encoders.prompts import DEFAULT_PROMPTS, fill_prompts

LANDFORMS = (
    "gullies", "an alluvial fan", "a wrinkle ridge", "a graben", "a mesa", "chaos terrain",
    "a glacier-like form", "a landslide", "pitted cones", "dust devil tracks", "layered deposits",
    "recurring slope lineae", "a valley network", "secondary craters", "a shield volcano",
    "a dune field", "fretted terrain", "a rampart crater", "brain terrain", "inverted channels",
    "a lava tube skylight", "scalloped depressions", "a delta", "a city at night",
)  # fmt: skip
"""Words that int8 has not learned its ranges from; the last is out of place on purpose."""
PLACES = (
    "in a crater", "on the floor of a canyon", "near the pole", "at the dichotomy", "on a plain",
)  # fmt: skip


@dataclass(frozen=True)
class Agreement:
    """What one precision does to words."""

    precision: Precision
    """How it calculates."""
    sentences: int
    """Sentences that were compared."""
    least: float
    """Least cosine between a sentence's vector and that of float32."""
    mean: float
    """Mean of these cosines."""
    query_ms: float
    """Median of 20 queries of three prompts, milliseconds."""


def sentences() -> list[str]:
    """Return 240 sentences about Mars."""
    return [
        template.replace("{}", f"{what} {where}")
        for what, where, template in product(LANDFORMS, PLACES, DEFAULT_PROMPTS[:2])
    ]


def measure(model: FamilyModel, precisions: tuple[Precision, ...]) -> list[Agreement]:
    """Encode sentences in each precision, and compare with float32. Raises ModelError."""
    texts = sentences()
    exact = ClipTextEncoder(model, "float32").encode_text(texts)
    found = []
    for precision in precisions:
        encoder = ClipTextEncoder(model, precision)
        cosines = np.clip((encoder.encode_text(texts) * exact).sum(axis=1), -1, 1)
        ms = query_ms(encoder, len(DEFAULT_PROMPTS))
        found.append(
            Agreement(precision, len(texts), float(cosines.min()), float(cosines.mean()), ms)
        )
    return found


def query_ms(encoder: ClipTextEncoder, prompts: int) -> float:
    """Return the median of 20 queries of so many prompts, milliseconds."""
    durations = []
    for words in (*TYPICAL[:2], *LANDFORMS[:20]):
        start = time.perf_counter()
        encoder.encode_text(fill_prompts(DEFAULT_PROMPTS, words)[:prompts])
        durations.append((time.perf_counter() - start) * 1e3)
    return statistics.median(durations[2:])
