"""Makes the table of named features from the IAU nomenclature: names, kinds, places and sizes."""

import csv
from pathlib import Path

from mars_map.build.inputs import NOMENCLATURE, Inputs
from mars_map.errors import BuildError
from mars_map.files import whole_file
from mars_map.planet.gazetteer import COLUMNS, fold_name
from mars_map.planet.sphere import great_circle_m

SOURCE = "IAU/USGS Gazetteer of Planetary Nomenclature"
MAX_DISAGREEMENT_M = 60_000.0
"""Positions of one name in two lists that lie further apart than this are not to be trusted."""


def build_gazetteer(inputs: Inputs, target: Path) -> int:
    """Write the table of named features and return how many there are.

    Raises BuildError where the nomenclature is absent or holds something that is no coordinate, or
    the disk cannot be written.
    """
    rows = [_feature(row) for row in inputs.rows(NOMENCLATURE)]
    features = sorted(_without_doubles(rows), key=lambda row: (fold_name(row["name"]), row["name"]))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as part, part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(features)
    except OSError as error:
        raise BuildError(f"{target} could not be written: {error.strerror}.") from error
    return len(features)


def _feature(row: dict[str, str]) -> dict[str, str]:
    """Return one row of the table; "Vallis, valles" becomes "vallis", a size of 0 is unknown."""
    try:
        lon, lat = float(row["lon"]), float(row["lat"])
        diameter = float(row["diameter_km"] or 0.0)
    except (KeyError, ValueError) as error:
        raise BuildError(f"{NOMENCLATURE} has a row that cannot be read: {row}.") from error
    return {
        "name": row["name"].strip(),
        "kind": row["feature_type"].partition(",")[0].strip().lower(),
        "lon": f"{lon:.5f}".rstrip("0").rstrip("."),
        "lat": f"{lat:.5f}".rstrip("0").rstrip("."),
        "diameter_km": f"{diameter:.2f}".rstrip("0").rstrip(".") if diameter > 0 else "",
        "source": SOURCE,
    }


def _without_doubles(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Keep one row a name and kind: older lists have names over again, in capitals or unaccented.

    The better spelt row is kept; where the positions disagree, none is.
    """
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault((fold_name(row["name"]), fold_name(row["kind"])), []).append(row)
    kept = []
    for group in groups.values():
        lon, lat = ([float(row[axis]) for row in group] for axis in ("lon", "lat"))
        if great_circle_m(lon[0], lat[0], lon, lat).max() <= MAX_DISAGREEMENT_M:
            kept.append(min(group, key=lambda row: (row["name"].isupper(), row["name"].isascii())))
    return kept
