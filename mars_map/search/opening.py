"""Engines for indexes, each with the model that made it.

A model is known by the hash in the index's manifest, and looked for in `settings.MODEL_DIRS`, in
the index's folder and beside it, as `model`. It is loaded at the first words: queries by tile need
none.
"""

from pathlib import Path

from mars_map import settings
from mars_map.covariates import Covariates
from mars_map.encoders.hub import stated_sha256
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
    """Return the folder of the model that made an index.

    Where one index and one model are set and that model is damaged, it is its folder: loading it
    says what is wrong. Raises ModelMismatchError where there are only other models.
    """
    folder = model_folder(index)
    if folder is not None:
        return folder
    alone = len(settings.MODEL_DIRS) == len(settings.INDEX_DIRS) == 1
    if alone and stated_sha256(settings.MODEL_DIRS[0]) is None:
        return settings.MODEL_DIRS[0]
    model = index.manifest.model
    raise ModelMismatchError(
        f'The index was made by the model "{model.id}" ({model.sha256[:8]}), which is not at hand, '
        "so words and pictures cannot be understood here; pick a tile to search by, or name the "
        "model's folder in MARS_MAP_MODEL."
    )


def _calibration(index: TileIndex) -> Calibration | None:
    folder = model_folder(index)
    return Calibration.load(folder) if folder else None
