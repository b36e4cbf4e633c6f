"""What a reload of the page would lose, kept on the server for the same tab of the browser.

The address brings back the query, its labels and the view. History, layers of labels that are not
in use, covariates of one's own, the open tab and limits without a query are kept here, under a
random name that the tab alone knows: the browser remembers it for as long as the tab lives, and
tells it after a reload. The oldest visits are forgotten first, and all of them when the server
ends; a session file is what lasts.
"""

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

import streamlit as st

from mars_map.errors import MarsMapError
from mars_map.search import Query
from mars_map.search.labels import LabelBook
from mars_map.ui.labels import BOOK_KEY, label_book
from mars_map.ui.map import component
from mars_map.ui.own import Own, own_covariates, use_covariates
from mars_map.ui.state import MAX_HISTORY, Limits, PageState, page_state
from mars_map.web import service

NAME_KEY = "mars-visit-name"
MAX_VISITS = 500
"""Most visits that are kept."""
MAX_BYTES = 512 * 2**20
"""Most bytes that the covariates of all visits take together."""
_tab = component("visit")


@dataclass(frozen=True)
class Visit:
    """What is kept of a visit to one index."""

    query: Query | None
    limits: Limits
    tab: str | None
    history: tuple[Query, ...]
    position: int
    book: LabelBook
    own: tuple[Own, ...]

    @property
    def size(self) -> int:
        """Bytes of the covariates; the rest is small."""
        return sum(one.measured.values.nbytes + len(one.packed.data) for one in self.own)


class Visits:
    """The visits that are kept, by name. Safe to share."""

    def __init__(self, most: int = MAX_VISITS, most_bytes: int = MAX_BYTES) -> None:
        """Keep at most so many visits, with covariates of at most so many bytes."""
        self._kept: OrderedDict[str, Visit] = OrderedDict()
        self._most, self._most_bytes = most, most_bytes
        self._lock = threading.Lock()

    def keep(self, name: str, visit: Visit) -> None:
        """Keep a visit in the place of what was kept under its name."""
        with self._lock:
            self._kept[name] = visit
            self._kept.move_to_end(name)
            size = sum(one.size for one in self._kept.values())
            while len(self._kept) > self._most or (size > self._most_bytes and len(self._kept) > 1):
                size -= self._kept.popitem(last=False)[1].size

    def get(self, name: str) -> Visit | None:
        """Return what is kept under a name; None for nothing."""
        with self._lock:
            return self._kept.get(name)


VISITS = Visits()


def follow_visit(state: PageState) -> None:
    """Keep what a reload would lose, and hear from the browser what was before one.

    Called each time that the page is drawn.
    """
    try:
        digest = service().index.digest
    except MarsMapError:
        # The map says it in its own place.
        return
    names = st.session_state.setdefault(NAME_KEY, {})
    # An index that is first seen in the middle of a visit, by a session file, has no past.
    name, is_settled = names.setdefault(digest, (secrets.token_urlsafe(16), bool(names)))
    VISITS.keep(
        name,
        Visit(
            state.query,
            state.limits,
            state.tab,
            tuple(state.history),
            state.position,
            copied(label_book()),
            tuple(own_covariates().values()),
        ),
    )
    _tab(
        key="mars-visit",
        data={"index": digest, "name": name, "settled": is_settled},
        on_before_change=_come_back,
    )


def come_back(before: Visit, state: PageState, book: LabelBook) -> LabelBook:
    """Put the history of a visit before what was asked since, and return its labels with the new.

    What the address asks for stays the present query.
    """
    since = [query for query in state.history if query not in before.history]
    state.history = [*before.history, *since][-MAX_HISTORY:]
    if state.query is not None and state.query not in state.history:
        state.history = [*state.history[1:], state.query]
    if state.query == before.query:
        state.tab, state.position = before.tab, before.position
        if state.query is None:
            state.limits = before.limits
    elif state.query is None:
        state.position = len(state.history)
    else:
        newest_first = state.history[::-1]
        state.position = len(newest_first) - 1 - newest_first.index(state.query)
    kept = copied(before.book)
    known = {(layer.yes, layer.no) for layer in kept.layers}
    for layer, subject in zip(book.layers, book.subjects, strict=True):
        if (layer.yes, layer.no) not in known:
            kept.subjects[kept.add(layer)] = subject
    kept.open = None
    kept.follow(state.query)
    return kept


def copied(book: LabelBook) -> LabelBook:
    """Return a book that does not change with another."""
    return replace(book, layers=list(book.layers), subjects=list(book.subjects))


def _come_back() -> None:
    digest = service().index.digest
    names = st.session_state[NAME_KEY]
    name, is_settled = names[digest]
    names[digest] = (name, True)
    before = VISITS.get(str(st.session_state["mars-visit"]["before"]))
    if is_settled or before is None:
        return
    state = page_state()
    st.session_state[BOOK_KEY] = come_back(before, state, label_book())
    use_covariates([*before.own, *own_covariates().values()])
    # The widgets are drawn anew.
    state.shown = None
