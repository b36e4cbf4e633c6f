"""Twenty classes of landforms on cells of one degree: where the catalogues say that they are.

This is the ground truth on which text queries are compared with a closed-set classifier. It knows
no measured terrain, no margins and nothing unknown, other than the labels of tiles; a training
learns from both, of the cells on its own ground. A cell
shows a class where a member's point, line or polygon touches it, or where its centre lies in the
extent of a named feature; every other cell does not show it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from mars_map.build.inputs import (
    DUNE_FIELDS,
    GLACIER_LIKE_FORMS,
    GRABEN,
    LANDSLIDES,
    LAYERED_EJECTA,
    WRINKLE_RIDGES,
    Inputs,
)
from mars_map.planet.grid import EqualAreaGrid, Grid
from mars_map.training.extents import extent_labels
from mars_map.training.ground import Ground
from mars_map.training.places import densify

CELLS = EqualAreaGrid(1.0)
"""Cells of one degree (59 km) on each side, all of about the same area."""
LARGE_CRATER_KM = 50.0
"""Named craters from this diameter on are a class."""


@dataclass(frozen=True)
class CellTruth:
    """Which cells show which class."""

    keys: tuple[str, ...]
    """Keys of the classes, which are those of the glossary's landforms."""
    shown: NDArray[np.bool_]
    """(n_cells, n_classes)."""

    @classmethod
    def of(cls, inputs: Inputs) -> "CellTruth":
        """Read the catalogues. Raises BuildError where one is absent."""
        ground = Ground(inputs, CELLS)
        classes = {**_catalogues(inputs), **_named(ground)}
        return cls(tuple(classes), np.stack(list(classes.values()), axis=1))

    def labels(self, grid: Grid, keys: Sequence[str]) -> NDArray[np.int8]:
        """Label tiles by the cells that their centres lie in, (n_tiles, len(keys)).

        keys: of landforms. 1 where the cell shows the class, 0 where it does not; -1 for landforms
        that are no class.
        """
        cells = CELLS.tile_at(*grid.centers)
        labels = np.full((grid.n_tiles, len(keys)), -1, np.int8)
        for key, shown in zip(self.keys, self.shown.T, strict=True):
            labels[:, keys.index(key)] = shown[cells]
        return labels


def cell_scores(grid: Grid, scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean score of the tiles with centres in each cell, (n_cells, ...).

    scores: (n_tiles, ...). A cell without a tile gets NaN.
    """
    cells = CELLS.tile_at(*grid.centers)
    total = np.zeros((CELLS.n_tiles, *scores.shape[1:]))
    np.add.at(total, cells, scores)
    count = np.bincount(cells, minlength=CELLS.n_tiles).astype(float)
    count[count == 0] = np.nan
    return total / count.reshape(-1, *[1] * (scores.ndim - 1))


def _catalogues(inputs: Inputs) -> dict[str, NDArray[np.bool_]]:
    dunes = [
        shapely.make_valid(shapely.Polygon(ring))
        for _, rings in inputs.shapes(DUNE_FIELDS)
        for ring in rings
        if len(ring) > 3
    ]
    return {
        "landslide": _with_points(_points(inputs, LANDSLIDES)),
        "glacier": _with_points(_points(inputs, GLACIER_LIKE_FORMS)),
        "ejecta": _with_points(_points(inputs, LAYERED_EJECTA)),
        "wrinkle_ridge": _with_lines(inputs, WRINKLE_RIDGES),
        "graben": _with_lines(inputs, GRABEN),
        "dunes": _with_polygons(dunes),
    }


def _named(ground: Ground) -> dict[str, NDArray[np.bool_]]:
    table, of_type = ground.landforms, ground.of_type
    craters = [
        name
        for name in of_type("Crater")
        if float(ground.features[name]["diameter_km"]) >= LARGE_CRATER_KM
    ]
    names = {
        "large_crater": craters,
        "volcano": table["volcanoes"],
        "large_dune_field": of_type("Unda"),
        "chaos": of_type("Chaos"),
        "canyon": [n for n in of_type("Chasma") if n not in table["polar_chasmata"]],
        "channel": [n for n in of_type("Vallis") if n not in table["not_fluvial_valleys"]],
        "mesa": of_type("Mensa"),
        "knobs": of_type("Collis"),
        "massif": table["massifs"],
        "plateau": table["plateaus"],
        "planitia": of_type("Planitia"),
        "scarp": of_type("Rupes", "Scopulus"),
        "pits": of_type("Cavus"),
        "sulci": of_type("Sulcus"),
    }
    return {key: extent_labels(ground, some, 1.0, 1.0) == 1 for key, some in names.items()}


def _points(inputs: Inputs, catalogue: str) -> NDArray[np.float64]:
    rows = inputs.rows(catalogue)
    return np.array([[float(row["lon"]), float(row["lat"])] for row in rows])


def _with_points(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    shown = np.zeros(CELLS.n_tiles, bool)
    lon, lat = points.T
    shown[CELLS.tile_at((lon + 180.0) % 360.0 - 180.0, lat)] = True
    return shown


def _with_lines(inputs: Inputs, catalogue: str) -> NDArray[np.bool_]:
    lines = [densify(ring, 3.0) for _, rings in inputs.shapes(catalogue) for ring in rings]
    return _with_points(np.concatenate(lines))


def _with_polygons(polygons: list[shapely.Geometry]) -> NDArray[np.bool_]:
    boxes = shapely.box(*CELLS.bounds(np.arange(CELLS.n_tiles)).T)
    shown = np.zeros(CELLS.n_tiles, bool)
    shown[shapely.STRtree(boxes).query(polygons, predicate="intersects")[1]] = True
    return shown
