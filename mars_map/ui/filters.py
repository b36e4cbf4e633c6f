"""Filters: only ground within limits of elevation, slope, thermal inertia, albedo or latitude."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import streamlit as st

from mars_map.covariates import COVARIATES, FILTERS, Covariate
from mars_map.errors import MarsMapError
from mars_map.search import Filter
from mars_map.ui.regions import region_label
from mars_map.ui.state import PageState, page_state
from mars_map.ui.text import plain
from mars_map.web import service

STEPS = {
    "elevation": 100.0,
    "slope": 0.1,
    "thermal_inertia": 10.0,
    "albedo": 0.005,
    "latitude": 1.0,
}
"""Steps of the sliders, in the covariates' units."""
BARS = 48
"""Bars of the hint how the planet is spread."""
STYLE = Path(__file__).with_name("bench.css")
KIND_KEY = "mars-filter-kind"


class Spread(NamedTuple):
    """How a covariate is spread over the planet."""

    low: float
    """Left end of the slider: the least value, rounded down to a step."""
    high: float
    """Right end: the greatest value, rounded up."""
    shares: tuple[float, ...]
    """Share of the planet's area in each of `BARS` equal parts between them."""


def limit_chips(state: PageState) -> None:
    """Show region and filters below the words; a click takes one away."""
    limits = state.limits
    if limits.region is None and not limits.filters:
        return
    with st.container(horizontal=True, key="mars-limit-chips"):
        if limits.region is not None:
            _chip(region_label(limits.region), "mars-region-x", {"region": None})
        for number, one in enumerate(limits.filters):
            rest = (*limits.filters[:number], *limits.filters[number + 1 :])
            _chip(filter_label(one), f"mars-filter-x-{number}", {"filters": rest})


def filters(state: PageState) -> None:
    """Draw the choice of a filter, its slider and how the planet is spread."""
    st.html(STYLE)
    active = {one.covariate for one in state.limits.filters}
    with st.expander("Filters", key="mars-filter-box"):
        name = st.pills(
            "Only ground with limits of",
            FILTERS,
            format_func=lambda name: COVARIATES[name].title + (" •" if name in active else ""),
            key=KIND_KEY,
            help="Tiles outside of the limits, or where the value is not known, are not ranked. "
            "Values are means over each tile.",
        )
        if name:
            _slider(state, COVARIATES[name])


def filter_label(one: Filter) -> str:
    """Write a filter for people: "Elevation up to −2,000 m"."""
    covariate = COVARIATES.get(one.covariate)
    if covariate is None:
        return str(one)
    low, high = (None if v is None else covariate.value(v) for v in (one.low, one.high))
    if low is None:
        return f"{covariate.title} up to {high}"
    return f"{covariate.title} from {low}" if high is None else f"{covariate.title} {low} to {high}"


@lru_cache(maxsize=64)
def spread(digest: str, name: str) -> Spread:
    """Return how a covariate is spread over the planet of the served index with that digest.

    Raises CovariateError or QueryError where it is not known.
    """
    values = service().engine.covariate(name).astype(float)
    known = np.isfinite(values)
    step = STEPS[name]
    low = float(np.floor(values[known].min() / step) * step)
    high = float(np.ceil(values[known].max() / step) * step)
    high = max(high, low + step)
    area = service().index.grid.areas_km2
    counts, _ = np.histogram(values[known], BARS, (low, high), weights=area[known])
    return Spread(low, high, tuple((counts / counts.sum()).tolist()))


def _chip(label: str, key: str, changes: dict) -> None:
    st.button(
        plain(label, 60),
        key=key,
        icon=":material/close:",
        help="Search without this limit",
        on_click=lambda: page_state().ask(**changes),
    )


def _slider(state: PageState, covariate: Covariate) -> None:
    name = covariate.name
    try:
        planet = spread(service().index.digest, name)
    except MarsMapError as error:
        st.error(plain(str(error), 400))
        return
    key = f"mars-filter-{name}"
    present = next((one for one in state.limits.filters if one.covariate == name), None)
    low, high = _shown(present, planet)

    def change() -> None:
        chosen_low, chosen_high = st.session_state[key]
        others = tuple(one for one in page_state().limits.filters if one.covariate != name)
        least = None if chosen_low <= planet.low else round(chosen_low, 6)
        most = None if chosen_high >= planet.high else round(chosen_high, 6)
        none = least is None and most is None
        page_state().ask(filters=others if none else (*others, Filter(name, least, most)))

    # The slider shows the query, also after an address, undo or a chip changed it.
    st.session_state[key] = (low, high)
    st.html(_bars(planet, low, high))
    decimals = max(covariate.decimals - 1, 0) if STEPS[name] < 1 else 0
    st.slider(
        f"{covariate.title}{f', {covariate.unit}' if covariate.unit else ''}",
        planet.low,
        planet.high,
        step=STEPS[name],
        format=f"%.{max(decimals, 2 if name == 'albedo' else 0)}f",
        key=key,
        on_change=change,
        help=covariate.source,
    )


def _shown(present: Filter | None, planet: Spread) -> tuple[float, float]:
    """Return where the slider stands: within its ends, whatever an address asks for."""
    low = planet.low if present is None or present.low is None else present.low
    high = planet.high if present is None or present.high is None else present.high
    low, high = (float(np.clip(v, planet.low, planet.high)) for v in (low, high))
    return low, high


def _bars(planet: Spread, low: float, high: float) -> str:
    """Draw the planet's shares as bars; those within the limits in the accent colour."""
    top = max(planet.shares) or 1.0
    width = (planet.high - planet.low) / BARS
    bars = []
    for number, share in enumerate(planet.shares):
        middle = planet.low + (number + 0.5) * width
        kind = ' class="in"' if low <= middle <= high else ""
        # The square root keeps rare values visible beside common ones.
        height = 100 * (share / top) ** 0.5
        bars.append(f'<i{kind} style="height:{height:.0f}%"></i>')
    title = "How the planet is spread, by area; heights are square roots"
    return f'<div class="mars-bars" title="{title}">{"".join(bars)}</div>'
