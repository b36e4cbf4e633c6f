"""OGC API Features: the hits of a query as a collection that QGIS and GDAL read over HTTP.

The query is in the address of every page, as on every other route, and every link carries it on:
`/mars/ogc?q=dunes&k=2000`.

Coordinates are on Mars, although the standard knows no default but the Earth's. Who asks for
nothing gets longitude and latitude, as GeoJSON has them, with a `crs` member that readers of files
understand. Who asks for the CRS of the collection (`crs=`, part 2 of the standard; GDAL does) gets
them in the order of that CRS, latitude first, with the header `Content-Crs`.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from mars_map.errors import QueryError
from mars_map.maps.footprints import COLUMNS, iso_date
from mars_map.planet.sphere import CRS_URN
from mars_map.search import Result
from mars_map.search.records import hit_records
from mars_map.web.parameters import QUERY
from mars_map.web.params import has_subject, query_from_request
from mars_map.web.replies import json_reply, refusal
from mars_map.web.service import service
from mars_map.web.tiles import server_address

CRS_URI = "http://www.opengis.net/def/crs/IAU/2015/49900"
"""The tiles' CRS as OGC API writes it."""
CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
)
COLLECTION = "hits"
DEFAULT_LIMIT = 1_000
MAX_LIMIT = 20_000
"""Most features of one page."""
PAGE_PARAMS = ("bbox", "bbox-crs", "crs", "limit", "offset", "f")
PASSED_OVER = ("tile", "anyway")
"""Parameters of the page's own address, which people will copy from there."""
GEOJSON = "application/geo+json"
JSON = "application/json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.1"


def landing(request: Request) -> Response:
    """Answer `/mars/ogc?{query}`, the landing page of OGC API Features, with links to all else."""
    _check_names(request)
    here = server_address(request)
    return json_reply(
        {
            "title": "mars_map",
            "description": "Tiles of Mars by likeness to a query; longitude and latitude on Mars.",
            "links": [
                _link("self", f"{here}/ogc", JSON, request),
                {"rel": "service-desc", "href": f"{here}/openapi.json", "type": OPENAPI},
                {"rel": "service-doc", "href": f"{here}/docs", "type": "text/html"},
                _link("conformance", f"{here}/ogc/conformance", JSON, request),
                _link("data", f"{here}/ogc/collections", JSON, request),
            ],
        }
    )


def conformance(request: Request) -> Response:
    """Answer `/mars/ogc/conformance` with the parts of the standard that are kept."""
    _check_names(request)
    return json_reply({"conformsTo": CONFORMANCE})


def collections(request: Request) -> Response:
    """Answer `/mars/ogc/collections?{query}` with the only collection, the hits."""
    _check_names(request)
    here = f"{server_address(request)}/ogc/collections"
    return json_reply(
        {
            "links": [_link("self", here, JSON, request)],
            "collections": [_collection(request)],
        }
    )


def collection(request: Request) -> Response:
    """Answer `/mars/ogc/collections/{collection}?{query}` with what the hits are and where."""
    _check_names(request)
    if request.path_params["collection"] != COLLECTION:
        return _no_collection()
    return json_reply(_collection(request))


def items(request: Request) -> Response:
    """Answer `/mars/ogc/collections/{collection}/items?{query}&bbox=&limit=&offset=
    &crs=&bbox-crs=` with the hits, page by page.

    bbox: west, south, east, north in degrees on Mars, west greater than east across 180; with
    bbox-crs latitudes come first. It chooses among the hits, whereas `box` limits what is ranked.
    `numberMatched` counts all pages.
    """
    _check_names(request)
    if request.path_params["collection"] != COLLECTION:
        return _no_collection()
    limit = min(_whole(request, "limit", DEFAULT_LIMIT, least=1), MAX_LIMIT)
    offset = _whole(request, "offset", 0, least=0)
    result = service().search(query_from_request(request))
    hits = _in_box(result, request)
    page = hits[offset : offset + limit]
    here = f"{server_address(request)}/ogc/collections/{COLLECTION}/items"
    links = [_link("self", here, GEOJSON, request)]
    if offset + limit < len(hits):
        links.append(_link("next", here, GEOJSON, request, offset=offset + limit, limit=limit))
    if offset:
        before = max(0, offset - limit)
        links.append(_link("prev", here, GEOJSON, request, offset=before, limit=limit))
    links.append(
        _link("collection", f"{server_address(request)}/ogc/collections/hits", JSON, request)
    )
    return _geojson_reply(
        request,
        {
            "type": "FeatureCollection",
            "timeStamp": iso_date(datetime.now(UTC)),
            "numberMatched": len(hits),
            "numberReturned": len(page),
            "links": links,
            "features": [_feature(hit, request) for hit in page],
        },
    )


