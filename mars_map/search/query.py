"""`Query`: what is asked, as one plain value.

The same value is the page's state, the permalink, the cache key, the command line's arguments and
the provenance of an export. It holds no array and no open file; everything else follows from it and
an index.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mars_map.encoders.prompts import DEFAULT_PROMPTS, check_prompts
from mars_map.errors import MarsMapError, QueryError
from mars_map.planet.regions import Region, region_from_dict
from mars_map.search.parts import Filter, Part, parse_filter, string

MAX_PARTS = 50
"""Most parts of one query."""
MAX_LABELS = 1000
"""Most tiles that a query may call right or wrong; they have to fit into an address."""
MAX_FILTERS = 20
"""Most filters of one query."""
MAX_TOP_K = 20_000
"""Most hits of one query, as in MarsRetrieval's protocol."""
DEFAULT_TOP_K = 500
"""Hits that are shown when nothing else is asked for."""


@dataclass(frozen=True)
class Query:
    """What to look for, and the limits of the answer. Immutable, hashable, serialisable.

    `Query("dunes")` asks for words and `Query.like("r176c0372")` for what looks like a tile; parts
    mix words, tiles and pictures with weights. Raises QueryError where it could not be searched:
    nothing to look for; words with nothing readable or too many; top-k outside 1..20,000; a
    threshold outside -1..1; a tile called both right and wrong.
    """

    parts: tuple[Part, ...] = ()
    """What to look for and what not. Words alone may be given as a string."""
    prompts: tuple[str, ...] = DEFAULT_PROMPTS
    """Templates with "{}" for the words; their vectors are averaged."""
    region: Region | None = None
    """Only tiles whose centres lie here are ranked; None for the whole planet."""
    filters: tuple[Filter, ...] = ()
    """Only tiles that pass all of these are ranked."""
    yes: tuple[str, ...] = ()
    """Ids of tiles that were called right; they sharpen the query."""
    no: tuple[str, ...] = ()
    """Ids of tiles that were called wrong; they sharpen the query and are never hits."""
    top_k: int = DEFAULT_TOP_K
    """Most hits, 1 to 20,000."""
    threshold: float | None = None
    """Least cosine similarity of a hit, -1 to 1; None for no limit."""

    def __post_init__(self) -> None:
        parts = _as_parts(self.parts)
        object.__setattr__(self, "parts", tuple(dict.fromkeys(parts)))
        object.__setattr__(self, "filters", tuple(dict.fromkeys(self.filters)))
        for name in ("yes", "no"):
            object.__setattr__(self, name, tuple(dict.fromkeys(getattr(self, name))))
        object.__setattr__(self, "prompts", check_prompts(self.prompts))
        self._check_subject()
        self._check_limits()

    @classmethod
    def like(cls, *tiles: str, **others: Any) -> "Query":
        """Ask for what looks like tiles. Raises like the constructor."""
        return cls(tuple(Part("tile", tile) for tile in tiles), **others)

    @property
    def active(self) -> tuple[Part, ...]:
        """The parts that count."""
        return tuple(part for part in self.parts if not part.muted)

    @property
    def words(self) -> tuple[str, ...]:
        """The words of all parts that count; where there are any, a text encoder is needed."""
        return tuple(part.value for part in self.active if part.kind == "text")

    @property
    def text(self) -> str:
        """The words, where they are the only part that counts; else nothing."""
        return self.words[0] if len(self.active) == 1 and self.words else ""

    @property
    def tiles(self) -> tuple[str, ...]:
        """Ids of the example tiles."""
        return tuple(p.value for p in self.active if p.kind == "tile" and not p.against)

    @property
    def label(self) -> str:
        """The query in a few words, for titles and lists: "dunes (2 yes, 1 no)"."""
        if not self.active or not (self.yes or self.no):
            return self.topic
        return f"{self.topic} ({len(self.yes)} yes, {len(self.no)} no)"

    @property
    def topic(self) -> str:
        """What is looked for in a few words, whatever was called right and wrong."""
        wanted = [part for part in self.active if not part.against]
        unwanted = [f"not {part.label}" for part in self.active if part.against]
        kinds = {part.kind for part in wanted}
        names = [part.label for part in wanted]
        if kinds <= {"tile"} and len(names) > 1:
            names = [names[0], f"{len(names) - 1} more"]
        joined = " and ".join(names) or f"{len(self.yes)} tiles called right"
        joined = joined if "text" in kinds or not kinds else f"like {joined}"
        return ", but ".join([joined, *unwanted])

    @property
    def subject(self) -> "Query":
        """The part that decides the scores, with limits at their defaults: their cache key."""
        parts = tuple(part.with_(name="") for part in self.active)
        if len(parts) == 1:
            parts = (parts[0].with_(weight=1.0),)
        return Query(parts, prompts=self.prompts, yes=self.yes, no=self.no)

    @property
    def key(self) -> str:
        """Sixteen hex digits that name this query in addresses and file names."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def with_(self, **changes: Any) -> "Query":
        """Return the query with some fields changed. Raises like the constructor."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values without the defaults; `from_dict` reads them back."""
        values: dict[str, Any] = _subject_dict(self)
        if self.words and self.prompts != DEFAULT_PROMPTS:
            values["prompts"] = list(self.prompts)
        if self.region is not None:
            values["region"] = self.region.to_dict()
        if self.filters:
            values["filters"] = [str(one) for one in self.filters]
        values |= {name: list(getattr(self, name)) for name in ("yes", "no") if getattr(self, name)}
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
                _subject_parts(values),
                prompts=_strings(values, "prompts", DEFAULT_PROMPTS),
                region=None if region is None else region_from_dict(region),
                filters=tuple(parse_filter(text) for text in _strings(values, "filters")),
                yes=_strings(values, "yes"),
                no=_strings(values, "no"),
                top_k=int(values.get("top_k", DEFAULT_TOP_K)),
                threshold=None if threshold is None else float(threshold),
            )
        except MarsMapError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise QueryError("The saved query cannot be read; type it again.") from error

    def to_json(self) -> str:
        """Return the query as one line of JSON with sorted keys."""
        return json.dumps(self.to_dict(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    def _check_subject(self) -> None:
        if len(self.parts) > MAX_PARTS:
            raise QueryError(f"At most {MAX_PARTS} parts; this query has {len(self.parts)}.")
        if len(self.yes) + len(self.no) > MAX_LABELS:
            raise QueryError(f"At most {MAX_LABELS:,} tiles may be called right or wrong.")
        both = set(self.yes) & set(self.no)
        if both:
            raise QueryError(f'The tile "{min(both)[:40]}" is called both right and wrong.')
        if any(not part.against for part in self.active) or self.yes:
            return
        if self.active:
            raise QueryError('Say what to look for as well: "but not" alone ranks nothing.')
        if self.parts:
            raise QueryError("All parts of the query are muted; let one of them count.")
        raise QueryError('Type what to look for, for example "impact crater", or pick a tile.')

    def _check_limits(self) -> None:
        if len(self.filters) > MAX_FILTERS:
            raise QueryError(f"At most {MAX_FILTERS} filters; this query has {len(self.filters)}.")
        if isinstance(self.top_k, bool) or not isinstance(self.top_k, int):
            raise QueryError("Top-k is a whole number of hits.")
        if not 1 <= self.top_k <= MAX_TOP_K:
            # A number of hundreds of digits is no part of a sentence.
            given = f"{self.top_k:,}" if abs(self.top_k) < 10**12 else "far too large"
            raise QueryError(f"Top-k is {given}; ask for 1 to {MAX_TOP_K:,} hits.")
        if self.threshold is not None and not -1.0 <= self.threshold <= 1.0:
            raise QueryError(f"The threshold is {self.threshold:g}; a score lies between -1 and 1.")


def plain_kind(parts: Iterable[Part]) -> str | None:
    """Return "text" for words alone, "tiles" for example tiles alone, None for any other mixture.

    The first two are written in the short way in addresses and files.
    """
    parts = tuple(parts)
    kinds = [part.kind if part.is_plain else None for part in parts]
    if kinds == ["text"]:
        return "text"
    return "tiles" if kinds and set(kinds) == {"tile"} else None


def _as_parts(parts: str | Iterable[Part]) -> tuple[Part, ...]:
    return (Part("text", parts),) if isinstance(parts, str) else tuple(parts)


def _subject_dict(query: Query) -> dict[str, Any]:
    match plain_kind(query.parts):
        case "text":
            return {"text": query.text}
        case "tiles":
            return {"tiles": list(query.tiles)}
    return {"parts": [part.to_dict() for part in query.parts]} if query.parts else {}


def _subject_parts(values: Mapping[str, Any]) -> tuple[Part, ...]:
    words = string(values.get("text", ""))
    parts = [Part("text", words)] if words else []
    parts += [Part("tile", tile) for tile in _strings(values, "tiles")]
    return (*parts, *(Part.from_dict(part) for part in values.get("parts", ())))


def _strings(
    values: Mapping[str, Any], name: str, default: tuple[str, ...] = ()
) -> tuple[str, ...]:
    return tuple(string(value) for value in values.get(name, default))
