"""Maps for other programs: tiles of the heat map, and what QGIS and GDAL read to find all tiles.

Tiles are those of the page: 256 pixels, plate carrée in IAU_2015:49900, two of them at zoom 0, rows
counted from the north. `/mars/wmts` describes them as OGC WMTS 1.0.0 and `/mars/gdal/LAYER.xml` as
GDAL's own driver for tiles does.
"""

from urllib.parse import quote, urlencode
from xml.etree import ElementTree as xml

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from mars_map.maps.basemap import Picture
from mars_map.maps.heat import points_heat_png
from mars_map.maps.raster import MAX_ZOOM, TILE_SIZE, check_tile, tile_bounds
from mars_map.planet.sphere import CRS_URN, mars_crs
from mars_map.search import Query
from mars_map.web.params import has_subject, query_from_request
from mars_map.web.rasters import heat_query, picture_reply
from mars_map.web.service import service

HEAT_LAYER = "heat"
HEAT_MAX_ZOOM = 7
"""Deepest zoom of the heat map's tiles: a pixel is then 330 m; no index has tiles that small."""
PIXEL_M = 0.00028
"""Size of a pixel by which WMTS turns resolutions into scales, metres."""
WMTS_METRES_PER_DEGREE = 6_378_137.0 * np.pi / 180.0
"""What every client of WMTS takes for a degree, on Mars as well: GDAL, QGIS and NASA's own Trek."""
WMTS = "http://www.opengis.net/wmts/1.0"
OWS = "http://www.opengis.net/ows/1.1"
XLINK = "http://www.w3.org/1999/xlink"
MATRIX_SET = "MarsPlateCarree"

for _prefix, _space in (("", WMTS), ("ows", OWS), ("xlink", XLINK)):
    xml.register_namespace(_prefix, _space)


def heat_tile(request: Request) -> Response:
    """Answer `/mars/heat/{z}/{x}/{y}.png?{query}` with a tile of a heat map, 256 pixels wide."""
    z, x, y = (request.path_params[name] for name in "zxy")
    return picture_reply(request, ("heat tile", heat_query(request), z, x, y), _heat_tile)


def wmts(request: Request) -> Response:
    """Answer `/mars/wmts?{query}` with WMTS capabilities: the basemaps and the query's heat map.

    Without a query there are only the basemaps.
    """
    root = xml.Element(f"{{{WMTS}}}Capabilities", {"version": "1.0.0"})
    about = xml.SubElement(root, f"{{{OWS}}}ServiceIdentification")
    _text(about, OWS, "Title", "mars_map")
    _text(about, OWS, "Abstract", "Heat maps of Mars by likeness to a query, and basemaps")
    _text(about, OWS, "ServiceType", "OGC WMTS")
    _text(about, OWS, "ServiceTypeVersion", "1.0.0")
    contents = xml.SubElement(root, f"{{{WMTS}}}Contents")
    query = _query_or_none(request)
    if query is not None:
        title = f"{query.label} · heat map"
        _add_layer(contents, HEAT_LAYER, title, "image/png", tile_address(request, HEAT_LAYER))
    for layer in service().basemaps.layers.values():
        address = tile_address(request, layer.key)
        _add_layer(contents, layer.key, layer.title, "image/jpeg", address)
    _add_matrix_set(contents)
    return _xml_reply(root)


def gdal_description(request: Request) -> Response:
    """Answer `/mars/gdal/{layer}.xml?{query}` with a file that GDAL and QGIS open as a raster.

    layer: "heat" for the heat map of the query, or a basemap, which needs no query. It stays good
    as long as the server runs at the same address.
    """
    layer = request.path_params["layer"]
    if layer == HEAT_LAYER:
        query_from_request(request)
        bands, deepest = 4, HEAT_MAX_ZOOM
    else:
        bands, deepest = 3, service().basemaps.layer(layer).max_zoom
    root = xml.Element("GDAL_WMS")
    tms = xml.SubElement(root, "Service", {"name": "TMS"})
    address = tile_address(request, layer)
    for name, sign in (("TileMatrix", "z"), ("TileCol", "x"), ("TileRow", "y")):
        address = address.replace(f"{{{name}}}", f"${{{sign}}}")
    xml.SubElement(tms, "ServerUrl").text = address
    window = xml.SubElement(root, "DataWindow")
    values = {
        "UpperLeftX": -180, "UpperLeftY": 90, "LowerRightX": 180, "LowerRightY": -90,
        "TileLevel": deepest, "TileCountX": 2, "TileCountY": 1, "YOrigin": "top",
    }  # fmt: skip
    for name, value in values.items():
        xml.SubElement(window, name).text = str(value)
    # The CRS as WKT: older versions of PROJ do not know it by its code.
    xml.SubElement(root, "Projection").text = mars_crs().to_wkt("WKT1_GDAL")
    sizes = {"BlockSizeX": TILE_SIZE, "BlockSizeY": TILE_SIZE, "BandsCount": bands}
    for name, value in sizes.items():
        xml.SubElement(root, name).text = str(value)
    return _xml_reply(root)


