"""The tab that compares the present query with another one: how, how far they agree, and where."""

from collections.abc import Callable
from typing import get_args
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from mars_map.analysis.compare import Comparison, Correlation, Which
from mars_map.errors import MarsMapError
from mars_map.export import EXPORTERS, TABLES, Compared, file_name
from mars_map.search import Query, Result
from mars_map.ui.longitudes import FILES_SAY
from mars_map.ui.map import Compare, Format, exports
from mars_map.ui.panel import EXAMPLES
from mars_map.ui.state import COMPARE_MODES, PageState, page_state
from mars_map.ui.text import fact_table, plain
from mars_map.web import service
from mars_map.web.compare import OTHER_PARAM, Other, compare_queries, on_index, place_other
from mars_map.web.params import query_string

RECENT = 6
"""Recent queries that are offered."""
SETS: dict[Which, str] = {"both": "Both", "only-a": "Only A", "only-b": "Only B"}
MODES = {"swipe": "Swipe", "side": "Side by side", "difference": "Difference"}
WORDS, CHOSEN, MODE = "mars-other", "mars-other-recent", "mars-compare-mode"
INDEX = "mars-other-index"
SET, TABLE = "mars-compare-set", "mars-compare-table"


def compare_tab(state: PageState, result: Result | None) -> None:
    """Draw the tab. result: the answer to the present query; None where none is shown."""
    if result is None:
        st.caption("Search for something first; then it can be compared with another query.")
        return
    _choose_other(state)
    if state.compared is None:
        st.caption(
            "See where two queries agree: one map under a handle that swipes, two maps side by "
            "side, or the difference of their ranks; which hits both have, and how far the "
            "rankings of all tiles agree."
        )
        return
    try:
        found = compare_queries(result.query, state.compared)
    except MarsMapError as error:
        st.warning(plain(str(error), 400))
        return
    _heading(result.query, state.compared)
    _doubt(found.b)
    _mode(state)
    _agreement(found)
    _sets(found, state.compared)


def compare_data(state: PageState, result: Result | None) -> Compare | None:
    """Return what the map is told of a comparison; None where there is none."""
    if result is None or state.compared is None:
        return None
    try:
        # No more than the map needs: the tab compares while the browser draws.
        other = place_other(result, state.compared)
        with on_index(other):
            service().search(other.query)
    except MarsMapError:
        # The tab says why.
        return None
    return Compare(
        mode=state.compare_mode,
        query=query_string(result.query),
        other=other.address,
        names=[result.query.label, other.label],
    )


def _choose_other(state: PageState) -> None:
    def type_words() -> None:
        words = st.session_state[WORDS].strip()
        # Emptied, so that what is compared stands in one place.
        st.session_state[WORDS] = ""
        if words:
            _compare_with(lambda: Other(Query(words)))

    def take() -> None:
        number = st.session_state[CHOSEN]
        st.session_state[CHOSEN] = None
        if number is not None:
            _compare_with(lambda: Other(others[number]))

    st.text_input(
        "Compare with",
        key=WORDS,
        placeholder="other words",
        on_change=type_words,
        help="The other query is searched in the same region, with the same filters and as many "
        "hits.",
    )
    recent = _others(state)
    present = state.query.text if state.query else ""
    others = recent or [Query(words) for words in EXAMPLES if words != present]
    if state.compared is None:
        st.pills(
            "Recent queries" if recent else "Examples",
            range(len(others)),
            format_func=lambda i: plain(others[i].label, 28),
            key=CHOSEN,
            on_change=take,
        )
    _other_indexes(state)


def _other_indexes(state: PageState) -> None:
    """Offer the same words on the other indexes that are open."""
    names = [name for name in service().folders if name != service().index_name]
    if not names or state.compared is not None:
        return

    def take() -> None:
        name = st.session_state[INDEX]
        st.session_state[INDEX] = None
        if name and state.query:
            query = state.query.subject
            _compare_with(lambda: Other(query, name))

    st.pills("The same on another index", names, format_func=plain, key=INDEX, on_change=take)


def _others(state: PageState) -> list[Query]:
    """Return the newest queries of other subjects than the present one, the newest first."""
    newest = dict.fromkeys(query.subject for query in reversed(state.history))
    if state.query:
        newest.pop(state.query.subject, None)
    return list(newest)[:RECENT]


def _compare_with(make: Callable[[], Other]) -> None:
    state = page_state()
    try:
        other = make()
        with on_index(other):
            service().search(other.query)
    except MarsMapError as error:
        state.problem = str(error)
    else:
        state.compared = other.subject


def _heading(a: Query, b: Other) -> None:
    st.markdown(
        f":red[**A**] {plain(a.label, 60)}  \n:blue[**B**] {plain(b.label, 60)}",
        help="The present query, and the one that it is compared with.",
    )
    with st.container(horizontal=True):
        if not b.index:
            st.button("Exchange", on_click=_exchange, icon=":material/swap_horiz:", type="tertiary")
        st.button("Stop comparing", on_click=_stop, icon=":material/close:", type="tertiary")


