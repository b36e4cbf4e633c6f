"""The tile index on disk: manifest, vectors and footprints."""

from mars_map.index.manifest import Manifest, ModelCard
from mars_map.index.store import TileIndex, open_index, verify_index, write_index
from mars_map.index.writer import IndexWriter

__all__ = [
    "IndexWriter",
    "Manifest",
    "ModelCard",
    "TileIndex",
    "open_index",
    "verify_index",
    "write_index",
]
