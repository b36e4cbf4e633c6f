"""What named features of Mars are known to be, and which of them a window shows.

The IAU's feature types tell shapes, not origins: a Mons is a volcano or a massif, a Vallis was cut
by floods or by rivers. `landforms.toml` tells which is which, and which are in dispute.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mars_map.planet.sphere import METRES_PER_DEGREE, great_circle_m
from mars_map.training.ground import Ground

DISPUTED = "disputed"
"""What a feature is known to be when that is in dispute."""
KIND_OF_LIST = {
    "volcanoes": "volcano",
    "calderas": "caldera",
    "outflow_channels": "outflow",
    "massifs": "massif",
    "aureoles": "aureole",
    "canyon_mounds": "canyon_mound",
    "fretted": "fretted",
    "yardangs": "yardangs",
    "giant_polygons": "giant_polygons",
    "basins": "basin",
    "lava_plains": "lava_plains",
    "plateaus": "plateau",
    "polar_chasmata": "polar_layers",
    "polar_sulci": "polar_layers",
}
"""Landform of the features in each list of `landforms.toml`; the first list that has a name
decides."""
KIND_OF_TYPE = {
    "Crater": "crater",
    "Chaos": "chaos",
    "Chasma": "canyon",
    "Collis": "knobs",
    "Dorsum": "wrinkle_ridge",
    "Fluctus": "lava_plains",
    "Fossa": "graben",
    "Labes": "landslide",
    "Mensa": "mesa",
    "Planitia": "planitia",
    "Rupes": "scarp",
    "Scopulus": "scarp",
    "Sulcus": "sulci",
    "Terra": "terra",
    "Unda": "dunes",
    "Vallis": "valley_network",
    "Vastitas": "lowlands",
    "Cavus": "pits",
}
"""Landform of the features of each IAU type that no list has; of other types it is not known."""


LEAST_CRATER_KM = 5.0
"""Smaller named craters cannot be seen in the rasters and are left out."""


class NamedPlace(NamedTuple):
    """A named feature in or near a window."""

    name: str
    """As in the gazetteer."""
    kind: str | None
    """Key of the landform that it is known to be, `DISPUTED`, or None where that is not known."""
    diameter_km: float
    """Largest size, kilometres; 0 where the gazetteer has none."""
    gap_km: float
    """From the tile's centre to the feature, kilometres; 0 where the centre lies in its extent."""


@dataclass(frozen=True)
class NamedPlaces:
    """All named features but albedo features, ready to be asked for what is near."""

    ground: Ground

    def kind(self, name: str) -> str | None:
        """Return the key of the landform that a feature is known to be, `DISPUTED` or None."""
        table = self.ground.landforms
        if any(name in names for key, names in table.items() if key.endswith(DISPUTED)):
            return DISPUTED
        for key, kind in KIND_OF_LIST.items():
            if name in table[key]:
                return kind
        if any(name in names for key, names in table.items() if key.startswith("not_")):
            return None
        return KIND_OF_TYPE.get(self.ground.features[name]["feature_type"].split(",")[0])

    def near(self, lon: float, lat: float, reach_km: float) -> list[NamedPlace]:
        """Return the features within reach of a point in degrees, smallest first.

        A valley reaches as far as its course, any other feature as far as its extent: the ellipse
        in its box, or the circle of its diameter. Where an extent is vague (terrae, planitiae and
        albedo-like regions), its inner seven tenths count.
        """
        gaps = self._gaps(lon, lat)
        small = (self._diameters < LEAST_CRATER_KM) & self._craters
        found = [
            NamedPlace(name, self.kind(name), float(self._diameters[i]), float(gaps[i]))
            for i, name in enumerate(self._names)
            if gaps[i] <= reach_km and not small[i]
        ]
        return sorted(found, key=lambda place: place.diameter_km)

    def _gaps(self, lon: float, lat: float) -> NDArray[np.float64]:
        """Kilometres from a point to the extent of each feature, (n,); 0 inside."""
        centre_lon, centre_lat, half_x, half_y = self._extents.T
        away = great_circle_m(lon, lat, centre_lon, centre_lat) / 1000
        x = ((lon - centre_lon + 180) % 360 - 180) * np.cos(np.radians(centre_lat)) / half_x
        y = (lat - centre_lat) / half_y
        outside = np.hypot(x, y)
        # The ellipse's radius towards the point is its distance over how many radii it is away.
        gaps = np.where(outside <= 1, 0.0, away * (1 - 1 / np.maximum(outside, 1)))
        for i in np.flatnonzero((gaps < 1000) & self._valleys):
            course = self.ground.course(self._names[i])
            if len(course):
                gaps[i] = great_circle_m(lon, lat, *course.T).min() / 1000
        return gaps

    @cached_property
    def _names(self) -> list[str]:
        return list(self.ground.features)

    @cached_property
    def _diameters(self) -> NDArray[np.float64]:
        rows = self.ground.features.values()
        return np.array([float(row["diameter_km"] or 0) for row in rows])

    @cached_property
    def _valleys(self) -> NDArray[np.bool_]:
        return np.isin(self._names, self.ground.of_type("Vallis"))

    @cached_property
    def _craters(self) -> NDArray[np.bool_]:
        return np.isin(self._names, self.ground.of_type("Crater"))

    @cached_property
    def _extents(self) -> NDArray[np.float64]:
        """Centre and half-axes of each extent, degrees along the meridian, (n, 4)."""
        vague = set(self.ground.of_type("Terra", "Planitia", "Planum", "Vastitas", "Palus"))
        extents = []
        for name, diameter in zip(self._names, self._diameters, strict=True):
            row, box = self.ground.features[name], self.ground.box(name)
            centre_lon, centre_lat = float(row["lon"]), float(row["lat"])
            half_x = half_y = diameter * 1000 / 2 / METRES_PER_DEGREE
            if box is not None and not row["feature_type"].startswith("Crater"):
                west, south, east, north = box
                width = (east - west) % 360 or 360.0
                centre_lon, centre_lat = west + width / 2, (south + north) / 2
                half_x = width / 2 * np.cos(np.radians(centre_lat))
                half_y = (north - south) / 2
            share = 0.7 if name in vague else 1.0
            extents.append((centre_lon, centre_lat, half_x * share, half_y * share))
        extent = np.array(extents)
        extent[:, 2:] = np.maximum(extent[:, 2:], 0.02)
        return extent
