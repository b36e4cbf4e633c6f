"""What catalogues, the gazetteer and rasters know of the tiles of a grid."""

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from mars_map.build.inputs import ALBEDO, ELEVATION, NOMENCLATURE, THERMAL_INERTIA, Inputs
from mars_map.build.windows import GlobalRaster
from mars_map.planet.grid import Grid
from mars_map.planet.sphere import RADIUS_M
from mars_map.training.craters import Craters
from mars_map.training.places import TilePlaces, points_of, unit_vectors
from mars_map.training.terrain import Terrain
from mars_map.training.valleys import trace_course

COURSE_DEPTH_M = 25.0
"""A valley's course counts where it lies this far below its surroundings."""


@dataclass
class Ground:
    """What catalogues and rasters know about the tiles of a grid."""

    inputs: Inputs
    grid: Grid

    @cached_property
    def places(self) -> TilePlaces:
        """The tile centres."""
        return TilePlaces.of(self.grid)

    @cached_property
    def lat(self) -> NDArray[np.float64]:
        """Latitude of each tile, degrees."""
        return self.grid.centers[1]

    @cached_property
    def elevation(self) -> GlobalRaster:
        """The elevation model, m."""
        return GlobalRaster(torch.from_numpy(self.inputs.raster(ELEVATION)[0]))

    @cached_property
    def landforms(self) -> dict[str, list[str]]:
        """The table of what named features are."""
        path = Path(__file__).with_name("landforms.toml")
        return tomllib.loads(path.read_text(encoding="utf-8"))

    @cached_property
    def features(self) -> dict[str, dict[str, str]]:
        """Rows of the IAU gazetteer by name, albedo features left out."""
        rows = self.inputs.rows(NOMENCLATURE)
        # Names in capitals are an older list's spelling of some that are there anyway.
        return {
            r["name"]: r
            for r in rows
            if r["feature_type"] != "Albedo Feature" and not r["name"].isupper()
        }

    @property
    def river_valleys(self) -> list[str]:
        """Named valleys that are not known to be anything but cut by rivers."""
        other = ("outflow_channels", "not_fluvial_valleys", "valleys_disputed")
        names = {name for key in other for name in self.landforms[key]}
        return [name for name in self.of_type("Vallis") if name not in names]

    def box(self, name: str) -> tuple[float, float, float, float] | None:
        """West, south, east and north of a feature, degrees, where the gazetteer tells them."""
        row = self.features[name]
        if not row["west"]:
            return None
        return tuple(float(row[k]) for k in ("west", "south", "east", "north"))

    def course(self, name: str) -> NDArray[np.float64]:
        """Points along a named valley, traced in the elevation model, (n, 2) degrees.

        Where a course hardly lies below its surroundings it is not trusted and left out. A valley
        without an extent has no course.
        """
        if name not in self._courses:
            self._courses[name] = np.empty((0, 2))
            if box := self.box(name):
                at, below = trace_course(self.elevation, *box)
                deep = uniform_filter1d(below, 9, mode="nearest") > COURSE_DEPTH_M
                self._courses[name] = at[deep]
        return self._courses[name]

    @cached_property
    def _courses(self) -> dict[str, NDArray[np.float64]]:
        return {}

    def of_type(self, *types: str) -> list[str]:
        """Names of the features whose type begins with one of some words."""
        return [n for n, r in self.features.items() if r["feature_type"].startswith(types)]

    @cached_property
    def inertia(self) -> NDArray[np.float32]:
        """Thermal inertia at the tile centres, J m-2 K-1 s-1/2."""
        return self._sample(THERMAL_INERTIA)

    @cached_property
    def albedo(self) -> NDArray[np.float32]:
        """Lambert albedo at the tile centres, 0..1."""
        return self._sample(ALBEDO)

    def _sample(self, raster: str) -> NDArray[np.float32]:
        """Sample a raster of the inputs at the tile centres."""
        values = GlobalRaster(torch.from_numpy(self.inputs.raster(raster)[0]))
        lon, lat = (torch.from_numpy(v) for v in self.grid.centers)
        return values.sample(lon, lat).numpy()


@dataclass
class Facts(Ground):
    """Everything that the rules read."""

    terrain: Terrain
    craters: Craters
    """Those found and named, among them round hollows that no impact made."""

    @cached_property
    def impacts(self) -> Craters:
        """The craters without volcanic calderas and paterae: a patera is not a crater."""
        table = self.landforms
        names = [*table["calderas"], *table["calderas_disputed"], *table["caldera_summits"]]
        names = [name for name in names if name in self.features]
        rows = [self.features[name] for name in names]
        size = np.array([float(r["diameter_km"]) for r in rows])
        # A summit's size is that of its mountain, whose caldera is some 40 km wide or smaller.
        summit = np.isin(names, table["caldera_summits"])
        reach = np.where(summit, np.minimum(0.15 * size, 60.0), np.maximum(0.6 * size, 15.0))
        centres = unit_vectors(*points_of(rows).T)
        gap = np.linalg.norm(
            unit_vectors(self.craters.lon, self.craters.lat)[:, None] - centres, axis=-1
        )
        return self.craters.where(~(gap * RADIUS_M / 1000 < reach).any(axis=1))
