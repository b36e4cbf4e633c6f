"""Labels: which tiles somebody called right and wrong, as a layer with a name, to a file and back.

A layer keeps tile ids. Its file is GeoJSON with the outline and the centre of each tile, so that
QGIS shows it and an index with another grid can still take it over, by the centres.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from mars_map.errors import LabelsError
from mars_map.planet.grid import Grid
from mars_map.planet.sphere import CRS_URN
from mars_map.search.parts import Part, plain_words, string
from mars_map.search.query import MAX_LABELS, Query

MAX_NAME_LENGTH = 60
"""Most characters of a layer's name; longer ones are cut."""
MAX_FILE_BYTES = 4 * 2**20
"""Largest file of labels that is read: room for `MAX_LABELS` footprints many times over."""
COLOURS = ("#009e73", "#7a5195", "#8c8c8c", "#cc79a7", "#e69f00", "#56b4e9", "#0072b2", "#d55e00")
"""Colours that new layers take in turn: those of Okabe and Ito, which colour-blind eyes tell apart,
and two more. The blue and the orange that mean yes and no on the map come last."""
MARS_NAMES = frozenset(
    (CRS_URN, "urn:ogc:def:crs:IAU::49900", "IAU_2015:49900", "IAU:49900", "IAU:2015:49900")
)
"""Names under which programs write the reference system of labels; the second is GDAL's."""
ANSWERS = ("yes", "no")

_COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True)
class LabelLayer:
    """Tiles called right and wrong. Immutable, hashable, serialisable.

    Raises LabelsError for too many labels, for a tile called both and for a colour that is none.
    """

    name: str
    """What people call it; control characters are taken out."""
    colour: str = COLOURS[0]
    """Colour of its list and of its file: "#rrggbb" in small letters."""
    yes: tuple[str, ...] = ()
    """Ids of the tiles called right, in the order in which they were."""
    no: tuple[str, ...] = ()
    """Ids of the tiles called wrong."""
    hidden: bool = False
    """Whether maps leave it out."""

    def __post_init__(self) -> None:
        name = plain_words(self.name)[:MAX_NAME_LENGTH].strip()
        object.__setattr__(self, "name", name or "Labels")
        object.__setattr__(self, "colour", self.colour.lower())
        for answer in ANSWERS:
            object.__setattr__(self, answer, tuple(dict.fromkeys(getattr(self, answer))))
        if not _COLOUR.fullmatch(self.colour):
            raise LabelsError("The colour of a layer is written #rrggbb, such as #0072b2.")
        if len(self) > MAX_LABELS:
            raise LabelsError(f"A layer holds at most {MAX_LABELS:,} labels, not {len(self):,}.")
        both = set(self.yes) & set(self.no)
        if both:
            raise LabelsError(f'The tile "{min(both)[:40]}" is called both right and wrong.')

    def __len__(self) -> int:
        return len(self.yes) + len(self.no)

    def with_(self, **changes: Any) -> "LabelLayer":
        """Return the layer with some fields changed. Raises like the constructor."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the layer as plain values; `from_dict` reads them back."""
        answers = {answer: list(getattr(self, answer)) for answer in ANSWERS}
        return {"name": self.name, "colour": self.colour, **answers, "hidden": self.hidden}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "LabelLayer":
        """Build a layer from `to_dict`. Raises LabelsError for anything else."""
        try:
            answers = {answer: _ids(values.get(answer, ())) for answer in ANSWERS}
            name, colour = string(values["name"]), string(values.get("colour", COLOURS[0]))
            return cls(name, colour, **answers, hidden=values.get("hidden") is True)
        except (AttributeError, KeyError, TypeError) as error:
            raise LabelsError(
                "The layer of labels cannot be read; import its file again."
            ) from error

    def to_geojson(self, grid: Grid) -> bytes:
        """Return the layer as a FeatureCollection in UTF-8, with the outline of each tile.

        Each feature has the properties `tile`, `label` ("yes" or "no"), `lon` and `lat` of the
        centre in degrees. Raises LabelsError for a tile that the grid does not have.
        """
        answers = [(tile, answer) for answer in ANSWERS for tile in getattr(self, answer)]
        numbers = np.array([grid.number_of(tile) for tile, _ in answers], np.int64)
        for (tile, _), number in zip(answers, numbers, strict=True):
            if number < 0:
                raise LabelsError(f'The index has no tile "{tile[:40]}"; remove its label.')
        collection = {
            "type": "FeatureCollection",
            "name": self.name,
            "crs": {"type": "name", "properties": {"name": CRS_URN}},
            "mars_map": {"colour": self.colour, "grid": grid.to_dict()},
            "features": [
                _feature(tile, answer, box)
                for (tile, answer), box in zip(answers, grid.bounds(numbers), strict=True)
            ],
        }
        return json.dumps(collection, ensure_ascii=False, separators=(",", ":")).encode()


