"""The indexes that a server offers, by name, and which of them a request or a page's run uses.

`settings.INDEX_DIRS` names folders of indexes. An index is called as its folder is. A request says
`index=NAME`; without it the first index is meant.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from mars_map import settings
from mars_map.covariates import Covariates
from mars_map.encoders.hub import stated_sha256
from mars_map.errors import IndexMissingError, MarsMapError, ModelMismatchError
from mars_map.index import TileIndex, open_index
from mars_map.index.manifest import MANIFEST_FILE, read_manifest
from mars_map.index.synthetic import MODEL_ID, TruthEncoder
from mars_map.search import Engine, TextEncoder
from mars_map.search.calibration import Calibration
from mars_map.search.cluster import ClusterScan

INDEX_PARAM = "index"
"""Address parameter that names an index."""

_chosen: ContextVar[str] = ContextVar("index", default="")


def choose_index(name: str) -> None:
    """Let what follows in this context use the index of that name; "" for the first."""
    _chosen.set(name)


@contextmanager
def chosen_index(name: str) -> Iterator[None]:
    """Use the index of that name within the context."""
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def index_name() -> str:
    """Return the name of the index that this context uses, "" for the first."""
    return _chosen.get()


def named_folders(folders: Iterable[Path]) -> dict[str, Path]:
    """Return index folders by name, in the order given.

    A folder that is no index but holds some stands for these, by name. Equal names are numbered.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        for one in _indexes_in(folder):
            name, number = one.resolve().name, 2
            while name in found:
                name, number = f"{one.resolve().name}-{number}", number + 1
            found[name] = one
    return found


def _indexes_in(folder: Path) -> list[Path]:
    if (folder / MANIFEST_FILE).is_file() or not folder.is_dir():
        return [folder]
    inside = sorted(path.parent for path in folder.glob(f"*/{MANIFEST_FILE}"))
    return inside or [folder]  # opening it then says what is wrong


def folder_of(folders: dict[str, Path], name: str) -> Path:
    """Return the folder of an index by name, the first for "". Raises IndexMissingError."""
    if name and name not in folders:
        raise IndexMissingError(
            f'There is no index "{name[:60]}" here; there is {", ".join(folders)}.'
        )
    return folders[name or next(iter(folders))]


def is_synthetic(folder: Path) -> bool:
    """Tell whether the vectors of an index are made up; no for one that cannot be read."""
    try:
        return read_manifest(folder).synthetic
    except MarsMapError:
        return False


def open_fitting_engine(index: TileIndex | Path, scheduler: str | None = None) -> Engine:
    """Search an index, open or by folder, with the model that made it.

    The model is looked for at the first words; queries by tile need none. scheduler: address of the
    Dask scheduler whose workers scan, "" to scan here, the one of the settings if not given. Raises
    IndexMissingError, IndexVersionError, IndexDamagedError and, for the scheduler, ClusterError.
    """
    index = index if isinstance(index, TileIndex) else open_index(index)
    scheduler = settings.SCHEDULER if scheduler is None else scheduler
    return Engine(
        index,
        lambda: fitting_encoder(index),
        calibration=lambda: _calibration(index),
        covariates=Covariates(index.grid),
        scan=ClusterScan(index, scheduler) if scheduler else None,
    )


def model_folder(index: TileIndex) -> Path | None:
    """Return the folder of the model that made an index, None where it is not at hand.

    It is looked for in `settings.MODEL_DIRS`, in the index's folder and beside it, as `model`.
    """
    nearby = (index.folder / "model", index.folder.resolve().parent / "model")
    for folder in (*settings.MODEL_DIRS, *nearby):
        if stated_sha256(folder) == index.manifest.model.sha256:
            return folder
    return None


def fitting_encoder(index: TileIndex) -> TextEncoder:
    """Load the text encoder of the model that made an index.

    Raises ModelMismatchError where it is not at hand, and ModelError where it cannot be loaded.
    """
    model = index.manifest.model
    if index.manifest.synthetic and model.id == MODEL_ID:
        return TruthEncoder(index)
    # Imported here: torch and transformers take seconds, and queries by tile need neither.
    from mars_map.encoders import load_text_encoder

    folder = model_folder(index)
    if folder is None and len(settings.MODEL_DIRS) == 1 and len(settings.INDEX_DIRS) == 1:
        # The one that was set: the engine says how it differs from the one that is needed.
        folder = settings.MODEL_DIRS[0]
    if folder is None:
        raise ModelMismatchError(
            f'The model "{model.id}" that made this index is not at hand, so words cannot be '
            "understood here; pick a tile to search by, or name the model's folder in "
            "MARS_MAP_MODEL."
        )
    return load_text_encoder(folder)


def _calibration(index: TileIndex) -> Calibration | None:
    folder = model_folder(index)
    return Calibration.load(folder) if folder else None
