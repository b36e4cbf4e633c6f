"""A whole index for FAISS, by which other pipelines search: MarsRetrieval's is one of them.

The ids that FAISS answers with are tile numbers; a CSV file beside the index tells what tile each
is. Vectors are as exact as they are stored: float16 as FAISS's own float16, int8 as float32.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mars_map.errors import ExportError
from mars_map.export.whole_index import PIECE_ROWS, embeddings, writing
from mars_map.index import TileIndex


def export_faiss(
    index: TileIndex, path: str | Path, *, progress: Callable[[int], object] = lambda _: None
) -> Path:
    """Write the tiles that have a vector as a FAISS index of inner products; return its path.

    Beside `NAME.faiss` lies `NAME.csv` with id, tile, lon and lat (degrees, centres). progress:
    called with the number of tiles after each piece. FAISS builds in memory: 2 bytes a value for a
    float16 index, 4 for an int8 one. Raises ExportError where the place cannot be written.
    """
    import faiss
    import pandas as pd

    path = Path(path)
    if path.is_dir():
        raise ExportError(f'"{path}" is a folder; name a file to write.')
    halves = index.manifest.quantisation == "float16"
    kind = "SQfp16" if halves else "Flat"
    made = faiss.index_factory(index.dim, f"IDMap,{kind}", faiss.METRIC_INNER_PRODUCT)
    tiles = np.arange(index.n_tiles) if index.present is None else np.flatnonzero(index.present)
    made.train(embeddings(index, tiles[:1]))
    for start in range(0, len(tiles), PIECE_ROWS):
        piece = tiles[start : start + PIECE_ROWS]
        made.add_with_ids(embeddings(index, piece), piece)
        progress(len(piece))
    lon, lat = (values[tiles] for values in index.grid.centers)
    table = pd.DataFrame({"id": tiles, "tile": index.grid.names(tiles), "lon": lon, "lat": lat})
    with writing(path):
        table.to_csv(path.with_suffix(".csv"), index=False)
        try:
            faiss.write_index(made, str(path))
        except RuntimeError as error:
            raise ExportError(f'"{path}" could not be written; choose another place.') from error
    return path