def item(request: Request) -> Response:
    """Answer `/mars/ogc/collections/{collection}/items/{tile}?{query}` with one of the hits."""
    _check_names(request)
    if request.path_params["collection"] != COLLECTION:
        return _no_collection()
    result = service().search(query_from_request(request))
    tile = request.path_params["tile"]
    for hit in hit_records(result):
        if hit["tile"] == tile:
            here = f"{server_address(request)}/ogc/collections/{COLLECTION}"
            links = [
                _link("self", f"{here}/items/{tile}", GEOJSON, request),
                _link("collection", here, JSON, request),
            ]
            feature = _feature(hit, request)
            return _geojson_reply(request, feature | {"links": links})
    return refusal(404, "That tile is not among the hits of this query.")


def _collection(request: Request) -> dict[str, Any]:
    here = f"{server_address(request)}/ogc/collections/{COLLECTION}"
    asked = has_subject(request.query_params)
    title = f"{query_from_request(request).label} · hits" if asked else "Hits"
    return {
        "id": COLLECTION,
        "title": title,
        "description": "The tiles that match the query best, with score and rank. On Mars: "
        "planetocentric latitude, longitude positive east, sphere of 3,396.19 km.",
        "itemType": "feature",
        "crs": [CRS_URI],
        "storageCrs": CRS_URI,
        "extent": {"spatial": {"bbox": [[-180.0, -90.0, 180.0, 90.0]], "crs": CRS_URI}},
        "links": [
            _link("self", here, JSON, request),
            _link("items", f"{here}/items", GEOJSON, request),
        ],
    }


def _feature(hit: Mapping[str, Any], request: Request) -> dict[str, Any]:
    west, south, east, north = hit["bounds"]
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    if "crs" in request.query_params:
        ring = [[lat, lon] for lon, lat in ring]
    values = {name: value for name, value in hit.items() if name in COLUMNS}
    return {
        "type": "Feature",
        "id": hit["tile"],
        "properties": values,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def _in_box(result: Result, request: Request) -> list[dict[str, Any]]:
    """Return the hits, best first, that touch the box of a request.

    Raises QueryError for what is no box.
    """
    hits = hit_records(result)
    text = request.query_params.get("bbox")
    if text is None:
        return hits
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 6:
        # Heights are allowed by the standard and mean nothing here.
        numbers = [numbers[i] for i in (0, 1, 3, 4)]
    if len(numbers) == 4 and "bbox-crs" in request.query_params:
        numbers = [numbers[i] for i in (1, 0, 3, 2)]
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)) or numbers[1] > numbers[3]:
        raise QueryError("bbox has four numbers: west, south, east, north, in degrees.")
    west, south, east, north = numbers
    bounds = np.array([hit["bounds"] for hit in hits]).reshape(-1, 4)
    inside = (bounds[:, 3] >= south) & (bounds[:, 1] <= north)
    from_west, to_east = bounds[:, 2] >= west, bounds[:, 0] <= east
    inside &= (from_west & to_east) if west <= east else (from_west | to_east)
    return [hits[i] for i in np.flatnonzero(inside)]


def _whole(request: Request, name: str, default: int, *, least: int) -> int:
    text = request.query_params.get(name, str(default))
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if value < least:
        raise QueryError(f'"{text[:20]}" is no {name}; give a whole number from {least} on.')
    return value


def _check_names(request: Request) -> None:
    """Refuse parameters that nobody knows, as the standard demands: a slip would go unnoticed."""
    known = {*QUERY, *PAGE_PARAMS, *PASSED_OVER}
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise QueryError(
            f'There is no parameter "{unknown[0][:40]}"; there are {", ".join(sorted(known))}.'
        )
    for name in ("crs", "bbox-crs"):
        if request.query_params.get(name, CRS_URI) != CRS_URI:
            raise QueryError(f"Everything here is on Mars: the only {name} is {CRS_URI}.")


def _link(
    rel: str, address: str, media_type: str, request: Request, **changes: int
) -> dict[str, str]:
    """Return a link that carries the query on, and the rest of the parameters of a page."""
    kept = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in changes and (name in QUERY or rel in ("self", "next", "prev"))
    ]
    params = urlencode([*kept, *changes.items()])
    return {"rel": rel, "href": f"{address}?{params}".rstrip("?"), "type": media_type}


def _geojson_reply(request: Request, value: dict[str, Any]) -> Response:
    if "crs" in request.query_params:
        reply = json_reply(value)
        reply.headers["Content-Crs"] = f"<{CRS_URI}>"
    else:
        reply = json_reply(value | {"crs": {"type": "name", "properties": {"name": CRS_URN}}})
    reply.headers["Content-Type"] = GEOJSON
    return reply


def _no_collection() -> Response:
    return refusal(404, f'There is no such collection; the only one is "{COLLECTION}".')
