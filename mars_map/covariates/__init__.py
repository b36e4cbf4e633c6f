"""Covariates: what else is known of every tile, such as its elevation or thermal inertia.

`Covariates(grid)` is the engine's provider: `covariates(name)` returns one number a tile. Queries
are limited by covariates, and `mars_map.analysis` compares hits with the planet in them. Nothing
heavy is imported before the first of them is asked for.
"""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mars_map.covariates.distance import nearest_distance_km
from mars_map.covariates.footprints import CellRaster, footprint_means
from mars_map.errors import CovariateError
from mars_map.planet.grid import Grid
from mars_map.planet.sphere import METRES_PER_DEGREE
from mars_map.settings import BASEMAP_DIR, COVARIATES_DIR, GAZETTEER_FILE


@dataclass(frozen=True)
class Covariate:
    """What a covariate is called and how its values are written."""

    name: str
    """Name in addresses and on the command line, such as "thermal_inertia"."""
    title: str
    """Name for people."""
    unit: str
    """Unit of the values; empty for a pure number."""
    decimals: int
    """Decimals that people need."""
    higher: str
    """How ground with greater values is called beside other ground: "higher"."""
    lower: str
    """How ground with smaller values is called."""
    source: str
    """Where the values come from, and what to keep in mind."""

    def value(self, number: float) -> str:
        """Write a value with its unit: "−2,100 m"."""
        text = f"{number:,.{self.decimals}f}".replace("-", "\N{MINUS SIGN}")
        return f"{text} {self.unit}" if self.unit and self.unit != "°" else f"{text}{self.unit}"


@dataclass(frozen=True)
class _Kinds:
    """Features of the gazetteer that a distance is measured to."""

    kinds: tuple[str, ...]
    least_km: float = 0.0


_MEASURED = (
    Covariate(
        "elevation", "Elevation", "m", 0, "higher", "lower",
        "MOLA, metres above the areoid, quarter-degree cells",
    ),
    Covariate(
        "slope", "Slope over 30 km", "°", 2, "steeper", "flatter",
        "MOLA, steepest slope over two quarter-degree cells (30 km); says nothing of single scarps",
    ),
    Covariate(
        "thermal_inertia", "Thermal inertia", "tiu", 0,
        "of higher thermal inertia", "of lower thermal inertia",
        "TES, J m-2 K-1 s-1/2 (tiu), half-degree cells; striped by orbits poleward of about 70°, "
        "unknown at the poles",
    ),
    Covariate(
        "albedo", "Albedo", "", 3, "brighter", "darker",
        "TES Lambert albedo, half-degree cells; unknown at the poles",
    ),
    Covariate(
        "latitude", "Latitude", "°", 1, "further north", "further south",
        "Planetocentric latitude of the tile's centre",
    ),
    Covariate(
        "latitude_abs", "Distance from equator", "°", 1,
        "nearer to the poles", "nearer to the equator",
        "Planetocentric latitude of the tile's centre without its sign",
    ),
)  # fmt: skip
_DISTANCES = {
    "km_to_crater": ("Distance to large crater", "large craters", _Kinds(("crater",), 50.0)),
    "km_to_volcano": ("Distance to volcano", "volcanoes", _Kinds(("mons", "patera", "tholus"))),
    "km_to_vallis": ("Distance to vallis", "valles", _Kinds(("vallis",))),
    "km_to_chasma": ("Distance to chasma", "chasmata", _Kinds(("chasma", "labyrinthus"))),
    "km_to_chaos": ("Distance to chaos", "chaos terrain", _Kinds(("chaos",))),
    "km_to_fossa": ("Distance to fossa", "fossae", _Kinds(("fossa",))),
}
_CATALOGUED = tuple(
    Covariate(
        name, title, "km", 0, f"further from {plural}", f"nearer to {plural}",
        "Along the great circle to the centre of the nearest such feature with a name (IAU)"
        + (f", over {wanted.least_km:g} km across" if wanted.least_km else ""),
    )
    for name, (title, plural, wanted) in _DISTANCES.items()
)  # fmt: skip
COVARIATES = {covariate.name: covariate for covariate in (*_MEASURED, *_CATALOGUED)}
"""All covariates that come with the program, by name."""
FILTERS = ("elevation", "slope", "thermal_inertia", "albedo", "latitude")
"""Those that the page offers to limit a search by; a query may use any of them."""


