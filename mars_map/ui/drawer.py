"""The drawer on the right: hits, the tile that is looked at, export, and what is searched."""

import streamlit as st

from mars_map.search import Result
from mars_map.ui.about import about_tab
from mars_map.ui.compare import compare_tab
from mars_map.ui.labels import answers, labels_tab, refinement, suggested
from mars_map.ui.map import gallery
from mars_map.ui.state import TABS, PageState, page_state
from mars_map.ui.tabs import export_tab, hits_table, tile_tab
from mars_map.ui.units import units_view
from mars_map.ui.why import why_tab
from mars_map.web import service


def drawer(state: PageState, result: Result | None, *, held_back: bool = False) -> None:
    """Draw the tabs and the open one. Clicking the open tab, or Esc, closes the drawer.

    held_back: whether there is an answer that is not shown, because the words were never taught.
    """
    st.session_state["mars-tab"] = state.tab
    with st.container(key="mars-tabs"):
        st.segmented_control(
            "Drawer", TABS, key="mars-tab", on_change=_choose_tab, label_visibility="collapsed"
        )
    if state.tab is None:
        return
    with st.container(key="mars-drawer"):
        st.button("Close", key="mars-close", on_click=_close, shortcut="Esc", type="tertiary")
        match state.tab:
            case "Hits" | "Compare" if held_back:
                st.caption("No hits are shown; the note below the words says why.")
            case "Hits":
                _hits(state, result)
            case "Tile":
                tile_tab(state, result)
            case "Labels":
                labels_tab(state, result)
            case "Why here":
                why_tab(result)
            case "Compare":
                compare_tab(state, result)
            case "Export":
                export_tab(state, result, held_back=held_back)
            case "About":
                about_tab()


def _hits(state: PageState, result: Result | None) -> None:
    if result is None:
        st.caption("Hits appear here once you search for something.")
        return
    view = st.segmented_control(
        "View",
        ("Pictures", "Table", "Units"),
        default="Pictures",
        key="mars-hits-view",
        on_change=_choose_view,
        required=True,
        label_visibility="collapsed",
    )
    if not len(result.hits):
        st.caption("There are no hits; lower the threshold or widen the region.")
    elif view == "Table":
        hits_table(state, result)
    elif view == "Units":
        units_view(state, result)
    else:
        number = service().index.grid.number_of(state.tile) if state.tile else None
        refinement(result)
        gallery(
            result.query,
            number,
            suggested(result),
            on_pick=_pick,
            on_similar=_similar,
            on_call=answers("mars-gallery"),
        )


def _choose_tab() -> None:
    page_state().tab = st.session_state["mars-tab"]


def _choose_view() -> None:
    # Who asks for units wants to see them; the toggle beside the table hides them.
    if st.session_state["mars-hits-view"] == "Units":
        page_state().units_shown = True


def _close() -> None:
    page_state().tab = None


def _pick() -> None:
    page_state().look_at(str(st.session_state["mars-gallery"]["pick"]))


def _similar() -> None:
    page_state().find_similar(str(st.session_state["mars-gallery"]["similar"]))
