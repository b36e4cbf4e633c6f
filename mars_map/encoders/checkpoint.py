"""The weights of a model on disk: safetensors, or a PyTorch file of which nothing is executed.

The sha256 of the weights is the model's identity: an index names it.
"""

import contextlib
import hashlib
import json
import os
import pickle
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mars_map.errors import ModelError
from mars_map.files import whole_file

if TYPE_CHECKING:
    import torch

WEIGHTS_FILES = {
    "open_clip_config.json": (
        "open_clip_model.safetensors",
        "open_clip_pytorch_model.safetensors",
        "model.safetensors",
        "open_clip_pytorch_model.bin",
        "pytorch_model.bin",
    ),
    "config.json": ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"),
}
"""Names of weights beside each configuration, best first."""
NAMED = 3
"""Weights that an error names; the others are counted."""


def weight_files(folder: Path) -> list[Path]:
    """Return the files that hold the weights of a model folder; [] where there are none.

    Raises ModelError for an index of shards that cannot be read or names a file that is missing.
    """
    for config, names in WEIGHTS_FILES.items():
        if (folder / config).is_file():
            for name in names:
                if (folder / name).is_file():
                    path = folder / name
                    return _shards(path) if name.endswith(".index.json") else [path]
    return []


class Checkpoint:
    """The weights in a model folder, by name; each is read when it is asked for.

    Raises ModelError where there are none, or a file is truncated or holds anything but weights.
    """

    def __init__(self, folder: Path) -> None:
        self.files = weight_files(folder)
        if not self.files:
            names = [
                WEIGHTS_FILES[config][0] for config in WEIGHTS_FILES if (folder / config).is_file()
            ]
            raise ModelError(
                f'"{folder}" has a configuration but no weights; put the model\'s file beside it, '
                f'as "{names[0]}".'
            )
        self._read: dict[str, Callable[[], torch.Tensor]] = {}
        for path in self.files:
            self._read |= _open_safetensors(path) if _is_safe(path) else _open_pickled(path)

    @property
    def names(self) -> list[str]:
        """Names of all weights, in the file's order."""
        return list(self._read)

    def tensor(self, name: str) -> "torch.Tensor":
        """Return one weight as it is stored. Raises KeyError for an unknown name."""
        return self._read[name]()

    @property
    def sha256(self) -> str:
        """Hash of the weights, hex; see `weights_sha256`."""
        return weights_sha256(self.files)

    def check_names(self, wanted: Iterable[str], found: Iterable[str], architecture: str) -> None:
        """Raise ModelError unless the weights found are those that an architecture wants."""
        missing, extra = set(wanted) - set(found), set(found) - set(wanted)
        faults = [
            f"{len(names)} {what} ({', '.join(sorted(names)[:NAMED])}"
            + (", …)" if len(names) > NAMED else ")")
            for names, what in ((missing, "are missing"), (extra, "are not its own"))
            if names
        ]
        if faults:
            raise ModelError(
                f'The weights "{self.files[0]}" are not those of the {architecture} that the '
                f"configuration beside them describes: {' and '.join(faults)}; take both files "
                "from one model."
            )


def weights_sha256(files: Sequence[Path]) -> str:
    """Return the hash of a model's weights, hex; of several files, that of their hashes in order.

    That of one file is the one which the file's page on the hub shows.
    """
    hashes = [file_sha256(path) for path in files]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, hex; that of an unchanged file is remembered between runs."""
    path = path.resolve()
    stat = path.stat()
    key, state = str(path), [stat.st_size, stat.st_mtime_ns]
    known = _remembered()
    if known.get(key, [])[:2] == state:
        return known[key][2]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    _remember(known | {key: [*state, found]})
    return found


def _memory() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "mars_map" / "weights.json"


def _remembered() -> dict[str, list]:
    try:
        known = json.loads(_memory().read_text(encoding="utf-8"))
        return {key: [size, mtime, str(sha)] for key, (size, mtime, sha) in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _remember(known: dict[str, list]) -> None:
    """Write what is known; a memory that cannot be written costs only time at the next start."""
    path = _memory()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            part.write_text(json.dumps(known, indent=1), encoding="utf-8")


def _is_safe(path: Path) -> bool:
    return path.suffix == ".safetensors"


def _shards(index: Path) -> list[Path]:
    try:
        table = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        # A name with a folder in it would reach out of the model's own.
        paths = [index.with_name(Path(name).name) for name in sorted(set(table.values()))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f'The list of weights "{index}" cannot be read; fetch it again.'
        ) from error
    absent = [path for path in paths if not path.is_file()]
    if absent:
        raise ModelError(f'The weights "{absent[0]}" are missing; put them beside the others.')
    return paths


def _open_safetensors(path: Path) -> "dict[str, Callable[[], torch.Tensor]]":
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f'The weights "{path}" are truncated or no safetensors; fetch them again.'
        ) from error
    return {name: lambda name=name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _open_pickled(path: Path) -> "dict[str, Callable[[], torch.Tensor]]":
    """Open a PyTorch file. `weights_only` rebuilds tensors and plain containers, nothing else."""
    import torch

    try:
        with path.open("rb") as file:
            is_archive = file.read(2) == b"PK"
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f'"{path}" holds more than weights and was not loaded, since it could run a program; '
            "use the model's .safetensors file."
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ModelError(
            f'The weights "{path}" are truncated or no PyTorch file; fetch them again.'
        ) from error
    # What a training saved holds the weights among other things, of a wrapped model by "module.".
    weights = content.get("state_dict", content) if isinstance(content, dict) else {}
    weights = {str(n).removeprefix("module."): v for n, v in weights.items()}
    if not weights or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ModelError(f'"{path}" holds no weights by name; use the file of a published model.')
    return {name: lambda value=value: value for name, value in weights.items()}
