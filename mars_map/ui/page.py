"""The page: the map, the panel on its left, the drawer on its right. Streamlit runs this file."""

from pathlib import Path

import streamlit as st

from mars_map.errors import MarsMapError
from mars_map.planet.regions import Box, Polygon
from mars_map.search import Result
from mars_map.ui.compare import compare_data
from mars_map.ui.drawer import drawer
from mars_map.ui.drops import drops
from mars_map.ui.labels import answers, follow_labels, map_layers, take_layer
from mars_map.ui.longitudes import take_style
from mars_map.ui.map import mars_map
from mars_map.ui.panel import doubt, panel, summary
from mars_map.ui.state import PageState, page_state, read_address, write_address
from mars_map.ui.text import plain
from mars_map.ui.visits import follow_visit
from mars_map.web import service

STYLE = Path(__file__).with_name("page.css")


def main() -> None:
    """Draw the page once; Streamlit calls it again after every action."""
    st.set_page_config(page_title="mars_map", layout="wide", initial_sidebar_state="expanded")
    st.html(STYLE)
    state = page_state()
    with st.sidebar:
        outcome = panel(state)
    waiting = _must_wait(state)
    with outcome:
        if not waiting:
            _answer(state)
        if state.problem:
            st.error(plain(state.problem, 400))
            state.problem = ""
        if state.note:
            st.info(plain(state.note, 400))
            state.note = ""
    _workbench()
    if waiting:
        with outcome, st.spinner("Loading the text encoder…"):
            service().warm()
        st.rerun()


@st.fragment
def _workbench() -> None:
    """Draw map and drawer; a click on the map runs only this, not the panel."""
    state = page_state()
    if state.problem or state.shown != (state.query, state.limits):
        st.rerun()
    write_address(state)
    follow_labels(state)
    result = None if state.query is None or _must_wait(state) else service().search(state.query)
    held_back = result is not None and _is_held_back(state, result)
    if held_back:
        result = None
    _map(state, result)
    drawer(state, result, held_back=held_back)
    follow_visit(state)
    drops()


def _must_wait(state: PageState) -> bool:
    """Whether the words cannot be understood yet: the map is drawn before they are."""
    return state.query is not None and bool(state.query.words) and not service().is_warm


def _is_held_back(state: PageState, result: Result) -> bool:
    """Whether the words are not known, so that their map is shown only to whom insists."""
    estimate = result.estimate
    return estimate is not None and not estimate.is_known and not state.anyway


def _answer(state: PageState) -> None:
    """Search; where that fails, the last good answer stays on the map, with a sentence."""
    if state.query is None:
        return
    try:
        with st.spinner("Searching…"):
            result = service().search(state.query)
            estimate = result.estimate
    except MarsMapError as error:
        state.give_up(str(error))
        return
    held_back = _is_held_back(state, result)
    if not held_back:
        summary(result)
    if estimate is not None and not estimate.is_known:
        doubt(estimate, held_back=held_back)


def _map(state: PageState, result: Result | None) -> None:
    mars_map(
        result.query if result else None,
        _tile_number(state),
        state.go,
        region=state.limits.region,
        units=state.least_km2 if result and state.units_shown else None,
        compare=compare_data(state, result),
        on_pick=_picked,
        on_region=_region_drawn,
        on_navigated=_navigated,
        on_call=answers("mars-map"),
        on_layer=take_layer,
        on_longitudes=_longitudes_chosen,
        layers=map_layers(),
        longitudes=state.longitudes,
        view=state.view,
    )


def _tile_number(state: PageState) -> int | None:
    try:
        number = service().index.grid.number_of(state.tile or "")
    except MarsMapError as error:
        # Without an index the map says the same sentence in its own place.
        state.problem = state.problem or str(error)
        return None
    return number if number >= 0 else None


def _picked() -> None:
    state = page_state()
    state.look_at(str(st.session_state["mars-map"]["pick"]))
    state.tab = "Tile"


def _region_drawn() -> None:
    drawn = st.session_state["mars-map"]["region"]
    state = page_state()
    try:
        if "box" in drawn:
            state.ask(region=Box(*(float(v) for v in drawn["box"])))
        elif "polygon" in drawn:
            state.ask(region=Polygon(tuple((float(x), float(y)) for x, y in drawn["polygon"])))
        else:
            state.ask(region=None)
    except MarsMapError as error:
        state.problem = str(error)


def _longitudes_chosen() -> None:
    take_style(page_state(), str(st.session_state["mars-map"]["longitudes"]))


def _navigated() -> None:
    read_address(str(st.session_state["mars-map"]["navigated"]))


main()
