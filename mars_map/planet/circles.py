"""Circles on the sphere, and those round named features."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from mars_map.errors import RegionError
from mars_map.planet.coordinates import check_point
from mars_map.planet.gazetteer import Feature, Gazetteer
from mars_map.planet.geometry import wrap_geometry
from mars_map.planet.region import Region
from mars_map.planet.sphere import RADIUS_M, great_circle_m

MAX_CIRCLE_KM = 5_000.0
"""Largest radius of a circle, a little less than a quarter of the way round the planet."""
_CIRCLE_POINTS = 256


@dataclass(frozen=True)
class Circle(Region):
    """Everything within a distance of a point along great circles, also where a pole is inside."""

    kind: ClassVar[str] = "circle"

    lon: float
    """Longitude of the centre, degrees east in [-180, 180)."""
    lat: float
    """Planetocentric latitude of the centre, degrees."""
    radius_km: float
    """Radius on the sphere, kilometres, at most 5,000."""
    name: str = ""
    """What lies there, such as the name of a feature; may be empty."""

    def __post_init__(self) -> None:
        lon, lat = check_point(self.lon, self.lat)
        radius = float(self.radius_km)
        if not 0.0 < radius <= MAX_CIRCLE_KM:
            raise RegionError(
                f"The radius of {radius:g} km is not over 0 and up to {MAX_CIRCLE_KM:,.0f} km."
            )
        object.__setattr__(self, "lon", lon)
        object.__setattr__(self, "lat", lat)
        object.__setattr__(self, "radius_km", radius)
        name = "".join(c for c in self.name if c.isprintable())
        object.__setattr__(self, "name", " ".join(name.split())[:60])

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points lie inside."""
        return great_circle_m(self.lon, self.lat, lon, lat) <= self.radius_km * 1000.0

    def to_dict(self) -> dict[str, Any]:
        """Return the circle as plain values."""
        values: dict[str, Any] = {"kind": self.kind, "center": [self.lon, self.lat]}
        values["radius_km"] = self.radius_km
        return values | ({"name": self.name} if self.name else {})

    def geometry(self) -> shapely.Geometry:
        """Return the circle by 256 points of its border, in parts where it crosses 180."""
        radius = np.degrees(self.radius_km * 1000.0 / RADIUS_M)
        if abs(self.lat) + radius >= 90.0:
            return self._cap(radius)
        lon, lat = _round_the_centre(self.lat, radius)
        return wrap_geometry(shapely.Polygon(np.column_stack([self.lon + lon, lat])))

    def _cap(self, radius: float) -> shapely.Geometry:
        """Return a circle with a pole in it: all meridians from the pole to its border."""
        lon = np.linspace(-180.0, 180.0, _CIRCLE_POINTS + 1)
        # On a meridian, sin(d) of the border solves a sin(lat) + b cos(lat) = cos(radius).
        a = np.sin(np.radians(self.lat))
        b = np.cos(np.radians(self.lat)) * np.cos(np.radians(lon - self.lon))
        reach = np.arccos(np.clip(np.cos(np.radians(radius)) / np.hypot(a, b), -1.0, 1.0))
        side = 1.0 if self.lat >= 0 else -1.0
        # Measured from the equator towards the pole that lies inside.
        lat = side * np.degrees(np.arctan2(side * a, b) - reach)
        # Where the border itself passes over the pole, rounding must not step off the planet.
        border = np.column_stack([lon, np.clip(lat, -90.0, 90.0)])
        cap = shapely.Polygon([*border, (180.0, side * 90.0), (-180.0, side * 90.0)])
        return cap if cap.is_valid else cap.buffer(0.0)


def feature_circle(feature: Feature) -> Circle:
    """Return the circle on the sphere that has a feature's centre and diameter.

    Raises RegionError for a feature without a known size, or one too large to be a circle.
    """
    if not feature.diameter_km:
        raise RegionError(f"The gazetteer does not tell how large {feature.name} is; draw a box.")
    radius = feature.diameter_km / 2
    if radius > MAX_CIRCLE_KM:
        raise RegionError(f"{feature.name} is too large for a circle; use a latitude band.")
    return Circle(feature.lon, feature.lat, radius, feature.name)


def named_circle(gazetteer: Gazetteer, name: str) -> Circle:
    """Return the circle of the feature of that name; where it has no size, of the next that has.

    So "Hellas", an albedo feature, is Hellas Planitia. Raises FeatureNotFoundError or RegionError.
    """
    feature = gazetteer.find(name)
    sized = [other for other in gazetteer.search(name, 20) if other.diameter_km]
    return feature_circle(feature if feature.diameter_km or not sized else sized[0])


def _round_the_centre(lat: float, radius: float) -> tuple[NDArray, NDArray]:
    """Return the border of a circle round (0, lat), degrees, that reaches no pole.

    Points at equal azimuths at the distance `radius` (Snyder 1987, p. 31, eq. 5-5 and 5-6).
    """
    azimuth = np.linspace(0.0, 2 * np.pi, _CIRCLE_POINTS, endpoint=False)
    phi, c = np.radians(lat), np.radians(radius)
    height = np.sin(phi) * np.cos(c) + np.cos(phi) * np.sin(c) * np.cos(azimuth)
    turn = np.arctan2(
        np.sin(c) * np.sin(azimuth),
        np.cos(phi) * np.cos(c) - np.sin(phi) * np.sin(c) * np.cos(azimuth),
    )
    return np.degrees(turn), np.degrees(np.arcsin(height))
