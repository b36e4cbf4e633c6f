"""The table of routes, and what happens when the server starts."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mars_map.maps.leaflet import leaflet_folder
from mars_map.web import (
    answers,
    compare,
    histogram,
    ogc,
    openapi,
    overlays,
    pictures,
    polar,
    profile,
    rasters,
    tiles,
    units,
    why,
)
from mars_map.web.files import folder_route
from mars_map.web.replies import Handler, refusal, speaks_plainly
from mars_map.web.service import service

ROOT = "/mars"
"""All of our addresses begin so."""

WARM_ANYWAY_S = 5.0
"""Seconds after the start when the text encoder is loaded although nobody has come yet."""

HANDLERS: dict[str, Handler] = {
    "/index": answers.index,
    "/search": answers.search,
    "/footprints": answers.footprints,
    "/histogram": histogram.histogram,
    "/units": units.units,
    "/why": why.why,
    "/compare": compare.comparison,
    "/difference.png": compare.difference,
    "/export/{format}": answers.export,
    "/elevation": answers.elevation,
    "/tile-at": answers.tile_at,
    "/places": answers.places,
    "/heat.png": rasters.heat,
    "/heat/{z:int}/{x:int}/{y:int}.png": tiles.heat_tile,
    "/wmts": tiles.wmts,
    "/gdal/{layer}.xml": tiles.gdal_description,
    "/basemap/{layer}/{z:int}/{x:int}/{y:int}.jpg": rasters.basemap,
    "/thumb/{tile}.jpg": rasters.thumbnail,
    "/overlay": overlays.overlay_list,
    "/overlay/{name}": overlays.overlay,
    "/overlay/geology/{z:int}/{x:int}/{y:int}.jpg": overlays.geology,
    "/polar/{pole}/heat/{z:int}/{x:int}/{y:int}.png": polar.heat,
    "/polar/{pole}/difference/{z:int}/{x:int}/{y:int}.png": compare.polar_difference,
    "/polar/{pole}/{layer}/{z:int}/{x:int}/{y:int}.jpg": polar.tile,
    "/profile": profile.profile,
    "/ogc": ogc.landing,
    "/ogc/conformance": ogc.conformance,
    "/ogc/collections": ogc.collections,
    "/ogc/collections/{collection}": ogc.collection,
    "/ogc/collections/{collection}/items": ogc.items,
    "/ogc/collections/{collection}/items/{tile}": ogc.item,
    "/openapi.json": openapi.document,
    "/docs": openapi.page,
}
"""What answers GET; its docstring tells the address, from which OpenAPI is made."""

LOOP_HANDLERS = {"/health": answers.health}
"""What answers GET on the server's own loop, also while every thread is busy."""

POST_HANDLERS = {"/picture": pictures.picture}
"""What takes the bytes of a file."""


def routes(component_files: Path) -> list[Route]:
    """Return all routes. component_files: folder of the page's JavaScript and style sheets."""
    return [
        *(Route(ROOT + path, speaks_plainly(handler)) for path, handler in HANDLERS.items()),
        *(Route(ROOT + path, handler) for path, handler in LOOP_HANDLERS.items()),
        folder_route(f"{ROOT}/leaflet", leaflet_folder()),
        folder_route(f"{ROOT}/component", component_files),
        *(Route(ROOT + path, take, methods=["POST"]) for path, take in POST_HANDLERS.items()),
        Route(ROOT + "/{rest:path}", _unknown),
    ]


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Load what the first query needs once the first page is being drawn, or nobody comes."""
    threading.Thread(target=_warm_up, name="mars-map-warm", daemon=True).start()
    yield


def _warm_up() -> None:
    # Importing torch takes a core for seconds, which the first page needs more.
    service().visited.wait(WARM_ANYWAY_S)
    service().warm()
    service().warm_covariates()
    service().warm_tables()
    polar.warm_up()


def _unknown(_request: Request) -> Response:
    return refusal(404, "There is nothing at this address.")