def _exchange() -> None:
    state = page_state()
    if state.query and state.compared:
        a, b = state.query, state.compared.query
        state.compared = Other(a.subject)
        subject = {name: getattr(b, name) for name in ("parts", "yes", "no", "prompts")}
        state.ask(**subject, **state.fresh_cut())


def _stop() -> None:
    page_state().compared = None


def _doubt(other: Result) -> None:
    """Say that the other query's words were never taught; its map means nothing then."""
    if other.estimate is not None and not other.estimate.is_known:
        st.warning(plain(other.estimate.sentence, 400))


def _mode(state: PageState) -> None:
    def change() -> None:
        page_state().compare_mode = st.session_state[MODE]

    st.session_state[MODE] = state.compare_mode
    st.segmented_control(
        "On the map",
        COMPARE_MODES,
        format_func=MODES.__getitem__,
        key=MODE,
        on_change=change,
        required=True,
        label_visibility="collapsed",
    )


def _agreement(found: Comparison) -> None:
    st.markdown(plain(agreement(found.correlation), 400), help=CORRELATION_HELP)
    shared, every = found.counts["both"], sum(found.counts.values())
    fact_table(
        {
            "Rank corr.": said(found.correlation),
            "Hits of both": f"{shared:,} of {every:,} ({100 * found.jaccard:.0f} %, Jaccard)",
            "Area of both": f"{found.area_km2('both'):,.0f} km²",
        }
    )


CORRELATION_HELP = (
    "Spearman's rank correlation over all tiles that both searched, weighted by area: 1 is the "
    "same order, 0 none in common, -1 the opposite. The brackets hold 95 % of a block bootstrap "
    "over patches of about 900 x 1,200 km, since neighbouring tiles are alike."
)


def said(correlation: Correlation | None) -> str:
    """Say a correlation with its interval in figures."""
    if correlation is None:
        return "none: too few tiles"
    value, low, high = correlation
    bounds = (
        " (too little ground for an interval)" if low is None else f" ({low:.2f} to {high:.2f})"
    )
    return f"{value:.2f}{bounds}".replace("-", "\N{MINUS SIGN}")


def agreement(correlation: Correlation | None) -> str:
    """Read a correlation in one plain sentence."""
    if correlation is None:
        return "There are too few tiles to say whether both rank them alike."
    value, low, high = correlation
    if low is not None and low <= 0 <= high:
        return "Over all of the ground, their rankings have nothing in common that chance has not."
    degree = next(word for least, word in DEGREES if abs(value) >= least)
    if value < 0:
        return f"Where one ranks the ground high, the other ranks it low: {degree}."
    return f"Both rank the ground alike: {degree}."


DEGREES = ((0.8, "nearly everywhere"), (0.5, "by and large"), (0.2, "somewhat"), (0.0, "hardly"))
"""Least correlations and how they are called."""


def _sets(found: Comparison, other: Other) -> None:
    which = st.segmented_control(
        "Hits",
        get_args(Which),
        format_func=lambda name: f"{SETS[name]} {found.counts[name]:,}",
        default="both",
        key=SET,
        required=True,
        label_visibility="collapsed",
    )
    if not found.counts[which]:
        st.caption(
            "No tile is a hit of both; raise top-k in Limits to look further down both lists."
            if which == "both"
            else "All of its hits are hits of the other query too."
        )
        return
    _table(found, which)
    with st.expander("Save these hits"):
        st.caption(FILES_SAY)
        layer = Compared(found, which)
        formats = [
            Format(
                key=key,
                title=EXPORTERS[key].title,
                use=EXPORTERS[key].use,
                name=file_name(found.a, key, layer),
            )
            for key in TABLES
        ]
        extra = urlencode({"as": which, OTHER_PARAM: other.address})
        exports(found.a.query, formats, extra=extra, key="mars-compare-exports")


def _table(found: Comparison, which: Which) -> None:
    tiles = found.hits(which)
    names = found.grid.names(tiles)
    # From the top, where differences are small: 0.01 % says more than 99.99.
    shares = 100 * (1 - found.percentiles[:, tiles].astype(float))
    table = pd.DataFrame({"tile": names, "a": shares[0], "b": shares[1]})

    def choose() -> None:
        rows = st.session_state[TABLE]["selection"]["rows"]
        if rows:
            page_state().look_at(str(names[rows[0]]), int(tiles[rows[0]]))

    column = st.column_config.NumberColumn
    about = "Share of the searched ground that the query ranks above the tile, per cent"
    st.dataframe(
        table,
        key=TABLE,
        hide_index=True,
        height=300,
        on_select=choose,
        selection_mode="single-row",
        column_config={
            "tile": "Tile",
            "a": column("A: top %", format="%.3f", help=about),
            "b": column("B: top %", format="%.3f", help=about),
        },
    )
