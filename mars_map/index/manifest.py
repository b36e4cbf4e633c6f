"""The manifest of an index: what it holds, who made it, and what every byte should be.

`manifest.json` is written last, so that a folder without one is no index. Its `digest` is the
sha256 of the rest of the manifest; with the sha256 of every file it names the index as a whole, and
exports carry it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mars_map.errors import IndexDamagedError, IndexMissingError, IndexVersionError
from mars_map.planet.grid import Grid, grid_from_dict

MANIFEST_FILE = "manifest.json"
FORMAT_VERSION = 1
"""Version of the folder format; another one is refused, never guessed at."""

Quantisation = Literal["int8", "float16"]


@dataclass(frozen=True)
class ModelCard:
    """Which model made the vectors. A query must come from the same one."""

    id: str
    """Name of the model, for people."""
    sha256: str
    """Hash of its weights, hex; this decides whether an encoder fits."""
    dim: int
    """Dimensions of its vectors."""


@dataclass(frozen=True)
class FileRecord:
    """Size and hash that a file of the index must have."""

    bytes: int
    """Size in bytes."""
    sha256: str
    """Hash of the contents, hex."""


@dataclass(frozen=True)
class Manifest:
    """Everything about an index but its numbers."""

    grid: Grid
    """The tile grid; tile i of the grid is row i of the vectors."""
    model: ModelCard
    """The model that made the vectors."""
    quantisation: Quantisation
    """How vectors are stored: "int8" with one scale a tile, or "float16"."""
    files: Mapping[str, FileRecord]
    """Every file of the index but the manifest, by name."""
    source: str
    """The images that were embedded."""
    licence: str
    """Terms under which the index may be used."""
    created: str
    """Date and time, UTC, ISO 8601."""
    body: str = "Mars"
    """The planet."""
    crs: str = "IAU_2015:49900"
    """CRS of all coordinates."""
    synthetic: bool = False
    """True where the vectors are made up, for tests and benchmarks."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What else the maker recorded, such as the window's size."""

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as plain values, digest included."""
        values = {
            "format": "mars_map index",
            "version": FORMAT_VERSION,
            "body": self.body,
            "crs": self.crs,
            "grid": self.grid.to_dict(),
            "n_tiles": self.grid.n_tiles,
            "model": asdict(self.model),
            "quantisation": self.quantisation,
            "files": {name: asdict(record) for name, record in sorted(self.files.items())},
            "source": self.source,
            "licence": self.licence,
            "created": self.created,
            "synthetic": self.synthetic,
            "extra": dict(self.extra),
        }
        return {**values, "digest": _digest(values)}

    @property
    def digest(self) -> str:
        """sha256 of the manifest, hex: the name of exactly this index."""
        return self.to_dict()["digest"]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into a folder."""
    text = json.dumps(manifest.to_dict(), indent=2, ensure_ascii=False)
    (folder / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read and check `manifest.json`.

    Raises IndexMissingError without one, IndexVersionError for another version of the format, and
    IndexDamagedError where it is not what was written.
    """
    values = _read_json(folder)
    if values.get("format") != "mars_map index":
        raise IndexDamagedError(f'"{folder / MANIFEST_FILE}" is not the manifest of an index.')
    if values.get("version") != FORMAT_VERSION:
        raise IndexVersionError(
            f'The index "{folder}" has format version {values.get("version")}; this program reads '
            f"version {FORMAT_VERSION}: build the index again or use the program that made it."
        )
    stated = values.pop("digest", None)
    if stated != _digest(values):
        raise IndexDamagedError(
            f'"{folder / MANIFEST_FILE}" was changed after it was written; restore the original.'
        )
    try:
        grid = grid_from_dict(values["grid"])
        if grid.n_tiles != values["n_tiles"]:
            raise ValueError("the number of tiles is not the grid's")
        return Manifest(
            grid=grid,
            model=ModelCard(**values["model"]),
            quantisation=_quantisation(values["quantisation"]),
            files={name: FileRecord(**record) for name, record in values["files"].items()},
            **{
                name: values[name]
                for name in ("source", "licence", "created", "body", "crs", "synthetic", "extra")
            },
        )
    except (KeyError, TypeError, ValueError) as error:
        raise IndexDamagedError(
            f'"{folder / MANIFEST_FILE}" cannot be understood ({error}); restore the original.'
        ) from error


def _read_json(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise IndexMissingError(
            f'There is no index folder "{folder}"; give another with --index, or make the default '
            "with `mars-map build-default`."
        )
    try:
        values = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise IndexMissingError(
            f'The folder "{folder}" is not an index: it has no {MANIFEST_FILE}.'
        ) from error
    except OSError as error:
        raise IndexDamagedError(
            f'"{folder / MANIFEST_FILE}" cannot be read: {error.strerror}.'
        ) from error
    except (ValueError, RecursionError) as error:
        raise IndexDamagedError(
            f'"{folder / MANIFEST_FILE}" is not JSON; restore the original.'
        ) from error
    if not isinstance(values, dict):
        raise IndexDamagedError(f'"{folder / MANIFEST_FILE}" is not the manifest of an index.')
    return values


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _quantisation(value: Any) -> Quantisation:
    if value not in ("int8", "float16"):
        raise ValueError(f"unknown quantisation {value!r}")
    return value
