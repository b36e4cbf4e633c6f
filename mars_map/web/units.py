"""Units of hits over HTTP, and which layer of a result an export asks for."""

from starlette.requests import Request
from starlette.responses import Response

from mars_map.errors import ExportError, QueryError
from mars_map.export import HITS, Compared, Layer, Units, export_bytes
from mars_map.web.compare import compared, which_of
from mars_map.web.params import query_from_request
from mars_map.web.service import service


def units(request: Request) -> Response:
    """Answer `/mars/units?{query}&least=` with the units of the hits as GeoJSON in IAU_2015:49900.

    least: smallest area of a unit in km2, 0 unless told.
    """
    result = service().search(query_from_request(request))
    layer = Units(least_area(request.query_params.get("least", "")))
    return Response(export_bytes(result, "geojson", layer=layer), media_type="application/geo+json")


def layer_of(request: Request) -> Layer:
    """Return the layer that `as=` names: hits, units, or both, only-a and only-b with `b=`.

    Raises ExportError for any other, and what `compared` raises.
    """
    name = request.query_params.get("as", HITS.name)
    if name == HITS.name:
        return HITS
    if name == Units.name:
        return Units(least_area(request.query_params.get("least", "")))
    which = which_of(name)
    if which is None:
        raise ExportError(
            f'There is no layer "{name[:40]}"; choose from hits, units, both, only-a, only-b.'
        )
    return Compared(compared(request), which)


def least_area(text: str) -> float:
    """Read a least area in km2, 0 for nothing. Raises QueryError."""
    try:
        return float(text or 0)
    except ValueError:
        raise QueryError(
            f'"{text[:40]}" is no area; give square kilometres, such as 5000.'
        ) from None
