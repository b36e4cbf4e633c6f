"""How many of a query's hits are right: an estimate with its interval, or why there is none.

The estimate does not trust the query's own scores, whose level changes with the wording. Each hit
is compared with the taught wordings of the landform that the query was read as, and a logistic
curve, learned on validation blocks, turns that score into the probability that the landform is
there:

    logit P(landform | tile) = logit(base rate) + a + b * score

a and b of each landform are known up to a normal distribution. Ground differs from patch to patch,
by more than the score tells, and hits that lie in one patch are right or wrong together: each patch
strays from the curve by a number of its own. The interval comes from drawing all of these, and the
hits themselves, many times over. How it was fitted and checked: `mars_map.training.calibrate`.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import ModelError
from mars_map.planet.blocks import patch_numbers
from mars_map.search.vocabulary import (
    Familiarity,
    Reading,
    SentenceEncoder,
    Term,
    TooSmall,
    Vocabulary,
)

if TYPE_CHECKING:
    from mars_map.search.engine import Result

CALIBRATION_FILE = "calibration.json"
VOCABULARY_FILE = "vocabulary.safetensors"
VERSION = 2
"""Version of both files; others are not read."""
CONFIDENCE = 0.9
"""Share of queries whose true precision the interval is to hold."""
DRAWS = 200
"""Draws behind an interval; its ends then differ by about two hundredths from run to run of other
random numbers."""
COMMON = 0.3
"""Share of the scatter of patches that all of them have in common: the planet is unlike validation
ground by more than the scatter within that tells. Set on training ground, with curves of 13 patches
checked on 25 others: without it, nine intervals of ten held in 82 to 87 cases of 100."""
ATTENUATION = 256 / (75 * np.pi**2)
"""A logistic curve with normal scatter of variance v is in the mean one that is flatter by the
square root of 1 + this * v (Zeger, Liang & Albert 1988, doi 10.2307/2531734)."""
SAMPLE = 1000
"""Hits that are looked at; of more, every second, third, ... rank."""
FEW = 0.1
"""Precision below which a sentence counts instead of naming a percentage."""


@dataclass(frozen=True)
class Landform:
    """How scores of one landform turn into probabilities."""

    key: str
    """Its key in the glossary."""
    name: str
    """Its first wording."""
    base_rate: float
    """Share of the planet's tiles that show it, 0..1."""
    curve: tuple[float, float]
    """Means of intercept and slope."""
    spread: tuple[float, float, float]
    """Lower triangle of the Cholesky factor of their covariance: (0,0), (1,0), (1,1)."""
    scatter: float
    """Standard deviation of what patches stray by, in logits."""
    pooled: bool
    """Whether it occurs so rarely there that the curve is mostly that of all landforms."""


