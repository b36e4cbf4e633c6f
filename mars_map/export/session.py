"""A session as a file: everything that the page knows of a visit, to be opened again exactly.

The file is JSON and says by which program it was written, and for which index and model: tiles have
other names on another grid, and scores another meaning with another model.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mars_map.covariates import COVARIATES
from mars_map.covariates.packed import PackedCovariate
from mars_map.errors import (
    CovariateError,
    LabelsError,
    QueryError,
    RegionError,
    SessionError,
)
from mars_map.export.provenance import program_version
from mars_map.index import TileIndex
from mars_map.maps.footprints import SHORT_HASH, iso_date
from mars_map.search import Part, Query
from mars_map.search.labels import LabelLayer

FORMAT = "mars_map session"
FORMAT_VERSION = 2
"""Version of the format that is written; the first had no covariates."""
READABLE_VERSIONS = (1, 2)
"""Versions that are read; any other is refused, never guessed at."""
MAX_BYTES = 32 * 2**20
"""Largest file that is read: covariates, and fifty queries with a thousand labels each, fit in."""
MAX_COVARIATE_BYTES = 24 * 2**20
"""Most bytes that the covariates of a file take together: ten of 165,016 tiles need about six."""
MAX_COVARIATES = 10
"""Most covariates of a visitor's own."""
MAX_MEMBERS = 500_000
"""Most commas and brackets of a file: they bound the values that it unfolds to in memory."""
MAX_HISTORY = 50
MAX_LAYERS = 100
MAX_VALUES = 200
"""Most values of an address."""
MAX_VIEW_LENGTH = 4_000
MAX_DEPTH = 12
"""Deepest nesting of a file; what this program writes has eight levels."""

_VIEW = re.compile(r"[A-Za-z0-9_.,;:=&%~+-]*")
"""What stands behind the # of an address: names, numbers and what is percent-encoded."""
_DAMAGED = "The session file cannot be read; it was changed or is not from mars_map."


class LabelledFor(NamedTuple):
    """A layer of labels, and the parts of the query that it was made for."""

    layer: LabelLayer
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Session:
    """What the page holds, as plain values."""

    index_digest: str
    """sha256 of the index's manifest, hex."""
    model_sha256: str
    """sha256 of the model's weights, hex."""
    address: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The part of the address behind its "?": query, tile and tools."""
    view: str = ""
    """The part behind its "#": where the map looks and how it is drawn."""
    tab: str = ""
    """Open tab of the drawer; empty where it is closed."""
    limits: Query | None = None
    """A query whose region, filters, prompts, top-k and threshold are those of the next one."""
    history: tuple[Query, ...] = ()
    """Queries in the order in which they were asked."""
    position: int = -1
    """Place of the present query in the history; -1 for none."""
    layers: tuple[LabelledFor, ...] = ()
    """All layers of labels."""
    covariates: tuple[PackedCovariate, ...] = ()
    """The visitor's own covariates, sampled on the tiles of the index."""
    program: str = field(default_factory=lambda: f"mars_map {program_version()}")
    """The program that wrote the file."""
    saved: str = field(default_factory=lambda: iso_date(datetime.now(UTC)))
    """When, UTC, ISO 8601."""

    def to_json(self) -> str:
        """Return the session as the text of a file; `read_session` reads it back."""
        values = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "program": self.program,
            "saved": self.saved,
            "index": {"digest": self.index_digest},
            "model": {"sha256": self.model_sha256},
            "address": {name: list(values) for name, values in self.address.items()},
            "view": self.view,
            "tab": self.tab,
            "limits": None if self.limits is None else self.limits.to_dict(),
            "history": [query.to_dict() for query in self.history],
            "position": self.position,
            "labels": [
                layer.to_dict() | {"for": [part.to_dict() for part in parts]}
                for layer, parts in self.layers
            ],
            "covariates": [covariate.to_dict() for covariate in self.covariates],
        }
        return json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False)


