"""A `Query` as readable address parameters, the same for the page and for every route.

q=impact crater            the words
like=r176c0372             an example tile; repeat it for more
prompt=a photo of {}       a template of the prompt ensemble; repeat it; absent for the default
box=-60,-20,-30,0          region: west, south, east, north
band=-30,30                region: south, north
polygon=0,0;10,0;5,8       region: corners as longitude,latitude
k=500  min=0.3             top-k and threshold
"""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlencode

from starlette.requests import Request

from mars_map.encoders.prompts import DEFAULT_PROMPTS
from mars_map.errors import QueryError, RegionError
from mars_map.planet.coordinates import parse_latitude
from mars_map.planet.regions import Box, LatitudeBand, Polygon, Region, parse_box
from mars_map.search import Query
from mars_map.search.query import DEFAULT_TOP_K

Params = Mapping[str, Sequence[str]]
"""Address parameters: each name with all of its values, in order."""


def query_to_params(query: Query) -> dict[str, list[str]]:
    """Return the parameters of a query, defaults left out; `query_from_params` reads them back."""
    params: dict[str, list[str]] = {}
    if query.text:
        params["q"] = [query.text]
        if query.prompts != DEFAULT_PROMPTS:
            params["prompt"] = list(query.prompts)
    if query.tiles:
        params["like"] = list(query.tiles)
    if query.region is not None:
        name, value = region_to_param(query.region)
        params[name] = [value]
    if query.top_k != DEFAULT_TOP_K:
        params["k"] = [str(query.top_k)]
    if query.threshold is not None:
        params["min"] = [_number(query.threshold)]
    return params


def query_string(query: Query) -> str:
    """Return a query as the part of an address behind the question mark."""
    return urlencode(query_to_params(query), doseq=True)


def query_from_params(params: Params) -> Query:
    """Build a query from address parameters; unknown names are ignored.

    Raises QueryError, RegionError or CoordinateError with one clear sentence.
    """
    return Query(
        text=_last(params, "q"),
        tiles=tuple(params.get("like", ())),
        prompts=tuple(params.get("prompt", DEFAULT_PROMPTS)),
        region=_region(params),
        top_k=_top_k(_last(params, "k")),
        threshold=_threshold(_last(params, "min")),
    )


def query_from_request(request: Request) -> Query:
    """Build a query from a request's address. Raises like `query_from_params`."""
    names = request.query_params
    return query_from_params({name: names.getlist(name) for name in names})


def has_subject(params: Params) -> bool:
    """Tell whether an address asks for words or example tiles."""
    return "q" in params or "like" in params


def region_to_param(region: Region) -> tuple[str, str]:
    """Return the name and the value under which an address holds a region."""
    match region:
        case Box():
            bounds = (region.west, region.south, region.east, region.north)
            return "box", ",".join(_number(v) for v in bounds)
        case LatitudeBand():
            return "band", f"{_number(region.south)},{_number(region.north)}"
        case Polygon():
            corners = (f"{_number(lon)},{_number(lat)}" for lon, lat in region.vertices)
            return "polygon", ";".join(corners)
    raise TypeError(f"no parameter for {type(region).__name__}")


def parse_band(text: str) -> LatitudeBand:
    """Read "S,N" in degrees, such as "-30,30". Raises RegionError or CoordinateError."""
    parts = text.split(",")
    if len(parts) != 2:
        raise RegionError(f'"{text[:60]}" is not a latitude band; write S,N such as -30,30.')
    return LatitudeBand(parse_latitude(parts[0]), parse_latitude(parts[1]))


def parse_polygon(text: str) -> Polygon:
    """Read corners "LON,LAT; LON,LAT; ..." in degrees. Raises RegionError."""
    try:
        corners = [tuple(float(v) for v in c.split(",")) for c in text.split(";") if c.strip()]
        vertices = tuple((lon, lat) for lon, lat in corners)
    except ValueError as error:
        raise RegionError(
            "The polygon cannot be read; write its corners as LON,LAT; LON,LAT; LON,LAT."
        ) from error
    return Polygon(vertices)


REGION_READERS: dict[str, Callable[[str], Region]] = {
    "box": parse_box,
    "band": parse_band,
    "polygon": parse_polygon,
}
"""How each kind of region is read from text."""


def _region(params: Params) -> Region | None:
    given = [name for name in REGION_READERS if _last(params, name)]
    if len(given) > 1:
        raise RegionError("Give one region only: a box, a latitude band or a polygon.")
    return REGION_READERS[given[0]](_last(params, given[0])) if given else None


def _top_k(text: str) -> int:
    try:
        return int(text) if text else DEFAULT_TOP_K
    except ValueError as error:
        raise QueryError(f'"{text[:20]}" is not a number of hits; use a whole number.') from error


def _threshold(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError as error:
        raise QueryError(f'"{text[:20]}" is not a score; use a number from -1 to 1.') from error


def _last(params: Params, name: str) -> str:
    values = params.get(name, ())
    return values[-1].strip() if values else ""


def _number(value: float) -> str:
    # Twelve digits: what people type comes back as typed, without binary noise.
    return f"{value:.12g}"
