"""Where a named valley runs inside of its extent.

The gazetteer gives a valley a box, most of which is not valley. The course is traced in the
elevation model: the cheapest way through the box along its longer side, where ground that is lower
than its surroundings is cheap.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from mars_map.build.windows import GlobalRaster
from mars_map.planet.coordinates import wrap_longitude
from mars_map.planet.sphere import RADIUS_M

STEP_KM = 4.0
"""Pixel in which courses are traced."""
MAX_PIXELS = 400
"""Most pixels along the longer side; a longer valley is traced more coarsely."""
AROUND_KM = 14.0
"""Spread of the Gaussian that tells what the surroundings of a pixel are."""
CHEAP_M = 60.0
"""Ground this far below its surroundings costs e times less, and so many times more above."""


def trace_course(
    elevation: GlobalRaster, west: float, south: float, east: float, north: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Trace the course of a valley through its box in degrees; elevations in metres.

    Returns points along it, (n, 2) longitude and latitude, and how far each lies below its
    surroundings, (n,) m.
    """
    width_deg = (east - west) % 360.0
    km = np.pi * RADIUS_M / 180e3
    middle = np.radians((south + north) / 2)
    width, height = width_deg * np.cos(middle) * km, (north - south) * km
    step = max(STEP_KM, max(width, height) / MAX_PIXELS)
    columns, rows = (max(round(side / step), 3) for side in (width, height))
    # Beyond the box as well, so that the surroundings of its edge are known.
    margin = int(np.ceil(2 * AROUND_KM / step))
    x = west + (np.arange(-margin, columns + margin) + 0.5) * width_deg / columns
    y = north - (np.arange(-margin, rows + margin) + 0.5) * (north - south) / rows
    lon, lat = np.meshgrid(wrap_longitude(x), np.clip(y, -90, 90))
    ground = elevation.sample(torch.from_numpy(lon), torch.from_numpy(lat)).double().numpy()
    below = gaussian_filter(ground, AROUND_KM / step) - ground
    inside = (slice(margin, margin + rows), slice(margin, margin + columns))
    cost = np.exp(-np.clip(below[inside] / CHEAP_M, -4.0, 4.0))
    along = cost if columns >= rows else cost.T
    path = _cheapest_way(along)
    row, column = np.unravel_index(path, along.shape)
    if columns < rows:
        row, column = column, row
    at = np.stack([lon[inside][row, column], lat[inside][row, column]], -1)
    return at, below[inside][row, column]


def _cheapest_way(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """Flat indices of the cheapest 8-connected way from the first column to the last."""
    rows, columns = cost.shape
    number = np.arange(rows * columns).reshape(rows, columns)
    first, second, price = [], [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (-1, 1)):
        a = number[max(-down, 0) : rows - max(down, 0), : columns - right]
        b = number[max(down, 0) : rows + min(down, 0), right:]
        first.append(a.ravel())
        second.append(b.ravel())
        price.append(np.hypot(down, right) * (cost.ravel()[a] + cost.ravel()[b]).ravel() / 2)
    # A node before the first column joins all of it at a cost that is next to none.
    start = rows * columns
    first.append(np.full(rows, start))
    second.append(number[:, 0])
    price.append(np.full(rows, 1e-9))
    edges = coo_array(
        (np.concatenate(price), (np.concatenate(first), np.concatenate(second))),
        shape=(start + 1, start + 1),
    ).tocsr()
    distance, before = dijkstra(edges, directed=False, indices=start, return_predecessors=True)
    at = int(number[np.argmin(distance[number[:, -1]]), -1])
    path = []
    while at != start:
        path.append(at)
        at = int(before[at])
    return np.array(path[::-1])
