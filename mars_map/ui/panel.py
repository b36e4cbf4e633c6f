"""The panel on the left: words, examples, recent queries, limits, region, filters and prompts."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mars_map.encoders.prompts import DEFAULT_PROMPTS
from mars_map.planet.gazetteer import Feature, fold_name
from mars_map.search import Estimate, Part, Query, Result
from mars_map.search.query import MAX_TOP_K
from mars_map.ui.filters import filters, limit_chips
from mars_map.ui.indexes import index_switch
from mars_map.ui.parts import parts
from mars_map.ui.regions import regions, show_region
from mars_map.ui.state import PageState, page_state
from mars_map.ui.text import plain
from mars_map.ui.threshold import histogram, threshold
from mars_map.web import service

EXAMPLES = (
    "impact crater with a central peak",
    "canyon with steep walls",
    "chaos terrain",
    "shield volcano",
    "dunes inside craters",
    "wrinkle ridges",
    "polar ice cap",
    "landslides in a canyon",
)
"""Queries that the embedded encoder answers well."""
RECENT = 6
ESTIMATE_HELP = (
    "Learned on blocks of the planet that the encoder was not trained on: how often tiles with "
    "such scores show the landform within about 30 km of their centre, by catalogues, named "
    "features and measured terrain. Tiles of which these cannot tell are left out. The brackets "
    "are meant to hold the true share nine times in ten; About tells how often they did. They are "
    "wide where blocks differ, or where few examples are known."
)


def panel(state: PageState) -> DeltaGenerator:
    """Draw the panel; what is chosen in it changes the state before the next run.

    Returns the place below the words where the outcome of the search belongs.
    """
    _follow(state)
    st.html('<h1 class="mars-title">mars_map</h1>')
    index_switch(state)
    st.text_input(
        "Search Mars in plain words",
        key="mars-words",
        placeholder="impact crater with a central peak",
        on_change=_search_words,
        help="Describe a landform in English. Every tile of the planet gets a score for how well "
        "its picture fits the words. Press / to type here.",
    )
    parts(state)
    limit_chips(state)
    outcome = st.container()
    _history(state)
    _examples()
    if state.query is None:
        _teach()
    _limits()
    regions()
    filters(state)
    _prompts(state)
    return outcome


def summary(result: Result) -> None:
    """Say in one line what was found, below the query."""
    n, total = len(result.hits), result.index.n_tiles
    where = " in the region" if result.query.region else ""
    took = f"{result.timing_ms['total']:.0f} ms"
    # Words stand in the box above; what a query by tile asked for stands nowhere else.
    label = "" if result.query.text else f"{plain(result.query.label)} · "
    if n:
        st.caption(f"{label}{n:,} hits{where} · {total:,} tiles scored · {took}")
    else:
        st.caption(f"No tile{where} reaches the threshold; lower it or widen the region.")
    estimate = result.estimate
    if estimate is not None and estimate.is_known:
        if estimate.sentence:
            with st.container(key="mars-estimate"):
                st.markdown(plain(estimate.sentence, 400), help=ESTIMATE_HELP)
                if result.refinement:
                    st.caption("By the words: what only your yes and no tell is not in it.")
        _corrections(estimate)
    histogram(result.query)


def doubt(estimate: Estimate, *, held_back: bool) -> None:
    """Say that the words were never taught or name what cannot be seen, and offer a way on.

    held_back: whether the map waits for somebody to insist; else it is on the screen.
    """
    place = _named_place(estimate.words)
    with st.container(key="mars-doubt"):
        if place is not None:
            st.warning(
                plain(
                    f"“{place.name}” is one place ({place.kind}); words find kinds of ground.",
                    200,
                )
            )
        else:
            st.warning(plain(estimate.sentence, 400))
        _corrections(estimate)
        if estimate.suggestions and not estimate.spelling and place is None:
            _choices("Nearest that it knows", "mars-suggestions", estimate.suggestions)
        if held_back:
            st.button("Show anyway", key="mars-anyway", on_click=_insist)


def _corrections(estimate: Estimate) -> None:
    """Offer the words with a slip mended, and the place that has them for a name."""
    if estimate.spelling:
        _choices("Did you mean", "mars-spelling", (estimate.spelling,))
    place = None if estimate.familiarity == "taught" else _named_place(estimate.words)
    if place is not None:
        st.button(
            f"Go to {plain(place.name)} ({place.kind})",
            key="mars-place",
            icon=":material/location_on:",
            on_click=lambda: _go_to(place),
            type="tertiary",
        )


def _choices(label: str, key: str, options: tuple[str, ...]) -> None:
    """Offer taught wordings to search for."""

    def take() -> None:
        words = st.session_state[key]
        if words:
            page_state().search(words)

    # Another query has other choices: the widget must not remember what was chosen before.
    st.session_state[key] = None
    st.pills(label, options, key=key, on_change=take)


def _named_place(words: str) -> Feature | None:
    """Return the feature that has just these words for a name."""
    found = service().gazetteer.search(words, 1)
    if not found:
        return None
    names = (found[0].name, f"{found[0].name} {found[0].kind}")
    return found[0] if fold_name(words) in map(fold_name, names) else None


def _go_to(place: Feature) -> None:
    grid = service().index.grid
    number = int(grid.tile_at(place.lon, place.lat))
    if number >= 0:
        page_state().look_at(str(grid.names([number])[0]), number)
        page_state().tab = "Tile"


def _insist() -> None:
    page_state().anyway = True


def _follow(state: PageState) -> None:
    """Let the widgets show the state where it changed by other means than through them."""
    shown, state.shown = state.shown, (state.query, state.limits)
    if shown == state.shown:
        return
    st.session_state["mars-words"] = state.query.text if state.query else ""
    st.session_state["mars-top-k"] = state.limits.top_k
    st.session_state["mars-threshold"] = state.limits.threshold
    st.session_state["mars-prompts"] = "\n".join(state.limits.prompts)
    # A kind of region that was chosen but not yet given stays open.
    if shown is None or shown[1].region != state.limits.region:
        show_region(state.limits.region)


def _search_words() -> None:
    page_state().search(st.session_state["mars-words"])


def _teach() -> None:
    """Tell a newcomer what this is, where there is no query yet."""
    st.caption(
        "**What this is.** Mars is cut into tiles, and a model that has learned which pictures go "
        "with which words turned each into numbers. Type a landform, and the planet lights up "
        "where its tiles fit.\n\n"
        "**What a score is.** The cosine similarity of your words and a tile, between -1 and 1. "
        "It ranks the tiles of one query; it is no probability, and scores of different queries "
        "do not compare.\n\n"
        "**Without words.** Click the map and ask for what looks like that place."
    )


def _examples() -> None:
    def take() -> None:
        words = st.session_state["mars-examples"]
        st.session_state["mars-examples"] = None
        if words:
            page_state().search(words)

    with st.container(key="mars-examples-box"):
        st.pills("Examples", EXAMPLES, key="mars-examples", on_change=take)


def _history(state: PageState) -> None:
    if not state.history:
        return
    # The newest of each subject: the same words under other limits or labels are no other query.
    newest: dict[tuple[Part, ...] | None, Query] = {}
    for query in reversed(state.history):
        newest.setdefault(query.subject.parts, query)
    newest.pop(state.query.subject.parts if state.query else None, None)
    recent = list(newest.values())

    def take() -> None:
        chosen = st.session_state["mars-recent"]
        st.session_state["mars-recent"] = None
        if chosen is not None:
            page_state().show(recent[chosen])

    with st.container(horizontal=True):
        _step_button("Undo", ":material/undo:", -1, state.position > 0)
        last = len(state.history) - 1
        _step_button("Redo", ":material/redo:", 1, state.position < last)
    if recent:
        with st.container(key="mars-recent-box"):
            st.pills(
                "Recent queries",
                range(len(recent[:RECENT])),
                format_func=lambda i: plain(recent[i].label, 28),
                key="mars-recent",
                on_change=take,
            )


def _step_button(label: str, icon: str, by: int, possible: bool) -> None:
    st.button(
        label,
        icon=icon,
        disabled=not possible,
        on_click=lambda: page_state().step(by),
        type="tertiary",
    )


def _limits() -> None:
    def change() -> None:
        page_state().ask(top_k=st.session_state["mars-top-k"] or 0)

    with st.expander("Limits", key="mars-limits-box"):
        st.number_input(
            "Top-k",
            key="mars-top-k",
            step=1,
            on_change=change,
            help=f"At most this many hits, the best first: 1 to {MAX_TOP_K:,}.",
        )
        threshold()


def _prompts(state: PageState) -> None:
    def change() -> None:
        page_state().ask(prompts=tuple(st.session_state["mars-prompts"].splitlines()))

    def reset() -> None:
        page_state().ask(prompts=DEFAULT_PROMPTS)

    with st.expander("Prompt ensemble", key="mars-prompts-box"):
        st.text_area(
            "One template a line; {} stands for the words",
            key="mars-prompts",
            height=150,
            on_change=change,
            help="The words are put into each template, each sentence becomes a vector, and the "
            "mean of the vectors is searched for. This evens out the wording.",
        )
        is_default = state.limits.prompts == DEFAULT_PROMPTS
        st.button("Reset", on_click=reset, disabled=is_default, type="tertiary")
