"""Engines for indexes, each with the model that made it.

A model is known by the hash in the index's manifest, and looked for in `settings.MODEL_DIRS`, in
the index's folder and beside it, as `model`. It is loaded at the first words: queries by tile need
none.
"""

from pathlib import Path

from mars_map import settings
from mars_map.covariates import Covariates
from mars_map.errors import ModelMismatchError
from mars_map.index import TileIndex, open_index
from mars_map.index.synthetic import MODEL_ID, TruthEncoder
from mars_map.search.calibration import Calibration
from mars_map.search.cluster import ClusterScan
from mars_map.search.engine import Engine, TextEncoder


def open_engine(
    index: TileIndex | Path | str = settings.INDEX_DIR, *, scheduler: str | None = None
) -> Engine:
    """Search an index, open or by folder, with the model that made it.

    scheduler: address of the Dask scheduler whose workers scan, "" to scan here, the one of the
    settings if not given. Raises IndexMissingError, IndexVersionError or IndexDamagedError; what is
    wrong with the model comes with the first words, and with the scheduler at the first query.
    """
    opened = index if isinstance(index, TileIndex) else open_index(index)
    scheduler = settings.SCHEDULER if scheduler is None else scheduler
    return Engine(
        opened,
        lambda: fitting_encoder(opened),
        calibration=lambda: _calibration(opened),
        covariates=Covariates(opened.grid),
        scan=ClusterScan(opened, scheduler) if scheduler else None,
    )


def model_folder(index: TileIndex) -> Path | None:
    """Return the folder of the model that made an index, None where it is not at hand."""
    # Imported here: it takes a while, and queries by tile need no model.
    from mars_map.encoders.hub import stated_sha256

    nearby = (index.folder / "model", index.folder.resolve().parent / "model")
    for folder in (*settings.MODEL_DIRS, *nearby):
        if stated_sha256(folder) == index.manifest.model.sha256:
            return folder
    return None


def fitting_encoder(index: TileIndex) -> TextEncoder:
    """Load the text encoder of the model that made an index.

    Raises ModelMismatchError where it is not at hand, and ModelError where it cannot be loaded.
    """
    if index.manifest.synthetic and index.manifest.model.id == MODEL_ID:
        return TruthEncoder(index)
    # Imported here: torch and transformers take seconds, and queries by tile need neither.
    from mars_map.encoders import load_text_encoder

    return load_text_encoder(fitting_folder(index))


def fitting_folder(index: TileIndex) -> Path:
    """Return the folder to load the model that made an index from.

    Where one index and one model are set, it is that model's: whoever loads it calls
    `check_encoder`, which tells how it differs. Raises ModelMismatchError where it is not at hand.
    """
    folder = model_folder(index)
    if folder is None and len(settings.MODEL_DIRS) == 1 and len(settings.INDEX_DIRS) == 1:
        folder = settings.MODEL_DIRS[0]
    if folder is None:
        raise ModelMismatchError(
            f'The model "{index.manifest.model.id}" that made this index is not at hand, so words '
            "and pictures cannot be understood here; pick a tile to search by, or name the model's "
            "folder in MARS_MAP_MODEL."
        )
    return folder


def _calibration(index: TileIndex) -> Calibration | None:
    folder = model_folder(index)
    return Calibration.load(folder) if folder else None
