"""Units of hits in the drawer: a table to choose from, outlines on the map, files."""

import pandas as pd
import streamlit as st

from mars_map.analysis.units import MAX_LEAST_KM2, Units, units_of
from mars_map.export import EXPORTERS, TABLES, file_name
from mars_map.export import Units as UnitsLayer
from mars_map.search import Result
from mars_map.ui.longitudes import FILES_SAY, longitude_column
from mars_map.ui.map import Format, exports
from mars_map.ui.state import PageState, page_state

SHOWN = "mars-units-shown"
LEAST = "mars-units-least"
TABLE = "mars-units-table"
STEP_KM2 = 1000.0
"""Step of the smallest area, km2: about one tile of half a degree."""


def units_view(state: PageState, result: Result) -> None:
    """Draw the units of the hits: how many, which, and where; a chosen one is flown to."""
    _choices(state)
    units = units_of(result, least_km2=state.least_km2)
    if not len(units):
        st.caption("No unit is as large as that; lower the smallest area.")
        return
    count = f"{len(units):,} units" if len(units) > 1 else "One unit"
    st.caption(
        f"{count} of {len(units.tiles):,} hits that touch, {units.area_km2.sum():,.0f} km² in "
        f"all; the largest {units.area_km2[0]:,.0f} km²."
    )
    _table(state, result, units)
    with st.expander("Save these units"):
        st.caption(FILES_SAY)
        layer = UnitsLayer(state.least_km2)
        formats = [
            Format(
                key=key,
                title=EXPORTERS[key].title,
                use="Polygons with area, border, centroid and scores"
                if key != "csv"
                else "A table",
                name=file_name(result, key, layer),
            )
            for key in TABLES
        ]
        least = f"&least={state.least_km2:g}" if state.least_km2 else ""
        exports(result.query, formats, extra=f"as=units{least}", key="mars-units-exports")


def _choices(state: PageState) -> None:
    def toggle() -> None:
        page_state().units_shown = st.session_state[SHOWN]

    def change() -> None:
        page_state().least_km2 = float(st.session_state[LEAST] or 0.0)

    st.session_state[SHOWN] = state.units_shown
    st.session_state[LEAST] = state.least_km2
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            "Smallest area, km²",
            min_value=0.0,
            max_value=MAX_LEAST_KM2,
            step=STEP_KM2,
            format="%.0f",
            key=LEAST,
            width=200,
            on_change=change,
            help="Smaller units are left out here, on the map and in files.",
        )
        st.toggle(
            "On the map",
            key=SHOWN,
            on_change=toggle,
            help="Draw the outlines of the units over the heat map.",
        )


def _table(state: PageState, result: Result, units: Units) -> None:
    names = result.index.grid.names(units.best_tile)
    lon, east_or_west = longitude_column(units.lon, state.longitudes)
    table = pd.DataFrame(
        {
            "area": units.area_km2.round(),
            "tiles": units.counts,
            "score": units.mean_score,
            "lon": lon,
            "lat": units.lat,
            "border": units.perimeter_km.round(),
        }
    )
    table.index = pd.RangeIndex(1, len(table) + 1)

    def choose() -> None:
        rows = st.session_state[TABLE]["selection"]["rows"]
        if rows:
            page_state().look_at(str(names[rows[0]]), int(units.best_tile[rows[0]]))

    column = st.column_config.NumberColumn
    st.dataframe(
        table,
        key=TABLE,
        height=460,
        on_select=choose,
        selection_mode="single-row",
        column_config={
            # Widths in pixels that the drawer holds beside each other.
            "area": column("km²", width=66, format="localized", help="Area on the sphere"),
            "tiles": column("Tiles", width=42),
            "score": column("Mean", width=48, format="%.3f", help="Mean score, weighted by area"),
            "lon": column(east_or_west, width=50, format="%.1f", help="Centroid on the sphere"),
            "lat": column("° N", width=46, format="%.1f", help="Centroid on the sphere"),
            "border": column("Border", width=54, format="localized", help="All borders, km"),
        },
    )
