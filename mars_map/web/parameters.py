"""Parameters of the routes: what each is called, what it means and which values it takes.

The OpenAPI description is made of them, and OGC API Features knows by them which names exist.
"""

from typing import Any, NamedTuple

from mars_map.export import EXPORTERS
from mars_map.search.query import DEFAULT_TOP_K, MAX_TOP_K

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
MANY = {"type": "array", "items": TEXT}
"""A parameter that is repeated for more values."""


class Parameter(NamedTuple):
    """A parameter of a route."""

    description: str
    """What it means, for people."""
    schema: dict[str, Any] = TEXT
    """Values that it takes, as JSON Schema."""
    example: str | float | None = None
    """A value that works."""


QUERY: dict[str, Parameter] = {
    "q": Parameter("The words to look for.", {**TEXT, "maxLength": 300}, "impact crater"),
    "like": Parameter("Id of an example tile; repeat it for more.", MANY),
    "part": Parameter(
        'A part with a weight, such as "text*0.7:dunes" or "-tile:r176c0372" (but not); '
        "repeat it for more.",
        MANY,
    ),
    "yes": Parameter("Ids of tiles that were called right, separated by commas."),
    "no": Parameter("Ids of tiles that were called wrong, separated by commas."),
    "where": Parameter(
        'A filter NAME:LOW..HIGH such as "elevation:..-2000"; repeat it for more.', MANY
    ),
    "prompt": Parameter('A template of the prompt ensemble, with "{}" for the words.', MANY),
    "box": Parameter("Region: west,south,east,north in degrees."),
    "band": Parameter("Region: south,north in degrees."),
    "polygon": Parameter("Region: corners LON,LAT;LON,LAT;..."),
    "polygons": Parameter("Region: several polygons, each with its holes behind ~."),
    "circle": Parameter("Region: LON,LAT,RADIUS_KM."),
    "quad": Parameter("Region: one of the thirty quadrangles.", TEXT),
    "k": Parameter(
        "Most hits.",
        {"type": "integer", "minimum": 1, "maximum": MAX_TOP_K, "default": DEFAULT_TOP_K},
        20,
    ),
    "min": Parameter("Least cosine similarity of a hit.", {**NUMBER, "minimum": -1, "maximum": 1}),
    "index": Parameter("Name of the index that is searched; the server's first if absent."),
}
"""The parameters that make a query; `mars_map.web.params` reads them."""

OTHERS: dict[str, Parameter] = {
    "lon": Parameter("Longitude, degrees east.", NUMBER, 137.8),
    "lat": Parameter("Planetocentric latitude, degrees.", NUMBER, -5.4),
    "text": Parameter('Beginning of a name, or coordinates such as "42 W, 18 N".', TEXT, "Gale"),
    "size": Parameter("Width and height in pixels.", {"type": "integer", "default": 192}, 192),
    "as": Parameter("What of the result to save: the hits unless told."),
    "b": Parameter("Another query, with its parameters percent-encoded.", TEXT, "q=canyon"),
    "least": Parameter("Smallest area of a unit, km2.", NUMBER, 0),
    "line": Parameter("Corners LON,LAT;LON,LAT;... of a line.", TEXT, "130,-5;140,-5"),
    "n": Parameter("Number of samples.", {"type": "integer"}),
    "name": Parameter("Name of the file, for people, or of what is asked for."),
    "width_km": Parameter("Width of the picture on the ground, kilometres.", NUMBER),
    "format": Parameter("Format of the file.", {**TEXT, "enum": list(EXPORTERS)}, "geojson"),
    "z": Parameter("Zoom of a map tile.", {"type": "integer", "minimum": 0}, 1),
    "x": Parameter("Column of a map tile, from 180 W.", {"type": "integer", "minimum": 0}, 3),
    "y": Parameter("Row of a map tile, from the north.", {"type": "integer", "minimum": 0}, 1),
    "layer": Parameter('A basemap, or "heat" where there is a heat map.', TEXT, "viking"),
    "pole": Parameter("Which pole.", {**TEXT, "enum": ["north", "south"]}, "north"),
    "tile": Parameter("Id of a tile.", TEXT, "r176c0372"),
    "collection": Parameter("Name of a collection.", {**TEXT, "enum": ["hits"]}, "hits"),
    "bbox": Parameter("west,south,east,north in degrees on Mars: only features that touch it."),
    "crs": Parameter("Reference system of the answer; there is only that of the tiles."),
    "bbox-crs": Parameter("Reference system of bbox; there is only that of the tiles."),
    "limit": Parameter("Most features of a page.", {"type": "integer", "minimum": 1}),
    "offset": Parameter("Features to pass over.", {"type": "integer", "minimum": 0}),
}
"""All other parameters of addresses and of their paths."""
