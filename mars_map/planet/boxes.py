"""Regions between meridians and parallels: boxes, latitude bands and the USGS's quadrangles."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from mars_map.errors import RegionError
from mars_map.planet.coordinates import wrap_longitude
from mars_map.planet.quadrangles import QUADRANGLES, QuadrangleBounds, find_quadrangle
from mars_map.planet.region import Region


@dataclass(frozen=True)
class Box(Region):
    """A longitude-latitude box. West may lie east of east: it then runs across the antimeridian."""

    kind: ClassVar[str] = "box"

    west: float
    """Western border, degrees east in [-180, 180]."""
    south: float
    """Southern border, degrees."""
    east: float
    """Eastern border, degrees east in [-180, 180]."""
    north: float
    """Northern border, degrees."""

    def __post_init__(self) -> None:
        _store_latitudes(self)
        for name in ("west", "east"):
            value = float(getattr(self, name))
            if not math.isfinite(value) or not -180.0 <= value <= 360.0:
                raise RegionError(f"The box's {name} of {value:g} is not on Mars; use -180 to 360.")
        if self.west == self.east:
            raise RegionError("The box has no width; west and east are the same meridian.")
        # A box of 0..360 is the whole circle, not nothing; 180 stays 180 as an eastern border.
        full = abs(self.east - self.west) >= 360.0
        object.__setattr__(self, "west", -180.0 if full else float(wrap_longitude(self.west)))
        east = 180.0 if full else float(wrap_longitude(self.east))
        object.__setattr__(self, "east", 180.0 if east == -180.0 else east)

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points lie inside."""
        lon, lat = wrap_longitude(lon), np.asarray(lat, float)
        if self.west <= self.east:
            inside = (lon >= self.west) & (lon <= self.east)
        else:
            inside = (lon >= self.west) | (lon <= self.east)
        return inside & (lat >= self.south) & (lat <= self.north)

    def to_dict(self) -> dict[str, Any]:
        """Return the box as plain values."""
        return {"kind": self.kind, "bounds": [self.west, self.south, self.east, self.north]}

    def geometry(self) -> shapely.Geometry:
        """Return one polygon, or two where the box crosses the antimeridian."""
        if self.west <= self.east:
            return shapely.box(self.west, self.south, self.east, self.north)
        return shapely.MultiPolygon(
            [
                shapely.box(self.west, self.south, 180.0, self.north),
                shapely.box(-180.0, self.south, self.east, self.north),
            ]
        )


@dataclass(frozen=True)
class LatitudeBand(Region):
    """Everything between two latitudes."""

    kind: ClassVar[str] = "band"

    south: float
    """Southern border, degrees."""
    north: float
    """Northern border, degrees."""

    def __post_init__(self) -> None:
        _store_latitudes(self)

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points lie inside."""
        lon, lat = np.broadcast_arrays(lon, np.asarray(lat, float))
        return (lat >= self.south) & (lat <= self.north)

    def to_dict(self) -> dict[str, Any]:
        """Return the band as plain values."""
        return {"kind": self.kind, "south": self.south, "north": self.north}

    def geometry(self) -> shapely.Geometry:
        """Return the band as one box round the planet."""
        return shapely.box(-180.0, self.south, 180.0, self.north)


@dataclass(frozen=True)
class Quadrangle(Region):
    """One of the thirty quadrangles, by its code "MC-01" to "MC-30", number or name."""

    kind: ClassVar[str] = "quadrangle"

    code: str
    """Code, such as "MC-23"; a name such as "Aeolis" is changed into it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", find_quadrangle(str(self.code)).code)

    @property
    def bounds(self) -> QuadrangleBounds:
        """Name and borders."""
        return QUADRANGLES[self.code]

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points lie inside."""
        return self._box().contains(lon, lat)

    def to_dict(self) -> dict[str, Any]:
        """Return the quadrangle as plain values."""
        return {"kind": self.kind, "code": self.code}

    def geometry(self) -> shapely.Geometry:
        """Return the quadrangle as one box."""
        return self._box().geometry()

    def _box(self) -> Box:
        return Box(self.bounds.west, self.bounds.south, self.bounds.east, self.bounds.north)


def _store_latitudes(region: Box | LatitudeBand) -> None:
    """Check the two latitudes and store them as floats, so that equal regions are written alike."""
    south, north = float(region.south), float(region.north)
    if not (math.isfinite(south) and math.isfinite(north)):
        raise RegionError("A latitude of the region is not a number.")
    if south < -90 or north > 90:
        raise RegionError(f"Latitudes {south:g} to {north:g} leave the planet; use -90 to 90.")
    if south == north:
        raise RegionError(f"The region has no height; both of its latitudes are {south:g}.")
    if south > north:
        raise RegionError(
            f"The southern border ({south:g}) is not south of the northern one ({north:g}); "
            "swap them."
        )
    object.__setattr__(region, "south", south)
    object.__setattr__(region, "north", north)