def tile_address(request: Request, layer: str) -> str:
    """Return the address of a layer's tiles with {TileMatrix}, {TileCol} and {TileRow} in it."""
    tile = "{TileMatrix}/{TileCol}/{TileRow}"
    if layer == HEAT_LAYER:
        return f"{server_address(request)}/heat/{tile}.png?{query_part(request)}"
    return f"{server_address(request)}/basemap/{quote(layer)}/{tile}.jpg"


def server_address(request: Request) -> str:
    """Return the address of this server up to "/mars", as the client wrote it."""
    return f"{str(request.base_url).rstrip('/')}/mars"


def query_part(request: Request) -> str:
    """Return the request's parameters as they go into other addresses."""
    return urlencode(request.query_params.multi_items())


def _query_or_none(request: Request) -> Query | None:
    return query_from_request(request) if has_subject(request.query_params) else None


def _heat_tile(query: Query, z: int, x: int, y: int) -> Picture:
    check_tile(z, x, y)
    result = service().search(query)
    west, south, east, north = tile_bounds(z, x, y)
    middle = (np.arange(TILE_SIZE) + 0.5) / TILE_SIZE
    lon, lat = np.meshgrid(west + middle * (east - west), north - middle * (north - south))
    mask = result.region_mask
    picture = points_heat_png(result.scores, result.index.grid, lon, lat, mask=mask)
    return Picture(picture, "image/png")


def _add_layer(parent: xml.Element, key: str, title: str, media_type: str, address: str) -> None:
    layer = xml.SubElement(parent, f"{{{WMTS}}}Layer")
    _text(layer, OWS, "Title", title)
    bounds = xml.SubElement(layer, f"{{{OWS}}}BoundingBox", {"crs": CRS_URN})
    # The CRS has the latitude first.
    _text(bounds, OWS, "LowerCorner", "-90 -180")
    _text(bounds, OWS, "UpperCorner", "90 180")
    _text(layer, OWS, "Identifier", key)
    style = xml.SubElement(layer, f"{{{WMTS}}}Style", {"isDefault": "true"})
    _text(style, OWS, "Identifier", "default")
    _text(layer, WMTS, "Format", media_type)
    link = xml.SubElement(layer, f"{{{WMTS}}}TileMatrixSetLink")
    _text(link, WMTS, "TileMatrixSet", MATRIX_SET)
    xml.SubElement(
        layer,
        f"{{{WMTS}}}ResourceURL",
        {"format": media_type, "resourceType": "tile", "template": address},
    )


def _add_matrix_set(parent: xml.Element) -> None:
    matrices = xml.SubElement(parent, f"{{{WMTS}}}TileMatrixSet")
    _text(matrices, OWS, "Identifier", MATRIX_SET)
    _text(matrices, OWS, "SupportedCRS", CRS_URN)
    for z in range(min(MAX_ZOOM, HEAT_MAX_ZOOM) + 1):
        matrix = xml.SubElement(matrices, f"{{{WMTS}}}TileMatrix")
        degrees = 180.0 / TILE_SIZE / 2**z
        _text(matrix, OWS, "Identifier", str(z))
        _text(matrix, WMTS, "ScaleDenominator", repr(degrees * WMTS_METRES_PER_DEGREE / PIXEL_M))
        _text(matrix, WMTS, "TopLeftCorner", "90 -180")
        for name in ("TileWidth", "TileHeight"):
            _text(matrix, WMTS, name, str(TILE_SIZE))
        _text(matrix, WMTS, "MatrixWidth", str(2 ** (z + 1)))
        _text(matrix, WMTS, "MatrixHeight", str(2**z))


def _text(parent: xml.Element, space: str, name: str, text: str) -> None:
    xml.SubElement(parent, f"{{{space}}}{name}").text = text


def _xml_reply(root: xml.Element) -> Response:
    body = xml.tostring(root, encoding="utf-8", xml_declaration=root.tag != "GDAL_WMS")
    return Response(body, media_type="application/xml")
