"""Thumbnails: square on the ground, north up, at any latitude."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mars_map.errors import BasemapError, CoordinateError
from mars_map.maps.basemap import Basemaps
from mars_map.maps.raster import MarsRaster
from mars_map.maps.thumbnails import cut_square, thumbnail
from mars_map.planet.local import square_points
from mars_map.planet.sphere import METRES_PER_DEGREE, great_circle_m
from tests.test_basemap import write_raster

ROWS, COLUMNS = 1080, 2160


@pytest.fixture(scope="module")
def coordinates(tmp_path_factory) -> MarsRaster:
    """A raster that shows where it is: sine and cosine of the longitude, and the latitude."""
    lon = np.radians(-180 + (np.arange(COLUMNS) + 0.5) * 360 / COLUMNS)
    lat = 90 - (np.arange(ROWS) + 0.5) * 180 / ROWS
    bands = np.empty((3, ROWS, COLUMNS))
    bands[0] = 127.5 + 127.5 * np.sin(lon)
    bands[1] = 127.5 + 127.5 * np.cos(lon)
    bands[2] = (127.5 + 127.5 * lat / 90)[:, np.newaxis]
    path = tmp_path_factory.mktemp("raster") / "where.tif"
    return MarsRaster(write_raster(path, np.rint(bands).astype(np.uint8)))


@given(
    lon=st.floats(-180, 179.99),
    lat=st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 90.0])),
    width_km=st.floats(5, 2000),
)
def test_points_lie_where_a_ruler_would_put_them(lon, lat, width_km):
    lons, lats = square_points(lon, lat, width_km * 1000, 9)
    assert (np.abs(lons - lon) <= 180 + 1e-9).all()
    assert lats[4, 4] == pytest.approx(lat, abs=1e-6)
    step = width_km * 1000 / 9
    away = np.hypot(*np.meshgrid(np.arange(-4, 5), np.arange(-4, 5))) * step
    np.testing.assert_allclose(great_circle_m(lon, lat, lons, lats), away, atol=0.05)


def test_north_is_up_and_east_is_right():
    lons, lats = square_points(10.0, 20.0, 90_000.0, 9)
    assert (np.diff(lats[:, 4]) < 0).all()
    assert (np.diff(lons[4]) > 0).all()
    assert lats[0, 4] - 20.0 == pytest.approx(40_000 / METRES_PER_DEGREE)


@pytest.mark.filterwarnings("ignore:The dataset has no Overviews")
@pytest.mark.parametrize("lat", [0.0, -45.0, 85.0, 89.9, 90.0, -90.0, -89.5])
@pytest.mark.parametrize("lon", [0.0, 179.9, -180.0, -60.0])
@pytest.mark.parametrize("width_km", [96.0, 900.0])
def test_every_pixel_comes_from_its_own_place(coordinates, lon, lat, width_km):
    cut = cut_square(coordinates, lon, lat, width_km * 1000, 64).astype(float)
    lons, lats = square_points(lon, lat, width_km * 1000, 64)
    # Right at a pole all longitudes meet in less than a pixel of the raster.
    sound = np.abs(lats) < 89.8
    sine, cosine = np.sin(np.radians(lons)), np.cos(np.radians(lons))
    np.testing.assert_allclose(cut[..., 2], 127.5 + 127.5 * lats / 90, atol=2)
    np.testing.assert_allclose(cut[..., 0][sound], (127.5 + 127.5 * sine)[sound], atol=8)
    np.testing.assert_allclose(cut[..., 1][sound], (127.5 + 127.5 * cosine)[sound], atol=8)


def test_korolev_is_round():
    pixels = cut_square(Basemaps().raster("viking"), 164.58, 72.77, 140_000.0, 140)
    ice = pixels.min(axis=-1) > 170
    # Kilometres of ice across the middle: 63 to 75; plate carrée would draw it three times as wide.
    across, down = ice[70].sum(), ice[:, 70].sum()
    assert 55 < across < 85
    assert 0.8 < across / down < 1.25


def test_a_thumbnail_is_a_jpeg_of_the_size():
    picture = Image.open(io.BytesIO(thumbnail(Basemaps(), 137.8, -5.4, size=160)))
    assert (picture.format, picture.size) == ("JPEG", (160, 160))


def test_what_cannot_be_shown_is_one_sentence(tmp_path):
    for options in ({"size": 4}, {"size": 10_000}, {"width_km": 0}, {"width_km": float("nan")}):
        with pytest.raises(BasemapError, match="A thumbnail shows"):
            thumbnail(Basemaps(), 0, 0, **options)
    with pytest.raises(CoordinateError):
        thumbnail(Basemaps(), 0, 91)
    with pytest.raises(BasemapError, match="missing"):
        thumbnail(Basemaps(tmp_path), 0, 0)
