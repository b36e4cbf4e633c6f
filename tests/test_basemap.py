"""Basemaps: tiles, elevations and a user's own raster, at their place on Mars."""

import io
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasterio.transform import from_bounds

from mars_map.build.basemap import (
    build_basemaps,
    build_elevation,
    shaded_relief,
    smooth_colour,
)
from mars_map.build.inputs import ELEVATION, MOLA_ELEVATION, VIKING_COLOUR, Inputs
from mars_map.errors import BasemapError, BuildError, CoordinateError
from mars_map.maps.basemap import Basemaps, elevation_palette
from mars_map.maps.raster import MarsRaster, tile_bounds
from mars_map.settings import BASEMAP_DIR

METRES = 3_396_190 * np.pi / 180


@pytest.fixture(scope="module")
def basemaps() -> Basemaps:
    return Basemaps()


def write_raster(path: Path, bands: np.ndarray, bounds=(-180, -90, 180, 90), **profile) -> Path:
    count, rows, columns = bands.shape
    profile = {"crs": "IAU_2015:49900", "dtype": bands.dtype.name, **profile}
    transform = from_bounds(*bounds, columns, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", "GTiff", columns, rows, count, transform=transform, **profile
    ) as raster:
        raster.write(bands)
    return path


def decoded(picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.body)))


@pytest.mark.parametrize("name", ["viking", "relief", "elevation"])
def test_the_embedded_files_are_cogs_of_the_whole_planet(name):
    with rasterio.open(BASEMAP_DIR / f"{name}.tif") as raster:
        assert tuple(raster.bounds) == (-180, -90, 180, 90)
        assert raster.width == 2 * raster.height
        assert "3396190" in raster.crs.to_wkt()
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert raster.block_shapes[0] == (256, 256)
        assert raster.overviews(1)
        assert raster.tags()["SOURCE"]
        assert "public domain" in raster.tags()["LICENCE"]


def test_the_embedded_basemaps_are_small_enough_to_ship():
    assert sum(path.stat().st_size for path in BASEMAP_DIR.iterdir()) < 40e6


@pytest.mark.parametrize("key", ["viking", "relief", "elevation"])
def test_tiles_are_pictures(basemaps, key):
    for z, x, y in [(0, 0, 0), (0, 1, 0), (3, 15, 7), (12, 8191, 4095)]:
        picture = basemaps.tile(key, z, x, y)
        assert picture.media_type == "image/jpeg"
        assert decoded(picture).shape == (256, 256, 3)


def test_a_tile_at_full_zoom_is_the_block_of_the_file(basemaps):
    layer = basemaps.layer("viking")
    with rasterio.open(layer.file) as raster:
        assert raster.width == 512 * 2**layer.max_zoom
        block = np.moveaxis(raster.read(window=((2560, 2816), (2816, 3072))), 0, -1)
    tile = basemaps.raster("viking").tile(layer.max_zoom, 11, 10)
    np.testing.assert_array_equal(tile.rgb, block)


def test_tiles_lie_where_leaflet_looks_for_them():
    assert tile_bounds(0, 0, 0) == (-180, -90, 0, 90)
    assert tile_bounds(0, 1, 0) == (0, -90, 180, 90)
    assert tile_bounds(2, 7, 0) == (135, 45, 180, 90)


@pytest.mark.parametrize(
    ("lon", "lat", "metres"),
    [(-133.1, 17.4, 21_130), (62.1, -32.9, -8_070), (137.4, -4.6, -4_400), (0, 90, -1_960)],
    ids=["Olympus Mons", "Hellas", "Gale", "north pole"],
)
def test_elevations_of_known_places(basemaps, lon, lat, metres):
    assert basemaps.elevation_at(lon, lat) == pytest.approx(metres, abs=200)


def test_elevations_at_cell_centres_are_molas_own(basemaps):
    grid = basemaps.elevations
    for row, column in [(0, 0), (100, 1439), (719, 700), (285, 184)]:
        lon, lat = -180 + (column + 0.5) / 4, 90 - (row + 0.5) / 4
        assert basemaps.elevation_at(lon, lat) == grid[row, column]


