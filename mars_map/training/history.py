"""What a training wrote down on its way: tables of a row a step, as CSV."""

import csv
from pathlib import Path

from mars_map.errors import BuildError
from mars_map.files import whole_file


def append_row(path: Path, row: dict[str, float]) -> None:
    """Add a row to a table of steps; rows from there on are of a training that was cut short.

    Nothing is lost when the program is killed. Raises BuildError where the disk does not take it.
    """
    rows = [r for r in read_rows(path) if r["step"] < row["step"]]
    try:
        with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(row), extrasaction="ignore")
            writer.writeheader()
            writer.writerows({k: f"{v:.6g}" for k, v in r.items()} for r in (*rows, row))
    except OSError as error:
        raise BuildError(f'"{path}" could not be written ({error.strerror}).') from error


def read_rows(path: Path) -> list[dict[str, float]]:
    """Return a table's rows, none where there is no table. Raises BuildError for another file."""
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            return [{"step": float(r["step"])} | {k: float(v) for k, v in r.items()} for r in rows]
    except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
        raise BuildError(f'"{path}" is no table of numbers; move it away.') from error