class Imported(NamedTuple):
    """A layer read from a file, and what had to be done to it."""

    layer: LabelLayer
    note: str
    """One sentence on labels that were moved or left out; nothing where all were as they are."""


def read_geojson(data: bytes, grid: Grid) -> Imported:
    """Read a layer from `to_geojson`, or from any GeoJSON of Mars whose features say yes or no.

    A feature's property `label` is "yes" or "no". It stands for the tile whose id and place it has,
    else for the tile under its centre (the properties `lon` and `lat`, or the middle of the
    geometry's box): so a file of another grid comes over, and several labels may fall onto one
    tile. Raises LabelsError for a file that is too large, is no GeoJSON, is of another body, or has
    no label with a place on this grid.
    """
    document = _document(data)
    _check_body(document.get("crs"))
    votes: dict[int, set[str]] = {}
    moved = lost = 0
    for feature in document["features"]:
        answer, number, is_same = _place(feature, grid)
        if number < 0:
            lost += 1
            continue
        moved += not is_same
        votes.setdefault(number, set()).add(answer)
    if not votes:
        raise LabelsError(
            'The file has no label that this grid has a place for; each feature needs a "label" of '
            '"yes" or "no" and coordinates on Mars.'
        )
    sides = {a: [n for n, said in votes.items() if said == {a}] for a in ANSWERS}
    disputed = sum(len(said) > 1 for said in votes.values())
    style = document.get("mars_map")
    colour = style.get("colour") if isinstance(style, dict) else None
    layer = LabelLayer(
        str(document.get("name") or "Imported labels"),
        colour if isinstance(colour, str) and _COLOUR.fullmatch(colour) else COLOURS[0],
        **{answer: tuple(grid.names(numbers).tolist()) for answer, numbers in sides.items()},
    )
    return Imported(layer, _note(moved, lost, disputed))


@dataclass
class LabelBook:
    """The layers of one visitor, of which at most one is open: the one that the query uses.

    Labels are part of the query, so that undo, the address and the cache know them. The book
    follows the query: every set of labels is kept as a layer, and none is lost when somebody asks
    for something else.
    """

    layers: list[LabelLayer] = field(default_factory=list)
    """The layers, oldest first."""
    open: int | None = None
    """Number of the layer that the query uses; None while it has no labels."""
    subjects: list[tuple[Part, ...]] = field(default_factory=list)
    """What each layer was labelled for; as many as there are layers."""
    is_fresh: bool = False
    """Whether the next label begins a new layer."""

    def follow(self, query: Query | None) -> None:
        """Take over the labels of the present query.

        They are those of a layer already; or they change the layer of the same subject; or they
        begin a new one, named after the query.
        """
        if query is None or not (query.yes or query.no):
            self.open = None
            return
        known = self._find(lambda n: _same(self.layers[n], query))
        if known is None and not self.is_fresh:
            known = self._find(lambda n: self.subjects[n] == query.parts)
        if known is None:
            known = self._begin(query)
        self.open, self.is_fresh = known, False
        self.layers[known] = self.layers[known].with_(yes=query.yes, no=query.no)
        self.subjects[known] = query.parts

    def add(self, layer: LabelLayer) -> int:
        """Add a layer without opening it; returns its number."""
        self.layers.append(layer)
        self.subjects.append(())
        return len(self.layers) - 1

    def remove(self, number: int) -> None:
        """Forget a layer. That it is open is for the caller to undo."""
        del self.layers[number], self.subjects[number]
        self.open = None

    def next_colour(self) -> str:
        """Return a colour that the fewest layers have."""
        used = [layer.colour for layer in self.layers]
        return min(COLOURS, key=used.count)

    def _find(self, fits: Any) -> int | None:
        # The open layer first, then the newest.
        numbers = [] if self.open is None else [self.open]
        numbers += reversed(range(len(self.layers)))
        return next((n for n in numbers if fits(n)), None)

    def _begin(self, query: Query) -> int:
        name = query.topic if query.active else "Labels"
        taken = {layer.name for layer in self.layers}
        spellings = (name, *(f"{name} {n}" for n in range(2, len(taken) + 3)))
        free = next(one for one in spellings if one not in taken)
        number = self.add(LabelLayer(free, self.next_colour()))
        return number


