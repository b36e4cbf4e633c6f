"""The page: the map, the panel on its left, the drawer on its right. Streamlit runs this file."""

from pathlib import Path

import streamlit as st

from mars_map.errors import MarsMapError
from mars_map.planet.regions import Box, Polygon
from mars_map.search import Result
from mars_map.ui.drawer import drawer
from mars_map.ui.map import mars_map
from mars_map.ui.panel import panel, summary
from mars_map.ui.state import PageState, page_state, read_address, write_address
from mars_map.ui.text import plain
from mars_map.web import service

STYLE = Path(__file__).with_name("page.css")


def main() -> None:
    """Draw the page once; Streamlit calls it again after every action."""
    st.set_page_config(page_title="mars_map", layout="wide", initial_sidebar_state="expanded")
    st.html(STYLE)
    state = page_state()
    with st.sidebar, panel(state):
        result = _answer(state)
        if state.problem:
            st.error(plain(state.problem, 400))
            state.problem = ""
    write_address(state)
    _map(state)
    drawer(state, result)


def _answer(state: PageState) -> Result | None:
    """Search; an answer that fails leaves the last good one on the map, with a sentence."""
    if state.query is None:
        return None
    try:
        waiting = "Searching" if service().is_warm else "Loading the text encoder"
        with st.spinner(f"{waiting}…"):
            result = service().search(state.query)
    except MarsMapError as error:
        state.give_up(str(error))
        return None
    summary(result)
    return result


def _map(state: PageState) -> None:
    number = service().index.grid.number_of(state.tile) if state.tile else -1
    mars_map(
        state.query,
        number if number >= 0 else None,
        state.go,
        region=state.limits.region,
        on_pick=_picked,
        on_region=_region_drawn,
        on_navigated=_navigated,
    )


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


def _navigated() -> None:
    read_address(str(st.session_state["mars-map"]["navigated"]))


main()
