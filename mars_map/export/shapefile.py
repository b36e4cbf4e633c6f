"""Zipped shapefile: the rows and, in a file beside them, their provenance."""

import io
import tempfile
import zipfile
from pathlib import Path

from mars_map.export.provenance import Provenance

MAX_TEXT_BYTES = 254
"""Longest text that a field of a shapefile holds, bytes in UTF-8."""
TEXTS = {"query", "query_b", "model"}
"""Columns whose texts are anybody's and may be long."""
MARK = "…"
"""Ends a text that was too long; `provenance.json` has the whole of it."""


def shapefile(provenance: Provenance) -> bytes:
    """Return a ZIP with hits.shp, or what the layer is called, and `provenance.json`."""
    frame = provenance.table()
    for name in TEXTS & set(frame):
        frame[name] = frame[name].map(shorten)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{provenance.layer.name}.shp"
        kind = provenance.layer.geometry_type
        frame.to_file(path, engine="pyogrio", encoding="utf-8", geometry_type=kind)
        Path(folder, "provenance.json").write_text(provenance.to_json(indent=2), encoding="utf-8")
        return _zip(sorted(Path(folder).iterdir()))


def shorten(text: str) -> str:
    """Return a text that fits a field, marked with an ellipsis where it had to be cut."""
    if len(text.encode()) <= MAX_TEXT_BYTES:
        return text
    room = MAX_TEXT_BYTES - len(MARK.encode())
    return text.encode()[:room].decode(errors="ignore").rstrip() + MARK


def _zip(files: list[Path]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for file in files:
            target.write(file, file.name)
    return archive.getvalue()
