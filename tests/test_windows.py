"""Windows are square on the ground and north up, at the poles and the antimeridian too."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mars_map.build.inputs import Inputs
from mars_map.build.windows import (
    GlobalRaster,
    WindowSources,
    _write_windows,
    cache_windows,
    cut_windows,
    open_windows,
    window_points,
)
from mars_map.encoders.windows import WindowSpec
from mars_map.errors import BuildError
from mars_map.planet.grid import EqualAreaGrid
from mars_map.planet.sphere import great_circle_m

SPEC = WindowSpec(32, (64.0, 256.0))
longitudes = st.floats(-180, 180)
latitudes = st.floats(-90, 90)


def raster_points(rows: int) -> tuple[np.ndarray, np.ndarray]:
    lat = 90 - (np.arange(rows) + 0.5) * 180 / rows
    lon = -180 + (np.arange(2 * rows) + 0.5) * 180 / rows
    return np.meshgrid(lon, lat)


def sources_with_crater(lon: float, lat: float, radius_m: float) -> WindowSources:
    """A planet that is dark but for one bright disc, drawn on the sphere, with a pit under it."""
    grid_lon, grid_lat = raster_points(1800)
    distance = great_circle_m(grid_lon, grid_lat, lon, lat)
    disc = np.clip((radius_m - distance) / 8_000 + 0.5, 0, 1)
    rgb = np.repeat((disc * 200).astype(np.uint8)[None], 3, axis=0)
    return WindowSources.from_rasters(rgb, (-2000 * disc).astype(np.int16), SPEC)


@settings(max_examples=60)
@given(longitudes, latitudes, st.sampled_from([64_000.0, 256_000.0]))
def test_pixels_lie_where_an_equidistant_projection_puts_them(lon, lat, width):
    points = [p[0].double().numpy() for p in window_points([lon], [lat], width, 16)]
    offset = (np.arange(16) - 7.5) * width / 16
    wanted = np.hypot(offset[None, :], offset[:, None])
    assert great_circle_m(lon, lat, *points) == pytest.approx(wanted, abs=30.0)


@settings(max_examples=40)
@given(longitudes, st.floats(-80, 80))
def test_north_is_up_and_east_is_right(lon, lat):
    east, north = (p[0].numpy() for p in window_points([lon], [lat], 64_000.0, 16))
    assert (np.diff(north[:, 8]) < 0).all()
    turn = (east[8] - lon + 180) % 360 - 180
    assert (np.diff(turn) > 0).all()


@pytest.mark.parametrize(
    ("lon", "lat"), [(0, 0), (40, -45), (-179.98, 20), (12, 85), (100, 89.75), (-60, -89.75)]
)
def test_a_crater_is_round_and_in_the_middle_everywhere(lon, lat):
    windows = cut_windows(sources_with_crater(lon, lat, 70_000.0), [lon], [lat], SPEC)
    disc = windows.image[0, 1, 0] > 100
    pixel_m = 256_000 / 32
    assert disc.sum() * pixel_m**2 == pytest.approx(np.pi * 70_000.0**2, rel=0.06)
    rows, columns = np.nonzero(disc)
    assert rows.mean() == pytest.approx(15.5, abs=0.35)
    assert columns.mean() == pytest.approx(15.5, abs=0.35)
    assert columns.std() / rows.std() == pytest.approx(1.0, abs=0.05)
    assert windows.elevation[0, 1, 16, 16] == pytest.approx(-2000, abs=40)
    assert (windows.image[0, :, 1] == 128).all(), "grey has no colour"


def test_both_sides_of_the_antimeridian_give_one_window():
    sources = sources_with_crater(180, 30, 40_000.0)
    west, east = cut_windows(sources, [-180.0, 180.0], [30.0, 30.0], SPEC).image
    assert np.abs(west.astype(int) - east).max() <= 1


def test_a_raster_is_interpolated_between_pixel_centres_and_wraps():
    values = torch.tensor([[0.0, 10.0, 20.0, 30.0], [100.0, 110.0, 120.0, 130.0]])
    lon = torch.tensor([-135.0, -90.0, 180.0, -180.0, 0.0])
    lat = torch.tensor([45.0, 45.0, 45.0, 45.0, 0.0])
    assert GlobalRaster(values).sample(lon, lat).tolist() == [0.0, 5.0, 15.0, 15.0, 65.0]


def test_averaging_keeps_the_mean_and_the_edges():
    values = torch.arange(10 * 21, dtype=torch.float32).reshape(10, 21)
    mean = GlobalRaster(values).averaged(4).values
    assert mean.shape == (2, 5)
    assert mean.mean().item() == pytest.approx(values.mean().item(), rel=0.05)


def test_a_cache_is_used_again_only_if_it_is_whole_and_for_the_same_windows(tmp_path):
    grid = EqualAreaGrid(30.0)
    spec = WindowSpec(8, (200.0,))
    rgb = np.full((3, 90, 180), 77, np.uint8)
    surface = (np.full((18, 36), 210, np.float32), np.full((18, 36), 0.2, np.float32))
    sources = WindowSources.from_rasters(rgb, np.full((90, 180), 5, np.int16), spec, surface)
    with pytest.raises(BuildError, match="no windows"):
        open_windows(tmp_path)
    steps = []
    _write_windows(sources, grid, tmp_path, spec, lambda *step: steps.append(step))
    assert steps[-1] == ("windows", grid.n_tiles, grid.n_tiles)
    with pytest.raises(BuildError, match="no windows"):
        open_windows(tmp_path)  # the description, written last, is not there yet
    description = {
        "grid": grid.to_dict(),
        "spec": {"pixels": 8, "widths_km": [200.0]},
        "layers": ["image", "elevation", "surface"],
    }
    (tmp_path / "windows.json").write_text(json.dumps(description))
    nowhere = Inputs(tmp_path / "nowhere")
    windows = cache_windows(nowhere, grid, tmp_path, spec, lambda *step: None)
    assert windows.image.shape == (grid.n_tiles, 1, 2, 8, 8)
    assert (windows.image[:, :, 0] == 77).all() and (windows.elevation == 5).all()
    assert windows.surface == pytest.approx(np.tile([210, 0.2], (grid.n_tiles, 1)))
    with pytest.raises(BuildError, match="viking"):
        cache_windows(nowhere, grid, tmp_path, WindowSpec(8, (300.0,)), lambda *step: None)
