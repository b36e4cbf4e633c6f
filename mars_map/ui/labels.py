"""Yes and no on the page: what is called right and wrong, and the layers in which that is kept."""

from collections.abc import Callable
from functools import lru_cache

import streamlit as st

from mars_map.errors import LabelsError, MarsMapError
from mars_map.planet.grid import Grid
from mars_map.search import Result
from mars_map.search.feedback import suggest
from mars_map.search.labels import (
    MAX_FILE_BYTES,
    LabelBook,
    LabelLayer,
    read_geojson,
    tiles_in_outline,
)
from mars_map.ui.longitudes import FILES_SAY
from mars_map.ui.map import Layer, labelled
from mars_map.ui.state import PageState, page_state
from mars_map.ui.text import plain
from mars_map.web import service

BOOK_KEY = "mars-label-book"
NOTE_KEY = "mars-label-note"
SUGGESTED = 6
"""Tiles that the page asks about at a time."""
ANSWERS = {"yes": True, "no": False}
"""What components send; anything else takes a label back."""


def label_book() -> LabelBook:
    """Return this visitor's layers of labels."""
    return st.session_state.setdefault(BOOK_KEY, LabelBook())


def follow_labels(state: PageState) -> None:
    """Keep the labels of the present query as a layer; called each time the page is drawn."""
    label_book().follow(state.query)


def map_layers() -> list[Layer]:
    """Return this visitor's layers for map and legend; the open one's tiles are the query's."""
    book = label_book()
    if not book.layers:
        return []
    grid = service().index.grid
    return [
        Layer(
            number=number,
            name=layer.name,
            colour=layer.colour,
            shown=not layer.hidden,
            open=number == book.open,
            **_numbers(LabelLayer("") if layer.hidden or number == book.open else layer, grid),
        )
        for number, layer in enumerate(book.layers)
    ]


@lru_cache(maxsize=64)
def _numbers(layer: LabelLayer, grid: Grid) -> dict[str, list[int]]:
    """Return the numbers of a layer's tiles by answer, without those that the grid does not have.

    Kept, because the map asks for the same ones each time that it is drawn.
    """
    found = {answer: map(grid.number_of, getattr(layer, answer)) for answer in ANSWERS}
    return {answer: [n for n in numbers if n >= 0] for answer, numbers in found.items()}


def take_layer() -> None:
    """Show or hide the layer whose box in the legend was ticked."""
    book, asked = label_book(), st.session_state["mars-map"]["layer"]
    number = int(asked["number"])
    if 0 <= number < len(book.layers):
        book.layers[number] = book.layers[number].with_(hidden=not asked["shown"])


def answers(component: str) -> Callable[[], None]:
    """Return the callback for what a component sends as `call`: tiles, or an outline round them,
    and the answer; or a step through the history.
    """

    def take() -> None:
        state = page_state()
        message = st.session_state[component]["call"]
        try:
            if "step" in message:
                state.step(-1)
            else:
                _call(state, _tiles(message), ANSWERS.get(message["answer"]))
        except MarsMapError as error:
            state.problem = str(error)

    return take


def suggested(result: Result) -> list[int]:
    """Return the tiles to ask about: none before the first label."""
    query, number_of = result.query, result.index.grid.number_of
    if not (query.yes or query.no):
        return []
    yes = [number_of(tile) for tile in (*query.tiles, *query.yes)]
    no = [number_of(tile) for tile in query.no]
    found = suggest(result.scores, result.index, yes, no, k=SUGGESTED, allowed=result.region_mask)
    return found.tolist()


def refinement(result: Result) -> None:
    """Say above the hits how the labels were used."""
    if result.refinement:
        st.caption(f"{plain(result.refinement)} · u undoes")


def answer_buttons(state: PageState, tile: str) -> None:
    """Draw yes and no for the tile that is looked at."""
    query = state.query
    with st.container(horizontal=True):
        for answer, icon, text in (("yes", "check", "Yes"), ("no", "close", "No")):
            is_called = query is not None and tile in getattr(query, answer)
            st.button(
                text,
                key=f"mars-tile-{answer}",
                icon=f":material/{icon}:",
                type="primary" if is_called else "secondary",
                on_click=lambda value=None if is_called else ANSWERS[answer]: _call(
                    page_state(), (tile,), value
                ),
                help=f"Key {'y' if answer == 'yes' else 'x'}; once more takes it back.",
            )


