"""Impact craters found and measured in the elevation model.

Only some 1,200 craters have names; a caption "crater" that knew only those would call most craters
absent. A matched filter finds circular depressions with raised rims, and radial profiles measure
their depth and central peaks. Validated against named craters in `docs/model-card.md`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mars_map.build.inputs import NOMENCLATURE, Inputs
from mars_map.build.windows import GlobalRaster, Progress, window_points
from mars_map.planet.coordinates import wrap_longitude
from mars_map.planet.grid import EqualAreaGrid
from mars_map.planet.sphere import RADIUS_M
from mars_map.training.places import unit_vectors

RADII_KM = 6.0 * 1.25 ** np.arange(13)
"""Radii of the matched filters: craters of 12 to 175 km, each a quarter larger than the last."""
SEARCH_GRID = EqualAreaGrid(5.0)
"""The planet is searched tile by tile, each in a window that is square on the ground."""
MIN_CORRELATION = 0.72
"""Least normalised correlation with the filter; chosen on named craters and by eye."""
PIXEL_KM = 2.6
"""Pixel of the search windows, that of the elevation model."""
WINDOW_PIXELS = 288
"""Width of a search window: its 5-degree tile and the largest filter fit in."""
SUPPORT = 1.6
"""Radius of a filter in crater radii."""
PROFILE_RADII = np.linspace(0.0, 1.5, 31)
"""Radii of the measured profile in crater radii."""
AZIMUTHS = 32
"""Directions of the measured profile."""


@dataclass(frozen=True)
class Craters:
    """Craters with what was measured of them; arrays of (n,) float."""

    lon: NDArray[np.float64]
    """Longitude of the centre, degrees."""
    lat: NDArray[np.float64]
    """Latitude of the centre, degrees."""
    radius_km: NDArray[np.float64]
    """Radius, kilometres."""
    depth_m: NDArray[np.float64]
    """Median rim minus median floor, metres."""
    peak_m: NDArray[np.float64]
    """Middle of the floor above the ring round it, metres."""
    rim: NDArray[np.float64]
    """Share of the directions in which the rim stands well above the floor, 0..1."""

    @property
    def freshness(self) -> NDArray[np.float64]:
        """Depth as a share of a fresh complex crater's.

        Depth in km of fresh complex craters: 0.36 D^0.49, Garvin et al. (2003), Sixth International
        Conference on Mars, abstract 3277.
        """
        return self.depth_m / (360.0 * (2 * self.radius_km) ** 0.49)

    def where(self, mask: NDArray[np.bool_]) -> "Craters":
        """Return some of the craters."""
        return Craters(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))


def find_craters(
    elevation: GlobalRaster, progress: Progress, tiles: NDArray[np.int64] | None = None
) -> Craters:
    """Find craters of 12 to 175 km in elevations in metres.

    tiles: numbers of the tiles of `SEARCH_GRID` to search; the whole planet unless given.
    """
    grid = SEARCH_GRID
    tiles = np.arange(grid.n_tiles) if tiles is None else tiles
    lon, lat = grid.centers
    filters = list(_filters())
    found = []
    for start in range(0, len(tiles), 8):
        part = tiles[start : start + 8]
        points = window_points(lon[part], lat[part], WINDOW_PIXELS * PIXEL_KM * 1000, WINDOW_PIXELS)
        tile, scale, row, column, score = _peaks(elevation.sample(*points), filters)
        at = (tile, row, column)
        centre_lon, centre_lat = (p[at].double().numpy() for p in points)
        mine = grid.tile_at(centre_lon, centre_lat) == part[tile.numpy()]
        columns = (centre_lon, centre_lat, RADII_KM[scale.numpy()], score.numpy())
        found.append(np.stack([c[mine] for c in columns]))
        progress("craters", start + len(part), len(tiles))
    lon, lat, radius, score = np.concatenate(found, axis=1)
    keep = _strongest(lon, lat, radius, score)
    craters = measure_craters(elevation, lon[keep], lat[keep], radius[keep])
    deep = craters.depth_m > 40.0 * np.sqrt(2 * craters.radius_km)
    return craters.where(deep & (craters.rim > 0.7))


def with_named_craters(found: Craters, inputs: Inputs, elevation: GlobalRaster) -> Craters:
    """Add the named craters of the same sizes that the search missed, measured alike."""
    rows = [r for r in inputs.rows(NOMENCLATURE) if r["feature_type"].startswith("Crater")]
    lon, lat, diameter = (
        np.array([float(r[k]) for r in rows]) for k in ("lon", "lat", "diameter_km")
    )
    radius = diameter / 2
    near = cKDTree(unit_vectors(found.lon, found.lat)).query_ball_point(
        unit_vectors(lon, lat), 0.5 * radius * 1000 / RADIUS_M
    )
    known = [
        any(0.6 < found.radius_km[i] / r < 1.6 for i in others)
        for others, r in zip(near, radius, strict=True)
    ]
    new = ~np.array(known) & (radius >= RADII_KM[0])
    named = measure_craters(elevation, lon[new], lat[new], radius[new])
    both = [(getattr(found, f.name), getattr(named, f.name)) for f in fields(Craters)]
    return Craters(*(np.concatenate(pair) for pair in both))


def measure_craters(
    elevation: GlobalRaster, lon: NDArray, lat: NDArray, radius_km: NDArray
) -> Craters:
    """Measure depth, central peak and rim of craters from their radial profiles.

    lon, lat in degrees and radius_km, (n,) each; elevations in metres.
    """
    profile = _profiles(elevation, lon, lat, radius_km)
    ring = np.median(profile, axis=2)

    def between(inner: float, outer: float) -> NDArray:
        mask = (inner <= PROFILE_RADII + 1e-9) & (outer >= PROFILE_RADII - 1e-9)
        return ring[:, mask].mean(axis=1)

    floor, rim = between(0.3, 0.6), between(0.95, 1.1)
    highest = profile[:, (PROFILE_RADII >= 0.85) & (PROFILE_RADII <= 1.2)].max(axis=1)
    stands = highest - floor[:, None] > 0.4 * (rim - floor)[:, None]
    return Craters(
        wrap_longitude(lon),
        np.asarray(lat, float),
        np.asarray(radius_km, float),
        rim - floor,
        between(0.0, 0.1) - between(0.3, 0.5),
        (stands & (rim > floor)[:, None]).mean(axis=1),
    )


def _profiles(
    elevation: GlobalRaster, lon: NDArray, lat: NDArray, radius_km: NDArray
) -> NDArray[np.float64]:
    """Elevations on rings round each centre, (n, radii, azimuths)."""
    centre = unit_vectors(lon, lat)
    lam = np.radians(lon)
    east = np.stack([-np.sin(lam), np.cos(lam), np.zeros_like(lam)], -1)
    north = np.cross(centre, east)
    azimuth = np.arange(AZIMUTHS) * 2 * np.pi / AZIMUTHS
    angle = (np.asarray(radius_km)[:, None] * 1000 / RADIUS_M * PROFILE_RADII)[..., None, None]
    sine, cosine = np.sin(azimuth)[:, None], np.cos(azimuth)[:, None]
    ahead = sine * east[:, None, None] + cosine * north[:, None, None]
    points = np.cos(angle) * centre[:, None, None] + np.sin(angle) * ahead
    longitude = np.degrees(np.arctan2(points[..., 1], points[..., 0]))
    latitude = np.degrees(np.arcsin(np.clip(points[..., 2], -1, 1)))
    sampled = elevation.sample(torch.from_numpy(longitude), torch.from_numpy(latitude))
    return sampled.double().numpy()


def _filters() -> Iterator[tuple[torch.Tensor, torch.Tensor, float]]:
    """Spectra of each template (zero mean, unit length) and of its disc, and the disc's size."""
    step = torch.fft.fftfreq(WINDOW_PIXELS, 1.0 / WINDOW_PIXELS) * PIXEL_KM
    distance = torch.hypot(step[:, None], step[None, :])
    for radius in RADII_KM:
        x = (distance / radius).numpy()
        disc = x <= SUPPORT
        shape = np.interp(x, [0.6, 1.0, SUPPORT], [-1.0, 0.35, 0.0]) * disc
        shape = (shape - shape[disc].mean()) * disc
        template = torch.from_numpy(shape / np.linalg.norm(shape)).float()
        mask = torch.from_numpy(disc).float()
        yield torch.fft.rfft2(template), torch.fft.rfft2(mask), float(disc.sum())


