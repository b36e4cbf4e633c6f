"""The session as a file: saved from the Export tab with the view of the browser, and opened."""

import copy
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl

import streamlit as st

from mars_map.covariates.packed import PackedCovariate
from mars_map.errors import MarsMapError, SessionError
from mars_map.export.session import (
    MAX_BYTES,
    LabelledFor,
    Session,
    check_fits,
    read_session,
)
from mars_map.index.manifest import read_manifest
from mars_map.search import Query
from mars_map.search.labels import LabelBook
from mars_map.ui.labels import BOOK_KEY, label_book
from mars_map.ui.map import Format, save_session
from mars_map.ui.own import Own, fitting, own_covariates, use_covariates
from mars_map.ui.state import (
    ANYWAY_PARAM,
    COMPARE_MODES,
    KEY,
    MODE_PARAM,
    TABS,
    TILE_PARAM,
    UNITS_PARAM,
    Limits,
    PageState,
    page_state,
)
from mars_map.ui.text import plain
from mars_map.web import service
from mars_map.web.compare import OTHER_PARAM
from mars_map.web.indexes import INDEX_PARAM, choose_index
from mars_map.web.params import REGION_READERS

FILE_KEY = "mars-session-file"
PROBLEM_KEY = "mars-session-problem"
NO_WORDS = "limits"
"""Stands for the words of a query of which only the limits count."""
ADDRESS_NAMES = frozenset(
    (
        *("q", "like", "part", "yes", "no", "where", "prompt", "k", "min", *REGION_READERS),
        *(TILE_PARAM, ANYWAY_PARAM, UNITS_PARAM, MODE_PARAM, OTHER_PARAM, INDEX_PARAM),
    )
)
"""What the page understands behind the "?" of its address."""
VIEW_NAMES = frozenset(
    (
        *("at", "z", "base", "heat", "graticule", "hits", "names", "legend"),
        *("view", "over", "line", "area", "style"),
    )
)
"""What the map understands behind the "#" of the address."""
MAX_NAMED = 5
"""Most unknown settings that are named; the rest are counted."""


class Restored(NamedTuple):
    """What the page is given of a session."""

    state: PageState
    book: LabelBook
    own: tuple[Own, ...]


def session_section(state: PageState) -> None:
    """Draw what saves the session, and where one is opened."""
    own = own_covariates()
    packed = fitting(own.values())
    save_session(
        Format(
            key="link",
            title="Link",
            use="This answer in this view; history, other layers of labels and covariates of your "
            "own travel in the session file only",
            name="",
        ),
        Format(
            key="session",
            title="Session",
            use="Query, history, labels, own covariates and view, to go on later or elsewhere",
            name="mars-session.json",
        ),
        session_of(state, label_book(), packed).to_json(),
    )
    if len(packed) < len(own):
        kept = {one.covariate.name for one in packed}
        names = ", ".join(o.measured.covariate.title for n, o in own.items() if n not in kept)
        st.caption(plain(f"Too large for a session file, so keep their files: {names}.", 400))
    # Another key empties the widget, so that the same file can be chosen again.
    number = st.session_state.setdefault(f"{FILE_KEY}-number", 0)
    st.file_uploader(
        "Open a session",
        type=["json"],
        key=f"{FILE_KEY}-{number}",
        max_upload_size=MAX_BYTES // 2**20,
        on_change=_open,
        help="A file that was saved here. It takes the place of what is on the page.",
    )
    if problem := st.session_state.pop(PROBLEM_KEY, ""):
        st.error(plain(problem, 400))


def session_of(
    state: PageState, book: LabelBook, covariates: Sequence[PackedCovariate] = ()
) -> Session:
    """Return a visitor's session, but for the view, which only the browser knows."""
    index = service().index
    address = {name: tuple(values) for name, values in state.to_params().items()}
    return Session(
        index_digest=index.digest,
        model_sha256=index.manifest.model.sha256,
        address=address,
        tab=state.tab or "",
        limits=Query(NO_WORDS, **vars(state.limits)),
        history=tuple(state.history),
        position=state.position,
        layers=tuple(map(LabelledFor, book.layers, book.subjects)),
        covariates=tuple(covariates),
    )


