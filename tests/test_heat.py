"""Heat maps: every pixel shows the tile that is under it."""

import io

import numpy as np
import pytest
import rasterio
from PIL import Image

from mars_map.maps import heat
from mars_map.maps.heat import (
    colour_levels,
    heat_levels,
    heat_palette,
    heat_png,
    heat_scale,
    picture_size,
    pixel_tiles,
    score_geotiff,
    score_raster,
)
from mars_map.planet.grid import EqualAreaGrid, RegularGrid

GRID = EqualAreaGrid(6.0)


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    return np.random.default_rng(5).normal(0.1, 0.05, GRID.n_tiles).astype(np.float32)


def test_the_scale_runs_from_the_upper_quartile_to_the_best_in_a_thousand():
    scale = heat_scale(np.arange(1001, dtype=np.float32))
    assert scale == pytest.approx((750.0, 999.0))
    scores = np.array([-5.0, 750.0, 874.0, 999.0, 2000.0], np.float32)
    assert colour_levels(scores, scale).tolist() == [0, 0, 127, 255, 255, 0]


def test_equal_scores_have_a_scale_too():
    flat = np.full(GRID.n_tiles, 0.25, np.float32)
    assert (heat_levels(flat, GRID, (36, 18)) == 0).all()


@pytest.mark.parametrize("grid", [GRID, RegularGrid(2.0, -80, 80)], ids=str)
def test_pixels_show_the_tile_under_their_centre(grid):
    tiles = pixel_tiles(grid, 180, 90)
    assert tiles.shape == (90, 180)
    assert tiles.dtype == np.int32
    for row, column in [(0, 0), (0, 179), (45, 90), (89, 0), (30, 17)]:
        lon, lat = -179.0 + 2 * column, 89.0 - 2 * row
        assert tiles[row, column] == grid.tile_at(lon, lat)


def test_the_brightest_pixels_are_the_best_tile(scores):
    best = scores.copy()
    tile = GRID.tile_at(77.7, 18.4)
    best[tile] = 1.0
    levels = heat_levels(best, GRID, (360, 180))
    rows, columns = np.nonzero(levels == 255)
    assert set(pixel_tiles(GRID, 360, 180)[rows, columns]) >= {tile}
    west, _, _, north = GRID.bounds(tile)
    bright = pixel_tiles(GRID, 360, 180) == tile
    assert np.nonzero(bright)[1].min() - 180 == pytest.approx(west, abs=1)
    assert 90 - np.nonzero(bright)[0].min() == pytest.approx(north, abs=1)


def test_the_png_has_a_palette_whose_low_end_is_clear(scores):
    picture = Image.open(io.BytesIO(heat_png(scores, GRID, (360, 180))))
    assert (picture.mode, picture.size) == ("P", (360, 180))
    levels = heat_levels(scores, GRID, (360, 180))
    np.testing.assert_array_equal(np.asarray(picture), levels)
    np.testing.assert_array_equal(np.asarray(picture.convert("RGBA")), heat_palette()[levels])
    assert heat_palette()[0, 3] == 0
    assert heat_palette()[-1, 3] == 255


def test_luminance_rises_along_the_palette():
    luminance = heat_palette()[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > -1).all()
    assert luminance[-1] - luminance[0] > 100


def test_outside_a_region_nothing_is_drawn(scores):
    mask = GRID.centers[1] > 0
    levels = heat_levels(scores, GRID, (360, 180), mask=mask)
    assert (levels[96:] == 0).all()
    north = heat_levels(scores, GRID, (360, 180))[:84]
    np.testing.assert_array_equal(levels[:84], north)


def test_tiles_that_a_grid_does_not_have_are_clear_and_nan():
    grid = RegularGrid(5.0, -80, 80)
    scores = np.linspace(0, 1, grid.n_tiles, dtype=np.float32)
    assert (heat_levels(scores, grid, (72, 36))[[0, 1, -2, -1]] == 0).all()
    raster = score_raster(scores, grid)
    assert raster.shape == (36, 72)
    assert np.isnan(raster[[0, 1, -2, -1]]).all()
    np.testing.assert_array_equal(raster[2:-2][::-1].ravel(), scores)


def test_the_geotiff_reads_back_on_mars(scores):
    mask = np.arange(GRID.n_tiles) % 2 == 0
    data = score_geotiff(scores, GRID, mask=mask, tags={"mars_map": "ü"})
    with rasterio.open(io.BytesIO(data)) as raster:
        assert raster.crs.to_wkt().count("3396190") == 1
        assert tuple(raster.bounds) == (-180, -90, 180, 90)
        assert raster.dtypes == ("float32",)
        assert np.isnan(raster.nodata)
        assert raster.tags()["mars_map"] == "ü"
        lon, lat = (axis[::7] for axis in GRID.centers)
        read = np.array([v[0] for v in raster.sample(zip(lon, lat, strict=True))])
    expected = np.where(mask, scores, np.nan)[::7]
    np.testing.assert_array_equal(read, expected)


def test_where_tiles_are_smaller_than_pixels_a_pixel_shows_the_best_of_its_tiles():
    grid = RegularGrid(2.0, -80, 80)
    scores = np.random.default_rng(8).normal(0.1, 0.05, grid.n_tiles).astype(np.float32)
    mask = np.arange(grid.n_tiles) % 3 > 0
    per_tile = heat_levels(scores, grid, (180, 90), mask=mask)
    expected = per_tile.reshape(18, 5, 36, 5).max(axis=(1, 3))
    assert (heat_levels(scores, grid, (36, 18), mask=mask) == expected).all()


def test_a_grid_of_small_tiles_gets_a_larger_picture():
    assert picture_size(EqualAreaGrid(0.5)) == (1440, 720)
    assert picture_size(RegularGrid(0.2, -80, 80)) == (1800, 900)


def test_the_scale_of_an_answer_is_worked_out_once_and_forgotten_with_it(scores):
    answer = scores.copy()
    answer.flags.writeable = False
    assert heat_scale(answer) is heat_scale(answer) == heat_scale(scores)
    number = id(answer)
    assert number in heat._scales
    del answer
    assert number not in heat._scales


@pytest.mark.parametrize("q", [0.0, 0.5, 0.75, 0.999, 1.0])
@pytest.mark.parametrize("count", [1, 2, 70, 5000, 300_000])
def test_quantiles_are_numpys(q, count):
    random = np.random.default_rng(count)
    for values in (random.standard_normal(count), np.sort(random.integers(0, 9, count))):
        values = values.astype(np.float32)
        assert heat._quantile(values, q) == pytest.approx(np.quantile(values, q), abs=1e-6)