def _peaks(elevation: torch.Tensor, filters: list) -> tuple[torch.Tensor, ...]:
    """Window, scale, row, column and correlation of local maxima over space and scale."""
    relief = elevation - elevation.mean(dim=(1, 2), keepdim=True)
    relief = relief / relief.std(dim=(1, 2), keepdim=True).clamp_min(1.0)
    spectrum, squared = torch.fft.rfft2(relief), torch.fft.rfft2(relief**2)
    size = relief.shape[-2:]
    layers = []
    for template, disc, count in filters:
        match = torch.fft.irfft2(spectrum * template.conj(), size)
        total = torch.fft.irfft2(spectrum * disc.conj(), size)
        power = torch.fft.irfft2(squared * disc.conj(), size) - total**2 / count
        layers.append(match / power.clamp_min(1e-3 * count / 100).sqrt())
    stack = torch.stack(layers, 1)
    best = torch.nn.functional.max_pool3d(stack[:, None], 3, stride=1, padding=1)[:, 0]
    tile, scale, row, column = torch.nonzero(
        (stack == best) & (stack > MIN_CORRELATION), as_tuple=True
    )
    return tile, scale, row, column, stack[tile, scale, row, column]


def _strongest(lon: NDArray, lat: NDArray, radius_km: NDArray, score: NDArray) -> NDArray[np.int64]:
    """Indices of detections without a stronger one of similar size at about the same place."""
    points = unit_vectors(lon, lat)
    reach = radius_km * 1000 / RADIUS_M
    pairs = cKDTree(points).query_pairs(float(reach.max()), output_type="ndarray")
    a, b = pairs.T
    gap = np.linalg.norm(points[a] - points[b], axis=1)
    small, large = np.minimum(reach[a], reach[b]), np.maximum(reach[a], reach[b])
    same = (gap < 0.6 * large) & (small > 0.45 * large)
    rivals: dict[int, list[int]] = {}
    for i, j in pairs[same]:
        rivals.setdefault(int(i), []).append(int(j))
        rivals.setdefault(int(j), []).append(int(i))
    kept = np.ones(len(lon), bool)
    for i in np.argsort(-score):
        if kept[i]:
            kept[rivals.get(int(i), [])] = False
    return np.flatnonzero(kept)