@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90))
def test_elevations_are_continuous_and_wrap(lon, lat):
    heights = [_BASEMAPS.elevation_at(lon + turn, lat) for turn in (0, 360 if lon <= 0 else -180)]
    assert -8_300 < heights[0] < 21_300
    if lon <= 0:
        assert heights[1] == pytest.approx(heights[0], abs=0.1)
    nearby = _BASEMAPS.elevation_at(lon, np.clip(lat + 1e-7, -90, 90))
    assert nearby == pytest.approx(heights[0], abs=0.1)


_BASEMAPS = Basemaps()


def test_the_planet_as_one_picture(basemaps):
    for key in basemaps.layers:
        picture = basemaps.planet(key, 256)
        assert picture.shape == (128, 256, 3)
        assert picture.dtype == np.uint8
        assert picture.std() > 5


def test_colours_of_elevation_tell_hellas_from_tharsis(basemaps):
    picture = basemaps.planet("elevation", 360).astype(int)
    hellas, tharsis = picture[132, 250], picture[90, 72]
    assert np.abs(hellas - elevation_palette()[24]).max() < 60
    assert tharsis[0] > hellas[0] + 60


@pytest.mark.parametrize(
    "tile", [("nope", 0, 0, 0), ("viking", 0, 2, 0), ("viking", -1, 0, 0), ("viking", 13, 0, 0)]
)
def test_what_is_not_there_is_one_sentence(basemaps, tile):
    with pytest.raises(BasemapError, match="There is no"):
        basemaps.tile(*tile)
    with pytest.raises(CoordinateError):
        basemaps.elevation_at(0, 91)


def test_missing_and_damaged_files_are_named(basemaps, tmp_path):
    with pytest.raises(BasemapError, match=r"viking\.tif.*missing"):
        Basemaps(tmp_path).tile("viking", 0, 0, 0)
    with pytest.raises(BasemapError, match=r"elevation\.tif"):
        Basemaps(tmp_path).elevation_at(0, 0)
    (tmp_path / "viking.tif").write_text("no raster")
    with pytest.raises(BasemapError, match=r"viking\.tif.*not a raster"):
        Basemaps(tmp_path).tile("viking", 0, 0, 0)
    shutil.copy(BASEMAP_DIR / "elevation.tif", tmp_path / "relief.tif")
    with (tmp_path / "relief.tif").open("r+b") as file:
        file.truncate(400_000)
    damaged = Basemaps(tmp_path)
    with pytest.raises(BasemapError, match=r"relief\.tif.*damaged"):
        damaged.planet("relief", 1440)
    # The other files are read as before, also in this thread.
    assert basemaps.tile("viking", 4, 3, 3).body


def test_many_threads_read_the_same_tiles(basemaps):
    tiles = [(4, x, y) for x in range(8, 14) for y in range(4)] * 2
    alone = [basemaps.tile("viking", *tile).body for tile in tiles]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda tile: basemaps.tile("viking", *tile).body, tiles))
    assert together == alone


def test_a_users_own_raster_is_a_layer_in_its_place(tmp_path):
    bands = np.zeros((3, 100, 100), np.uint8)
    bands[0] = 200
    path = write_raster(tmp_path / "mine.tif", bands, (10, 0, 20, 10))
    maps = Basemaps(extra=[path])
    layer = maps.layers["own1"]
    assert (layer.title, layer.credit) == ("mine", "mine.tif")
    picture = maps.tile("own1", 2, 4, 1)  # 0..45 E, 0..45 N
    assert picture.media_type == "image/png"
    clear = decoded(picture)[..., 3]
    rows, columns = np.nonzero(clear)
    assert columns.min() == pytest.approx(10 * 256 / 45, abs=1)
    assert columns.max() == pytest.approx(20 * 256 / 45, abs=1)
    assert rows.min() == pytest.approx(35 * 256 / 45, abs=1)
    assert not decoded(maps.tile("own1", 2, 0, 0))[..., 3].any()


def test_a_users_raster_in_metres_is_warped(tmp_path):
    bands = np.linspace(-5000, 5000, 100 * 100, dtype=np.float32).reshape(1, 100, 100)
    bounds = tuple(v * METRES for v in (10, 0, 20, 10))
    path = write_raster(tmp_path / "dem.tif", bands, bounds, crs="IAU_2015:49910")
    pixels = MarsRaster(path).tile(2, 4, 1)
    rows, columns = np.nonzero(pixels.mask)
    assert columns.min() == pytest.approx(10 * 256 / 45, abs=2)
    assert rows.max() == 255
    # Values are stretched to black and white, north dark.
    assert pixels.rgb[rows.min() + 2, columns.mean().astype(int), 0] < 30
    assert pixels.rgb[254, columns.mean().astype(int), 0] > 225


