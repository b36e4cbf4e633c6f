"""Which ground is for training, for validation and for testing: whole blocks of 15 x 20 degrees.

Neighbouring windows overlap, so tiles cannot be split at random. Blocks are drawn, and towards the
poles, where meridians converge, runs of neighbouring blocks are drawn together so that each is
about as wide on the ground as a block at the equator. Tiles whose nearest window would touch a
window of a tile that is held out take no part in a training; of the wide windows of the others
those parts are hidden that would.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mars_map.planet.blocks import BLOCK_COLUMNS, BLOCK_LAT_DEG, BLOCK_ROWS, block_numbers
from mars_map.planet.grid import EqualAreaGrid, Grid
from mars_map.planet.local import square_points
from mars_map.planet.sphere import RADIUS_M
from mars_map.training.places import unit_vectors

TEST_SHARE, VALIDATION_SHARE = 0.25, 0.10
PARTS = 16
"""Parts of a window's side: so finely is hidden what training may not see."""
PLACES = EqualAreaGrid(0.25)
"""Where distances to held-out ground are known."""
SPLIT_FILE = Path(__file__).with_name("split.json")
"""The committed split: the seed, and the blocks of each part by number."""


@dataclass(frozen=True)
class Split:
    """Blocks of the test and of the validation part; all others are for training."""

    seed: int
    test: tuple[int, ...]
    """Numbers of the test blocks; row * 18 + column from the south-west corner."""
    validation: tuple[int, ...]
    """Numbers of the validation blocks."""

    @classmethod
    def draw(cls, seed: int) -> "Split":
        """Draw a split: in each row of blocks the shares of test and validation."""
        random = np.random.default_rng(seed)
        test: list[int] = []
        validation: list[int] = []
        owed_test = owed_validation = 0.0
        for row in random.permutation(BLOCK_ROWS):
            runs = _runs(int(row))
            order = random.permutation(len(runs))
            # What rounding left over in one row is made up for in the next.
            owed_test += TEST_SHARE * len(runs)
            owed_validation += VALIDATION_SHARE * len(runs)
            n_test, n_validation = round(owed_test), round(owed_validation)
            owed_test -= n_test
            owed_validation -= n_validation
            for i in order[:n_test]:
                test += runs[i]
            for i in order[n_test : n_test + n_validation]:
                validation += runs[i]
        return cls(seed, tuple(sorted(test)), tuple(sorted(validation)))

    @classmethod
    def load(cls, path: Path = SPLIT_FILE) -> "Split":
        """Read the committed split."""
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(values["seed"], tuple(values["test"]), tuple(values["validation"]))

    def save(self, path: Path) -> None:
        """Write the split as JSON."""
        path.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")

    def test_tiles(self, grid: Grid) -> NDArray[np.bool_]:
        """Tell which tiles are for testing, (n_tiles,)."""
        return np.isin(block_numbers(*grid.centers), self.test)

    def validation_tiles(self, grid: Grid) -> NDArray[np.bool_]:
        """Tell which tiles are for validation, (n_tiles,)."""
        return np.isin(block_numbers(*grid.centers), self.validation)

    def training_tiles(self, grid: Grid, widths_km: tuple[float, ...]) -> NDArray[np.bool_]:
        """Tell which tiles may be learned from, (n_tiles,); widths of their windows nearest first.

        The nearest window of none of them shares ground with the widest window round any test tile,
        so that no pixel of a test window is ever seen, nor with the nearest window round any
        validation tile.
        """
        nearest, widest = widths_km[0], widths_km[-1]
        return ~(
            _touching(grid, self.test_tiles(grid), nearest, widest)
            | _touching(grid, self.validation_tiles(grid), nearest, nearest)
        )

    def shown_parts(self, grid: Grid, widths_km: tuple[float, ...]) -> NDArray[np.bool_]:
        """Tell which parts of all windows may be seen, (n_tiles, n_widths, PARTS, PARTS).

        Of the nearest window of a training tile all are, of other tiles' windows none. A part of a
        wider window is hidden where it could share ground with a window that is held out: where its
        corners and those of that window could meet.
        """
        shown = np.zeros((grid.n_tiles, len(widths_km), PARTS, PARTS), bool)
        tiles = np.flatnonzero(self.training_tiles(grid, widths_km))
        shown[tiles, 0] = True
        nearest, widest = widths_km[0], widths_km[-1]
        from_test = _distances_km(grid, self.test_tiles(grid)) - widest / np.sqrt(2)
        from_validation = _distances_km(grid, self.validation_tiles(grid)) - nearest / np.sqrt(2)
        clear = np.minimum(from_test, from_validation)
        lon, lat = (values[tiles] for values in grid.centers)
        for scale, width in enumerate(widths_km[1:], start=1):
            places = PLACES.tile_at(*square_points(lon, lat, width * 1000, PARTS))
            shown[tiles, scale] = clear[places] > width / PARTS / np.sqrt(2)
        return shown


