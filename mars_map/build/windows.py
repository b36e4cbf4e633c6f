"""Windows: what the encoder sees of each tile, square on the ground and north up at its centre.

A window is cut in an azimuthal equidistant projection centred on the tile, so that a crater is as
round at 85 N as at the equator, and the antimeridian and the poles need no special case.
Two concentric windows belong to each tile: a near one and a wide one (`WindowSpec`).
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from mars_map.build.inputs import (
    ALBEDO,
    ELEVATION,
    THERMAL_INERTIA,
    VIKING_COLOUR,
    Inputs,
    mend_seam,
)
from mars_map.encoders.network import SURFACE
from mars_map.encoders.windows import Windows, WindowSpec
from mars_map.errors import BuildError
from mars_map.planet.grid import Grid
from mars_map.planet.local import square_points
from mars_map.planet.sphere import METRES_PER_DEGREE

Progress = Callable[[str, int, int], None]
"""Called with the name of the step, the units done and the units in all."""

CHUNK = 512
"""Tiles that are cut at a time; keeps the working set near the processor's cache."""


def window_points(
    lon: ArrayLike, lat: ArrayLike, width_m: float, pixels: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `square_points` as float32 tensors: good to a metre, where a pixel has hundreds."""
    lons, lats = square_points(lon, lat, width_m, pixels)
    return torch.from_numpy(lons).float(), torch.from_numpy(lats).float()


@dataclass(frozen=True)
class GlobalRaster:
    """A raster of the whole planet in plate carrée, north up, its west edge at 180 W."""

    values: torch.Tensor
    """(rows, columns) of any real type."""

    def sample(self, lon: torch.Tensor, lat: torch.Tensor) -> torch.Tensor:
        """Interpolate bilinearly at points in degrees; wraps in longitude, float32, same shape."""
        rows, columns = self.values.shape
        x = (lon + 180.0) * (columns / 360.0) - 0.5
        y = ((90.0 - lat) * (rows / 180.0) - 0.5).clamp(0.0, rows - 1.0)
        x0, y0 = torch.floor(x), torch.floor(y).clamp_max(rows - 2.0)
        fx, fy = x - x0, y - y0
        west = torch.remainder(x0.to(torch.int32), columns).long()
        east = torch.remainder(west + 1, columns)
        top = y0.long() * columns
        flat = self.values.reshape(-1)

        def row(start: torch.Tensor) -> torch.Tensor:
            left, right = flat[start + west].float(), flat[start + east].float()
            return left + fx * (right - left)

        upper = row(top)
        return upper + fy * (row(top + columns) - upper)

    def averaged(self, factor: int) -> "GlobalRaster":
        """Return the raster averaged over factor x factor pixels, against aliasing.

        Columns or rows that do not fill a block are spread by area, so the edges stay in place.
        """
        rows, columns = self.values.shape
        size = (round(rows / factor), round(columns / factor))
        mean = torch.nn.functional.interpolate(
            self.values[None, None].float(), size, mode="area"
        )  # "area" is adaptive average pooling: every pixel counts, also where factor is uneven.
        return GlobalRaster(mean[0, 0])


@dataclass(frozen=True)
class WindowSources:
    """The rasters that windows are cut from, one level of averaging for each window width."""

    luminance: tuple[GlobalRaster, ...]
    """Viking brightness, 0..255."""
    colour: tuple[GlobalRaster, ...]
    """Half of Viking red minus blue, plus 128, 0..255."""
    elevation: tuple[GlobalRaster, ...]
    """MOLA elevation, metres."""
    surface: tuple[GlobalRaster, ...] = ()
    """TES thermal inertia, J m-2 K-1 s-1/2, and Lambert albedo; none where they are not known."""

    @classmethod
    def from_rasters(
        cls,
        rgb: NDArray[np.uint8],
        elevation: NDArray,
        spec: WindowSpec,
        surface: tuple[NDArray[np.float32], ...] = (),
    ) -> "WindowSources":
        """Build the levels from (3, rows, columns) colour and (rows, columns) elevation in m.

        surface: thermal inertia and albedo, (rows, columns) each.
        """
        red, green, blue = (torch.from_numpy(band) for band in rgb)
        luminance = (red.to(torch.int16) + green + blue).div(3).round().to(torch.uint8)
        colour = (red.to(torch.int16) - blue).div(2).round().add(128).to(torch.uint8)
        height = torch.from_numpy(np.ascontiguousarray(elevation))
        levels = (_levels(values, spec) for values in (luminance, colour, height))
        return cls(*levels, tuple(GlobalRaster(torch.from_numpy(values)) for values in surface))

    @classmethod
    def read(cls, inputs: Inputs, spec: WindowSpec) -> "WindowSources":
        """Read Viking colour, MOLA elevation and TES surface properties.

        Raises BuildError where one is absent.
        """
        rgb = inputs.raster(VIKING_COLOUR)
        mend_seam(rgb)
        surface = (inputs.raster(THERMAL_INERTIA)[0], inputs.raster(ALBEDO)[0])
        return cls.from_rasters(rgb, inputs.raster(ELEVATION)[0], spec, surface)


def cut_windows(
    sources: WindowSources, lon: ArrayLike, lat: ArrayLike, spec: WindowSpec
) -> Windows:
    """Cut the windows around points in degrees, (n,) each; see `Windows` for what comes back."""
    images, elevations = [], []
    for scale, width_km in enumerate(spec.widths_km):
        points = window_points(lon, lat, width_km * 1000.0, spec.pixels)
        layers = [s[scale].sample(*points) for s in (sources.luminance, sources.colour)]
        images.append(torch.stack(layers, dim=1).round().to(torch.uint8))
        elevations.append(sources.elevation[scale].sample(*points).round().to(torch.int16))
    image, elevation = torch.stack(images, 1), torch.stack(elevations, 1)
    return Windows(image.numpy(), elevation.numpy(), _sample_surface(sources, lon, lat))


def _sample_surface(sources: WindowSources, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float32]:
    lon, lat = (torch.as_tensor(np.asarray(v, float)) for v in (lon, lat))
    if not sources.surface:
        return np.full((len(lon), SURFACE), np.nan, np.float32)
    return torch.stack([s.sample(lon, lat).float() for s in sources.surface], 1).numpy()


def cache_windows(
    inputs: Inputs, grid: Grid, folder: Path, spec: WindowSpec, progress: Progress
) -> Windows:
    """Cut the windows of all tiles of a grid into a folder, or open those that are there.

    The folder is left as it is when its `windows.json`, which is written last, tells of the same
    grid and spec. Returns the windows memory-mapped. Raises BuildError.
    """
    description = {"grid": grid.to_dict(), "spec": asdict(spec), "layers": Windows._fields}
    if _described(folder) != json.loads(json.dumps(description)):
        sources = WindowSources.read(inputs, spec)
        _write_windows(sources, grid, folder, spec, progress)
        (folder / "windows.json").write_text(json.dumps(description, indent=1), encoding="utf-8")
    return open_windows(folder)


def open_windows(folder: Path) -> Windows:
    """Open cached windows memory-mapped. Raises BuildError where there are none."""
    if _described(folder) is None:
        raise BuildError(f"There are no windows in {folder}; cut them first.")
    return Windows(*(np.load(path, mmap_mode="r") for path in _files(folder)))


def _write_windows(
    sources: WindowSources, grid: Grid, folder: Path, spec: WindowSpec, progress: Progress
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "windows.json").unlink(missing_ok=True)
    lon, lat = grid.centers
    n, scales, p = grid.n_tiles, len(spec.widths_km), spec.pixels
    types = (np.uint8, np.int16, np.float32)
    shapes = ((n, scales, 2, p, p), (n, scales, p, p), (n, SURFACE))
    files = [
        np.lib.format.open_memmap(path, "w+", kind, shape)
        for path, kind, shape in zip(_files(folder), types, shapes, strict=True)
    ]
    for start in range(0, n, CHUNK):
        part = slice(start, min(start + CHUNK, n))
        cut = cut_windows(sources, lon[part], lat[part], spec)
        for file, values in zip(files, cut, strict=True):
            file[part] = values
        progress("windows", part.stop, n)
    for file in files:
        file.flush()


def _levels(values: torch.Tensor, spec: WindowSpec) -> tuple[GlobalRaster, ...]:
    raster = GlobalRaster(values)
    native_m = 180.0 * METRES_PER_DEGREE / values.shape[0]
    levels = []
    for width_km in spec.widths_km:
        factor = round(width_km * 1000.0 / spec.pixels / native_m)
        levels.append(raster.averaged(factor) if factor > 1 else raster)
    return tuple(levels)


def _files(folder: Path) -> list[Path]:
    return [folder / f"{layer}.npy" for layer in Windows._fields]


def _described(folder: Path) -> dict | None:
    try:
        return json.loads((folder / "windows.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
