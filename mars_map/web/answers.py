"""Answers as JSON: what is searched, search results, and what lies at a point."""

from urllib.parse import quote

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from mars_map.errors import CoordinateError
from mars_map.export import EXPORTERS, export_bytes, file_name
from mars_map.maps.footprints import hit_arrays
from mars_map.maps.heat import heat_palette, heat_scale
from mars_map.planet.coordinates import check_point
from mars_map.planet.gazetteer import point_feature
from mars_map.search.records import result_record
from mars_map.web.layers import basemap_layers
from mars_map.web.params import query_from_request
from mars_map.web.replies import json_reply, speaks_plainly
from mars_map.web.service import service
from mars_map.web.units import layer_of

SUGGESTIONS = 8
"""Most places that complete a name."""
COLOUR_STOPS = 16
"""Colours of the heat map that the legend gets."""


async def health(request: Request) -> Response:
    """Answer `/mars/health`: whether there is an index, and whether words are answered at once.

    Runs on the event loop itself, so that it never waits for a thread behind searches.
    """

    def answer(_request: Request) -> Response:
        index = service().index
        return json_reply({"status": "ok", "index": index.digest, "warm": service().is_warm})

    return speaks_plainly(answer)(request)


def index(_request: Request) -> Response:
    """Answer `/mars/index`: grid, model and basemaps, what the map needs before any query.

    `grid` has `edges`, the latitudes of the row boundaries from the south, and `columns`, the
    number of tiles of each row.
    """
    service().visited.set()
    opened = service().index
    grid = opened.grid
    return json_reply(
        {
            "digest": opened.digest,
            "name": service().index_name,
            "synthetic": opened.manifest.synthetic,
            "model": opened.manifest.model.id,
            "grid": {"edges": grid.row_edges.tolist(), "columns": grid.row_columns.tolist()},
            "layers": basemap_layers(service().basemaps),
        }
    )


def search(request: Request) -> Response:
    """Answer `/mars/search?{query}` with the object that `mars-map search --format json` prints."""
    return json_reply(result_record(service().search(query_from_request(request))))


def footprints(request: Request) -> Response:
    """Answer `/mars/footprints?{query}`: `tiles` (numbers, best first) and `scores`, and the legend
    of the heat map: `colours`, and `low` and `high`, the scores at both ends of them.
    """
    result = service().search(query_from_request(request))
    scale = heat_scale(result.scores)
    # The first half of the palette fades in; the legend shows the colours as if opaque.
    stops = heat_palette()[np.linspace(0, 255, COLOUR_STOPS).astype(int)]
    colours = [f"rgb({red} {green} {blue})" for red, green, blue, _ in stops.tolist()]
    legend = {"low": scale.low, "high": scale.high, "colours": colours}
    return json_reply(hit_arrays(result) | legend)


def export(request: Request) -> Response:
    """Answer `/mars/export/{format}?{query}&as=` with the result as a file to save.

    as: what of it, the hits unless told; see `mars_map.web.units.layer_of`.
    """
    result = service().search(query_from_request(request))
    key = request.path_params["format"]
    layer = layer_of(request)
    body = export_bytes(result, key, layer=layer)
    name = quote(file_name(result, key, layer))
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    return Response(body, headers=headers, media_type=EXPORTERS[key].media_type)


def elevation(request: Request) -> Response:
    """Answer `/mars/elevation?lon=&lat=` with `elevation_m`, metres above the areoid."""
    lon, lat = _point(request)
    return json_reply(
        {"lon": lon, "lat": lat, "elevation_m": service().basemaps.elevation_at(lon, lat)}
    )


def tile_at(request: Request) -> Response:
    """Answer `/mars/tile-at?lon=&lat=` with the tile under a point: `tile`, `bounds`, centre.

    `tile` is null where the grid has none.
    """
    lon, lat = _point(request)
    grid = service().index.grid
    number = int(grid.tile_at(lon, lat))
    if number < 0:
        return json_reply({"tile": None})
    west, south, east, north = grid.bounds(number).tolist()
    return json_reply(
        {
            "tile": grid.names([number])[0],
            "bounds": [west, south, east, north],
            "lon": (west + east) / 2,
            "lat": (south + north) / 2,
        }
    )


def places(request: Request) -> Response:
    """Answer `/mars/places?text=`: features whose name completes the text, or the point it is."""
    text = request.query_params.get("text", "").strip()[:80]
    point = point_feature(text)
    found = [point] if point else service().gazetteer.search(text, SUGGESTIONS)
    return json_reply({"places": [feature._asdict() for feature in found]})


def _point(request: Request) -> tuple[float, float]:
    try:
        lon, lat = (float(request.query_params[name]) for name in ("lon", "lat"))
    except (KeyError, ValueError) as error:
        raise CoordinateError("Give lon and lat in degrees, such as lon=137.8&lat=-5.4.") from error
    return check_point(lon, lat)
