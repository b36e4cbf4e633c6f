"""The session as a file: saved from the Export tab with the view of the browser, and opened."""

import copy

import streamlit as st

from mars_map.errors import MarsMapError, SessionError
from mars_map.export.session import LabelledFor, Session, check_fits, read_session
from mars_map.index.manifest import read_manifest
from mars_map.search import Query
from mars_map.search.labels import LabelBook
from mars_map.ui.labels import BOOK_KEY, label_book
from mars_map.ui.map import Format, save_session
from mars_map.ui.state import KEY, Limits, PageState, page_state
from mars_map.ui.text import plain
from mars_map.web import service
from mars_map.web.indexes import INDEX_PARAM, choose_index

FILE_KEY = "mars-session-file"
PROBLEM_KEY = "mars-session-problem"
NO_WORDS = "limits"
"""Stands for the words of a query of which only the limits count."""


def session_section(state: PageState) -> None:
    """Draw what saves the session, and where one is opened."""
    save_session(
        Format(
            key="session",
            title="Session",
            use="Query, history, labels and view, to go on later or elsewhere",
            name="mars-session.json",
        ),
        session_of(state, label_book()).to_json(),
    )
    # Another key empties the widget, so that the same file can be chosen again.
    number = st.session_state.setdefault(f"{FILE_KEY}-number", 0)
    st.file_uploader(
        "Open a session",
        type=["json"],
        key=f"{FILE_KEY}-{number}",
        on_change=_open,
        help="A file that was saved here. It takes the place of what is on the page.",
    )
    if problem := st.session_state.pop(PROBLEM_KEY, ""):
        st.error(plain(problem, 400))


def session_of(state: PageState, book: LabelBook) -> Session:
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
    )


def restored(session: Session, before: PageState) -> tuple[PageState, LabelBook]:
    """Return the page and the labels of a session.

    The index of that digest is chosen wherever the server offers it. Raises MarsMapError where the
    session does not fit the index or its query has no answer; nothing is changed then.
    """
    name = _index_of(session, before.index)
    choose_index(name)
    try:
        check_fits(session, service().index)
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
    state.tab = session.tab or None
    # What the browser shows is still the address of before.
    state.written = before.written
    state.view = ((before.view[0] if before.view else 0) + 1, session.view)
    book = LabelBook()
    for layer, parts in session.layers:
        book.subjects[book.add(layer)] = parts
    book.follow(state.query)
    return state, book


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
        state, book = restored(read_session(upload.getvalue()), copy.copy(page_state()))
    except MarsMapError as error:
        st.session_state[PROBLEM_KEY] = str(error)
    else:
        st.session_state[KEY], st.session_state[BOOK_KEY] = state, book
