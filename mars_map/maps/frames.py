"""Frames of printed maps: which part of the planet a figure shows, and in which projection.

Most of the planet is shown equirectangular with the middle latitude of the frame true to scale both
ways (plate carrée, where that is the equator). A region beyond 60 degrees is shown in polar
stereographic projection round the pole, IAU_2015:49930 or 49935 (`mars_map.planet.polar`).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mars_map.maps.raster import MarsRaster
from mars_map.planet.coordinates import wrap_longitude
from mars_map.planet.polar import POLAR_CRS, Pole, lonlat_from_polar, polar_from_lonlat
from mars_map.planet.regions import Region
from mars_map.planet.sphere import CRS_AUTHORITY, METRES_PER_DEGREE

POLAR_FROM = 60.0
"""A region that lies wholly beyond this latitude is shown round its pole."""
MARGIN = 0.1
"""Room round a region, as a share of its shorter side."""
MAX_MIDDLE_LATITUDE = 75.0
"""The true parallel of an equirectangular map lies no nearer to a pole."""
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60)
"""Degrees between the lines of a graticule."""
MAX_INTERVALS = 6
"""Most intervals of a graticule along one side."""


class Frame(ABC):
    """A part of the planet in a projection."""

    crs: str
    """Authority and code of the projection."""
    extent: tuple[float, float, float, float]
    """Left, right, bottom and top, in `unit`."""
    unit: str
    """ "degrees" or "metres"."""

    @property
    @abstractmethod
    def ratio(self) -> float:
        """Height over width on paper."""

    @property
    @abstractmethod
    def middle_latitude(self) -> float:
        """Latitude at which the scale bar is true, degrees."""

    @property
    @abstractmethod
    def metres_per_unit(self) -> float:
        """Length on the ground of one unit along the parallel `middle_latitude`."""

    @abstractmethod
    def lonlat(self, width: int, height: int) -> tuple[NDArray, NDArray]:
        """Return degrees of the centres of a picture's pixels, (height, width) each, north up."""

    @abstractmethod
    def project(self, lon: ArrayLike, lat: ArrayLike) -> tuple[NDArray, NDArray]:
        """Return where points in degrees lie in the frame's units."""

    @abstractmethod
    def picture(self, raster: MarsRaster, width: int, height: int) -> NDArray[np.uint8]:
        """Return a raster of the whole planet resampled to the frame, (height, width, 3)."""

    @property
    @abstractmethod
    def title(self) -> str:
        """The projection in words."""


@dataclass(frozen=True)
class FlatFrame(Frame):
    """Equirectangular, true to scale at its middle latitude; west and east are multiples of 360
    away from [-180, 180] where the frame crosses the antimeridian.
    """

    west: float
    south: float
    east: float
    north: float

    crs = ":".join(CRS_AUTHORITY)
    unit = "degrees"

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top in degrees."""
        return self.west, self.east, self.south, self.north

    @property
    def aspect(self) -> float:
        """Length of a degree of latitude over one of longitude on paper."""
        return 1.0 / np.cos(np.radians(self.middle_latitude))

    @property
    def ratio(self) -> float:
        """Height over width on paper."""
        return (self.north - self.south) / (self.east - self.west) * self.aspect

    @property
    def middle_latitude(self) -> float:
        """Latitude of the true parallel, degrees."""
        middle = (self.south + self.north) / 2
        return float(np.clip(middle, -MAX_MIDDLE_LATITUDE, MAX_MIDDLE_LATITUDE))

    @property
    def metres_per_unit(self) -> float:
        """Length of a degree of longitude at the true parallel, metres."""
        return METRES_PER_DEGREE * np.cos(np.radians(self.middle_latitude))

    def lonlat(self, width: int, height: int) -> tuple[NDArray, NDArray]:
        """Return the centres of pixels in degrees."""
        lon = self.west + (np.arange(width) + 0.5) * (self.east - self.west) / width
        lat = self.north - (np.arange(height) + 0.5) * (self.north - self.south) / height
        return np.meshgrid(wrap_longitude(lon), lat)

    def project(self, lon: ArrayLike, lat: ArrayLike) -> tuple[NDArray, NDArray]:
        """Return longitudes that continue across the antimeridian, and latitudes."""
        lon = np.asarray(lon, float)
        return lon - 360.0 * np.floor((lon - self.west) / 360.0), np.asarray(lat, float)

    def picture(self, raster: MarsRaster, width: int, height: int) -> NDArray[np.uint8]:
        """Return the raster cut out, in two pieces where it crosses the antimeridian."""
        pieces = []
        for west, east in self._halves():
            pixels = max(1, round((east - west) / (self.east - self.west) * width))
            pieces.append(_cut(raster, (west, self.south, east, self.north), pixels, height))
        # Two rounded widths may differ from the whole by one pixel.
        joined = np.concatenate(pieces, axis=1)
        return joined[:, np.minimum(np.arange(width), joined.shape[1] - 1)]

    @property
    def title(self) -> str:
        """The projection in words."""
        if self.middle_latitude == 0:
            return "plate carrée"
        return f"equirectangular, true to scale at {latitude_text(round(self.middle_latitude, 1))}"

    def _halves(self) -> list[tuple[float, float]]:
        """Return west and east of the frame's parts, each within [-180, 180]."""
        parts = []
        for turn in (-360.0, 0.0, 360.0):
            west, east = max(self.west, turn - 180.0), min(self.east, turn + 180.0)
            if east - west > 1e-9:
                parts.append((west - turn, east - turn))
        return parts


