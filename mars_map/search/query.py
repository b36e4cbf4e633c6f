"""`Query`: what is asked, as one plain value.

The same value is the page's state, the permalink, the cache key, the command line's arguments and
the provenance of an export. It holds no array and no open file; everything else follows from it and
an index.
"""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mars_map.encoders.prompts import DEFAULT_PROMPTS, check_prompts
from mars_map.errors import MarsMapError, QueryError
from mars_map.planet.regions import Region, region_from_dict

MAX_TEXT_LENGTH = 300
"""Most characters of a text query; the text encoder reads no further than about that."""
MAX_TILES = 50
"""Most example tiles of one query."""
MAX_TOP_K = 20_000
"""Most hits of one query, as in MarsRetrieval's protocol."""
DEFAULT_TOP_K = 500
"""Hits that are shown when nothing else is asked for."""


@dataclass(frozen=True)
class Query:
    """Words or example tiles, and the limits of the answer. Immutable, hashable, serialisable.

    Raises QueryError where it could not be searched: neither words nor tiles, or both; a text with
    nothing readable or too long; top-k outside 1..20,000; a threshold outside -1..1.
    """

    text: str = ""
    """The words searched for; empty for a query by tiles."""
    tiles: tuple[str, ...] = ()
    """Ids of the example tiles; empty for a query by words. Several are averaged."""
    prompts: tuple[str, ...] = DEFAULT_PROMPTS
    """Templates with "{}" for the words; their vectors are averaged."""
    region: Region | None = None
    """Only tiles whose centres lie here are ranked; None for the whole planet."""
    top_k: int = DEFAULT_TOP_K
    """Most hits, 1 to 20,000."""
    threshold: float | None = None
    """Least cosine similarity of a hit, -1 to 1; None for no limit."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean_text(self.text))
        object.__setattr__(self, "tiles", tuple(dict.fromkeys(self.tiles)))
        object.__setattr__(self, "prompts", check_prompts(self.prompts))
        if not self.text and not self.tiles:
            raise QueryError('Type what to look for, for example "impact crater", or pick a tile.')
        if self.text and self.tiles:
            raise QueryError("Search by words or by tiles, not by both at once.")
        if len(self.tiles) > MAX_TILES:
            raise QueryError(
                f"At most {MAX_TILES} example tiles; this query has {len(self.tiles)}."
            )
        if isinstance(self.top_k, bool) or not isinstance(self.top_k, int):
            raise QueryError("Top-k is a whole number of hits.")
        if not 1 <= self.top_k <= MAX_TOP_K:
            raise QueryError(f"Top-k is {self.top_k:,}; ask for 1 to {MAX_TOP_K:,} hits.")
        if self.threshold is not None and not -1.0 <= self.threshold <= 1.0:
            raise QueryError(f"The threshold is {self.threshold:g}; a score lies between -1 and 1.")

    @property
    def label(self) -> str:
        """The query in a few words, for titles and lists."""
        if self.text:
            return self.text
        more = f" and {len(self.tiles) - 1} more" if len(self.tiles) > 1 else ""
        return f"like tile {self.tiles[0]}{more}"

    @property
    def subject(self) -> "Query":
        """The part that decides the scores, with limits at their defaults: their cache key."""
        return Query(text=self.text, tiles=self.tiles, prompts=self.prompts)

    @property
    def key(self) -> str:
        """Sixteen hex digits that name this query in addresses and file names."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def with_(self, **changes: Any) -> "Query":
        """Return the query with some fields changed. Raises like the constructor."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values without the defaults; `from_dict` reads them back."""
        values: dict[str, Any] = {}
        if self.text:
            values["text"] = self.text
            if self.prompts != DEFAULT_PROMPTS:
                values["prompts"] = list(self.prompts)
        if self.tiles:
            values["tiles"] = list(self.tiles)
        if self.region is not None:
            values["region"] = self.region.to_dict()
        if self.top_k != DEFAULT_TOP_K:
            values["top_k"] = self.top_k
        if self.threshold is not None:
            values["threshold"] = self.threshold
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Query":
        """Build a query from `to_dict`. Raises QueryError or RegionError for anything else."""
        try:
            region = values.get("region")
            threshold = values.get("threshold")
            return cls(
                text=_string(values.get("text", "")),
                tiles=tuple(_string(tile) for tile in values.get("tiles", ())),
                prompts=tuple(_string(p) for p in values.get("prompts", DEFAULT_PROMPTS)),
                region=None if region is None else region_from_dict(region),
                top_k=int(values.get("top_k", DEFAULT_TOP_K)),
                threshold=None if threshold is None else float(threshold),
            )
        except MarsMapError:
            raise
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise QueryError("The saved query cannot be read; type it again.") from error

    def to_json(self) -> str:
        """Return the query as one line of JSON with sorted keys."""
        return json.dumps(self.to_dict(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Query":
        """Read `to_json`. Raises QueryError or RegionError for anything else."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise QueryError("The saved query cannot be read; type it again.") from error
        if not isinstance(values, dict):
            raise QueryError("The saved query cannot be read; type it again.")
        return cls.from_dict(values)


def clean_text(text: str) -> str:
    """Return the words in Unicode's composed form without control characters or outer white space.

    Raises QueryError for a text that is too long or has no letter in it: emoji, digits and
    punctuation alone mean nothing to the text encoder.
    """
    printable = "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)
    words = " ".join(unicodedata.normalize("NFC", printable).split())
    if len(words) > MAX_TEXT_LENGTH:
        raise QueryError(
            f"The query has {len(words):,} characters; describe the landform in at most "
            f"{MAX_TEXT_LENGTH}."
        )
    if words and not any(c.isalpha() for c in words):
        raise QueryError('The query has no words; describe a landform, for example "dunes".')
    return words


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value
