"""Tile grids: every point has one tile, every tile one place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars_map.errors import CoordinateError, IndexDamagedError
from mars_map.planet.grid import EqualAreaGrid, RegularGrid, grid_from_dict
from mars_map.planet.names import marsretrieval_bounds
from mars_map.planet.sphere import box_area_km2
from tests.marsretrieval import marsretrieval_name

GRIDS = [EqualAreaGrid(0.5), EqualAreaGrid(6.0), RegularGrid(0.2), RegularGrid(1.0, -90, 90)]
grids = pytest.mark.parametrize("grid", GRIDS, ids=str)


def test_sizes():
    assert EqualAreaGrid(0.5).n_tiles == 165_016
    assert RegularGrid(0.2, -80, 80).n_tiles == 1_440_000


@grids
def test_centres_and_corners_lie_in_their_own_tile(grid):
    tiles = np.arange(grid.n_tiles)
    bounds = grid.bounds(tiles)
    np.testing.assert_array_equal(grid.tile_at(*grid.centers), tiles)
    np.testing.assert_array_equal(grid.tile_at(bounds[:, 0], bounds[:, 1]), tiles)
    assert bounds[:, 0].min() == -180 and bounds[:, 2].max() == 180


@grids
@given(lon=st.floats(-180, 360), lat=st.floats(-90, 90))
def test_the_tile_under_a_point_holds_the_point(grid, lon, lat):
    tile = grid.tile_at(lon, lat)
    if not grid.row_edges[0] <= lat <= grid.row_edges[-1]:
        assert tile == -1
        return
    west, south, east, north = grid.bounds(tile)
    wrapped = lon - 360 if lon >= 180 else lon
    assert west - 1e-9 <= wrapped <= east + 1e-9 and south <= lat <= north


@grids
def test_the_antimeridian_and_both_poles_have_tiles(grid):
    edge = grid.row_edges[-1]
    assert grid.tile_at(180.0, 0.05) == grid.tile_at(-180.0, 0.05)
    assert grid.tile_at(0.0, edge) == grid.tile_at(0.0, edge - 1e-9)
    assert grid.tile_at(np.array([0.0]), np.array([90.0]))[0] == (
        -1 if edge < 90 else grid.tile_at(0, 90)
    )


def test_tiles_of_the_equal_area_grid_are_about_equal_in_area():
    grid = EqualAreaGrid(0.5)
    areas = box_area_km2(grid.bounds(np.arange(grid.n_tiles)))
    assert areas.sum() == pytest.approx(box_area_km2([-180, -90, 180, 90]))
    assert np.abs(areas[400:-400] / np.median(areas) - 1).max() < 0.05


@grids
def test_neighbours_are_mutual_and_touch(grid):
    rng = np.random.default_rng(1)
    last = grid.n_tiles - 1
    for tile in [0, last, *rng.integers(0, grid.n_tiles, 20)]:
        near = grid.neighbours(tile)
        assert tile not in near and len(near) >= 3
        assert all(tile in grid.neighbours(other) for other in near)


def test_neighbours_cross_the_antimeridian():
    grid = RegularGrid(1.0, -90, 90)
    assert grid.tile_at(179.5, 0.5) in grid.neighbours(grid.tile_at(-179.5, 0.5))
    assert len(grid.neighbours(grid.tile_at(10.5, 10.5))) == 8


@grids
def test_ids_read_back(grid):
    tiles = np.array([0, 1, grid.n_tiles // 2, grid.n_tiles - 1])
    assert [grid.number_of(name) for name in grid.names(tiles)] == list(tiles)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "r",
        "rc",
        "r1c1",
        "r000c9999",
        "r999c0000",
        "r-01c0001",
        "r000c0000x",
        "R000c0000",
        "r٠٠٠c0000",
    ],
)
def test_foreign_ids_have_no_tile(name):
    assert EqualAreaGrid(0.5).number_of(name) == -1


def test_a_point_is_called_by_its_tile_or_refused_in_a_sentence():
    grid = RegularGrid(8.0, -80, 80)
    name = grid.name_at(222.2, 18.4)
    assert grid.number_of(name) == grid.tile_at(-137.8, 18.4)
    with pytest.raises(CoordinateError, match=r"no tile at .* between -80 and 80 latitude"):
        grid.name_at(0.0, 85.0)
    with pytest.raises(CoordinateError, match="not on Mars"):
        grid.name_at(0.0, 95.0)


def test_numbers_outside_are_refused():
    with pytest.raises(IndexError):
        EqualAreaGrid(6.0).bounds([-1])
    with pytest.raises(IndexError):
        EqualAreaGrid(6.0).bounds([EqualAreaGrid(6.0).n_tiles])


@grids
def test_a_manifest_describes_the_grid(grid):
    assert grid_from_dict(grid.to_dict()) == grid


@pytest.mark.parametrize(
    "values",
    [{}, {"kind": "hexagons"}, {"kind": "regular", "step_deg": 0.7}, {"kind": "regular", "x": 1}],
)
def test_an_unknown_grid_is_refused(values):
    with pytest.raises(IndexDamagedError):
        grid_from_dict(values)


def test_marsretrieval_names_are_the_south_west_corner():
    grid = RegularGrid(0.2, -80, 80)
    tile = grid.tile_at(-23.1, -5.5)
    bounds = marsretrieval_bounds("E_23_2_N_5_6", 0.2)
    assert bounds == pytest.approx(tuple(grid.bounds(tile)))


@given(st.integers(0, 1_439_999))
def test_marsretrieval_names_read_back(tile):
    grid = RegularGrid(0.2, -80, 80)
    west, south, *_ = marsretrieval_bounds(marsretrieval_name(grid.bounds(tile)), 0.2)
    assert grid.tile_at(west + 0.1, south + 0.1) == tile


@pytest.mark.parametrize("name", ["", "E1", "E_1_2_N", "E1_N95", "E400_0_N0_0", "Ex_Ny"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="tile name"):
        marsretrieval_bounds(name, 0.2)