def restored(session: Session, before: PageState) -> Restored:
    """Return the page, the labels and the covariates of a session.

    What is unknown and harmless is left out, and named in the page's `note`. The index of that
    digest is chosen wherever the server offers it. Raises MarsMapError where the
    session does not fit the index or its query has no answer; nothing is changed then.
    """
    name = _index_of(session, before.index)
    choose_index(name)
    try:
        index = service().index
        check_fits(session, index)
        own = tuple(Own.from_packed(one, index.n_tiles) for one in session.covariates)
        state = PageState()
        # The index may have another name on this server.
        address = {k: list(v) for k, v in session.address.items() if k != INDEX_PARAM}
        state.read(address | ({INDEX_PARAM: [name]} if name else {}))
        if state.problem:
            raise SessionError(state.problem)
        if state.query is not None:
            _ = service().search(state.query).estimate
    except MarsMapError:
        choose_index(before.index)
        raise
    if session.limits is not None:
        state.limits = Limits(**{key: getattr(session.limits, key) for key in vars(Limits())})
    if session.history:
        state.history, state.position = list(session.history), session.position
    if session.tab in (*TABS, ""):
        state.tab = session.tab or None
    is_known = state.tile is None or index.grid.number_of(state.tile) >= 0
    state.note = _left_out(session, "" if is_known else str(state.tile))
    state.tile = state.tile if is_known else None
    # What the browser shows is still the address of before.
    state.written = before.written
    state.view = ((before.view[0] if before.view else 0) + 1, session.view)
    book = LabelBook()
    for layer, parts in session.layers:
        book.subjects[book.add(layer)] = parts
    book.follow(state.query)
    return Restored(state, book, own)


def _left_out(session: Session, tile: str) -> str:
    """Say in one sentence which settings of a session the page does not know; nothing for none.

    tile: the id of the tile that is looked at, where the index has none of that name.
    """
    names = [] if session.tab in (*TABS, "") else [f'the tab "{session.tab[:40]}"']
    names += [f'the tile "{tile[:40]}"'] if tile else []
    mode = session.address.get(MODE_PARAM, COMPARE_MODES[:1])[-1:]
    names += [f'the comparison "{one[:40]}"' for one in mode if one not in COMPARE_MODES]
    view = dict(parse_qsl(session.view, keep_blank_values=True))
    for known, given in ((ADDRESS_NAMES, session.address), (VIEW_NAMES, view)):
        names += [f'"{name[:40]}"' for name in given if name not in known]
    if not names:
        return ""
    more = [f"{len(names) - MAX_NAMED} more"] if len(names) > MAX_NAMED else []
    listed = ", ".join(names[:MAX_NAMED] + more)
    return f"The session is open, without settings that this mars_map does not know: {listed}."


def _index_of(session: Session, present: str) -> str:
    """Return the name of the index that a session belongs to, or the present one's."""
    if service().index.digest == session.index_digest:
        return present
    for name, folder in service().folders.items():
        try:
            if read_manifest(folder).digest == session.index_digest:
                return name
        except MarsMapError:
            # An index that cannot be read is not the one that is looked for.
            continue
    return present


def _open() -> None:
    number = st.session_state[f"{FILE_KEY}-number"]
    upload = st.session_state[f"{FILE_KEY}-{number}"]
    st.session_state[f"{FILE_KEY}-number"] = number + 1
    if upload is None:
        return
    try:
        opened = restored(read_session(upload.getvalue()), copy.copy(page_state()))
    except MarsMapError as error:
        st.session_state[PROBLEM_KEY] = str(error)
    else:
        st.session_state[KEY], st.session_state[BOOK_KEY] = opened.state, opened.book
        use_covariates(opened.own)
