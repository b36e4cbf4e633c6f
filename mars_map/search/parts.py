"""The parts of a query: what to look for and what not, each with a weight, and filters."""

import base64
import binascii
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import QueryError

PartKind = Literal["text", "tile", "vector"]
"""Words; an example tile; the vector of a picture that somebody brought."""
MAX_TEXT_LENGTH = 300
"""Most characters of a text query; the text encoder reads no further than about that."""
MAX_NAME_LENGTH = 80
"""Most characters of a part's name; longer ones are cut."""
MAX_WEIGHT = 10.0
"""Most weight of a part."""
MAX_DIM = 8192
"""Most dimensions of a picture's vector."""


@dataclass(frozen=True)
class Part:
    """One thing that a query asks for. Immutable, hashable, serialisable.

    Raises QueryError for a kind that there is not, a weight outside (0, 10], words without a letter
    or too long, and a vector that cannot be read.
    """

    kind: PartKind
    """Whether `value` is words, a tile or a vector."""
    value: str
    """The words; the id of a tile; or a unit vector as `encode_vector` writes it."""
    weight: float = 1.0
    """How much it counts, over 0 and up to 10: each part is a unit vector times its weight."""
    against: bool = False
    """Whether the answer shall be unlike it: "but not"."""
    muted: bool = False
    """Whether it is kept and does not count."""
    name: str = ""
    """What people call it, such as the name of a picture's file or of a place; may be empty."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(PartKind):
            raise QueryError(f'A query has no part of kind "{str(self.kind)[:20]}".')
        weight = float(self.weight)
        if not 0.0 < weight <= MAX_WEIGHT:
            raise QueryError(f"The weight {weight:g} of a part is not over 0 and up to 10.")
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "name", plain_words(self.name)[:MAX_NAME_LENGTH])
        match self.kind:
            case "text":
                object.__setattr__(self, "value", clean_text(self.value))
            case "vector":
                decode_vector(self.value)
            case "tile" if not self.value or len(self.value) > MAX_NAME_LENGTH:
                raise QueryError("An example tile has no id; click the map to pick one.")

    @property
    def label(self) -> str:
        """The part in a few words."""
        match self.kind:
            case "text":
                return self.value
            case "tile":
                return self.name or f"tile {self.value}"
        return self.name or "a picture"

    @property
    def is_plain(self) -> bool:
        """Whether nothing but kind and value is set."""
        return self == Part(self.kind, self.value)

    def with_(self, **changes: Any) -> "Part":
        """Return the part with some fields changed. Raises like the constructor."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values without the defaults; `from_dict` reads them back."""
        values: dict[str, Any] = {"kind": self.kind, "value": self.value}
        if self.weight != 1.0:
            values["weight"] = self.weight
        values |= {name: True for name in ("against", "muted") if getattr(self, name)}
        return values | ({"name": self.name} if self.name else {})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Part":
        """Build a part from `to_dict`. Raises QueryError, TypeError or KeyError for others."""
        return cls(
            kind=values["kind"],
            value=string(values["value"]),
            weight=float(values.get("weight", 1.0)),
            against=values.get("against", False) is True,
            muted=values.get("muted", False) is True,
            name=string(values.get("name", "")),
        )


@dataclass(frozen=True)
class Filter:
    """Limits of a covariate, such as elevation: only tiles within them are ranked.

    Raises QueryError without any limit, and for limits that are no numbers or change places.
    """

    covariate: str
    """Name of the covariate: small letters, digits and underscores."""
    low: float | None = None
    """Least value, in the covariate's unit; None for no limit."""
    high: float | None = None
    """Greatest value; None for no limit."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", self.covariate):
            raise QueryError(f'There is nothing to filter by called "{self.covariate[:40]}".')
        for name in ("low", "high"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else float(value))
        limits = [v for v in (self.low, self.high) if v is not None]
        if not limits or not all(math.isfinite(v) for v in limits) or limits != sorted(limits):
            raise QueryError(
                f'The filter of "{self.covariate}" needs a least or a greatest value, '
                "such as -2000..0, the lesser first."
            )

    def passes(self, values: NDArray) -> NDArray[np.bool_]:
        """Tell which values lie within the limits, borders included; nan does not."""
        keep = ~np.isnan(values)
        if self.low is not None:
            keep &= values >= self.low
        if self.high is not None:
            keep &= values <= self.high
        return keep

    def __str__(self) -> str:
        low, high = ("" if v is None else f"{v:.12g}" for v in (self.low, self.high))
        return f"{self.covariate}:{low}..{high}"


def parse_filter(text: str) -> Filter:
    """Read "elevation:-8200..-2000", either limit may be absent. Raises QueryError."""
    found = re.fullmatch(r"\s*(\w+)\s*:\s*(\S*?)\s*\.\.\s*(\S*)\s*", text)
    try:
        if found is None:
            raise ValueError
        low, high = (float(v) if v else None for v in found.groups()[1:])
    except ValueError as error:
        raise QueryError(
            f'"{text[:60]}" is not a filter; write NAME:LOW..HIGH such as elevation:-8200..-2000.'
        ) from error
    return Filter(found[1].lower(), low, high)


def encode_vector(vector: NDArray) -> str:
    """Write a unit vector (dim,) as text for an address: base64 of eight bits a dimension.

    The cosine between it and what `decode_vector` reads is over 0.9999.
    """
    values = np.asarray(vector, np.float64)
    values = np.rint(values * (127 / max(np.abs(values).max(), 1e-12)))
    return base64.urlsafe_b64encode(values.astype(np.int8).tobytes()).decode().rstrip("=")


def decode_vector(text: str) -> NDArray[np.float32]:
    """Read a vector that `encode_vector` wrote, (dim,) float32 of length 1. Raises QueryError."""
    try:
        if len(text) > 2 * MAX_DIM:
            raise ValueError
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
    except (ValueError, binascii.Error):
        data = b""
    vector = np.frombuffer(data, np.int8).astype(np.float32)
    length = float(np.linalg.norm(vector))
    if not 0 < len(vector) <= MAX_DIM or not length:
        raise QueryError("The vector of a picture cannot be read; give the picture again.")
    return vector / length


def plain_words(text: str) -> str:
    """Return words in Unicode's composed form without control characters or outer white space."""
    printable = "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)
    return " ".join(unicodedata.normalize("NFC", printable).split())


def string(value: Any) -> str:
    """Return a string as it is. Raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def clean_text(text: str) -> str:
    """Return words as `plain_words` does.

    Raises QueryError for words that are too long or without a letter: emoji, digits and punctuation
    alone mean nothing to a text encoder.
    """
    words = plain_words(text)
    if len(words) > MAX_TEXT_LENGTH:
        raise QueryError(
            f"The query has {len(words):,} characters; describe the landform in at most "
            f"{MAX_TEXT_LENGTH}."
        )
    if not words:
        raise QueryError('Type what to look for, for example "impact crater", or pick a tile.')
    if not any(c.isalpha() for c in words):
        raise QueryError('The query has no words; describe a landform, for example "dunes".')
    return words