@dataclass(frozen=True)
class PolarFrame(Frame):
    """Polar stereographic, round, with 0 degrees at the bottom (north) or the top (south)."""

    edge: float
    """Latitude of the rim, degrees; its sign tells the pole."""

    unit = "metres"

    @property
    def sign(self) -> int:
        """1 for the north pole, -1 for the south."""
        return 1 if self.edge > 0 else -1

    @property
    def pole(self) -> Pole:
        """Which pole is in the middle."""
        return "north" if self.edge > 0 else "south"

    @property
    def crs(self) -> str:
        """Authority and code of the projection."""
        return ":".join(POLAR_CRS[self.pole])

    @cached_property
    def radius(self) -> float:
        """Distance from the pole to the rim on the map, metres."""
        return float(np.hypot(*polar_from_lonlat(0.0, self.edge, self.pole)))

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top in metres."""
        return -self.radius, self.radius, -self.radius, self.radius

    @property
    def ratio(self) -> float:
        """Height over width on paper."""
        return 1.0

    @property
    def middle_latitude(self) -> float:
        """Latitude halfway between rim and pole, degrees."""
        return (self.edge + self.sign * 90.0) / 2

    @property
    def metres_per_unit(self) -> float:
        """Length on the ground of one metre on the map, at the middle latitude."""
        # Snyder 1987, equation 21-7, with scale 1 at the pole.
        return (1.0 + np.sin(np.radians(abs(self.middle_latitude)))) / 2.0

    def lonlat(self, width: int, height: int) -> tuple[NDArray, NDArray]:
        """Return the centres of pixels in degrees."""
        x = self.radius * ((np.arange(width) + 0.5) * 2 / width - 1)
        y = self.radius * (1 - (np.arange(height) + 0.5) * 2 / height)
        return lonlat_from_polar(*np.meshgrid(x, y), self.pole)

    def project(self, lon: ArrayLike, lat: ArrayLike) -> tuple[NDArray, NDArray]:
        """Return metres from the pole."""
        return polar_from_lonlat(lon, lat, self.pole)

    def picture(self, raster: MarsRaster, width: int, height: int) -> NDArray[np.uint8]:
        """Return the raster of the cap, reprojected."""
        from rasterio.transform import from_bounds
        from rasterio.warp import Resampling, reproject

        rows, columns = raster.shape
        # The corners of the square lie beyond the rim.
        reach = min(180.0, (90.0 - abs(self.edge)) * 1.6)
        top = 0.0 if self.sign > 0 else 180.0 - reach
        row = _span(top, top + reach, rows / 180.0, rows)
        wide = min(columns, 3 * width)
        high = max(2, round(reach / 360.0 * wide))
        cap = np.moveaxis(raster.window(row, slice(0, columns), (high, wide)), -1, 0)
        # A few columns of the other side, so that the seam at 180 degrees is smooth.
        pad = 8
        cap = np.concatenate([cap[..., -pad:], cap, cap[..., :pad]], axis=2)
        beyond = pad * 360.0 / wide
        north, south = 90.0 - row.start * 180.0 / rows, 90.0 - row.stop * 180.0 / rows
        shown = np.zeros((3, height, width), np.uint8)
        reproject(
            np.ascontiguousarray(cap),
            shown,
            src_transform=from_bounds(
                -180.0 - beyond, south, 180.0 + beyond, north, cap.shape[2], cap.shape[1]
            ),
            src_crs=":".join(CRS_AUTHORITY),
            dst_transform=from_bounds(
                -self.radius, -self.radius, self.radius, self.radius, width, height
            ),
            dst_crs=self.crs,
            resampling=Resampling.bilinear,
        )
        return np.moveaxis(shown, 0, -1)

    @property
    def title(self) -> str:
        """The projection in words."""
        return f"polar stereographic ({self.crs}), true to scale at the pole"


def frame_of(region: Region | None) -> Frame:
    """Return the frame that shows a region with some room round it, or the whole planet."""
    if region is None:
        return FlatFrame(-180.0, -90.0, 180.0, 90.0)
    west, south, east, north = _bounds(region)
    if south >= POLAR_FROM or north <= -POLAR_FROM:
        return PolarFrame(south - 1.0 if south > 0 else north + 1.0)
    margin = MARGIN * min(east - west, north - south)
    if east - west + 2 * margin >= 360.0:
        west, east = -180.0, 180.0
    else:
        west, east = west - margin, east + margin
    return FlatFrame(west, max(-90.0, south - margin), east, min(90.0, north + margin))


def graticule_step(degrees: float) -> float:
    """Return the degrees between lines of a graticule along a side of that length."""
    return next((step for step in STEPS if degrees / step <= MAX_INTERVALS), STEPS[-1])


def latitude_text(lat: float) -> str:
    """Return a latitude for a label, such as "30° N"."""
    return f"{abs(lat):.6g}°" + (" N" if lat > 0 else " S" if lat < 0 else "")


def longitude_text(lon: float) -> str:
    """Return a longitude for a label, such as "120° W"; it may lie beyond 180."""
    lon = round((lon + 180.0) % 360.0 - 180.0, 9)
    if abs(lon) == 180.0:
        return "180°"
    return f"{abs(lon):.6g}°" + (" E" if lon > 0 else " W" if lon < 0 else "")


def _bounds(region: Region) -> tuple[float, float, float, float]:
    """Return west, south, east, north; east lies beyond 180 where that makes the frame narrower."""
    west, south, east, north = region.geometry().bounds
    parts = [part.bounds for part in getattr(region.geometry(), "geoms", [])]
    if parts:
        wests = [w if w >= 0 else w + 360.0 for w, _, _, _ in parts]
        easts = [e if e > 0 else e + 360.0 for _, _, e, _ in parts]
        if max(easts) - min(wests) < east - west:
            west, east = min(wests), max(easts)
    return west, south, east, north


def _cut(
    raster: MarsRaster, bounds: tuple[float, float, float, float], width: int, height: int
) -> NDArray[np.uint8]:
    """Return the part of a raster of the whole planet within bounds, (height, width, 3), smooth."""
    from PIL import Image

    west, south, east, north = bounds
    rows, columns = raster.shape
    row = _span(90.0 - north, 90.0 - south, rows / 180.0, rows)
    column = _span(west + 180.0, east + 180.0, columns / 360.0, columns)
    # Coarser than the file it is read from its overviews; finer than the file it is smoothed here.
    high, wide = min(row.stop - row.start, 2 * height), min(column.stop - column.start, 2 * width)
    picture = Image.fromarray(np.ascontiguousarray(raster.window(row, column, (high, wide))))
    # Borders between the file's pixels: what was read reaches a little beyond them.
    across, down = wide / (column.stop - column.start), high / (row.stop - row.start)
    box = (
        ((west + 180.0) * columns / 360.0 - column.start) * across,
        ((90.0 - north) * rows / 180.0 - row.start) * down,
        ((east + 180.0) * columns / 360.0 - column.start) * across,
        ((90.0 - south) * rows / 180.0 - row.start) * down,
    )
    left, top, right, bottom = box
    inside = (max(left, 0.0), max(top, 0.0), min(right, wide), min(bottom, high))
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC, box=inside))


def _span(low: float, high: float, per_degree: float, size: int) -> slice:
    """Return the rows or columns that cover two distances in degrees, at least two of them."""
    start = int(np.clip(np.floor(low * per_degree), 0, size - 2))
    return slice(start, int(np.clip(np.ceil(high * per_degree), start + 2, size)))
