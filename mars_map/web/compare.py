"""Two queries compared, over HTTP: agreement, sets of hits, the picture of the difference."""

from functools import lru_cache
from typing import cast, get_args
from urllib.parse import parse_qs

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
from mars_map.search import Query
from mars_map.web.params import query_from_params, query_from_request
from mars_map.web.polar import polar_address
from mars_map.web.rasters import picture_reply
from mars_map.web.replies import json_reply
from mars_map.web.service import service

KEPT = 4
"""Comparisons that are kept; one of 1.44 million tiles takes 15 MB."""
OTHER_PARAM = "b"
"""Address parameter that holds the other query's own address parameters."""


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
    a, b = (_without_hits(query) for query in queries_of(request))
    return picture_reply(request, ("difference", a, b), _difference_picture)


def polar_difference(request: Request) -> Response:
    """Answer `/mars/polar/{pole}/difference/{z}/{x}/{y}.png?{query}&b=` with a tile of it."""
    a, b = (_without_hits(query) for query in queries_of(request))
    key = ("polar difference", a, b, *polar_address(request))
    return picture_reply(request, key, _polar_tile)


def compared(request: Request) -> Comparison:
    """Return the comparison that an address asks for. Raises QueryError without another query."""
    return compare_queries(*queries_of(request))


def queries_of(request: Request) -> tuple[Query, Query]:
    """Return the query of an address and the other one in its place. Raises QueryError."""
    text = request.query_params.get(OTHER_PARAM, "")
    return query_from_request(request), other_query(text)


def other_query(text: str) -> Query:
    """Read a query from its own address parameters, such as "q=dunes". Raises like
    `query_from_params`, and QueryError for nothing.
    """
    if not text.strip("?& "):
        raise QueryError("Name a second query in b, such as b=q%3Ddunes.")
    return query_from_params(parse_qs(text.removeprefix("?")))


def compare_queries(a: Query, b: Query) -> Comparison:
    """Compare the answers to two queries, the other one searched where the first is.

    The last few are kept. Raises like `Service.search` and `compare`.
    """
    return _compare(a, b, service().index.digest)


@lru_cache(maxsize=KEPT)
def _compare(a: Query, b: Query, _digest: str) -> Comparison:
    first = service().search(a)
    return compare(first, service().search(counterpart(first, b)))


def _without_hits(query: Query) -> Query:
    """Return a query without what changes no colour: top-k and threshold."""
    return query.subject.with_(region=query.region, filters=query.filters)


def _difference_picture(a: Query, b: Query) -> Picture:
    found = compare_queries(a, b)
    return Picture(difference_png(found.percentiles, found.grid), "image/png")


def _polar_tile(a: Query, b: Query, pole: Pole, z: int, x: int, y: int) -> Picture:
    check_polar_tile(z, x, y)
    found = compare_queries(a, b)
    picture = polar_difference_png(found.percentiles, found.grid, pole, (z, x, y))
    return Picture(picture, "image/png")


def which_of(text: str) -> Which | None:
    """Return the set of hits that a text names; None for no such set."""
    return cast(Which, text) if text in get_args(Which) else None