class Covariates:
    """The covariates of all tiles of a grid, computed when first asked for. Safe to share."""

    def __init__(
        self,
        grid: Grid,
        *,
        rasters: Path = COVARIATES_DIR,
        basemaps: Path = BASEMAP_DIR,
        gazetteer: Path = GAZETTEER_FILE,
    ) -> None:
        """Take a grid, and the folders and the table of names that values are read from."""
        self.grid = grid
        self._rasters, self._basemaps, self._gazetteer = rasters, basemaps, gazetteer
        self._known: dict[str, NDArray[np.float32]] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str) -> NDArray[np.float32]:
        """Return the values of all tiles, (n_tiles,) float32, read-only; nan where unknown.

        Raises CovariateError for a name that does not exist and for a file that cannot be read.
        """
        if name not in COVARIATES:
            raise CovariateError(
                f'There is no covariate "{name[:40]}"; choose from {", ".join(COVARIATES)}.'
            )
        with self._lock:
            if name not in self._known:
                values = self._compute(name)
                values.flags.writeable = False
                self._known[name] = values
            return self._known[name]

    def _compute(self, name: str) -> NDArray[np.float32]:
        match name:
            case "latitude":
                return self.grid.centers[1].astype(np.float32)
            case "latitude_abs":
                return np.abs(self.grid.centers[1]).astype(np.float32)
            case "elevation":
                return footprint_means(self._elevation(), self.grid)
            case "slope":
                return footprint_means(slope_cells(self._elevation()), self.grid)
            case "thermal_inertia" | "albedo":
                return footprint_means(self._read(self._rasters / f"{name}.tif"), self.grid)
        return self._distance(_DISTANCES[name][2])

    def _elevation(self) -> CellRaster:
        return self._read(self._basemaps / "elevation.tif")

    def _read(self, path: Path) -> CellRaster:
        # Rasterio takes a while to import, which a query without a filter need not wait for.
        from mars_map.covariates.rasters import read_cells

        if not path.is_file():
            raise CovariateError(f'The raster "{path}" is missing; restore it.')
        return read_cells(path)

    def _distance(self, wanted: _Kinds) -> NDArray[np.float32]:
        from mars_map.planet.gazetteer import Gazetteer

        places = [
            (feature.lon, feature.lat)
            for feature in Gazetteer.load(self._gazetteer).features
            if feature.kind in wanted.kinds and (feature.diameter_km or 0.0) >= wanted.least_km
        ]
        if not places:
            raise CovariateError(f"The table of names has no {' or '.join(wanted.kinds)}.")
        return nearest_distance_km(self.grid, *np.array(places).T)


def slope_cells(elevation: CellRaster) -> CellRaster:
    """Return the slope in degrees of elevations in metres that go round the planet.

    Central differences over two cells. Towards the poles, where meridians converge, rows are first
    averaged along the parallel over 1 / cos(latitude) cells, so that east and north are judged over
    the same distance on the ground.
    """
    from scipy.ndimage import uniform_filter1d

    rows, columns = elevation.values.shape
    cosine = np.cos(np.radians((elevation.lat_edges[:-1] + elevation.lat_edges[1:]) / 2))
    smooth = np.asarray(elevation.values, np.float32).copy()
    for row, stretch in enumerate(1.0 / cosine):
        width = min(round(float(stretch)) | 1, columns // 4 | 1)
        smooth[row] = uniform_filter1d(smooth[row], width, mode="wrap")
    step = METRES_PER_DEGREE * 180.0 / rows
    # Where the parallel is shorter than a few cells, the smoothed row is level: no slope is lost.
    east = (np.roll(smooth, -1, 1) - np.roll(smooth, 1, 1)) / (2 * step * cosine[:, np.newaxis])
    north = np.gradient(smooth, axis=0) / step
    slope = np.degrees(np.arctan(np.hypot(east, north)))
    return CellRaster(slope, elevation.lat_edges, elevation.lon_edges)
