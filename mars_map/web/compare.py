"""Two queries compared, over HTTP: agreement, sets of hits, the picture of the difference."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple, cast, get_args
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import Response

from mars_map.analysis.compare import Comparison, Which, compare, counterpart
from mars_map.errors import QueryError
from mars_map.maps.basemap import Picture
from mars_map.maps.difference import (
    SPAN,
    difference_colours,
    difference_png,
    polar_difference_png,
)
from mars_map.maps.raster import check_polar_tile
from mars_map.planet.polar import Pole
from mars_map.search import Query, Result
from mars_map.web.indexes import INDEX_PARAM, chosen_index
from mars_map.web.params import query_from_params, query_from_request, query_string
from mars_map.web.polar import polar_address
from mars_map.web.rasters import heat_query, picture_reply
from mars_map.web.replies import json_reply
from mars_map.web.service import service

KEPT = 4
"""Comparisons that are kept; one of 1.44 million tiles takes 15 MB."""
OTHER_PARAM = "b"
"""Address parameter that holds the other query's own address parameters."""


class Other(NamedTuple):
    """What a query is compared with."""

    query: Query
    """The other query."""
    index: str = ""
    """Name of the index that it searches; the first one's where there is no name."""

    @property
    def subject(self) -> "Other":
        """The same without limits, which are always those of the first query."""
        return self._replace(query=self.query.subject)

    @property
    def label(self) -> str:
        """What it is called."""
        return f"{self.query.label} ({self.index})" if self.index else self.query.label

    @property
    def address(self) -> str:
        """Its address parameters; `read_other` reads them back."""
        index = {INDEX_PARAM: self.index} if self.index else {}
        return "&".join(filter(None, [query_string(self.query), urlencode(index)]))


def comparison(request: Request) -> Response:
    """Answer `/mars/compare?{query}&b=` with how far two queries agree.

    `spearman` (value, low, high; or null), `jaccard`, `sets` with `tiles` and `km2` of each, `hits`
    with their numbers, the best first; and the legend of the difference: `colours` from the other
    query's side to the first's, and `span`, the difference of percentiles at their ends.
    """
    found = compared(request)
    hits = {which: found.hits(which).tolist() for which in get_args(Which)}
    legend = {"colours": difference_colours(), "span": SPAN}
    return json_reply(found.to_dict() | {"hits": hits} | legend)


def difference(request: Request) -> Response:
    """Answer `/mars/difference.png?{query}&b=` with the difference of two queries.

    The planet in plate carrée: red where the query ranks the ground higher than the other does,
    blue where it is the other way round.
    """
    key = ("difference", *_colours_of(request))
    return picture_reply(request, key, _difference_picture)


def polar_difference(request: Request) -> Response:
    """Answer `/mars/polar/{pole}/difference/{z}/{x}/{y}.png?{query}&b=` with a tile of it."""
    key = ("polar difference", *_colours_of(request), *polar_address(request))
    return picture_reply(request, key, _polar_tile)


def compared(request: Request) -> Comparison:
    """Return the comparison that an address asks for. Raises QueryError without another query."""
    a, b = queries_of(request)
    # Placed anew: the page's tab, the map and the picture then share one comparison.
    return compare_queries(a, b.subject)


def queries_of(request: Request) -> tuple[Query, Other]:
    """Return the query of an address and the other one. Raises QueryError."""
    text = request.query_params.get(OTHER_PARAM, "")
    return query_from_request(request), read_other(text)


def read_other(text: str) -> Other:
    """Read a query from its own address parameters, such as "q=dunes" or "q=dunes&index=planet".

    Raises like `query_from_params`, and QueryError for nothing.
    """
    if not text.strip("?& "):
        raise QueryError("Name a second query in b, such as b=q%3Ddunes.")
    params = parse_qs(text.removeprefix("?"))
    return Other(query_from_params(params), params.get(INDEX_PARAM, [""])[-1])


def compare_queries(a: Query, b: Other) -> Comparison:
    """Compare the answers to two queries, the other one searched where the first is.

    The last few are kept. Raises like `Service.search` and `compare`, and QueryError for another
    index and anything but words.
    """
    return _compare(a, b, service().index.digest)


def place_other(first: Result, b: Other) -> Other:
    """Return the other query as it is searched: where the first one is, for as much ground."""
    with on_index(b):
        return b._replace(query=counterpart(first, b.query, service().index.n_tiles))


@contextmanager
def on_index(b: Other) -> Iterator[None]:
    """Search the index of the other query. Raises QueryError for what means nothing there."""
    if not b.index or b.index == service().index_name:
        yield
        return
    if any(part.kind != "text" for part in b.query.active) or b.query.yes or b.query.no:
        raise QueryError("Another index has other tiles and pictures; compare words with it.")
    with chosen_index(b.index):
        yield


@lru_cache(maxsize=KEPT)
def _compare(a: Query, b: Other, _digest: str) -> Comparison:
    first = service().search(a)
    other = place_other(first, b)
    with on_index(b):
        second = service().search(other.query)
    return compare(first, second)


def _colours_of(request: Request) -> tuple[Query, Other]:
    """Return both queries without what changes no colour: top-k and threshold."""
    _, b = queries_of(request)
    return heat_query(request), b.subject


def _difference_picture(a: Query, b: Other) -> Picture:
    found = compare_queries(a, b)
    return Picture(difference_png(found.percentiles, found.grid), "image/png")


def _polar_tile(a: Query, b: Other, pole: Pole, z: int, x: int, y: int) -> Picture:
    check_polar_tile(z, x, y)
    found = compare_queries(a, b)
    picture = polar_difference_png(found.percentiles, found.grid, pole, (z, x, y))
    return Picture(picture, "image/png")


def which_of(text: str) -> Which | None:
    """Return the set of hits that a text names; None for no such set."""
    return cast(Which, text) if text in get_args(Which) else None
