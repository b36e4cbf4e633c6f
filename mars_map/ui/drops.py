"""Pictures that are dropped anywhere on the page: each becomes a part of the query."""

import streamlit as st

from mars_map.errors import MarsMapError
from mars_map.ui.map import component
from mars_map.ui.state import page_state
from mars_map.web.params import parse_part

HINT = "Drop pictures to search for what looks like them"
_drop = component("drop")


def drops() -> None:
    """Let the page take pictures that are dropped on it."""
    _drop(key="mars-drop", data={"hint": HINT}, on_dropped_change=_take)


def _take() -> None:
    state, dropped = page_state(), st.session_state["mars-drop"]["dropped"]
    try:
        for part in dropped.get("parts", ()):
            state.add(parse_part(str(part)))
    except MarsMapError as error:
        state.problem = str(error)
    state.problem = state.problem or str(dropped.get("problem", ""))
