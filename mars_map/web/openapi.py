"""What the server offers, told to programs (OpenAPI 3.1) and to people (one HTML page).

The source is the table of routes: the docstring of each handler gives its address, its parameters
and what it answers ("Answer `/mars/tile-at?lon=&lat=` with ..."), `mars_map.web.parameters` what
the parameters mean, and `ANSWERS` the schema of what comes back.
"""

import html
import inspect
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mars_map.export.provenance import program_version
from mars_map.web.parameters import OTHERS, QUERY, Parameter
from mars_map.web.replies import Handler, json_reply

ROOT = "/mars"
_ADDRESS = re.compile(r"`(?P<path>/mars/[^`?]*)(?:\?(?P<query>[^`]*))?`")
_TURN = re.compile(r"{(\w+)(?::\w+)?}")
"""A name in a path, with Starlette's converter behind it."""

NUMBER = {"type": "number"}
TEXT = {"type": "string"}
NUMBERS = {"type": "array", "items": NUMBER}
BOUNDS = {**NUMBERS, "minItems": 4, "maxItems": 4}
LINKS = {"type": "array", "items": {"$ref": "#/components/schemas/Link"}}


def _object(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object all of whose properties are there."""
    return {"type": "object", "properties": properties, "required": list(properties)}


HIT = _object(
    tile=TEXT,
    lon=NUMBER,
    lat=NUMBER,
    score=NUMBER,
    rank={"type": "integer"},
    bounds=BOUNDS,
)
FEATURE = _object(type={"const": "Feature"}, id=TEXT, properties={"type": "object"}) | {
    "description": "A GeoJSON feature whose coordinates are degrees on Mars."
}
ANSWERS: dict[str, dict[str, Any]] = {
    "/why": _object(
        query={"type": "object"},
        index=TEXT,
        sentence=TEXT,
        hits={"type": "integer"},
        against=TEXT,
        comparisons={"type": "array", "items": {"type": "object"}},
    ),
    "/health": _object(status=TEXT, index=TEXT, warm={"type": "boolean"}),
    "/index": _object(
        digest=TEXT,
        name=TEXT,
        synthetic={"type": "boolean"},
        model=TEXT,
        grid=_object(edges=NUMBERS, columns=NUMBERS),
        layers={"type": "array", "items": {"type": "object"}},
    ),
    "/search": _object(
        query={"type": "object"},
        index={"type": "object"},
        model=_object(id=TEXT, sha256=TEXT),
        hits={"type": "array", "items": HIT},
        timing_ms={"type": "object"},
    ),
    "/footprints": _object(
        tiles={"type": "array", "items": {"type": "integer"}},
        scores=NUMBERS,
        low=NUMBER,
        high=NUMBER,
        colours={"type": "array", "items": TEXT},
    ),
    "/elevation": _object(lon=NUMBER, lat=NUMBER, elevation_m=NUMBER),
    "/tile-at": {
        "type": "object",
        "properties": {
            "tile": {"type": ["string", "null"]},
            "bounds": BOUNDS,
            "lon": NUMBER,
            "lat": NUMBER,
        },
        "required": ["tile"],
    },
    "/places": _object(places={"type": "array", "items": {"type": "object"}}),
    "/ogc": _object(title=TEXT, links=LINKS),
    "/ogc/conformance": _object(conformsTo={"type": "array", "items": TEXT}),
    "/ogc/collections": _object(links=LINKS, collections={"type": "array"}),
    "/ogc/collections/{collection}": _object(id=TEXT, title=TEXT, extent={}, links=LINKS),
    "/ogc/collections/{collection}/items": _object(
        type={"const": "FeatureCollection"},
        numberMatched={"type": "integer"},
        numberReturned={"type": "integer"},
        links=LINKS,
        features={"type": "array", "items": FEATURE},
    ),
    "/ogc/collections/{collection}/items/{tile}": FEATURE,
}
"""Schemas of answers in JSON by the route; other answers in JSON are objects of any kind."""

MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".xml": "application/xml",
    "/wmts": "application/xml",
    "/docs": "text/html",
    "/openapi.json": "application/vnd.oai.openapi+json;version=3.1",
    "/export/{format}": "application/octet-stream",
    "/items": "application/geo+json",
    "/items/{tile}": "application/geo+json",
}
"""What is answered where the route ends so; JSON elsewhere."""


def document(request: Request) -> Response:
    """Answer `/mars/openapi.json` with this description of all routes, OpenAPI 3.1."""
    reply = json_reply(description())
    reply.headers["Content-Type"] = MEDIA_TYPES["/openapi.json"]
    return reply


def page(request: Request) -> Response:
    """Answer `/mars/docs` with the description of all routes for people."""
    return Response(_page(), media_type="text/html")


@cache
def description() -> dict[str, Any]:
    """Return the OpenAPI document of all routes as plain values."""
    # Imported here: the table of routes holds the handlers of this module too.
    from mars_map.web.routes import HANDLERS, LOOP_HANDLERS, POST_HANDLERS

    routes = [("get", *route) for route in (HANDLERS | LOOP_HANDLERS).items()]
    routes += [("post", *route) for route in POST_HANDLERS.items()]
    paths: dict[str, dict[str, Any]] = {}
    for method, path, handler in routes:
        paths.setdefault(ROOT + plain_path(path), {})[method] = _operation(method, path, handler)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mars_map",
            "version": program_version(),
            "description": "Find landforms on Mars in plain words. Longitudes are degrees east, "
            "latitudes planetocentric, on the sphere of 3,396.19 km (IAU_2015:49900).",
        },
        "paths": paths,
        "components": {
            "parameters": {name: _parameter(name, one) for name, one in QUERY.items()},
            "schemas": {
                "Problem": _object(error={**TEXT, "description": "One clear sentence."}),
                "Link": _object(rel=TEXT, href=TEXT, type=TEXT),
            },
        },
    }


def plain_path(path: str) -> str:
    """Return a route's path without converters: "{z:int}" becomes "{z}"."""
    return _TURN.sub(r"{\1}", path)


def asked_names(handler: Handler) -> list[str]:
    """Return the names behind the question mark of a handler's address, "{query}" for a query.

    Raises ValueError where the docstring gives no address.
    """
    address = _ADDRESS.search(inspect.getdoc(handler) or "")
    if address is None:
        raise ValueError(f"The docstring of {handler.__name__} does not tell its address.")
    asked = (address["query"] or "").split("&")
    return [name.split("=")[0].strip() for name in asked if name]


def _operation(method: str, path: str, handler: Handler) -> dict[str, Any]:
    words = re.sub(r"\s+", " ", (inspect.getdoc(handler) or "").partition("\n\n")[0])
    summary = re.sub(r"( to)? `/mars/[^`]*`", "", words)
    summary = re.sub(r"^Answer[ ,:]+(with )?", "", summary)
    parameters: list[dict[str, Any]] = [
        _parameter(name, OTHERS.get(name, Parameter(name)), place="path")
        for name in _TURN.findall(path)
    ]
    for name in asked_names(handler):
        if name == "{query}":
            parameters += [{"$ref": f"#/components/parameters/{one}"} for one in QUERY]
        elif name in QUERY:
            parameters.append({"$ref": f"#/components/parameters/{name}"})
        else:
            parameters.append(_parameter(name, OTHERS.get(name, Parameter(name))))
    operation = {
        "operationId": re.sub(r"\W+", "_", f"{method} {plain_path(path)}").strip("_"),
        "summary": summary[:1].upper() + summary[1:],
        "description": inspect.cleandoc(inspect.getdoc(handler) or ""),
        "parameters": parameters,
        "responses": {
            "200": {"description": "The answer.", "content": _content(path)},
            "4XX": _problem("The request cannot be answered; the sentence says why."),
            "503": _problem("The server lacks its index or its model."),
        },
    }
    if method == "post":
        bytes_of_any_kind = {"application/octet-stream": {"schema": {}}}
        operation["requestBody"] = {"required": True, "content": bytes_of_any_kind}
    return operation


def _content(path: str) -> dict[str, Any]:
    plain = plain_path(path)
    for end, media_type in MEDIA_TYPES.items():
        if plain.endswith(end):
            return {media_type: {"schema": ANSWERS.get(plain, {})}}
    return {"application/json": {"schema": ANSWERS.get(plain, {"type": "object"})}}


def _problem(words: str) -> dict[str, Any]:
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": words, "content": {"application/json": schema}}


def _parameter(name: str, parameter: Parameter, *, place: str = "query") -> dict[str, Any]:
    values = {
        "name": name,
        "in": place,
        "description": parameter.description,
        "required": place == "path",
        "schema": parameter.schema,
    }
    return values | ({} if parameter.example is None else {"example": parameter.example})


@cache
def _page() -> str:
    """Return the description as HTML without scripts and without anything from elsewhere."""
    told = description()
    sections = [
        _section(method, path, operation)
        for path, operations in told["paths"].items()
        for method, operation in operations.items()
    ]
    rows = _rows(told["components"]["parameters"].values())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>mars_map · routes</title>
<meta name="viewport" content="width=device-width">
<style>
  :root {{ color-scheme: light dark; }}
  body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 860px; margin: 2em auto;
         padding: 0 1em; }}
  h2 {{ font: 600 16px/1.4 ui-monospace, monospace; margin: 2em 0 0.3em;
       overflow-wrap: anywhere; }}
  table {{ border-collapse: collapse; width: 100%; }}
  td {{ border-top: 1px solid #8884; padding: 3px 10px 3px 0; vertical-align: top; }}
  td:first-child {{ font-family: ui-monospace, monospace; width: 8em; }}
  p {{ margin: 0.3em 0; }}
</style></head><body>
<h1>mars_map</h1>
<p>{html.escape(told["info"]["description"])}</p>
<p>The same for programs: <a href="openapi.json">openapi.json</a>, OpenAPI 3.1.</p>
<h2 id="query">QUERY</h2>
<p>What makes a query, in any combination; the address of the page uses the same names.</p>
<table>{rows}</table>
{"".join(sections)}
</body></html>
"""


def _section(method: str, path: str, operation: Mapping[str, Any]) -> str:
    own = [one for one in operation["parameters"] if "$ref" not in one]
    is_query = len(own) < len(operation["parameters"])
    asked = '<p>Takes a <a href="#query">QUERY</a>.</p>' if is_query else ""
    answer = ", ".join(operation["responses"]["200"]["content"])
    text = re.sub("`(.*?)`", r"<code>\1</code>", html.escape(operation["summary"]))
    return (
        f"<h2>{method.upper()} {html.escape(path)}</h2><p>{text}</p>{asked}"
        f"<table>{_rows(own)}</table><p><small>{html.escape(answer)}</small></p>"
    )


def _rows(parameters: Any) -> str:
    return "".join(
        f"<tr><td>{html.escape(one['name'])}</td><td>{html.escape(one['description'])}</td></tr>"
        for one in parameters
    )
