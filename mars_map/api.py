"""The calls of a script or a notebook.

from mars_map.api import open_index, search, to_geodataframe

index = open_index()
result = search(index, "dunes inside craters", top_k=200)
to_geodataframe(result).to_file("dunes.gpkg")
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mars_map import index as _index
from mars_map.index import TileIndex
from mars_map.maps.footprints import to_geodataframe
from mars_map.search import Part, Query, Result, open_engine
from mars_map.settings import INDEX_DIR

__all__ = ["open_index", "search", "to_geodataframe"]


def open_index(folder: str | Path = INDEX_DIR) -> TileIndex:
    """Open an index folder; without one, the index that comes with mars_map.

    Raises IndexMissingError, IndexVersionError or IndexDamagedError.
    """
    return _index.open_index(folder)


def search(index: TileIndex, text: str = "", like: Sequence[str] = (), **limits: Any) -> Result:
    """Search an index for words; `like=("r176c0372",)` adds example tiles.

    limits: any field of `Query` (prompts, region, filters, yes, no, top_k, threshold). Raises
    QueryError and its kin for what cannot be searched, ModelMismatchError for an index that another
    model made.
    """
    parts = [Part("text", text)] if text or not like else []
    parts += [Part("tile", tile) for tile in like]
    return _engine(index).search(Query(tuple(parts), **limits))


_engine = lru_cache(maxsize=4)(open_engine)
