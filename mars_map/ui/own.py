"""The covariates that a visitor brought: kept by index, shown by "Why here", and taken along."""

from collections.abc import Iterable
from typing import NamedTuple

import streamlit as st

from mars_map.analysis.why import Measured
from mars_map.covariates.packed import PackedCovariate
from mars_map.export.session import MAX_COVARIATE_BYTES, MAX_COVARIATES
from mars_map.web import service

KEY, ANSWER_KEY = "mars-own", "mars-why"
MAX_OWN = MAX_COVARIATES
"""Most covariates of a visitor's own: as many as a session file holds."""


class Own(NamedTuple):
    """A covariate that a visitor brought, in both forms that it is needed in."""

    measured: Measured
    """Its values on the tiles of the index."""
    packed: PackedCovariate
    """The same as a session file holds it, so that they are packed once."""

    @classmethod
    def of(cls, measured: Measured) -> "Own":
        """Pack a covariate."""
        return cls(measured, PackedCovariate.of(*measured))

    @classmethod
    def from_packed(cls, packed: PackedCovariate, n_tiles: int) -> "Own":
        """Unpack a covariate of a file. Raises CovariateError."""
        return cls(Measured(packed.covariate, packed.unpack(n_tiles)), packed)


def own_covariates() -> dict[str, Own]:
    """Return the visitor's own covariates of the present index by name."""
    return st.session_state.setdefault(f"{KEY}-{service().index.digest}", {})


def use_covariates(own: Iterable[Own]) -> None:
    """Let these take the place of the visitor's own covariates of the present index."""
    named = {one.measured.covariate.name: one for one in own}
    st.session_state[f"{KEY}-{service().index.digest}"] = named
    # What was explained may have rested on others of the same names.
    st.session_state.pop(ANSWER_KEY, None)


def fitting(own: Iterable[Own]) -> tuple[PackedCovariate, ...]:
    """Return the packed covariates that a session file has room for, the oldest first."""
    room, found = MAX_COVARIATE_BYTES, []
    for one in own:
        if len(one.packed.data) <= room:
            room -= len(one.packed.data)
            found.append(one.packed)
    return tuple(found)