def tiles_in_outline(grid: Grid, corners: Iterable[tuple[float, float]]) -> tuple[str, ...]:
    """Return the ids of the tiles whose centres lie in a freehand outline of (lon, lat) degrees.

    Longitudes may run on beyond 180. An outline that crosses itself holds what it winds round an
    odd number of times. Raises LabelsError where nothing, or more than `MAX_LABELS`, lies inside.
    """
    import shapely

    ring = np.array([[float(x), float(y)] for x, y in corners]).reshape(-1, 2)
    if len(ring) < 3 or not np.isfinite(ring).all():
        raise LabelsError("The outline is too small; drag round the tiles.")
    outline = shapely.make_valid(shapely.Polygon(ring))
    shapely.prepare(outline)
    lon, lat = grid.centers
    inside = np.zeros(grid.n_tiles, bool)
    for turn in (-360.0, 0.0, 360.0):
        inside |= shapely.contains_xy(outline, lon + turn, lat)
    tiles = np.flatnonzero(inside)
    if not len(tiles):
        raise LabelsError("No tile's centre lies in that outline; drag round a larger area.")
    if len(tiles) > MAX_LABELS:
        raise LabelsError(
            f"{len(tiles):,} tiles lie in that outline; label at most {MAX_LABELS:,} at a time."
        )
    return tuple(grid.names(tiles).tolist())


def _same(layer: LabelLayer, query: Query) -> bool:
    return set(layer.yes) == set(query.yes) and set(layer.no) == set(query.no)


def _feature(tile: str, answer: str, bounds: Any) -> dict[str, Any]:
    west, south, east, north = (round(float(v), 9) for v in bounds)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    centre = {"lon": round((west + east) / 2, 6), "lat": round((south + north) / 2, 6)}
    return {
        "type": "Feature",
        "properties": {"tile": tile, "label": answer, **centre},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def _document(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_FILE_BYTES:
        raise LabelsError(
            f"The file is larger than {MAX_FILE_BYTES // 2**20} MB, the most that a layer of "
            "labels may have; give a part of it."
        )
    try:
        document = json.loads(data.decode("utf-8-sig"))
        features = document["features"]
        if not isinstance(features, list):
            raise TypeError("features are no list")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LabelsError("The file is not a collection of features in GeoJSON.") from error
    return document


def _check_body(member: Any) -> None:
    """Refuse another body's coordinates; without a `crs` member they are degrees on Mars."""
    if member is None:
        return
    try:
        name = member["properties"]["name"]
    except (KeyError, TypeError):
        name = ""
    if name not in MARS_NAMES:
        raise LabelsError(
            f'The file is in the reference system "{str(name)[:60] or "?"}"; labels of Mars are in '
            f"{CRS_URN}: reproject them, or remove it if it is wrong."
        )


def _place(feature: Any, grid: Grid) -> tuple[str, int, bool]:
    """Return the answer, the tile (-1 for none) and whether it is the very tile of the file."""
    try:
        properties = feature["properties"]
        answer = properties["label"]
        lon, lat = _centre(properties, feature.get("geometry"))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return "", -1, False
    if answer not in ANSWERS or not (abs(lon) <= 360 and abs(lat) <= 90):
        return "", -1, False
    number = int(grid.tile_at(lon, lat))
    is_same = number >= 0 and grid.names([number])[0] == properties.get("tile")
    return answer, number, is_same


def _centre(properties: Mapping[str, Any], geometry: Any) -> tuple[float, float]:
    if "lon" in properties and "lat" in properties:
        lon, lat = float(properties["lon"]), float(properties["lat"])
    else:
        west, south, east, north = _bounds(geometry)
        lon, lat = (west + east) / 2, (south + north) / 2
    if not (math.isfinite(lon) and math.isfinite(lat)):
        raise ValueError("not finite")
    return lon, lat


def _bounds(geometry: Any) -> tuple[float, float, float, float]:
    import shapely.errors
    import shapely.geometry

    try:
        return shapely.geometry.shape(geometry).bounds
    except shapely.errors.ShapelyError as error:
        raise ValueError("no geometry") from error


def _note(moved: int, lost: int, disputed: int) -> str:
    parts = []
    if moved:
        parts.append(f"labels of another grid, {moved:,}, went to the tiles under their centres")
    if lost:
        parts.append(f"labels without a readable answer or place, {lost:,}, were left out")
    if disputed:
        parts.append(f"tiles called both right and wrong, {disputed:,}, were left out")
    note = "; ".join(parts)
    return f"{note[0].upper()}{note[1:]}." if note else ""


def _ids(values: Any) -> tuple[str, ...]:
    if isinstance(values, str):
        raise TypeError("not a list")
    return tuple(string(value) for value in values)
