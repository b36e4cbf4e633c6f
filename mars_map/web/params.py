"""A `Query` as readable address parameters, the same for the page and for every route.

q=impact crater            the words
like=r176c0372             an example tile; repeat it for more
part=text*0.7:dunes        a part with a weight; repeat it for more. Before the colon stands text,
                           tile or vector; "-" before that means "but not", "~" muted. Behind the
                           value of a tile or a vector, a second colon and its name may follow
yes=r1c2,r1c3  no=r9c1     tiles that were called right and wrong
where=elevation:..-2000    a filter, LOW..HIGH; repeat it for more
prompt=a photo of {}       a template of the prompt ensemble; repeat it; absent for the default
box=-60,-20,-30,0          region: west, south, east, north
band=-30,30                region: south, north
polygon=0,0;10,0;5,8       region: corners as longitude,latitude
polygons=...~...|...       region: several polygons, each with its holes behind "~"
circle=137.8,-5.4,77,Gale  region: centre, radius in kilometres, and what lies there if it is known
quad=MC-23                 region: one of the thirty quadrangles
k=500  min=0.3             top-k and threshold
"""

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlencode

from starlette.requests import Request

from mars_map.encoders.prompts import DEFAULT_PROMPTS
from mars_map.errors import QueryError, RegionError
from mars_map.planet.coordinates import parse_latitude
from mars_map.planet.regions import (
    Box,
    Circle,
    LatitudeBand,
    MultiPolygon,
    Polygon,
    Quadrangle,
    Region,
    Ring,
    parse_box,
    parse_circle,
)
from mars_map.search import Part, Query
from mars_map.search.parts import parse_filter
from mars_map.search.query import DEFAULT_TOP_K, plain_kind

PART_PATTERN = re.compile(r"(~?-?)(text|tile|vector)(?:\*(\d*\.?\d+))?:(.*)", re.DOTALL)
Params = Mapping[str, Sequence[str]]
"""Address parameters: each name with all of its values, in order."""


def query_to_params(query: Query) -> dict[str, list[str]]:
    """Return the parameters of a query, defaults left out; `query_from_params` reads them back."""
    params = _subject_params(query)
    if query.words and query.prompts != DEFAULT_PROMPTS:
        params["prompt"] = list(query.prompts)
    params |= {name: [",".join(t)] for name in ("yes", "no") if (t := getattr(query, name))}
    if query.filters:
        params["where"] = [str(one) for one in query.filters]
    if query.region is not None:
        name, value = region_to_param(query.region)
        params[name] = [value]
    if query.top_k != DEFAULT_TOP_K:
        params["k"] = [str(query.top_k)]
    if query.threshold is not None:
        params["min"] = [_number(query.threshold)]
    return params


def _subject_params(query: Query) -> dict[str, list[str]]:
    match plain_kind(query.parts):
        case "text":
            return {"q": [query.text]}
        case "tiles":
            return {"like": list(query.tiles)}
    return {"part": [part_to_param(part) for part in query.parts]} if query.parts else {}


def query_string(query: Query) -> str:
    """Return a query as the part of an address behind the question mark."""
    return urlencode(query_to_params(query), doseq=True)


def query_from_params(params: Params) -> Query:
    """Build a query from address parameters; unknown names are ignored.

    Raises QueryError, RegionError or CoordinateError with one clear sentence.
    """
    words = _last(params, "q")
    parts = [Part("text", words)] if words else []
    parts += [Part("tile", tile) for tile in params.get("like", ())]
    parts += [parse_part(text) for text in params.get("part", ())]
    return Query(
        tuple(parts),
        prompts=tuple(params.get("prompt", DEFAULT_PROMPTS)),
        region=_region(params),
        filters=tuple(parse_filter(text) for text in params.get("where", ())),
        yes=_tiles(params, "yes"),
        no=_tiles(params, "no"),
        top_k=_top_k(_last(params, "k")),
        threshold=_threshold(_last(params, "min")),
    )


def query_from_request(request: Request) -> Query:
    """Build a query from a request's address. Raises like `query_from_params`."""
    names = request.query_params
    return query_from_params({name: names.getlist(name) for name in names})


