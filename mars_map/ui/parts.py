"""The parts of the query as chips: weighted, muted, turned to "but not", removed; and new ones."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mars_map.errors import MarsMapError
from mars_map.planet.gazetteer import point_feature
from mars_map.search import Part, Query
from mars_map.search.query import plain_kind
from mars_map.ui.state import PageState, page_state
from mars_map.ui.text import plain
from mars_map.web import service
from mars_map.web.pictures import picture_part

ICONS = {
    "text": ":material/notes:",
    "tile": ":material/crop_square:",
    "vector": ":material/image:",
}
AGAINST_WEIGHT = 0.5
"""Weight of a new "but not": as much as the rest would leave only what is unlike it."""
MAX_SLIDER_WEIGHT = 2.0
HYBRID = {"text": 0.7, "other": 0.3}
"""MarsRetrieval's hybrid query: 0.7 words and 0.3 picture (arXiv 2602.13961)."""
KINDS = ("Words", "Place", "Picture")
PICTURE_TYPES = ("png", "jpg", "jpeg", "tif", "tiff", "webp", "bmp", "gif")


def parts(state: PageState) -> None:
    """Draw the chips of a query that is more than words, and the way to add to it."""
    query = state.query
    if query is not None and query.parts and plain_kind(query.parts) != "text":
        with st.container(horizontal=True, key="mars-chips"):
            for number, part in enumerate(query.parts):
                _chip(number, part)
        if _is_hybrid(query):
            st.button(
                "0.3 picture, 0.7 words",
                key="mars-hybrid",
                on_click=_hybrid,
                type="tertiary",
                help="The weights of MarsRetrieval's hybrid queries.",
            )
    with st.popover(
        "Add words, a place or a picture", icon=":material/add:", key="mars-add", type="tertiary"
    ):
        _add()


def _chip(number: int, part: Part) -> None:
    with st.popover(_chip_label(part), icon=ICONS[part.kind], key=f"mars-chip-{number}"):
        st.markdown(plain(part.label, 300))
        # The widgets show the part, also after it was changed by undo or by an address.
        weight, against, muted = (f"mars-part-{name}-{number}" for name in ("w", "a", "m"))
        shown = min(part.weight, MAX_SLIDER_WEIGHT)
        st.session_state[weight] = max(round(shown / 0.05) * 0.05, 0.05)
        st.session_state[against] = part.against
        st.session_state[muted] = part.muted
        st.slider(
            "Weight",
            0.05,
            MAX_SLIDER_WEIGHT,
            step=0.05,
            key=weight,
            on_change=lambda: page_state().change(number, weight=st.session_state[weight]),
            help="How much this part counts beside the others.",
        )
        st.toggle(
            "But not",
            key=against,
            on_change=lambda: page_state().change(number, against=st.session_state[against]),
            help="The answer shall be unlike this part.",
        )
        st.toggle(
            "Mute",
            key=muted,
            on_change=lambda: page_state().change(number, muted=st.session_state[muted]),
            help="Keep this part, and search without it.",
        )
        st.button(
            "Remove",
            icon=":material/close:",
            key=f"mars-part-x-{number}",
            on_click=lambda: page_state().remove(number),
        )


def _chip_label(part: Part) -> str:
    weight = "" if part.weight == 1.0 else f" ×{part.weight:.2g}"
    label = f"{'not ' if part.against else ''}{plain(part.label, 22)}{weight}"
    return f":gray[~~{label}~~]" if part.muted else label


def _is_hybrid(query: Query) -> bool:
    kinds = {part.kind for part in query.active if not part.against}
    return "text" in kinds and len(kinds) > 1


def _hybrid() -> None:
    state = page_state()
    if state.query is None:
        return
    changed = [
        part if part.muted or part.against else part.with_(weight=HYBRID.get(part.kind, 0.3))
        for part in state.query.parts
    ]
    state.ask(parts=tuple(changed), yes=state.query.yes, no=state.query.no)


def _add() -> None:
    # The default, and not the state of the session: the popover is drawn later than that is sent.
    kind = st.segmented_control("What", KINDS, default=KINDS[0], key="mars-add-kind", required=True)
    against = st.toggle("But not", key="mars-add-against", help="The answer shall be unlike it.")
    box = st.container()
    match kind:
        case "Place":
            _add_place(box, against)
        case "Picture":
            _add_pictures(box, against)
        case _:
            _add_words(box, against)


def _add_words(box: DeltaGenerator, against: bool) -> None:
    def take() -> None:
        if words := st.session_state["mars-add-words"].strip():
            _add_part("text", words, against)

    # In a form, so that they are added when they are sent and not when the box is left, for
    # example to turn "But not" on.
    with box.form("mars-add-words-form", clear_on_submit=True, border=False):
        st.text_input("Words", key="mars-add-words", placeholder="dark dunes")
        st.form_submit_button("Add", key="mars-add-words-send", on_click=take)


def _add_place(box: DeltaGenerator, against: bool) -> None:
    def take() -> None:
        text = st.session_state["mars-add-place"].strip()
        if not text:
            return
        try:
            name, tile = place_tile(text)
        except MarsMapError as error:
            page_state().problem = str(error)
        else:
            _add_part("tile", tile, against, name)

    with box.form("mars-add-place-form", clear_on_submit=True, border=False):
        st.text_input(
            "Name or coordinates",
            key="mars-add-place",
            placeholder="Jezero, or 77.4 E, 18.4 N",
            help="The tile at the place becomes an example: the search finds what looks like it.",
        )
        st.form_submit_button("Add", key="mars-add-place-send", on_click=take)


def _add_pictures(box: DeltaGenerator, against: bool) -> None:
    # A new key empties the box of files: each is a part once.
    turn = st.session_state.setdefault("mars-add-turn", 0)
    key = f"mars-add-pictures-{turn}"

    def take() -> None:
        files = st.session_state[key]
        st.session_state["mars-add-turn"] = turn + 1
        try:
            width = st.session_state["mars-add-width"]
            new = [picture_part(file.name, file.getvalue(), width) for file in files]
        except MarsMapError as error:
            page_state().problem = str(error)
            return
        for part in new:
            page_state().add(_turned(part, against))

    box.number_input(
        "Width on the ground, km",
        value=None,
        min_value=0.01,
        key="mars-add-width",
        placeholder="unknown",
        help="How much ground your picture shows from left to right, if you know: it decides at "
        "which scale the picture is compared with the planet.",
    )
    box.file_uploader(
        "Pictures, north up",
        type=list(PICTURE_TYPES),
        accept_multiple_files=True,
        key=key,
        on_change=take,
        help="A cut of CTX or HiRISE, a screenshot. Its square middle is compared with the tiles. "
        "The file is not kept; what remains of it is a vector in this page's address.",
    )


def place_tile(text: str) -> tuple[str, str]:
    """Return a place's name and the id of the tile there.

    text: a name of the gazetteer, or coordinates. Raises FeatureNotFoundError or CoordinateError.
    """
    place = point_feature(text) or service().gazetteer.find(text)
    return place.name, service().index.grid.name_at(place.lon, place.lat)


def _add_part(kind: str, value: str, against: bool, name: str = "") -> None:
    try:
        part = Part(kind, value, name=name)
    except MarsMapError as error:
        page_state().problem = str(error)
    else:
        page_state().add(_turned(part, against))


def _turned(part: Part, against: bool) -> Part:
    return part.with_(against=True, weight=AGAINST_WEIGHT) if against else part