class Precision(NamedTuple):
    """A share of hits that are right, and between which bounds it lies in nine cases of ten."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """What may be believed of a query's hits."""

    words: str
    """The words of the query."""
    familiarity: Familiarity
    """How well the encoder knows them."""
    likeness: float
    """Their likeness to what it was taught, 0..1."""
    n_hits: int
    """Number of hits."""
    landforms: tuple[str, ...] = ()
    """What the words were read as: names of landforms, the likeliest first."""
    meaning: str = ""
    """The same as a phrase, such as `"dunes" with "canyon"`."""
    precision: Precision | None = None
    """Share of the hits that show it; None for words that are not known, and without hits."""
    pooled: bool = False
    """Whether it leans on other landforms, because validation ground has little of this one."""
    suggestions: tuple[str, ...] = ()
    """Taught wordings that may have been meant."""
    spelling: str = ""
    """The words with slips of spelling mended; empty where there are none."""
    too_small: TooSmall | None = None
    """What the words name, where that is too small for the data."""
    resolution_km: float = 0.0
    """The smallest that the data show."""

    @property
    def is_known(self) -> bool:
        """Whether the words are alike enough to what was taught for their map to mean anything."""
        return self.familiarity in ("taught", "near")

    @property
    def sentence(self) -> str:
        """The estimate, or why there is none, in plain words."""
        if self.too_small:
            name, size, data = self.too_small
            return (
                f"Nothing under about {self.resolution_km:g} km can be seen here, and {name} are "
                f"{size}; {data} would show them."
            )
        if not self.is_known and self.spelling:
            return f"The encoder does not know “{self.words}”; did you mean “{self.spelling}”?"
        if not self.is_known:
            return (
                f"The encoder was never taught words like “{self.words}”: a map of them would "
                "look sure and mean nothing."
            )
        if self.precision is None:
            return ""
        said = _share(self.precision, self.n_hits)
        if self.familiarity == "near":
            said = f"Read as {self.meaning}: {said[0].lower()}{said[1:]}"
        return f"{said} {_POOLED}" if self.pooled else said

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `precision`, `low` and `high` are None where unknown."""
        value, low, high = self.precision or (None, None, None)
        record: dict[str, Any] = {
            "familiarity": self.familiarity,
            "likeness": round(self.likeness, 3),
            "landforms": list(self.landforms),
            "precision": value,
            "low": low,
            "high": high,
            "confidence": CONFIDENCE,
            "pooled": self.pooled,
            "spelling": self.spelling,
            "suggestions": list(self.suggestions),
            "sentence": self.sentence,
        }
        if self.too_small:
            record["too_small"] = self.too_small._asdict()
        return record


_POOLED = "It is rare on the ground kept for checks, so this leans on other landforms."


def _share(precision: Precision, n: int) -> str:
    """Say a precision in words: "About 62 % of these 500 hits show it (45 to 75 %)."."""
    value, low, high = precision
    bounds = f"({_percent(low)} to {_percent(high)} %)"
    these = f"these {n:,} hits" if n > 1 else "such hits"
    if value < 0.005:
        return f"Expect hardly any of {these} to show it {bounds}."
    if value < FEW:
        return f"Expect about 1 in {round(1 / value):,} of {these} to show it {bounds}."
    return f"About {_percent(value)} % of {these} show it {bounds}."


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


@dataclass(frozen=True)
class Calibration:
    """What a model's words mean and how far its hits can be believed."""

    sha256: str
    """Hash of the weights that it belongs to."""
    landforms: tuple[Landform, ...]
    """All taught landforms."""
    prototypes: NDArray[np.float32]
    """The mean vector of each one's wordings in the space of the tiles, (n, dim), length 1."""
    vocabulary: Vocabulary
    """The taught wordings."""
    resolution_km: float
    """The smallest that the data show."""

    @classmethod
    def load(cls, folder: Path | str) -> "Calibration | None":
        """Read the calibration in a model folder; None where the model has none.

        Raises ModelError where its files are damaged or of another version.
        """
        path = Path(folder) / CALIBRATION_FILE
        if not path.is_file():
            return None
        # Imported here: a search by tile needs none of this.
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            if table["version"] != VERSION:
                raise ValueError(f"version {table['version']}")
            tensors = load_file(path.with_name(VOCABULARY_FILE))
            return cls.of(table, tensors)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ModelError(
                f'The calibration "{path}" cannot be read ({error}); restore the model\'s files.'
            ) from error

    @classmethod
    def of(cls, table: dict[str, Any], tensors: dict[str, NDArray]) -> "Calibration":
        """Make a calibration from the contents of both files."""
        names = [field.name for field in fields(Landform)]
        landforms = tuple(
            Landform(**{k: tuple(row[k]) if isinstance(row[k], list) else row[k] for k in names})
            for row in table["landforms"]
        )
        small = table["too_small"]
        wordings, words = table["wordings"], table["words"]
        familiarity = table["familiarity"]
        vocabulary = Vocabulary(
            wordings=tuple(text for text, _ in wordings),
            landforms=np.array([number for _, number in wordings], np.int64),
            vectors=_unit(tensors["wordings"]),
            words=tuple(words),
            word_vectors=_unit(tensors["words"]),
            small=tuple(TooSmall(row["name"], row["size"], row["data"]) for row in small),
            small_wordings=np.repeat(np.arange(len(small)), [row["wordings"] for row in small]),
            small_vectors=_unit(tensors["too_small"]),
            threshold=familiarity["threshold"],
            small_margin=familiarity["small_margin"],
            temperature=familiarity["temperature"],
        )
        lengths = {len(vocabulary.wordings): "wordings", len(words): "words"}
        for count, name in lengths.items():
            if len(tensors[name]) != count:
                raise ValueError(f"{len(tensors[name])} vectors for {count} {name}")
        return cls(
            table["weights_sha256"],
            landforms,
            _unit(tensors["prototypes"]),
            vocabulary,
            float(table["resolution_km"]),
        )

    def estimate(self, result: "Result", encoder: SentenceEncoder) -> Estimate | None:
        """Estimate how many hits of a result are right; None unless it asks for words alone."""
        text = result.query.text
        if not text:
            return None
        reading = self.vocabulary.read(text, encoder)
        n = len(result.hits)
        precision = self.hit_precision(result, reading) if reading.terms and n else None
        numbers = dict.fromkeys(i for term in reading.terms for i in term.weights)
        return Estimate(
            words=text,
            familiarity=reading.familiarity,
            likeness=reading.likeness,
            n_hits=n,
            landforms=tuple(self.landforms[i].name for i in numbers),
            meaning=self._meaning(reading),
            precision=precision,
            pooled=any(self.landforms[i].pooled for i in numbers),
            suggestions=reading.suggestions,
            spelling=reading.spelling,
            too_small=reading.too_small,
            resolution_km=self.resolution_km,
        )

    def hit_precision(self, result: "Result", reading: Reading) -> Precision:
        """Return the share of a result's hits that show what was read."""
        index, hits = result.index, result.hits
        some = hits[:: -(-len(hits) // SAMPLE)]
        vectors = index.vectors[some].astype(np.float32)
        if index.scales is not None:
            vectors *= index.scales[some, np.newaxis]
        lon, lat = (values[some] for values in index.grid.centers)
        return self.precision(vectors, patch_numbers(lon, lat), reading.terms, len(hits))

    def precision(
        self,
        vectors: NDArray[np.float32],
        patches: NDArray[np.int64],
        terms: tuple[Term, ...],
        n_hits: int,
    ) -> Precision:
        """Return the share of tiles that show all terms, rounded to thousandths.

        vectors: unit vectors of the tiles, (n, dim), all or a sample of n_hits. patches: the block
        of each, by number, (n,). The same tiles always give the same answer.
        """
        random = np.random.default_rng(0)
        _, places = np.unique(patches, return_inverse=True)
        # All landforms that are to be there get the same luck: ground that has more of one has more
        # of its kin, so that both of two are as uncertain as either. Their mean is taken apart.
        luck = _luck(random, int(places.max()) + 1)
        probability = np.ones((DRAWS, len(vectors)), np.float32)
        mean = np.ones(len(vectors))
        for term in terms:
            shown = np.empty_like(probability)
            curves, stray = luck if term.present else _luck(random, int(places.max()) + 1)
            # Which landform the words mean is drawn too, by its share of the reading.
            numbers = random.choice([*term.weights], DRAWS, p=[*term.weights.values()])
            for number in term.weights:
                rows = np.flatnonzero(numbers == number)
                shown[rows] = self._draw(number, vectors, curves[rows], stray[rows][:, places])
            shown = shown if term.present else 1 - shown
            probability *= shown
            mean *= shown.mean(0)
        share = probability.mean(1, dtype=np.float64)
        right = random.binomial(n_hits, np.clip(share, 0, 1)) / n_hits
        low, high = np.quantile(right, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        value = mean.mean()
        bounds = (value, min(low, value), max(high, value))
        return Precision(*(round(float(v), 3) for v in bounds))

    def _draw(
        self,
        number: int,
        vectors: NDArray[np.float32],
        curves: NDArray[np.float64],
        stray: NDArray[np.float64],
    ) -> NDArray[np.float32]:
        """Draw the probability that tiles show a landform, (n, n_tiles).

        curves: (n, 2) and stray: (n, n_tiles), standard normal numbers.
        """
        landform = self.landforms[number]
        l00, l10, l11 = landform.spread
        intercept = landform.curve[0] + l00 * curves[:, :1]
        slope = landform.curve[1] + l10 * curves[:, :1] + l11 * curves[:, 1:]
        # A curve that falls would say that the best hits are the worst.
        slope = np.maximum(slope, 0.0).astype(np.float32)
        start = (intercept + _logit(landform.base_rate)).astype(np.float32)
        logits = start + slope * (vectors @ self.prototypes[number])
        # Steeper for each patch, so that the mean over the patches is the curve itself.
        logits *= np.float32(np.sqrt(1 + ATTENUATION * landform.scatter**2))
        return 1 / (1 + np.exp(-(logits + (landform.scatter * stray).astype(np.float32))))

    def _meaning(self, reading: Reading) -> str:
        """Say what a query was read as: `"canyon" or "gorge", with "dunes", without "ice"`."""
        said = []
        for i, term in enumerate(reading.terms):
            names = " or ".join(f"“{self.landforms[n].name}”" for n in term.weights)
            joint = ("with " if term.present else "without ") if i else ""
            said.append(joint + names)
        return " ".join(said)


def _luck(
    random: np.random.Generator, n_patches: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw standard normal numbers for curves, (DRAWS, 2), and patches, (DRAWS, n_patches)."""
    own, common = random.normal(size=(DRAWS, n_patches)), random.normal(size=(DRAWS, 1))
    stray = np.sqrt(1 - COMMON) * own + np.sqrt(COMMON) * common
    return random.normal(size=(DRAWS, 2)), stray


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def _unit(rows: NDArray) -> NDArray[np.float32]:
    """Return rows, stored as whole numbers or halves, as unit vectors."""
    wide = rows.astype(np.float32)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-9)
