"""Results as files: one module a format, and the provenance that travels with each.

    export_result(result, "gpkg", "dunes.gpkg")
    data = export_bytes(result, "geojson")

A file appears whole or not at all, and one that was there before stays until then.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from mars_map.errors import ExportError
from mars_map.export.citation import bibliography
from mars_map.export.geojson import geojson
from mars_map.export.geopackage import geopackage
from mars_map.export.geoparquet import geoparquet
from mars_map.export.heatmap import heat_geotiff
from mars_map.export.kml import kml
from mars_map.export.layers import HITS, Compared, Layer, Units
from mars_map.export.print import pdf, png, svg
from mars_map.export.provenance import Provenance
from mars_map.export.shapefile import shapefile
from mars_map.export.spreadsheet import csv
from mars_map.export.webpage import html_page
from mars_map.files import whole_file
from mars_map.search import Result

__all__ = [
    "EXPORTERS",
    "HITS",
    "TABLES",
    "Compared",
    "Exporter",
    "Layer",
    "Provenance",
    "Units",
    "export_bytes",
    "export_result",
    "file_name",
    "write_file",
]


class Exporter(NamedTuple):
    """A format that results can be saved in."""

    title: str
    """Name for people."""
    use: str
    """What it is good for, in a few words."""
    extension: str
    """End of the file's name, with its dots."""
    media_type: str
    """MIME type."""
    make: Callable[[Provenance], bytes]
    """Returns a result and its provenance as the bytes of a file."""
    is_text: bool = False
    """Whether people can read it, so that a shell may print it."""
    needs_hits: bool = True
    """Whether a file without any hit would be of no use to anybody."""


EXPORTERS: dict[str, Exporter] = {
    "geojson": Exporter(
        "GeoJSON",
        "Footprints for QGIS, web maps and scripts",
        ".geojson",
        "application/geo+json",
        geojson,
        is_text=True,
    ),
    "shapefile": Exporter(
        "Shapefile (zipped)",
        "Footprints for ArcGIS and JMARS",
        ".shp.zip",
        "application/zip",
        shapefile,
    ),
    "gpkg": Exporter(
        "GeoPackage",
        "Footprints for QGIS and ArcGIS, one file",
        ".gpkg",
        "application/geopackage+sqlite3",
        geopackage,
    ),
    "parquet": Exporter(
        "GeoParquet",
        "Footprints for Python and R; keeps the CRS whole",
        ".parquet",
        "application/vnd.apache.parquet",
        geoparquet,
    ),
    "kml": Exporter(
        "KML",
        "Footprints for Google Earth's Mars, coloured by score",
        ".kml",
        "application/vnd.google-earth.kml+xml",
        kml,
        is_text=True,
    ),
    "csv": Exporter("CSV table", "A table for spreadsheets", ".csv", "text/csv", csv, is_text=True),
    "heat": Exporter(
        "Heat map (GeoTIFF)",
        "The score of every tile as a raster",
        ".tif",
        "image/tiff",
        heat_geotiff,
        needs_hits=False,
    ),
    "html": Exporter(
        "Map (HTML)",
        "A map for any browser, without a server",
        ".html",
        "text/html",
        html_page,
        needs_hits=False,
    ),
    "png": Exporter(
        "Figure (PNG)",
        "Map with graticule, scale and caption, for slides and pages",
        ".png",
        "image/png",
        png,
        needs_hits=False,
    ),
    "svg": Exporter(
        "Figure (SVG)",
        "The same for editors of drawings; letters stay letters",
        ".svg",
        "image/svg+xml",
        svg,
        needs_hits=False,
    ),
    "pdf": Exporter(
        "Figure (PDF)",
        "The same for a paper, 180 mm wide",
        ".pdf",
        "application/pdf",
        pdf,
        needs_hits=False,
    ),
    "bib": Exporter(
        "Citations (BibTeX)",
        "What to cite for this result",
        ".bib",
        "application/x-bibtex",
        bibliography,
        is_text=True,
        needs_hits=False,
    ),
}
"""Every format by the name that the shell and the page call it."""
TABLES = ("geojson", "shapefile", "gpkg", "parquet", "kml", "csv")
"""Formats that hold a table of rows, and so can also hold units or hits of two queries."""


def export_bytes(
    result: Result, format: str, *, date: datetime | None = None, layer: Layer = HITS
) -> bytes:
    """Return a result as the bytes of a file. The date is now if none is given.

    layer: what of it, for the formats of `TABLES`: the hits, or `Units`, or `Compared`. Raises
    ExportError for an unknown format, for a layer that a format cannot hold, and where a library
    could not make the file, for example on a full disk.
    """
    exporter = _exporter(format)
    if layer is not HITS and format not in TABLES:
        raise ExportError(
            f"{exporter.title} does not hold {layer.name}; choose from {', '.join(TABLES)}."
        )
    provenance = Provenance(result, date or datetime.now(UTC), layer)
    try:
        return exporter.make(provenance)
    except (OSError, RuntimeError) as error:
        # RuntimeError is the base of what GDAL raises through pyogrio.
        reason = getattr(error, "strerror", None) or error
        raise ExportError(f"The {exporter.title} file could not be made: {reason}.") from error


def export_result(
    result: Result,
    format: str,
    path: str | Path,
    *,
    date: datetime | None = None,
    layer: Layer = HITS,
) -> Path:
    """Save a result in a file and return its path; see `write_file`. Raises like both."""
    return write_file(path, export_bytes(result, format, date=date, layer=layer))


def write_file(path: str | Path, data: bytes) -> Path:
    """Save bytes in a file and return its path; an older file of that name is replaced.

    Nobody sees half of it. Raises ExportError where the place cannot be written.
    """
    try:
        # A link is followed: what it points at is replaced, and the link stays.
        path = Path(path).resolve()
        if path.exists() and not path.is_file():
            raise ExportError(f'"{path}" is a folder or a device; name a file to write.')
        with whole_file(path) as part:
            part.write_bytes(data)
    except OSError as error:
        raise ExportError(
            f'"{path}" could not be written ({error.strerror}); choose another place.'
        ) from error
    return path


def file_name(result: Result, format: str, layer: Layer = HITS) -> str:
    """Return a name for a file to download, such as "mars-dunes-inside-craters.geojson"."""
    words = re.sub(r"[\W_]+", "-", result.query.label.lower()).strip("-")[:60].rstrip("-")
    kind = "" if layer is HITS else f"-{layer.name}"
    return f"mars-{words or 'result'}{kind}{_exporter(format).extension}"


def _exporter(format: str) -> Exporter:
    try:
        return EXPORTERS[format]
    except KeyError:
        raise ExportError(
            f'There is no format "{format[:40]}"; choose from {", ".join(EXPORTERS)}.'
        ) from None
