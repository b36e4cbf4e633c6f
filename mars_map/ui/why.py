"""Why here: what hits have in common that other ground has not, with plots and own covariates."""

import html
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from mars_map.analysis.why import (
    Comparison,
    Distribution,
    Explanation,
    Measured,
)
from mars_map.errors import MarsMapError
from mars_map.search import Query, Result
from mars_map.ui.own import ANSWER_KEY, MAX_OWN, Own, own_covariates, use_covariates
from mars_map.ui.text import plain
from mars_map.ui.uploads import on_disk
from mars_map.web import service
from mars_map.web.why import explainer

if TYPE_CHECKING:
    import altair as alt

CHOICE_KEY = "mars-why-covariate"
PROBLEM_KEY, FILE_KEY = "mars-own-problem", "mars-own-file"
MAX_FILE_MB = 200
FILE_TYPES = ("tif", "tiff", "csv", "geojson", "json", "zip", "gpkg")
HITS_COLOUR, GROUND_COLOUR = "#1f9fb0", "#8a9096"
HELP = (
    "Each line is one respect in which hits may differ from the ground that was searched. The dot "
    "is Cliff's delta: how much likelier it is that a hit has more than a random piece of that "
    "ground than that it has less; -1 and 1 are no overlap. The line is a 95 % interval that knows "
    "that hits come in groups: whole patches of ground are drawn anew, and the pattern of the hits "
    "is turned to random places. A filled dot is a clear difference. One in twenty "
    "of those without any would look clear by chance."
)
CAUTION = (
    "The built-in encoder is told brightness, relief, elevation, albedo and thermal inertia: where "
    "hits differ in these, that may be its doing. Nearness is no cause."
)


def why_tab(result: Result | None) -> None:
    """Draw what the hits have in common."""
    if result is None:
        st.caption("Search for something first; then this tells what sets its hits apart.")
        return
    if not len(result.hits):
        st.caption("There are no hits to explain; lower the threshold or widen the region.")
        return
    own = {name: one.measured for name, one in own_covariates().items()}
    try:
        explanation = _explanation(result, own)
    except MarsMapError as error:
        st.error(plain(str(error), 400))
        return
    with st.container(key="mars-why-sentence"):
        st.markdown(plain(explanation.sentence, 1000))
    st.html(forest(explanation))
    st.caption("Effect size with its 95 % interval", help=HELP)
    _plot(result, explanation, own)
    _bring()
    st.caption(CAUTION)


def forest(explanation: Explanation) -> str:
    """Return the comparisons as lines with dots on a common scale from -1 to 1, in HTML."""
    rows = [_row(one) for one in explanation.comparisons]
    axis = (
        '<div class="axis"><span></span><span class="scale">'
        "<span>\N{LEFTWARDS ARROW} less</span><span>0</span>"
        "<span>more \N{RIGHTWARDS ARROW}</span></span></div>"
    )
    return f'<div class="mars-forest">{axis}{"".join(rows)}</div>'


def figures(one: Comparison) -> str:
    """Return the figures of a comparison as one line of text."""
    if np.isnan(one.delta.value):
        return f"{one.covariate.title}: known for {one.known_hits:,} hits only"
    if not one.varies:
        return one.constancy.removesuffix(".")
    interval = "no interval"
    if one.delta.low is not None and one.delta.high is not None:
        interval = f"95 % {_signed(one.delta.low)} to {_signed(one.delta.high)}"
    hits, ground = (one.covariate.value(v[2]) for v in (one.hits, one.ground))
    return (
        f"{one.covariate.title}: {one.delta.size} difference, delta {_signed(one.delta.value)} "
        f"({interval}); median {hits} against {ground}; greatest gap of the distributions "
        f"{one.gap:.2f}; known for {one.known_share:.0%} of the ground"
    )


def chart(spread: Distribution, comparison: Comparison) -> "alt.LayerChart":
    """Return how hits and ground are spread in one covariate, with their medians."""
    import altair as alt

    covariate = comparison.covariate
    edges, width = spread.edges, float(np.diff(spread.edges)[0])
    names = ("hits", "searched ground")
    rows = [
        {"from": float(edge), "to": float(edge) + width, "share": float(share), "of": name}
        for name, shares in zip(names, (spread.hits, spread.ground), strict=True)
        for edge, share in zip(edges[:-1], shares, strict=True)
    ]
    colour = alt.Color(
        "of:N",
        scale=alt.Scale(domain=list(names), range=[HITS_COLOUR, GROUND_COLOUR]),
        legend=alt.Legend(title=None, orient="top"),
    )
    # What is drawn stands in the box above; the axis tells the unit.
    x = alt.X("from:Q", title=covariate.unit or None, axis=alt.Axis(tickCount=5, grid=False))
    y = alt.Y("share:Q", title="share of area", axis=alt.Axis(format="%", tickCount=3))
    tooltip = [
        alt.Tooltip("from:Q", format=",.4~g"),
        alt.Tooltip("to:Q", format=",.4~g"),
        alt.Tooltip("share:Q", format=".1%"),
        "of:N",
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y, color=colour, tooltip=tooltip)
    ground = base.transform_filter(alt.datum.of == names[1]).mark_area(
        interpolate="step-after", opacity=0.45
    )
    hits = base.transform_filter(alt.datum.of == names[0]).mark_line(
        interpolate="step-after", strokeWidth=2
    )
    middles = [
        {"from": value[2], "of": name}
        for name, value in zip(names, (comparison.hits, comparison.ground), strict=True)
        if np.isfinite(value[2])
    ]
    medians = (
        alt.Chart(alt.Data(values=middles))
        .mark_rule(strokeDash=[4, 3])
        .encode(x="from:Q", color=colour)
    )
    return alt.layer(ground, hits, medians).properties(height=190)


