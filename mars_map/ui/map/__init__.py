"""The map, the gallery and the exports: components whose browser side is the modules beside this.

Python sends a few hundred bytes: the query as address parameters and what is selected. Scores,
footprints, heat map and pictures are fetched by the browser from the routes of `mars_map.web`, so
that no widget ever sends them twice and neither component is rebuilt.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import shapely
import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from mars_map.planet.coordinates import LongitudeStyle
from mars_map.planet.regions import Region
from mars_map.search import Query
from mars_map.web.params import query_string

FILES = Path(__file__).parent
"""Folder of the components' modules and style sheet, served as `/mars/component/`."""

Callback = Callable[[], None]


class Format(TypedDict):
    """A file format as the list of exports takes it."""

    key: str
    """Name in the address of the export."""
    title: str
    use: str
    """What it is good for, in a few words."""
    name: str
    """Name of the file."""


class Compare(TypedDict):
    """A comparison of two queries as the map takes it."""

    mode: str
    """One of `mars_map.ui.state.COMPARE_MODES`."""
    query: str
    """The present query as address parameters."""
    other: str
    """The other query as address parameters, with the limits of the present one."""
    names: list[str]
    """What both are called."""


class Layer(TypedDict):
    """A layer of labels as map and legend take it."""

    number: int
    """Its place among the layers."""
    name: str
    colour: str
    """#rrggbb"""
    shown: bool
    open: bool
    """Whether the query uses it: then the query holds its tiles."""
    yes: list[int]
    """Numbers of the tiles called right; none while it is hidden or open."""
    no: list[int]


def component(module: str) -> ComponentRenderer:
    """Return a component whose browser side is a module of this folder, named without its end."""
    loader = (FILES / "loader.js").read_text(encoding="utf-8")
    script = loader.replace("__MODULE__", f"{module}.js")
    return st.components.v2.component(f"mars_map.{module}", js=script, isolate_styles=False)


_map = component("map")
_gallery = component("gallery")
_exports = component("exports")


def mars_map(
    query: Query | None,
    selected: int | None,
    go: tuple[int, int] | None,
    *,
    region: Region | None,
    units: float | None = None,
    compare: Compare | None = None,
    layers: Sequence[Layer] = (),
    longitudes: LongitudeStyle = "180",
    on_pick: Callback,
    on_region: Callback,
    on_navigated: Callback,
    on_call: Callback,
    on_layer: Callback,
    on_longitudes: Callback,
    view: tuple[int, str] | None = None,
) -> None:
    """Draw the map.

    query: whose answer is shown, None for the bare planet. selected: number of the outlined tile.
    go: a running number and the tile to fly to; each number is obeyed once. region: drawn as an
    outline. units: smallest area in km2 of the units that are outlined, None for no units. compare:
    what the answer is compared with. layers: layers of labels. longitudes: the style that the page
    knows of; the browser tells its own where that is another.
    view: a running number and the part of an address behind its #, with which the map begins
    anew; each number is obeyed once. The callbacks read
    `st.session_state["mars-map"]`: `pick` is a tile's id, `region` a dict with `box` (west, south,
    east, north), `polygon` (corners) or `clear`, `navigated` the address's new query part, `call`
    what `mars_map.ui.labels.answers` takes, `layer` the number of a layer and whether it is shown,
    and `longitudes` a style.
    """
    data = {
        "query": query_string(query) if query else "",
        "selected": selected,
        "go": {"number": go[0], "tile": go[1]} if go else None,
        "region": region_rings(region),
        "layers": list(layers),
        "longitudes": longitudes,
        "view": {"number": view[0], "text": view[1]} if view else None,
        "units": units,
        "compare": compare,
    }
    _map(
        key="mars-map",
        data=data,
        on_pick_change=on_pick,
        on_region_change=on_region,
        on_navigated_change=on_navigated,
        on_call_change=on_call,
        on_layer_change=on_layer,
        on_longitudes_change=on_longitudes,
    )


def gallery(
    query: Query,
    selected: int | None,
    asked: list[int],
    *,
    on_pick: Callback,
    on_similar: Callback,
    on_call: Callback,
) -> None:
    """Draw the hits of a query as pictures, and above them the tiles that the user is asked about.

    The callbacks read `st.session_state["mars-gallery"]`: `pick` and `similar` are tile ids, `call`
    is what `mars_map.ui.labels.answers` takes.
    """
    _gallery(
        key="mars-gallery",
        data={"query": query_string(query), "selected": selected, "asked": asked},
        on_pick_change=on_pick,
        on_similar_change=on_similar,
        on_call_change=on_call,
    )


def labelled(
    query: Query, tiles: list[int], selected: int | None, *, on_pick: Callback, on_call: Callback
) -> None:
    """Draw tiles that were called right or wrong as pictures.

    The callbacks read `st.session_state["mars-labelled"]`, like those of `gallery`.
    """
    _gallery(
        key="mars-labelled",
        data={"query": query_string(query), "selected": selected, "only": tiles},
        on_pick_change=on_pick,
        on_call_change=on_call,
        on_similar_change=lambda: None,
    )


def save_session(link: Format, format: Format, text: str) -> None:
    """Draw what copies the address, and what saves a session, to whose text the browser adds the
    view.
    """
    _exports(key="mars-session", data={"query": "", "formats": [link, format | {"text": text}]})


def exports(
    query: Query, formats: list[Format], *, extra: str = "", key: str = "mars-exports"
) -> None:
    """Draw the formats in which the answer to a query can be saved.

    extra: more address parameters of the files, such as "as=units". key: of the component.
    """
    address = "&".join(filter(None, [query_string(query), extra]))
    _exports(key=key, data={"query": address, "formats": formats})


def region_rings(region: Region | None) -> list[Any]:
    """Return the outlines of a region as lists of [latitude, longitude], as Leaflet takes them."""
    if region is None:
        return []
    parts = shapely.get_parts(region.geometry())
    rings = [ring for part in parts for ring in (part.exterior, *part.interiors)]
    return [np.asarray(ring.coords)[:, ::-1].round(6).tolist() for ring in rings]
