"""Maps seen from above a pole: true projections, and the same tiles as on the plate carrée."""

import io

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mars_map import web
from mars_map.maps.basemap import Basemaps
from mars_map.maps.heat import heat_palette, polar_heat_png
from mars_map.planet.polar import (
    HALF_WIDTH_M,
    POLAR_CRS,
    POLES,
    lonlat_from_polar,
    polar_from_lonlat,
    polar_tile_bounds,
    polar_tile_points,
)
from mars_map.planet.sphere import mars_crs
from mars_map.search import Query
from tests.colours import colour_positions

KOROLEV = (164.58, 72.77)

latitudes = st.floats(-60, 89.99)


@pytest.fixture
def client(small_service, tmp_path):
    return TestClient(Starlette(routes=web.routes(tmp_path)))


@pytest.mark.parametrize("pole", POLES)
@given(lon=st.floats(-179.99, 179.99), lat=latitudes)
def test_a_point_comes_back(pole, lon, lat):
    lat = lat if pole == "north" else -lat
    back = lonlat_from_polar(*polar_from_lonlat(lon, lat, pole), pole)
    assert back == pytest.approx((lon, lat), abs=1e-6)


@pytest.mark.parametrize("pole", POLES)
def test_the_formulas_are_those_of_the_crs(pole):
    crs = pyproj.CRS.from_authority(*POLAR_CRS[pole])
    to_crs = pyproj.Transformer.from_crs(mars_crs(), crs, always_xy=True)
    lon = np.linspace(-180, 180, 41)
    lat = np.linspace(-30, 90, 41) * (1 if pole == "north" else -1)
    assert np.allclose(polar_from_lonlat(lon, lat, pole), to_crs.transform(lon, lat), atol=1e-3)


def test_tiles_share_their_borders_and_fill_the_square():
    assert polar_tile_bounds(0, 0, 0) == (-HALF_WIDTH_M, -HALF_WIDTH_M, HALF_WIDTH_M, HALF_WIDTH_M)
    assert polar_tile_bounds(3, 4, 4)[0] == polar_tile_bounds(3, 3, 4)[2] == 0
    lon, lat = polar_tile_points("north", 3, 4, 4)
    # The tile below and to the right of the pole: from the prime meridian to 90 degrees east.
    assert lat[0, 0] > 88 and 0 < lon.min() < lon.max() < 90


def grey(pole: str, z: int, x: int, y: int) -> np.ndarray:
    picture = Basemaps().polar_tile("viking", pole, z, x, y)
    return np.asarray(Image.open(io.BytesIO(picture.body)).convert("L"), float)


def mosaic(pole: str, z: int) -> np.ndarray:
    """The four tiles round the pole."""
    middle = 2 ** (z - 1)
    rows = (middle - 1, middle)
    return np.block([[grey(pole, z, x, y) for x in rows] for y in rows])


def test_the_northern_cap_is_bright_and_round():
    picture = mosaic("north", 3)
    lon, lat = (
        np.block([[polar_tile_points("north", 3, x, y)[i] for x in (3, 4)] for y in (3, 4)])
        for i in (0, 1)
    )
    plain = picture[(lat > 68) & (lat < 72)].mean()
    for west in range(-180, 180, 60):
        cap = picture[(lat > 86) & (lon >= west) & (lon < west + 60)]
        assert cap.mean() > plain + 20, "the cap reaches as far on every side"


def test_korolev_is_where_it_should_be():
    """Its floor of ice is the one bright spot within a hundred kilometres of its place."""
    x, y = polar_from_lonlat(*KOROLEV, "north")
    size = 2 * HALF_WIDTH_M / 2**5
    column, row = int((x + HALF_WIDTH_M) // size), int((HALF_WIDTH_M - y) // size)
    tiles = np.block(
        [[grey("north", 5, column + i, row + j) for i in (-1, 0, 1)] for j in (-1, 0, 1)]
    )
    left, _, _, top = polar_tile_bounds(5, column - 1, row - 1)
    metres = size / 256
    across, down = (x - left) / metres, (top - y) / metres
    rows, columns = np.mgrid[: tiles.shape[0], : tiles.shape[1]]
    far = np.hypot(columns - across, rows - down) * metres
    assert tiles[far < 20_000].mean() > tiles[(far > 50_000) & (far < 100_000)].mean() + 40


def test_a_heat_tile_has_the_colour_of_the_tile_under_each_pixel(small_engine):
    scores = np.random.default_rng(1).random(small_engine.index.n_tiles).astype(np.float32)
    grid = small_engine.index.grid
    picture = Image.open(io.BytesIO(polar_heat_png(scores, grid, "south", (1, 0, 1))))
    colours = np.asarray(picture.convert("RGBA"))
    lon, lat = polar_tile_points("south", 1, 0, 1)
    for row, column in ((3, 250), (100, 100), (255, 0), (200, 30)):
        tile = int(grid.tile_at(lon[row, column], lat[row, column]))
        place = colour_positions(scores)[tile]
        expected = heat_palette()[int(np.rint(place * 255))] if tile >= 0 else (0, 0, 0, 0)
        assert colours[row, column, 3] == expected[3]
        if expected[3]:
            assert tuple(colours[row, column]) == tuple(expected)


def test_the_routes_answer_with_pictures(client):
    for pole in POLES:
        for layer in ("viking", "relief", "elevation", "geology"):
            reply = client.get(f"/mars/polar/{pole}/{layer}/1/1/0.jpg")
            assert reply.status_code == 200 and reply.headers["content-type"] == "image/jpeg"
        reply = client.get(f"/mars/polar/{pole}/heat/1/1/0.png?q=dunes")
        assert reply.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("polar/east/viking/1/1/0.jpg", 404),
        ("polar/north/moon/1/1/0.jpg", 404),
        ("polar/north/viking/1/2/0.jpg", 404),
        ("polar/north/viking/99/0/0.jpg", 404),
        ("polar/north/heat/1/5/0.png?q=dunes", 404),
        ("polar/north/heat/1/0/0.png", 400),
    ],
)
def test_what_is_not_there_gets_one_sentence(client, path, status):
    reply = client.get(f"/mars/{path}")
    assert reply.status_code == status and reply.json()["error"].endswith(".")


def test_a_search_is_drawn_the_same_from_above(client, small_engine):
    query = Query("dunes")
    reply = client.get("/mars/polar/north/heat/0/0/0.png", params={"q": query.text})
    colours = np.asarray(Image.open(io.BytesIO(reply.content)).convert("RGBA"))
    lon, lat = polar_tile_points("north", 0, 0, 0)
    best = small_engine.search(query).hits[:50]
    tiles = small_engine.index.grid.tile_at(lon, lat)
    shown = np.isin(tiles, best)
    assert shown.any() and (colours[shown, 3] > 0).all()