def test_a_raster_that_is_not_of_mars_is_refused(tmp_path):
    earth = write_raster(tmp_path / "earth.tif", np.ones((1, 10, 10), np.uint8), crs="EPSG:4326")
    with pytest.raises(BasemapError, match="not a map of Mars"):
        Basemaps(extra=[earth])
    bare = write_raster(tmp_path / "bare.tif", np.ones((1, 10, 10), np.uint8), crs=None)
    with pytest.raises(BasemapError, match="no coordinate reference system"):
        Basemaps(extra=[bare])
    with pytest.raises(BasemapError, match="missing"):
        Basemaps(extra=[tmp_path / "none.tif"])


def test_relief_is_lit_from_the_north_west_at_any_latitude():
    rows, columns = 360, 720
    lon = -180 + (np.arange(columns) + 0.5) / 2
    lat = 90 - (np.arange(rows) + 0.5) / 2
    flat = shaded_relief(np.zeros((rows, columns), np.float32))
    assert len(np.unique(flat)) == 1
    for centre in (0, 60):
        east = (lon[np.newaxis, :] - 10) * np.cos(np.radians(centre))
        hill = 8000 * np.exp(-(east**2 + (lat[:, np.newaxis] - centre) ** 2) / 50)
        shade = shaded_relief(hill.astype(np.float32)).astype(int)
        row = int((90 - centre) * 2)
        span = int(10 / np.cos(np.radians(centre)))
        west_side, east_side = shade[row, 380 - span], shade[row, 380 + span]
        assert west_side > flat[0, 0] > east_side
        assert shade[row - 10, 380] > shade[row + 10, 380]


def test_the_build_makes_the_three_files(tmp_path):
    rng = np.random.default_rng(3)
    rasters = tmp_path / "inputs"
    heights = rng.integers(-8000, 21000, (1, 360, 720), np.int16)
    write_raster(rasters / VIKING_COLOUR, rng.integers(0, 255, (3, 360, 720), np.uint8))
    write_raster(rasters / ELEVATION, heights)
    write_raster(rasters / MOLA_ELEVATION, heights)
    steps = []
    paths = build_basemaps(
        Inputs(rasters), tmp_path / "out", lambda *step: steps.append(step), size=(512, 1024)
    )
    assert [path.name for path in paths] == ["viking.tif", "relief.tif", "elevation.tif"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in paths
    )
    assert steps[-1] == ("basemaps", 3, 3)
    with rasterio.open(paths[2]) as raster:
        np.testing.assert_array_equal(raster.read(), heights)
    with rasterio.open(paths[0]) as raster:
        assert raster.shape == (512, 1024)
    (rasters / ELEVATION).unlink()
    with pytest.raises(BuildError, match="mola_elevation"):
        build_basemaps(Inputs(rasters), tmp_path / "again", lambda *_: None, size=(64, 128))


def test_the_shipped_elevations_are_made_from_the_inputs(tmp_path):
    folder = os.environ.get("MARS_MAP_INPUTS")
    if not folder:
        pytest.skip("set MARS_MAP_INPUTS to the folder of inputs to compare with what is shipped")
    build_elevation(Inputs(Path(folder)).path(MOLA_ELEVATION), tmp_path / "elevation.tif")
    with (
        rasterio.open(tmp_path / "elevation.tif") as made,
        rasterio.open(BASEMAP_DIR / "elevation.tif") as shipped,
    ):
        np.testing.assert_array_equal(made.read(), shipped.read())
        assert made.tags() == shipped.tags()


def test_colour_is_smoothed_and_brightness_is_not():
    checks = (np.indices((64, 128)).sum(axis=0) // 4 % 2).astype(np.uint8)
    grey = np.repeat((checks * 60 + 90)[np.newaxis], 3, axis=0)
    assert np.abs(smooth_colour(grey).astype(int) - grey).max() <= 2
    spotted = grey.copy()
    spotted[0, ::4] += 40
    smooth = smooth_colour(spotted).astype(int)
    hue = smooth[0] - smooth[2]
    assert hue.std() < 0.3 * (spotted[0].astype(int) - spotted[2]).std()
    # The picture wraps: its first and last columns are neighbours.
    assert np.abs(hue[:, 0] - hue[:, -1]).max() <= 4
