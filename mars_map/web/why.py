"""Why here over HTTP and for the page: one explainer an engine, shared by all visitors."""

from functools import cache

from starlette.requests import Request
from starlette.responses import Response

from mars_map.analysis.why import Explainer
from mars_map.search import Engine
from mars_map.web.params import query_from_request
from mars_map.web.replies import json_reply
from mars_map.web.service import service


@cache
def explainer(engine: Engine) -> Explainer:
    """Return what explains the answers of an engine; it keeps what it has sorted."""
    return Explainer(engine.covariate)


def why(request: Request) -> Response:
    """Answer `/mars/why?{query}` with what sets the hits apart from the ground that was searched.

    The object that `mars-map why --json` prints: `sentence`, and `comparisons` with effect sizes,
    intervals and quantiles.
    """
    query = query_from_request(request)
    engine = service().engine
    explanation = explainer(engine).explain(service().search(query))
    return json_reply(
        {"query": query.to_dict(), "index": engine.index.digest} | explanation.to_dict()
    )