def has_subject(params: Params) -> bool:
    """Tell whether an address asks for anything."""
    return not params.keys().isdisjoint(("q", "like", "part", "yes"))


def part_to_param(part: Part) -> str:
    """Write a part as the value of `part=`; `parse_part` reads it back."""
    marks = "~" * part.muted + "-" * part.against
    weight = "" if part.weight == 1.0 else f"*{_number(part.weight)}"
    name = f":{part.name}" if part.name and part.kind != "text" else ""
    return f"{marks}{part.kind}{weight}:{part.value}{name}"


def parse_part(text: str) -> Part:
    """Read "text*0.7:dunes", "-tile:r1c2", "~vector*0.3:BASE64:NAME". Raises QueryError."""
    found = PART_PATTERN.fullmatch(text)
    if found is None:
        raise QueryError(
            f'"{text[:60]}" is not a part of a query; write KIND*WEIGHT:VALUE such as '
            "text*0.7:dunes."
        )
    marks, kind, weight, value = found.groups()
    value, _, name = (value, "", "") if kind == "text" else value.partition(":")
    return Part(
        kind, value, float(weight or 1), against="-" in marks, muted="~" in marks, name=name
    )


def region_to_param(region: Region) -> tuple[str, str]:
    """Return the name and the value under which an address holds a region."""
    match region:
        case Box():
            bounds = (region.west, region.south, region.east, region.north)
            return "box", ",".join(_number(v) for v in bounds)
        case LatitudeBand():
            return "band", f"{_number(region.south)},{_number(region.north)}"
        case Polygon():
            return "polygon", _corners(region.vertices)
        case MultiPolygon():
            polygons = ("~".join(map(_corners, rings)) for rings in region.polygons)
            return "polygons", "|".join(polygons)
        case Circle():
            numbers = (_number(v) for v in (region.lon, region.lat, region.radius_km))
            return "circle", ",".join([*numbers, *filter(None, [region.name])])
        case Quadrangle():
            return "quad", region.code
    raise TypeError(f"no parameter for {type(region).__name__}")


def parse_band(text: str) -> LatitudeBand:
    """Read "S,N" in degrees, such as "-30,30". Raises RegionError or CoordinateError."""
    parts = text.split(",")
    if len(parts) != 2:
        raise RegionError(f'"{text[:60]}" is not a latitude band; write S,N such as -30,30.')
    return LatitudeBand(parse_latitude(parts[0]), parse_latitude(parts[1]))


def parse_polygon(text: str) -> Polygon:
    """Read corners "LON,LAT; LON,LAT; ..." in degrees. Raises RegionError."""
    return Polygon(_read_corners(text))


def parse_polygons(text: str) -> MultiPolygon:
    """Read polygons separated by "|", each its corners and then those of holes behind "~".

    Raises RegionError.
    """
    return MultiPolygon(
        tuple(
            tuple(_read_corners(ring) for ring in polygon.split("~")) for polygon in text.split("|")
        )
    )


REGION_READERS: dict[str, Callable[[str], Region]] = {
    "box": parse_box,
    "band": parse_band,
    "polygon": parse_polygon,
    "polygons": parse_polygons,
    "circle": parse_circle,
    "quad": Quadrangle,
}
"""How each kind of region is read from text."""


def _region(params: Params) -> Region | None:
    given = [name for name in REGION_READERS if _last(params, name)]
    if len(given) > 1:
        raise RegionError(f"Give one region only, not {' and '.join(given)} together.")
    return REGION_READERS[given[0]](_last(params, given[0])) if given else None


def _read_corners(text: str) -> Ring:
    try:
        corners = [tuple(float(v) for v in c.split(",")) for c in text.split(";") if c.strip()]
        return tuple((lon, lat) for lon, lat in corners)
    except ValueError as error:
        raise RegionError(
            "The polygon cannot be read; write its corners as LON,LAT; LON,LAT; LON,LAT."
        ) from error


def _corners(ring: Ring) -> str:
    return ";".join(f"{_number(lon)},{_number(lat)}" for lon, lat in ring)


def _tiles(params: Params, name: str) -> tuple[str, ...]:
    return tuple(tile for value in params.get(name, ()) for tile in value.split(",") if tile)


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
