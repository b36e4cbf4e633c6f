"""Named features of Mars: find one by name, complete a name, name the nearest.

Names are compared without case, accents and punctuation: "mawrth vallis", "Sogel" for "Sögel".
"""

import csv
import difflib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import FeatureNotFoundError
from mars_map.planet.coordinates import check_point, format_point, parse_point, wrap_longitude
from mars_map.planet.sphere import great_circle_m

COLUMNS = ("name", "kind", "lon", "lat", "diameter_km", "source")
"""Columns of the table on disk."""

_LETTERS_WITHOUT_ACCENT = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ı": "i", "ħ": "h"})
_KINDS_OMITTED = frozenset({"crater", "albedo feature"})
"""Kinds that are no part of the official name, but that people add: "Gale crater"."""


class Feature(NamedTuple):
    """A named feature of Mars."""

    name: str
    """Official name, such as "Gale" or "Mawrth Vallis"."""
    kind: str
    """IAU type in the singular, lower case: "crater", "vallis", "albedo feature"."""
    lon: float
    """Longitude of the centre, degrees east in [-180, 180)."""
    lat: float
    """Planetocentric latitude of the centre, degrees."""
    diameter_km: float | None
    """Diameter or greatest extent in kilometres; None where it is not known."""


@dataclass(frozen=True, eq=False)
class Gazetteer:
    """A table of named features."""

    features: tuple[Feature, ...]
    """All features, in the order of the file."""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a table with the columns name, kind, lon, lat and diameter_km.

        Raises FeatureNotFoundError where the file is absent or is no such table.
        """
        try:
            with Path(path).open(encoding="utf-8", newline="") as file:
                return cls(tuple(_read_row(row) for row in csv.DictReader(file)))
        except OSError as error:
            raise FeatureNotFoundError(
                f'The table of names "{path}" cannot be read ({error.strerror}); restore it.'
            ) from error
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise FeatureNotFoundError(
                f'"{path}" is not a table of named features ({error}); restore it.'
            ) from error

    def find(self, name: str) -> Feature:
        """Return the feature of that name: the exact one, or else the largest that begins so.

        "gale", "Gale crater" and "GALE" are the same. Raises FeatureNotFoundError, whose message
        suggests names that are spelt alike.
        """
        found = self.search(name, 1)
        if not found:
            raise FeatureNotFoundError(self._not_found(name))
        return found[0]

    def search(self, prefix: str, limit: int = 10) -> list[Feature]:
        """Return at most `limit` features to complete what was typed, best first.

        Exact names come first, then names that begin with it, then names with that very word later
        on. In each group mountains come first, because what lies round a mountain takes its name,
        and then the larger before the smaller. An empty prefix completes to nothing.
        """
        wanted = fold_name(prefix)
        if not wanted:
            return []
        ranks = [_rank(wanted, names) for names in self._folded]
        matches = [i for i, rank in enumerate(ranks) if rank is not None]
        matches.sort(key=lambda i: (ranks[i], *_prominence(self.features[i])))
        return [self.features[i] for i in matches[:limit]]

    def nearest(self, lon: float, lat: float) -> tuple[Feature, float]:
        """Return the feature whose centre is nearest to a point in degrees, and how far, metres.

        Albedo features are left out: they name bright and dark ground, not landforms. Raises
        CoordinateError for a point off the planet, FeatureNotFoundError for an empty table.
        """
        lon, lat = check_point(lon, lat)
        if not self.features:
            raise FeatureNotFoundError("The table of names is empty; restore it.")
        distance = great_circle_m(lon, lat, *self._positions)
        best = int(np.argmin(np.where(self._are_landforms, distance, np.inf)))
        return self.features[best], float(distance[best])

    @cached_property
    def _folded(self) -> list[tuple[str, ...]]:
        """The names by which each feature may be called, folded; the official one first."""
        return [_callable_names(feature) for feature in self.features]

    @cached_property
    def _positions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return (
            np.array([feature.lon for feature in self.features]),
            np.array([feature.lat for feature in self.features]),
        )

    @cached_property
    def _are_landforms(self) -> NDArray[np.bool_]:
        return np.array([feature.kind != "albedo feature" for feature in self.features])

    def _not_found(self, name: str) -> str:
        if not fold_name(name):
            return 'Type the name of a feature of Mars, for example "Gale".'
        wanted = fold_name(name)[:60]
        named = {names[0]: f for names, f in zip(self._folded, self.features, strict=True)}
        near = difflib.get_close_matches(wanted, named, n=12, cutoff=0.6)
        # Many short names are equally alike; the prominent one was meant.
        near.sort(key=lambda n: (-_likeness(wanted, n), *_prominence(named[n])))
        hint = f"; did you mean {_list_of(named[n].name for n in near[:3])}?" if near else "."
        return f'Mars has no feature named "{name.strip()[:60]}" in the gazetteer{hint}'


def point_feature(text: str) -> Feature | None:
    """Return the point that coordinates name, None for a text that is no coordinates.

    Raises CoordinateError for a text that looks like coordinates and cannot be read.
    """
    if "," not in text or not any(c.isdigit() for c in text):
        return None
    lon, lat = parse_point(text)
    return Feature(format_point(lon, lat), "point", lon, lat, 0)


def fold_name(name: str) -> str:
    """Return a name for comparing: lower case, no accents, letters and digits and single spaces."""
    # Twice, because either step may make work for the other.
    for _ in range(2):
        name = unicodedata.normalize("NFKD", name).casefold()
    plain = name.translate(_LETTERS_WITHOUT_ACCENT)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    # An apostrophe joins ("Ma'adim"), every other sign separates ("Airy-0").
    return " ".join(re.sub(r"[^\w]+", " ", re.sub(r"['’ʻʼ]", "", plain)).split())


def _callable_names(feature: Feature) -> tuple[str, ...]:
    name = fold_name(feature.name)
    if feature.kind not in _KINDS_OMITTED:
        return (name,)
    return name, f"{name} {feature.kind}", f"{feature.kind} {name}"


def _prominence(feature: Feature) -> tuple[bool, float]:
    """Return a sorting key, the best known feature first."""
    return feature.kind != "mons", -(feature.diameter_km or 0.0)


def _likeness(a: str, b: str) -> float:
    return difflib.SequenceMatcher(None, a, b).ratio()


def _rank(wanted: str, names: tuple[str, ...]) -> int | None:
    """Return 0 for the very name, 1 for one that begins so, 2 for a later word, else None."""
    if wanted in names:
        return 0
    if any(name.startswith(wanted) for name in names):
        return 1
    return 2 if f" {wanted}" in names[0] else None


def _read_row(row: dict[str, str]) -> Feature:
    lon, lat, size = float(row["lon"]), float(row["lat"]), row["diameter_km"]
    if not -90.0 <= lat <= 90.0:
        raise ValueError(f"latitude {lat:g}")
    return Feature(
        row["name"], row["kind"], float(wrap_longitude(lon)), lat, float(size) if size else None
    )


def _list_of(names: Iterable[str]) -> str:
    *most, last = [f'"{name}"' for name in names]
    return f"{', '.join(most)} or {last}" if most else last