def _distances_km(grid: Grid, tiles: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how far every point of each of `PLACES` is at least from the centre of some tile."""
    centres = cKDTree(unit_vectors(*(values[tiles] for values in grid.centers)))
    chord, _ = centres.query(unit_vectors(*PLACES.centers))
    to_corner_km = np.radians(PLACES.row_height_deg) / np.sqrt(2) * RADIUS_M / 1000
    return 2 * np.arcsin(chord / 2) * RADIUS_M / 1000 - to_corner_km


def _runs(row: int) -> list[list[int]]:
    """Blocks of a row in runs that are drawn together: more blocks a run towards the poles."""
    middle = np.radians(-90 + (row + 0.5) * BLOCK_LAT_DEG)
    wanted = 1 / np.cos(middle)
    together = min((1, 2, 3, 6), key=lambda n: abs(np.log(n / wanted)))
    first = row * BLOCK_COLUMNS
    starts = range(first, first + BLOCK_COLUMNS, together)
    return [list(range(start, start + together)) for start in starts]


def _touching(
    grid: Grid, held_out: NDArray[np.bool_], width_km: float, held_out_width_km: float
) -> NDArray[np.bool_]:
    """Tell which tiles have a window that shares ground with that of a tile held out.

    width_km: of the windows of all tiles; held_out_width_km: of those of the tiles held out.
    """
    lon, lat = grid.centers
    points = unit_vectors(lon, lat)
    tree = cKDTree(points[held_out])
    widths = np.array([width_km, held_out_width_km]) * 1000 / RADIUS_M
    between = widths.sum() / 2
    gap, _ = tree.query(points)
    # Closer than half of both widths, two squares always touch; farther than half of both
    # diagonals, never.
    touching = gap < 2 * np.sin(between / 2)
    farthest = 2 * np.sin(between / np.sqrt(2)) * 1.01
    doubtful = np.flatnonzero(~touching & (gap < farthest))
    others = tree.query_ball_point(points[doubtful], farthest)
    a = np.repeat(doubtful, [len(o) for o in others])
    b = np.flatnonzero(held_out)[np.concatenate([np.asarray(o, np.int64) for o in others])]
    touching[a[_squares_meet(lon[a], lat[a], lon[b], lat[b], *widths)]] = True
    return touching


def _squares_meet(
    lon1: NDArray, lat1: NDArray, lon2: NDArray, lat2: NDArray, width1: float, width2: float
) -> NDArray[np.bool_]:
    """Tell which pairs of north-up squares of two widths in radians can share ground."""
    turn = np.radians((lon2 - lon1 + 180) % 360 - 180)
    phi1, phi2 = np.radians(lat1), np.radians(lat2)
    x = np.cos(phi2) * np.sin(turn)
    y = np.cos(phi1) * np.sin(phi2) - np.sin(phi1) * np.cos(phi2) * np.cos(turn)
    # Away from the equator, "north up" differs between the two by the meridians' convergence; the
    # second square then reaches as far as its bounding box in the first one's frame.
    angle = turn * np.sin((phi1 + phi2) / 2)
    reach = (width1 + width2 * (np.abs(np.cos(angle)) + np.abs(np.sin(angle)))) / 2
    return np.maximum(np.abs(x), np.abs(y)) < reach