def read_session(data: bytes) -> Session:
    """Read the bytes of a file.

    Raises SessionError for anything that `Session.to_json` would not have written, in one sentence.
    """
    values = _document(data)
    try:
        return Session(
            index_digest=_text(values["index"]["digest"]),
            model_sha256=_text(values["model"]["sha256"]),
            address=_address(values["address"]),
            view=_view(values["view"]),
            tab=_text(values["tab"]),
            limits=None if values["limits"] is None else Query.from_dict(values["limits"]),
            history=tuple(Query.from_dict(one) for one in _list(values["history"], MAX_HISTORY)),
            position=_position(values["position"], len(values["history"])),
            layers=tuple(_layer(one) for one in _list(values["labels"], MAX_LAYERS)),
            covariates=_covariates(values),
            program=_text(values["program"]),
            saved=_text(values["saved"]),
        )
    except (QueryError, RegionError, LabelsError, CovariateError) as error:
        raise SessionError(f"The session file cannot be read: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SessionError(_DAMAGED) from error


def check_fits(session: Session, index: TileIndex) -> None:
    """Raise SessionError where a session is of another index or model, or names tiles or covariates
    that are unknown.
    """
    if session.index_digest != index.digest:
        raise SessionError(
            f"This session belongs to the index {session.index_digest[:SHORT_HASH]}, and here "
            f"{index.digest[:SHORT_HASH]} is searched; open it where that index is."
        )
    if session.model_sha256 != index.manifest.model.sha256:
        raise SessionError(
            f"This session belongs to the model {session.model_sha256[:SHORT_HASH]}, and here "
            f"{index.manifest.model.id} is used; open it where that model is."
        )
    for tile in _tiles(session):
        if index.grid.number_of(tile) < 0:
            raise SessionError(
                f'The session names the tile "{tile[:40]}", which the index does not have; the '
                "file was changed."
            )
    for query in _queries(session):
        for one in query.filters:
            if one.covariate not in COVARIATES:
                raise SessionError(
                    f'The session limits "{one.covariate[:40]}", which is no covariate here; the '
                    "file was changed or is of another version."
                )


def _document(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise SessionError(
            f"The file has {len(data) / 2**20:.1f} MB; a session has at most "
            f"{MAX_BYTES // 2**20} MB."
        )
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > MAX_MEMBERS:
        raise SessionError(_DAMAGED)
    try:
        values = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
        if _depth(values) > MAX_DEPTH:
            raise ValueError("too deep")
        # Half of a pair of surrogates is no text: no address and no other file could hold it.
        json.dumps(values, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise SessionError(_DAMAGED) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise SessionError("That is no session of mars_map; choose a file that it saved.")
    version = values.get("version")
    if isinstance(version, bool) or version not in READABLE_VERSIONS:
        raise SessionError(
            f"The session is in format {json.dumps(version)[:20]}, and this mars_map reads "
            f"format {' and '.join(map(str, READABLE_VERSIONS))}; open it with the program that "
            "saved it."
        )
    return values


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _depth(value: Any) -> int:
    """Return how deeply lists and objects lie in one another, without recursion."""
    depth, level = 0, [value]
    while level:
        depth += 1
        inside = [v for v in level if isinstance(v, (dict, list))]
        level = [w for v in inside for w in (v.values() if isinstance(v, dict) else v)]
    return depth


def _address(values: Any) -> dict[str, tuple[str, ...]]:
    found = {
        _text(name): tuple(_text(v, MAX_BYTES) for v in _list(many, MAX_VALUES))
        for name, many in values.items()
    }
    if len(found) > MAX_VALUES:
        raise ValueError("too many parameters")
    return found


def _view(value: Any) -> str:
    text = _text(value, MAX_VIEW_LENGTH)
    if not _VIEW.fullmatch(text):
        raise ValueError("no part of an address")
    return text


def _position(value: Any, count: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value < count:
        raise ValueError("no place in the history")
    return value


def _layer(values: Any) -> LabelledFor:
    parts = tuple(Part.from_dict(one) for one in _list(values["for"], MAX_VALUES))
    return LabelledFor(LabelLayer.from_dict(values), parts)


def _covariates(values: Mapping[str, Any]) -> tuple[PackedCovariate, ...]:
    if values["version"] == 1:
        return ()
    listed = _list(values["covariates"], MAX_COVARIATES)
    found = tuple(PackedCovariate.from_dict(one) for one in listed)
    if len({one.covariate.name for one in found}) < len(found):
        raise ValueError("two covariates of one name")
    return found


def _queries(session: Session) -> list[Query]:
    return [*session.history, *([session.limits] if session.limits else [])]


def _tiles(session: Session) -> set[str]:
    queries = _queries(session)
    tiles = {tile for query in queries for tile in (*query.yes, *query.no)}
    parts = [part for query in queries for part in query.parts]
    parts += [part for labelled in session.layers for part in labelled.parts]
    tiles |= {part.value for part in parts if part.kind == "tile"}
    for labelled in session.layers:
        tiles |= {*labelled.layer.yes, *labelled.layer.no}
    return tiles


def _list(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError("no list, or too long")
    return value


def _text(value: Any, most: int = 200) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise ValueError("no text, or too long")
    return value
