"""KML for Google Earth's Mars and everything else that reads KML.

KML has one reference system, the Earth's. The file says three times that it is on Mars: by the hint
that makes Google Earth change the planet, in the text that it shows of the document, and in the
provenance.
"""

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as xml

import numpy as np
import shapely

from mars_map.export.provenance import METADATA_KEY, Provenance
from mars_map.maps.heat import heat_palette

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

NAMESPACE = "http://www.opengis.net/kml/2.2"
SHARED = ("query", "query_b", "model", "index", "date")
"""Columns that are the same in all rows; they are said once, in the document."""
TYPES = {"i": "int", "f": "double"}
"""KML's types by the kind of a column; others are strings."""
COLOURS = 16
"""Styles from the worst to the best hit."""
FILL_ALPHA = "66"
"""Opacity of the fill, two hex digits; the ground stays visible."""
MAX_EDGE_DEGREES = 2.0
"""Longest edge of an outline: readers draw edges as great circles, which leave wide parallels."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""


def kml(provenance: Provenance) -> bytes:
    """Return the rows as placemarks in one folder, coloured by their place between worst and best.

    Outlines are in planetocentric degrees east and north; none crosses the antimeridian.
    """
    frame = provenance.table()
    root = xml.Element("kml", {"xmlns": NAMESPACE, "hint": "target=mars"})
    document = _add(root, "Document")
    _add(document, "name", f"{provenance.result.query.label} · Mars")
    _add(document, "description", _description(provenance, frame))
    for level in range(COLOURS):
        document.append(_style(level))
    layer = provenance.layer
    columns = frame.drop(columns=["geometry", *(name for name in SHARED if name in frame)])
    schema = _add(document, "Schema", id=layer.name, name=layer.name)
    for name, kind in columns.dtypes.items():
        _add(schema, "SimpleField", name=str(name), type=TYPES.get(kind.kind, "string"))
    data = _add(_add(document, "ExtendedData"), "Data", name=METADATA_KEY)
    _add(data, "value", provenance.to_json())
    folder = _add(document, "Folder")
    _add(folder, "name", layer.name)
    levels = _levels(frame[layer.colour_by].to_numpy())
    outlines = shapely.segmentize(frame.geometry.array, MAX_EDGE_DEGREES)
    rows = columns.to_dict("records")
    for row, outline, level in zip(rows, outlines, levels, strict=True):
        mark = _add_placemark(
            folder, f"{next(iter(row.values()))} · {row[layer.label]}", int(level)
        )
        _add_values(mark, layer.name, row)
        _add_outline(mark, outline)
    return xml.tostring(root, encoding="utf-8", xml_declaration=True)


def _description(provenance: Provenance, frame: "GeoDataFrame") -> str:
    record, layer = provenance.to_dict(), provenance.layer
    values = frame[layer.colour_by]
    colours = f" Colours run from {values.min():.4f} to {values.max():.4f}." if len(values) else ""
    return (
        f"{len(values):,} {layer.name} by {layer.columns[layer.colour_by]}.{colours}\n"
        "These places are on Mars, not on the Earth, although KML cannot say so in its coordinates:"
        " planetocentric latitude, longitude positive east, sphere of 3,396.19 km"
        f" ({record['crs']}).\n"
        f"Model {record['model']['id']}; index {record['index']['digest'][:12]};"
        f" {record['program']}; {record['date']}.\n"
        f"Source: {record['index']['source']}. Licence: {record['index']['licence']}."
    )


def _levels(scores: np.ndarray) -> np.ndarray:
    """Return the style of each hit, 0 for the worst to COLOURS - 1 for the best."""
    if not len(scores):
        return np.zeros(0, int)
    span = max(float(np.ptp(scores)), 1e-9)
    return np.rint((scores - scores.min()) / span * (COLOURS - 1)).astype(int)


def _style(level: int) -> xml.Element:
    # The lower half of the palette fades out on the heat map; here all colours are opaque.
    red, green, blue, _ = heat_palette()[round(level * 255 / (COLOURS - 1))].tolist()
    colour = f"{blue:02x}{green:02x}{red:02x}"
    style = xml.Element("Style", {"id": f"score{level}"})
    line = _add(style, "LineStyle")
    _add(line, "color", f"ff{colour}")
    _add(line, "width", "1.5")
    _add(_add(style, "PolyStyle"), "color", f"{FILL_ALPHA}{colour}")
    return style


def _add_placemark(folder: xml.Element, name: str, level: int) -> xml.Element:
    mark = _add(folder, "Placemark")
    _add(mark, "name", name)
    _add(mark, "styleUrl", f"#score{level}")
    return mark


def _add_values(mark: xml.Element, schema: str, row: dict[str, object]) -> None:
    values = _add(_add(mark, "ExtendedData"), "SchemaData", schemaUrl=f"#{schema}")
    for name, value in row.items():
        _add(values, "SimpleData", str(value), name=name)


def _add_outline(mark: xml.Element, outline: shapely.Geometry) -> None:
    parts = shapely.get_parts(outline)
    parent = mark if len(parts) == 1 else _add(mark, "MultiGeometry")
    for part in parts:
        polygon = _add(parent, "Polygon")
        _add(polygon, "tessellate", "1")
        _add_ring(_add(polygon, "outerBoundaryIs"), part.exterior)
        for hole in part.interiors:
            _add_ring(_add(polygon, "innerBoundaryIs"), hole)


def _add_ring(parent: xml.Element, line: shapely.LinearRing) -> None:
    ring = _add(parent, "LinearRing")
    corners = shapely.get_coordinates(line).round(9).tolist()
    _add(ring, "coordinates", " ".join(f"{lon:.9g},{lat:.9g}" for lon, lat in corners))


def _add(parent: xml.Element, tag: str, text: str | None = None, **attributes: str) -> xml.Element:
    node = xml.SubElement(parent, tag, attributes)
    node.text = None if text is None else _NOT_XML.sub("", text)
    return node
