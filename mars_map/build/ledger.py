"""The quads that are done, on disk: what a build that was killed need not do again.

A quad is done when its `NAME.json` is there. It is written last, after the vectors in `NAME.npy`
have reached the disk, and tells their hash: a file that was half written is never taken for whole.
"""

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mars_map.build.plan import Recipe, Task
from mars_map.build.workshop import Embedded
from mars_map.errors import BuildError
from mars_map.files import whole_file
from mars_map.index.files import hash_file, save_array

RECIPE_FILE = "build.json"
QUADS_FOLDER = "quads"
VERSION = 1
"""Changes when the same recipe would give other vectors."""


class Ledger:
    """The work folder of a build."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        """Open a work folder, or begin one.

        Raises BuildError where it holds the work of another recipe or cannot be written.
        """
        self.folder = folder
        self._quads = folder / QUADS_FOLDER
        told = {"version": VERSION, **recipe.to_dict()}
        path = folder / RECIPE_FILE
        try:
            self._quads.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                with whole_file(path) as part:
                    part.write_text(json.dumps(told, indent=1), encoding="utf-8")
            known = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BuildError(
                f'The work folder "{folder}" cannot be used: {error.strerror}; name another with '
                "--work."
            ) from error
        except ValueError as error:
            raise BuildError(
                f'"{path}" cannot be understood; delete the work folder, or name another with '
                "--work."
            ) from error
        if known != json.loads(json.dumps(told)):
            differ = [
                name for name in told if known.get(name) != json.loads(json.dumps(told))[name]
            ]
            raise BuildError(
                f'The work folder "{folder}" holds the work of another build ({", ".join(differ)} '
                "differ); name another with --work, or delete it."
            )

    def has(self, task: Task) -> bool:
        """Tell whether a quad is done, with the tiles and files that it has now."""
        return self.count(task) is not None

    def count(self, task: Task) -> int | None:
        """Return how many tiles of a quad have a vector; None where it is not done."""
        told = self._told(task)
        if (
            told is None
            or told["state"] != [list(file) for file in task.state]
            or told["asked"] != len(task.tiles)
            or not self._path(task, ".npy").is_file()
        ):
            return None
        return len(told["tiles"])

    def record(self, task: Task, done: Embedded) -> None:
        """Write a quad's vectors so that no power cut can take them. Raises BuildError."""
        told = {
            "location": task.quad.location,
            "state": task.state,
            "asked": len(task.tiles),
            "tiles": done.tiles.tolist(),
            "fraction_valid": done.fraction_valid.tolist(),
            "thumbnails": [len(body) for body in done.thumbnails],
            "seconds": done.seconds,
        }
        try:
            if done.thumbnails:
                with whole_file(self._path(task, ".jpgs")) as part:
                    part.write_bytes(b"".join(done.thumbnails))
            vectors = self._path(task, ".npy")
            with whole_file(vectors) as part:
                save_array(part, done.vectors)
            told["sha256"] = hash_file(vectors)
            with whole_file(self._path(task, ".json")) as part:
                part.write_text(json.dumps(told), encoding="utf-8")
        except OSError as error:
            cure = "make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "mend that"
            raise BuildError(
                f'The work folder "{self.folder}" could not be written: {error.strerror}; {cure} '
                "and run the same command again, it goes on where it was."
            ) from error

    def thumbnails(self, task: Task) -> list[bytes]:
        """Return the thumbnails of a quad's tiles, in the order of `load`. Raises BuildError."""
        told, path = self._told(task), self._path(task, ".jpgs")
        try:
            content = memoryview(path.read_bytes())
            ends = np.cumsum(told["thumbnails"]) if told else np.zeros(0, int)
            if told is None or len(content) != ends[-1]:
                raise ValueError("its length is another")
        except (OSError, ValueError, IndexError, KeyError) as error:
            self._path(task, ".json").unlink(missing_ok=True)
            raise _damaged(path) from error
        starts = [0, *ends[:-1]]
        return [bytes(content[first:last]) for first, last in zip(starts, ends, strict=True)]

    def load(
        self, task: Task
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Return tiles (n,), vectors (n, dim) and valid fractions (n,) of a quad that is done.

        Raises BuildError where the file is not what was written.
        """
        told, path = self._told(task), self._path(task, ".npy")
        if told is None or not path.is_file() or hash_file(path) != told["sha256"]:
            self._path(task, ".json").unlink(missing_ok=True)
            raise _damaged(path)
        try:
            vectors = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            self._path(task, ".json").unlink(missing_ok=True)
            raise _damaged(path) from error
        return (
            np.array(told["tiles"], np.int64),
            vectors,
            np.array(told["fraction_valid"], np.float32),
        )

    def _told(self, task: Task) -> dict[str, Any] | None:
        try:
            return json.loads(self._path(task, ".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _path(self, task: Task, suffix: str) -> Path:
        return self._quads / f"{task.quad.name}{suffix}"


def _damaged(path: Path) -> BuildError:
    return BuildError(
        f'The work file "{path}" is damaged; run the same command again, it makes it anew.'
    )
