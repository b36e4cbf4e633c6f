"""The indexes that a server offers, by name, and which of them a request or a page's run uses.

`settings.INDEX_DIRS` names folders of indexes. An index is called as its folder is. A request says
`index=NAME`; without it the first index is meant.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from mars_map.errors import MarsMapError, QueryError
from mars_map.index.manifest import MANIFEST_FILE, read_manifest

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
    """Return the folder of an index by name, the first for "". Raises QueryError."""
    if name and name not in folders:
        raise QueryError(f'There is no index "{name[:60]}" here; there is {", ".join(folders)}.')
    return folders[name or next(iter(folders))]


def is_synthetic(folder: Path) -> bool:
    """Tell whether the vectors of an index are made up; no for one that cannot be read."""
    try:
        return read_manifest(folder).synthetic
    except MarsMapError:
        return False