def labels_tab(state: PageState, result: Result | None) -> None:
    """Show the labels of the query, and the layers of this visit; take them to a file and back."""
    book = label_book()
    _layers(book)
    if book.open is None:
        st.caption(
            "Press ✓ or ✕ below a picture, or y and x for the tile that is looked at: the map "
            "ranks anew after each. ✓ and ✕ beside “Lasso” label many tiles at once."
        )
    else:
        _open_layer(state, book, result)
    st.file_uploader(
        "Import GeoJSON",
        type=["geojson", "json"],
        key="mars-label-file",
        max_upload_size=MAX_FILE_BYTES // 2**20,
        on_change=_import,
        help="A layer saved here, or any GeoJSON of Mars whose features have a “label” of yes or "
        "no. Tiles of another grid are found by their centres.",
    )
    if note := st.session_state.pop(NOTE_KEY, ""):
        st.caption(plain(note, 400))


def _layers(book: LabelBook) -> None:
    if not book.layers:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.session_state["mars-label-layer"] = book.open
        st.selectbox(
            "Layer",
            range(len(book.layers)),
            format_func=lambda n: f"{book.layers[n].name} ({len(book.layers[n])})",
            key="mars-label-layer",
            placeholder="Choose a layer to use it",
            on_change=_switch,
        )
        st.button(
            "New",
            key="mars-label-new",
            on_click=_begin,
            disabled=book.open is None,
            help="Begin another layer; this one is kept.",
        )
    if len(book.layers) > 1:
        st.caption("The map shows all of them; the legend beside it hides those that you tick off.")


def _open_layer(state: PageState, book: LabelBook, result: Result | None) -> None:
    layer = book.layers[book.open]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.session_state["mars-label-name"] = layer.name
        st.text_input("Name", key="mars-label-name", max_chars=60, on_change=_restyle)
        st.session_state["mars-label-colour"] = layer.colour
        st.color_picker("Colour", key="mars-label-colour", on_change=_restyle)
    counts = f"{len(layer.yes):,} yes, {len(layer.no):,} no"
    said = result.refinement if result is not None else ""
    st.caption(plain(f"{counts}. {said}." if said else f"{counts}.", 200))
    grid = service().index.grid
    with st.container(horizontal=True):
        st.download_button(
            "Save as GeoJSON",
            lambda: layer.to_geojson(grid),
            file_name=f"{_file_name(layer)}.geojson",
            mime="application/geo+json",
            key="mars-label-save",
            on_click="ignore",
            help=FILES_SAY,
        )
        st.button("Delete layer", key="mars-label-delete", on_click=_delete)
    tiles = [grid.number_of(tile) for tile in (*layer.yes, *layer.no)]
    number = grid.number_of(state.tile) if state.tile else None
    labelled(state.query, tiles, number, on_pick=_pick, on_call=answers("mars-labelled"))


def _call(state: PageState, tiles: tuple[str, ...], answer: bool | None) -> None:
    state.call(tiles, answer)
    book = label_book()
    query = state.query
    if book.open is not None and not (query and (query.yes or query.no)):
        # The last label was taken back: an empty layer is none.
        book.remove(book.open)


def _tiles(message: dict) -> tuple[str, ...]:
    if "outline" not in message:
        return tuple(str(tile) for tile in message["tiles"])
    index = service().index
    tiles = tiles_in_outline(index.grid, message["outline"])
    if index.present is None:
        return tiles
    return tuple(tile for tile in tiles if index.present[index.grid.number_of(tile)])


def _use(layer: LabelLayer) -> None:
    page_state().ask(yes=layer.yes, no=layer.no)


def _switch() -> None:
    number = st.session_state["mars-label-layer"]
    if number is not None:
        _use(label_book().layers[number])


def _begin() -> None:
    book = label_book()
    book.is_fresh = True
    _forget(page_state())


def _delete() -> None:
    book = label_book()
    if book.open is not None:
        book.remove(book.open)
        _forget(page_state())


def _forget(state: PageState) -> None:
    """Take all labels out of the query; without anything else to look for there is no query."""
    if state.query is not None and state.query.active:
        state.ask(yes=(), no=())
    else:
        state.clear()


def _restyle() -> None:
    book, state = label_book(), page_state()
    if book.open is None:
        return
    try:
        book.layers[book.open] = book.layers[book.open].with_(
            name=st.session_state["mars-label-name"],
            colour=st.session_state["mars-label-colour"],
        )
    except LabelsError as error:
        state.problem = str(error)


def _import() -> None:
    state, file = page_state(), st.session_state["mars-label-file"]
    if file is None:
        return
    try:
        read = read_geojson(file.getvalue(), service().index.grid)
    except MarsMapError as error:
        state.problem = str(error)
        return
    book = label_book()
    book.add(read.layer)
    st.session_state[NOTE_KEY] = read.note
    if read.layer.yes or (state.query is not None and state.query.active):
        _use(read.layer)


def _pick() -> None:
    name = str(st.session_state["mars-labelled"]["pick"])
    page_state().look_at(name, int(service().index.grid.number_of(name)))


def _file_name(layer: LabelLayer) -> str:
    kept = "".join(c if c.isalnum() else "-" for c in layer.name)
    return "-".join(filter(None, kept.split("-")))[:60] or "labels"
