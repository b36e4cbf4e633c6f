"""The calls of a script or a notebook.

from mars_map.api import open_index, search, to_geodataframe

index = open_index()
result = search(index, "dunes inside craters", top_k=200)
to_geodataframe(result).to_file("dunes.gpkg")
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from mars_map import index as _index
from mars_map.index import TileIndex
from mars_map.maps.footprints import to_geodataframe
from mars_map.search import Query, Result, open_engine
from mars_map.settings import INDEX_DIR

__all__ = ["open_index", "search", "to_geodataframe"]


def open_index(folder: str | Path = INDEX_DIR) -> TileIndex:
    """Open an index folder; without one, the index that comes with mars_map.

    Raises IndexMissingError, IndexVersionError or IndexDamagedError.
    """
    return _index.open_index(folder)


def search(index: TileIndex, text: str = "", **limits: Any) -> Result:
    """Search an index for words, or with `tiles=("r176c0372",)` for what looks like those tiles.

    limits: any field of `Query` (prompts, region, top_k, threshold). Raises QueryError and its kin
    for what cannot be searched, ModelMismatchError for an index that another model made.
    """
    return _engine(index).search(Query(text=text, **limits))


_engine = lru_cache(maxsize=4)(open_engine)
