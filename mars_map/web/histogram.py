"""The scores of all tiles as a histogram, over HTTP."""

from starlette.requests import Request
from starlette.responses import Response

from mars_map.search.threshold import histogram as histogram_of
from mars_map.web.params import query_from_request
from mars_map.web.replies import json_reply
from mars_map.web.service import service


def histogram(request: Request) -> Response:
    """Answer `/mars/histogram?{query}`: how the scores of the tiles that could be hits lie.

    `edges` of the bins, n + 1; `counts` in the bins, n; `tiles` and `km2` that score at least each
    edge; `cut`, `knee` and `even`, each null or `threshold`, `tiles` and `km2`: where the present
    hits end, where the ranking levels off, and down to where half of the hits are expected right;
    `expected`: the like with `value`, `low` and `high`, the expected share of right hits; and
    `most`, the number of hits that no query goes beyond.
    """
    return json_reply(histogram_of(service().search(query_from_request(request))).to_dict())
