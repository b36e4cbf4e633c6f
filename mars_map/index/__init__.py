"""The tile index on disk: manifest, vectors and footprints."""

from mars_map.index.manifest import Manifest, ModelCard
from mars_map.index.store import TileIndex, open_index, verify_index, write_index

__all__ = ["Manifest", "ModelCard", "TileIndex", "open_index", "verify_index", "write_index"]
