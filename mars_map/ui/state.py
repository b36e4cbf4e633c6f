"""What a visitor has asked for: plain values that the address of the page can hold.

The state is a query, the limits for the next one, the tile that is looked at and the open tab of
the drawer. Arrays stay in the engine's cache, which all sessions share. Query and tile are in the
address of the page, so that a reload, a link or the browser's "back" gives the same map; where the
map looks and how it is drawn is behind the address's # and belongs to the map component.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import parse_qs

import streamlit as st

from mars_map.analysis.units import check_least
from mars_map.encoders.prompts import DEFAULT_PROMPTS
from mars_map.errors import MarsMapError, QueryError
from mars_map.planet.coordinates import LongitudeStyle
from mars_map.planet.regions import Region
from mars_map.search import Filter, Part, Query
from mars_map.search.query import DEFAULT_TOP_K
from mars_map.web.compare import OTHER_PARAM, Other, read_other
from mars_map.web.indexes import INDEX_PARAM, choose_index, folder_of
from mars_map.web.params import (
    Params,
    has_subject,
    query_from_params,
    query_to_params,
)
from mars_map.web.service import service
from mars_map.web.units import least_area

KEY = "mars-state"
MAX_HISTORY = 50
"""Most queries to go back through."""
TILE_PARAM = "tile"
ANYWAY_PARAM = "anyway"
UNITS_PARAM = "units"
MODE_PARAM = "compare"
TABS = ("Hits", "Tile", "Labels", "Why here", "Compare", "Export", "About")
"""Tabs of the drawer."""
COMPARE_MODES = ("swipe", "side", "difference")
"""How two queries are compared on the map, the default first."""


@dataclass(frozen=True)
class Limits:
    """What the next query takes over from the present one."""

    prompts: tuple[str, ...] = DEFAULT_PROMPTS
    region: Region | None = None
    filters: tuple[Filter, ...] = ()
    top_k: int = DEFAULT_TOP_K
    threshold: float | None = None


@dataclass
class PageState:
    """One visitor's page. Kept in `st.session_state`; a few kilobytes."""

    index: str = ""
    """Name of the index that is searched; empty for the first."""
    query: Query | None = None
    """Whose answer is shown; None for the bare planet."""
    limits: Limits = field(default_factory=Limits)
    """Limits of the present query and of the next."""
    anyway: bool = False
    """Whether the answer is shown although the encoder was never taught the words."""
    tile: str | None = None
    """Id of the tile that is looked at."""
    tab: str | None = None
    """Open tab of the drawer; None where it is closed."""
    units_shown: bool = False
    """Whether the map outlines the units of the hits."""
    least_km2: float = 0.0
    """Smallest area of a unit, square kilometres."""
    compared: Other | None = None
    """What the present query is compared with, without limits; None for nothing."""
    compare_mode: str = COMPARE_MODES[0]
    """How the map compares them."""
    go: tuple[int, int] | None = None
    """A running number and the tile that the map flies to."""
    view: tuple[int, str] | None = None
    """A running number and the # part of an address that the map begins anew with."""
    history: list[Query] = field(default_factory=list)
    """Queries in the order in which they were asked."""
    position: int = -1
    """Place of the present query in the history; -1 for none."""
    longitudes: LongitudeStyle = "180"
    """How longitudes are written; the browser keeps the choice."""
    problem: str = ""
    """One sentence to show once: why the last thing that was asked for did not happen."""
    note: str = ""
    """One sentence to show once: what was done, but not wholly."""
    written: dict[str, list[str]] = field(default_factory=dict)
    """The address that was read or written last."""
    shown: tuple[Query | None, Limits] | None = None
    """What the panel's widgets show."""

    def ask(self, **changes: Any) -> None:
        """Change the query: `parts` for another subject, `yes` and `no`, or any of the limits.

        Another subject forgets which tiles were called right and wrong, unless these are given too.
        Where the new query cannot be searched, everything stays and `problem` says why.
        """
        subject: dict[str, Any] = {"parts": (), "yes": (), "no": ()}
        if self.query and "parts" not in changes:
            subject = {name: getattr(self.query, name) for name in subject}
        limits = {name: v for name, v in changes.items() if name not in subject}
        subject |= {name: v for name, v in changes.items() if name in subject}
        try:
            wanted = replace(self.limits, **limits)
            if any(subject.values()):
                self.show(Query(**subject, **vars(wanted)))
            elif changes.keys() & subject.keys():
                raise QueryError('Type what to look for, for example "impact crater".')
            self.limits = wanted
        except MarsMapError as error:
            self.problem = str(error)

    def search(self, words: str) -> None:
        """Ask for words alone, with the present limits but for the threshold."""
        try:
            part = Part("text", words)
        except MarsMapError as error:
            self.problem = str(error)
        else:
            self.ask(parts=(part,), **self.fresh_cut())

    def add(self, part: Part) -> None:
        """Add a part to the query; what was called right and wrong stays."""
        parts = self.query.parts if self.query else ()
        self._ask_parts((*parts, part))

    def change(self, number: int, **changes: Any) -> None:
        """Change the weight, the side or the muting of a part of the query."""
        if self.query:
            parts = list(self.query.parts)
            try:
                parts[number] = parts[number].with_(**changes)
            except MarsMapError as error:
                self.problem = str(error)
            else:
                self._ask_parts(tuple(parts))

    def remove(self, number: int) -> None:
        """Take a part out of the query; without the last one there is no query."""
        if self.query:
            parts = (*self.query.parts[:number], *self.query.parts[number + 1 :])
            if parts or self.query.yes:
                self._ask_parts(parts)
            else:
                self.clear()

    def clear(self) -> None:
        """Show the bare planet; the query stays in the history."""
        self.query = None
        self.position = len(self.history)

    def call(self, tiles: Iterable[str], answer: bool | None) -> None:
        """Call tiles right (True), wrong (False) or neither (None), and ask again."""
        called = dict.fromkeys(tiles)
        yes, no = (self.query.yes, self.query.no) if self.query else ((), ())
        yes = tuple(tile for tile in yes if tile not in called)
        no = tuple(tile for tile in no if tile not in called)
        if answer is not None:
            yes, no = ((*yes, *called), no) if answer else (yes, (*no, *called))
        if self.query and not self.query.active and not yes:
            self.clear()
        else:
            self.ask(yes=yes, no=no)

    def _ask_parts(self, parts: tuple[Part, ...]) -> None:
        labels = {"yes": self.query.yes, "no": self.query.no} if self.query else {}
        self.ask(parts=parts, **labels)

    def show(self, query: Query) -> None:
        """Make a query the present one, and the newest of the history."""
        if query != self.query:
            self.history = [*self.history[: self.position + 1], query][-MAX_HISTORY:]
            self.position = len(self.history) - 1
        self._become(query)
        self.tab = self.tab or "Hits"

    def step(self, by: int) -> None:
        """Go back (-1) or forward (1) through the history, as far as there is any: undo and redo.

        Everything that decides the answer is part of the query, and so of the history.
        """
        if 0 <= self.position + by < len(self.history):
            self.position += by
            self._become(self.history[self.position])

    def find_similar(self, tile: str) -> None:
        """Look at a tile and ask for what looks like it, with the present limits."""
        self.look_at(tile)
        self.ask(parts=(Part("tile", tile),), **self.fresh_cut())

    def fresh_cut(self) -> dict[str, Any]:
        """Return the limits without the threshold, which means nothing to another subject."""
        if self.limits.threshold is None:
            return {}
        return {"threshold": None, "top_k": min(self.limits.top_k, DEFAULT_TOP_K)}

    def look_at(self, tile: str, number: int | None = None) -> None:
        """Show a tile in the drawer; with its number, the map flies there."""
        self.tile = tile
        if number is not None:
            self.go = ((self.go[0] if self.go else 0) + 1, number)

    def read(self, params: Params) -> None:
        """Take over an address. What cannot be read is left out and named in `problem`."""
        self.index = self._known_index(params)
        tiles = params.get(TILE_PARAM, ())
        self.tile = tiles[-1] if tiles else None
        try:
            if has_subject(params):
                self.show(query_from_params(params))
                self.anyway = ANYWAY_PARAM in params
            else:
                self.query = None
            self._read_tools(params)
        except MarsMapError as error:
            self.problem = f"The address cannot be shown: {error}"
        self.written = self.to_params()

    def _known_index(self, params: Params) -> str:
        name = [*params.get(INDEX_PARAM, ()), ""][0]
        try:
            folder_of(service().folders, name)
        except MarsMapError as error:
            self.problem = str(error)
            return ""
        return name

    def give_up(self, problem: str) -> None:
        """Take the present query back, because it has no answer, and say why."""
        self.problem = problem
        del self.history[self.position :]
        self.position = len(self.history) - 1
        if self.history:
            self._become(self.history[-1])
        else:
            self.query = None
        # The words that failed stay in their box, to be mended.
        self.shown = (self.query, self.limits)

    def to_params(self) -> dict[str, list[str]]:
        """Return the address that shows this state."""
        params = {INDEX_PARAM: [self.index]} if self.index else {}
        params |= query_to_params(self.query) if self.query else {}
        if self.query and self.anyway:
            params[ANYWAY_PARAM] = ["yes"]
        if self.units_shown:
            params[UNITS_PARAM] = [f"{self.least_km2:.12g}"]
        if self.compared:
            params[OTHER_PARAM] = [self.compared.address]
            if self.compare_mode != COMPARE_MODES[0]:
                params[MODE_PARAM] = [self.compare_mode]
        return params | ({TILE_PARAM: [self.tile]} if self.tile else {})

    def _read_tools(self, params: Params) -> None:
        """Take over from an address what is drawn beside the answer. Raises MarsMapError."""
        self.units_shown = UNITS_PARAM in params
        self.compared = None
        if self.units_shown:
            self.least_km2 = check_least(least_area(params[UNITS_PARAM][-1]))
        if OTHER_PARAM in params:
            self.compared = read_other(params[OTHER_PARAM][-1]).subject
            self.tab = "Compare"
        mode = [*params.get(MODE_PARAM, ()), ""][0]
        self.compare_mode = mode if mode in COMPARE_MODES else COMPARE_MODES[0]

    def _become(self, query: Query) -> None:
        # Other words are to be doubted anew.
        self.anyway = self.anyway and self.query is not None and query.text == self.query.text
        self.query = query
        self.limits = Limits(**{one.name: getattr(query, one.name) for one in fields(Limits)})


def page_state() -> PageState:
    """Return this visitor's state; on the first run of a session it is read from the address."""
    if KEY not in st.session_state:
        state = PageState()
        state.read({name: st.query_params.get_all(name) for name in st.query_params})
        st.session_state[KEY] = state
    state = st.session_state[KEY]
    # Every run and every callback of the page begins here; each has a context of its own.
    choose_index(state.index)
    return state


def read_address(search: str) -> None:
    """Take over the query part of an address, after the browser's "back" or "forward"."""
    page_state().read(parse_qs(search.removeprefix("?")))


def write_address(state: PageState) -> None:
    """Let the address follow the state; a changed one becomes an entry of the browser's history.

    Compared with what was written last, not with what the browser says: its answer may be older.
    """
    wanted = state.to_params()
    if wanted != state.written:
        state.written = wanted
        st.query_params.from_dict(wanted)
