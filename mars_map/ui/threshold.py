"""How many: the histogram of all scores whose slider cuts the hits, and the threshold by number."""

import streamlit as st

from mars_map.errors import MarsMapError
from mars_map.search import Query
from mars_map.search.query import DEFAULT_TOP_K, MAX_TOP_K
from mars_map.search.threshold import count_above
from mars_map.ui.map import component
from mars_map.ui.state import PageState, page_state
from mars_map.web import service
from mars_map.web.params import query_string

KEY = "mars-histogram"
_histogram = component("histogram")


def histogram(query: Query) -> None:
    """Draw the scores of a query's tiles with the slider that cuts the hits."""
    _histogram(key=KEY, data={"query": query_string(query)}, on_cut_change=_cut)


def threshold() -> None:
    """Draw the box for an exact threshold."""
    st.number_input(
        "Threshold",
        value=None,
        key="mars-threshold",
        step=0.01,
        format="%.3f",
        placeholder="none",
        on_change=lambda: cut_at(page_state(), st.session_state["mars-threshold"]),
        help="Only tiles with at least this score are hits. Scores of different queries do not "
        "compare. Top-k grows so that all of them fit, up to "
        f"{MAX_TOP_K:,}. Empty for no limit.",
    )


def cut_at(state: PageState, value: float | None) -> None:
    """Cut the hits at a score, and let top-k follow; None for the best few again."""
    try:
        top_k = needed_top_k(state.query, value) if state.query else state.limits.top_k
    except MarsMapError as error:
        state.problem = str(error)
        return
    state.ask(threshold=value, top_k=top_k)


def needed_top_k(query: Query, value: float | None) -> int:
    """Return the top-k with which all tiles above a threshold are hits, as far as is allowed.

    What an earlier threshold had raised falls back to the default first. Raises like
    `Service.search` and `Query`.
    """
    before = query.top_k if query.threshold is None else min(query.top_k, DEFAULT_TOP_K)
    if value is None:
        return before
    result = service().search(query.with_(threshold=value, top_k=1))
    return min(max(count_above(result, value), before), MAX_TOP_K)


def _cut() -> None:
    value = st.session_state[KEY]["cut"]["threshold"]
    cut_at(page_state(), None if value is None else float(value))
