"""What is in the drawer: the table of hits, one tile, and the exports."""

from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st

from mars_map.export import EXPORTERS, Provenance, file_name
from mars_map.export.citation import citation_text
from mars_map.maps.mosaic import thumbnail_width_km
from mars_map.planet.coordinates import format_point
from mars_map.search import Part, Result
from mars_map.ui.elsewhere import elsewhere
from mars_map.ui.labels import answer_buttons
from mars_map.ui.longitudes import FILES_SAY, longitude_column
from mars_map.ui.map import Format, exports
from mars_map.ui.parts import AGAINST_WEIGHT
from mars_map.ui.session import session_section
from mars_map.ui.state import PageState, page_state
from mars_map.ui.text import fact_table
from mars_map.web import service
from mars_map.web.indexes import INDEX_PARAM
from mars_map.web.params import query_string


def hits_table(state: PageState, result: Result) -> None:
    """Draw the hits as a table that sorts by a click on a column; a chosen row is flown to."""
    grid = result.index.grid
    bounds = grid.bounds(result.hits)
    lon, east_or_west = longitude_column((bounds[:, 0] + bounds[:, 2]) / 2, state.longitudes)
    table = pd.DataFrame(
        {
            "rank": np.arange(1, len(result.hits) + 1),
            "score": result.hit_scores,
            "lon": lon,
            "lat": (bounds[:, 1] + bounds[:, 3]) / 2,
            "tile": grid.names(result.hits),
        }
    )

    def choose() -> None:
        rows = st.session_state["mars-table"]["selection"]["rows"]
        if rows:
            page_state().look_at(str(table["tile"][rows[0]]), int(result.hits[rows[0]]))

    column = st.column_config.NumberColumn
    st.dataframe(
        table,
        key="mars-table",
        hide_index=True,
        height=560,
        on_select=choose,
        selection_mode="single-row",
        column_config={
            "score": column("Score", format="%.4f", help="Cosine similarity"),
            "lon": column(east_or_west, format="%.2f"),
            "lat": column("° N", format="%.2f"),
            "rank": column("Rank"),
            "tile": "Tile",
        },
    )


def tile_tab(state: PageState, result: Result | None) -> None:
    """Show the tile that is looked at, and offer what looks like it."""
    index = service().index
    number = index.grid.number_of(state.tile) if state.tile else -1
    if number < 0:
        st.caption("Click the map to see the tile there.")
        return
    name = str(index.grid.names([number])[0])
    west, south, east, north = index.grid.bounds(number)
    lon, lat = (west + east) / 2, (south + north) / 2
    # The name is the grid's own spelling: letters and digits.
    st.markdown(f"![Tile {name}](mars/thumb/{name}.jpg?size=384)")
    st.caption(f"{thumbnail_width_km(index, number):.3g} km across, north up")
    st.button(
        "Find similar",
        key="mars-similar",
        type="primary",
        width="stretch",
        on_click=lambda: page_state().find_similar(name),
    )
    answer_buttons(state, name)
    if state.query is not None:
        _mix(name)
    centre = format_point(lon, lat, state.longitudes)
    rows = {"Tile": name, "Centre": centre, "Elevation": _elevation(lon, lat)}
    if result is not None:
        rows |= _place_in(result, number)
    rows["Nearest name"] = _nearest(lon, lat)
    fact_table(rows)
    elsewhere((west, south, east, north))


def _mix(tile: str) -> None:
    """Offer to mix a tile into the query."""
    with st.container(horizontal=True):
        st.button(
            "Add to the query",
            key="mars-tile-add",
            on_click=lambda: page_state().add(Part("tile", tile)),
            help="The answer shall look like this tile as well.",
        )
        st.button(
            "But not this",
            key="mars-tile-against",
            on_click=lambda: page_state().add(Part("tile", tile, AGAINST_WEIGHT, against=True)),
            help="The answer shall be unlike this tile.",
        )


def export_tab(state: PageState, result: Result | None, *, held_back: bool = False) -> None:
    """Offer the result as files, what to cite, its addresses for other programs, and the session.

    held_back: whether there is an answer that is not shown, because the words were never taught.
    """
    if held_back:
        st.caption("No hits are shown; the note below the words says why.")
    elif result is None:
        st.caption("Search for something first; then its hits can be taken away from here.")
    else:
        _offer(result)
        with st.expander("What to cite"):
            st.code(citation_text(Provenance(result)), language=None, wrap_lines=True)
        _addresses(state, result)
    session_section(state)


def _addresses(state: PageState, result: Result) -> None:
    """Tell under which addresses QGIS and other programs find this result on the running server."""
    base = str(st.context.url or "").split("?")[0].rstrip("/")
    index = urlencode({INDEX_PARAM: state.index}) if state.index else ""
    query = "&".join(filter(None, [query_string(result.query), index]))
    with st.expander("As layers in QGIS"):
        st.caption("Heat map and basemaps: Layer, Add WMS/WMTS Layer, New, URL:")
        st.code(f"{base}/mars/wmts?{query}", language=None, wrap_lines=True)
        st.caption("Hits: Layer, Add WFS / OGC API Features Layer, New, URL:")
        st.code(f"{base}/mars/ogc?{query}", language=None, wrap_lines=True)
        st.caption("They answer as long as this server runs; [all routes](mars/docs).")


def _offer(result: Result) -> None:
    """List the formats that make sense of the result, and say what is missing for the others."""
    if len(result.hits):
        st.caption(
            f"{len(result.hits):,} hits with score, rank, tile, centre, bounds, query, model, "
            f"index and date, in IAU_2015:49900 (Mars, planetocentric). {FILES_SAY}"
        )
    else:
        st.caption(
            "There are no hits to take away: lower the threshold or widen the region. The scores "
            "of all tiles are there all the same."
        )
    formats = [
        Format(key=key, title=exporter.title, use=exporter.use, name=file_name(result, key))
        for key, exporter in EXPORTERS.items()
        if len(result.hits) or not exporter.needs_hits
    ]
    exports(result.query, formats)


def _place_in(result: Result, number: int) -> dict[str, str]:
    score = float(result.scores[number])
    if str(result.index.grid.names([number])[0]) in result.query.tiles:
        return {"Score": f"{score:.4f}", "Rank": "none: the example itself"}
    rank = int((result.scores > score).sum()) + 1
    return {"Score": f"{score:.4f}", "Rank": f"{rank:,} of {len(result.scores):,}"}


def _elevation(lon: float, lat: float) -> str:
    return f"{service().basemaps.elevation_at(lon, lat):,.0f} m".replace("-", "\N{MINUS SIGN}")


def _nearest(lon: float, lat: float) -> str:
    feature, metres = service().gazetteer.nearest(lon, lat)
    return f"{feature.name} ({feature.kind}), {metres / 1000:,.0f} km to its centre"
