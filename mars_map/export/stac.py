"""A whole index as a STAC collection, for catalogues of planetary data.

A folder with `collection.json`, one item and the embeddings as GeoParquet. Used are the embedding
extension 0.0.1 (`emb:`, a proposal of the Cloud-Native Geospatial Forum, 2026), the solar system
extension 1.1.0 (`ssys:`), projection 2.0.0 and processing 1.2.0. STAC is 1.0.0, because the schema
of the embedding extension admits no other.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mars_map.errors import ExportError
from mars_map.export.provenance import program_version
from mars_map.export.whole_index import write_tables, writing
from mars_map.index import TileIndex
from mars_map.planet.grid import RegularGrid
from mars_map.planet.sphere import CRS_AUTHORITY, METRES_PER_DEGREE

COLLECTION_FILE, ITEM_FILE, EMBEDDINGS_FILE = "collection.json", "item.json", "embeddings.parquet"
MANIFEST_COPY, LICENCE_FILE = "index-manifest.json", "LICENCE.txt"
"""Files of the folder."""

_HOST = "https://stac-extensions.github.io"
EMBEDDING_EXTENSION = f"{_HOST}/embeddings/v0.0.1/schema.json"
SOLAR_SYSTEM_EXTENSION = f"{_HOST}/ssys/v1.1.0/schema.json"
PROJECTION_EXTENSION = f"{_HOST}/projection/v2.0.0/schema.json"
PROCESSING_EXTENSION = f"{_HOST}/processing/v1.2.0/schema.json"
ITEM_ASSETS_EXTENSION = f"{_HOST}/item-assets/v1.0.0/schema.json"
PARQUET_TYPE = "application/vnd.apache.parquet"

_BODY = {"ssys:targets": ["Mars"], "ssys:target_class": "planet"}


def export_stac(
    index: TileIndex, folder: str | Path, *, progress: Callable[[int], object] = lambda _: None
) -> Path:
    """Write the index as a STAC collection into a new folder and return that.

    The folder appears whole or not at all. progress: as in `export_geoparquet`. Raises ExportError
    where the folder is there already or cannot be written.
    """
    folder = Path(folder)
    if folder.exists():
        raise ExportError(f'"{folder}" is there already; name a new folder.')
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".stac-", dir=folder.parent) as temporary:
            staging = Path(temporary) / "stac"
            staging.mkdir()
            write_tables(index, staging / EMBEDDINGS_FILE, progress)
            _write_json(staging / COLLECTION_FILE, stac_collection(index))
            _write_json(staging / ITEM_FILE, stac_item(index))
            _write_json(staging / MANIFEST_COPY, index.manifest.to_dict())
            (staging / LICENCE_FILE).write_text(index.manifest.licence + "\n", encoding="utf-8")
            shutil.move(staging, folder)
    return folder


def stac_collection(index: TileIndex) -> dict[str, Any]:
    """Return `collection.json` of an index."""
    manifest = index.manifest
    about = "Made-up vectors that say nothing about Mars. " if manifest.synthetic else ""
    # STAC 1.0 wants an SPDX id; for other terms this word, and a link to the text.
    spdx = re.fullmatch(r"[\w\-.+]+", manifest.licence)
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "stac_extensions": [EMBEDDING_EXTENSION, SOLAR_SYSTEM_EXTENSION, ITEM_ASSETS_EXTENSION],
        "id": _identifier(index),
        "title": f"{manifest.model.id}: {index.n_tiles:,} tiles of Mars"
        + (" (SYNTHETIC)" if manifest.synthetic else ""),
        "description": f"{about}One embedding a tile, of: {manifest.source}. Coordinates are "
        f"planetocentric degrees east on the Mars sphere, {_crs()}.",
        "keywords": ["Mars", "embeddings", *(["synthetic"] if manifest.synthetic else [])],
        "license": manifest.licence if spdx else "proprietary",
        "extent": {
            "spatial": {"bbox": [_box(index)]},
            "temporal": {"interval": [[_date(index), _date(index)]]},
        },
        "emb:type": "chip",
        "emb:dimensions": index.dim,
        "data_type": "float32",
        "gsd": round(float(np.diff(index.grid.row_edges)[0]) * METRES_PER_DEGREE, 1),
        "emb:chip_layout": {
            "layout_type": "regular_grid"
            if isinstance(index.grid, RegularGrid)
            else "variable_grid",
            "grid_id": " ".join(["mars_map", *map(str, index.grid.to_dict().values())]),
        },
        "emb:fit_for_use": ["retrieval", "similarity_search"],
        **_BODY,
        "assets": {"manifest": _manifest_asset()},
        "item_assets": {"embeddings": _embeddings_asset(href=False)},
        "links": [
            {"rel": "root", "href": f"./{COLLECTION_FILE}", "type": "application/json"},
            {"rel": "item", "href": f"./{ITEM_FILE}", "type": "application/geo+json"},
            {"rel": "license", "href": f"./{LICENCE_FILE}", "type": "text/plain"},
            *_origins(index),
        ],
    }


def stac_item(index: TileIndex) -> dict[str, Any]:
    """Return `item.json`: the embeddings of the whole index."""
    west, south, east, north = _box(index)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [
            EMBEDDING_EXTENSION,
            SOLAR_SYSTEM_EXTENSION,
            PROJECTION_EXTENSION,
            PROCESSING_EXTENSION,
        ],
        "id": f"{_identifier(index)}-embeddings",
        "collection": _identifier(index),
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": _box(index),
        "properties": {
            "datetime": _date(index),
            "description": "datetime is when the embeddings were made, not the images.",
            "processing:datetime": _date(index),
            "processing:software": {"mars_map": program_version()},
            "proj:code": _crs(),
            "emb:runtime_parameters": {
                "model": index.manifest.model.id,
                "model_sha256": index.manifest.model.sha256,
                "index_digest": index.digest,
                "rounded_to": index.manifest.quantisation,
                "synthetic": index.manifest.synthetic,
            },
            **_BODY,
        },
        "assets": {"embeddings": _embeddings_asset(), "manifest": _manifest_asset()},
        "links": [
            {"rel": "root", "href": f"./{COLLECTION_FILE}", "type": "application/json"},
            {"rel": "parent", "href": f"./{COLLECTION_FILE}", "type": "application/json"},
            {"rel": "collection", "href": f"./{COLLECTION_FILE}", "type": "application/json"},
            *_origins(index),
        ],
    }


def _origins(index: TileIndex) -> list[dict[str, str]]:
    # Both are free text in a manifest, so the links lead to where it tells them.
    manifest = index.manifest
    return [
        {
            "rel": rel,
            "href": f"./{MANIFEST_COPY}#/{place}",
            "type": "application/json",
            "title": title,
        }
        for rel, place, title in (
            ("emb:model", "model", manifest.model.id),
            ("emb:source-data", "source", manifest.source),
        )
    ]


def _embeddings_asset(*, href: bool = True) -> dict[str, Any]:
    asset = {"type": PARQUET_TYPE, "title": "Outlines and embeddings", "roles": ["data"]}
    return {"href": f"./{EMBEDDINGS_FILE}", **asset} if href else asset


def _manifest_asset() -> dict[str, Any]:
    return {
        "href": f"./{MANIFEST_COPY}",
        "type": "application/json",
        "title": "Manifest of the mars_map index that this was made of",
        "roles": ["metadata"],
    }


def _identifier(index: TileIndex) -> str:
    return f"mars-map-{index.digest[:12]}"


def _crs() -> str:
    return ":".join(CRS_AUTHORITY)


def _date(index: TileIndex) -> str:
    return index.manifest.created.replace("+00:00", "Z")


def _box(index: TileIndex) -> list[float]:
    return [-180.0, float(index.grid.row_edges[0]), 180.0, float(index.grid.row_edges[-1])]


def _write_json(path: Path, values: dict[str, Any]) -> None:
    text = json.dumps(values, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