def _plot(result: Result, explanation: Explanation, own: dict[str, Measured]) -> None:
    names = [one.covariate.name for one in explanation.comparisons]
    if st.session_state.get(CHOICE_KEY) not in names:
        st.session_state[CHOICE_KEY] = names[0]
    titles = {one.covariate.name: one.covariate.title for one in explanation.comparisons}
    chosen = st.selectbox(
        "Covariate",
        names,
        format_func=lambda name: titles[name],
        key=CHOICE_KEY,
        label_visibility="collapsed",
    )
    comparison = next(one for one in explanation.comparisons if one.covariate.name == chosen)
    line = figures(comparison)
    if not np.isnan(comparison.delta.value):
        engine = service().engine
        measured = own.get(chosen) or Measured(comparison.covariate, engine.covariate(chosen))
        spread = explainer(engine).distribution(result, measured)
        st.altair_chart(chart(spread, comparison), alt=line)
    st.caption(plain(f"{line}. Source: {comparison.covariate.source}.", 700))


def _bring() -> None:
    with st.expander("Add a raster or a catalogue of your own", key="mars-own-box"):
        number = st.session_state.setdefault(f"{FILE_KEY}-number", 0)
        key = f"{FILE_KEY}-{number}"
        st.file_uploader(
            "GeoTIFF of Mars, or features as CSV, GeoJSON, zipped shapefile or GeoPackage",
            FILE_TYPES,
            key=key,
            max_upload_size=MAX_FILE_MB,
            on_change=lambda: _take(key),
            help="Of a raster the mean over each tile is taken, of features the distance to the "
            "nearest. The session file (tab Export) takes it along; an address cannot.",
        )
        problem = st.session_state.pop(PROBLEM_KEY, "")
        if problem:
            st.error(plain(problem, 400))
        for name, one in list(own_covariates().items()):
            st.button(
                plain(f"Remove {one.measured.covariate.title}", 60),
                key=f"mars-own-x-{name}",
                icon=":material/close:",
                type="tertiary",
                on_click=lambda name=name: own_covariates().pop(name, None),
            )


def _take(key: str) -> None:
    """Read what was uploaded; where that fails, everything stays and a sentence says why."""
    upload = st.session_state[key]
    if upload is None:
        return
    from mars_map.analysis.own import read_own

    st.session_state[f"{FILE_KEY}-number"] += 1
    own = own_covariates()
    if len(own) >= MAX_OWN:
        st.session_state[PROBLEM_KEY] = f"At most {MAX_OWN} covariates of your own; remove one."
        return
    try:
        with on_disk(upload) as path:
            measured = read_own(path, service().index.grid)
    except MarsMapError as error:
        st.session_state[PROBLEM_KEY] = str(error)
    else:
        use_covariates([*own.values(), Own.of(measured)])
        st.session_state[CHOICE_KEY] = measured.covariate.name


def _explanation(result: Result, own: dict[str, Measured]) -> Explanation:
    """Return the explanation of an answer, again where nothing has changed."""
    key: tuple[Query, str, Any] = (result.query, result.index.digest, tuple(own))
    known = st.session_state.get(ANSWER_KEY)
    if known is None or known[0] != key:
        with st.spinner("Comparing with the planet…"):
            found = explainer(service().engine).explain(result, list(own.values()))
        known = st.session_state[ANSWER_KEY] = (key, found)
    return known[1]


def _row(one: Comparison) -> str:
    name, title = html.escape(one.covariate.title), html.escape(figures(one), quote=True)
    marks = ""
    if not np.isnan(one.delta.value):
        if one.delta.low is not None and one.delta.high is not None:
            left, right = _percent(one.delta.low), _percent(one.delta.high)
            marks = f'<i class="line" style="left:{left:.1f}%;width:{right - left:.1f}%"></i>'
        marks += f'<i class="dot" style="left:{_percent(one.delta.value):.1f}%"></i>'
    kind = ' class="clear"' if one.delta.is_clear else ""
    return f'<div{kind} title="{title}"><span>{name}</span><span class="scale">{marks}</span></div>'


def _percent(delta: float) -> float:
    return 50.0 * (delta + 1.0)


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
