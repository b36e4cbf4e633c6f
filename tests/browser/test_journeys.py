"""What a visitor does, in a real browser with the network cut off."""

import io
import json
import re
from urllib.parse import parse_qs, quote_plus, urlsplit

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from PIL import Image
from playwright.sync_api import Page, expect
from rasterio.windows import from_bounds

from mars_map.index import open_index
from mars_map.planet.sphere import RADIUS_M
from mars_map.settings import BASEMAP_DIR, INDEX_DIR

GALE = (137.8, -5.4)
HOSTILE = [
    '<img src=x onerror="alert(1)"> crater',
    "[crater](javascript:alert(1)) :red[red] $x$",
    "${alert(1)} {{crater}} </script><script>alert(1)</script>",
]


@pytest.fixture(scope="module")
def grid():
    return open_index(INDEX_DIR).grid


def painted(page: Page, query: str) -> None:
    """Wait until the map shows the answer to a query, given as its part of the address."""
    page.wait_for_function(
        "query => document.querySelector('.mm-map')?.dataset.painted === query", arg=query
    )


def search(page: Page, words: str) -> None:
    box = page.get_by_role("textbox", name="Search Mars in plain words")
    box.fill(words)
    box.press("Enter")


def location(page: Page) -> str:
    """The address as the page itself knows it; `page.url` follows later on a busy machine."""
    return page.evaluate("location.href")


def go_to(page: Page, place: str) -> None:
    """Fly to a place and wait until the map stands still there."""
    before = location(page)
    page.get_by_role("searchbox", name="Go to a feature or a coordinate").fill(place)
    page.keyboard.press("Enter")
    page.wait_for_function("before => location.href !== before", arg=before)


def settled(page: Page) -> None:
    """Wait until Streamlit has drawn the page anew; before that it may move the focus."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')


def view(page: Page) -> tuple[float, float, float]:
    """Longitude, latitude and zoom that the address names."""
    page.wait_for_function("location.hash.includes('at=')")
    values = parse_qs(urlsplit(location(page)).fragment)
    lon, lat = (float(v) for v in values["at"][0].split(","))
    return lon, lat, float(values["z"][0])


def click_at(page: Page, lon: float, lat: float) -> None:
    """Click the map where a point is."""
    at_lon, at_lat, zoom = view(page)
    canvas = page.locator(".mm-canvas").bounding_box()
    per_degree = 256 * 2**zoom / 180
    x = canvas["x"] + canvas["width"] / 2 + (lon - at_lon) * per_degree
    y = canvas["y"] + canvas["height"] / 2 - (lat - at_lat) * per_degree
    page.mouse.click(x, y)


def facts(page: Page) -> dict[str, str]:
    """What the drawer says of the tile."""
    rows = page.locator(".st-key-mars-facts tbody tr").all()
    return dict(row.locator("td").all_inner_texts() for row in rows)


def test_words_light_up_the_planet(visit):
    page = visit.open()
    expect(page.locator(".mm-heat-scale")).to_be_hidden()
    page.evaluate("document.querySelector('.mm-canvas').dataset.mine = 'yes'")
    search(page, "impact crater with a central peak")
    painted(page, "q=impact+crater+with+a+central+peak")
    heat = page.locator("img.mm-heat")
    expect(heat).to_have_count(1)
    assert heat.evaluate("image => image.naturalWidth") >= 1440
    expect(page.locator(".mm-heat-scale")).to_be_visible()
    expect(page.locator(".mm-hit").first).to_be_visible()
    expect(page.get_by_text("500 hits ·")).to_be_visible()
    assert page.evaluate(INK), "footprints are drawn"
    search(page, "sand dunes")
    painted(page, "q=sand+dunes")
    expect(page.locator("img.mm-heat")).to_have_count(1)
    assert page.evaluate("document.querySelector('.mm-canvas').dataset.mine") == "yes"


INK = """() => [...document.querySelectorAll('.leaflet-footprints-pane canvas')].some(canvas =>
  canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(v => v))"""


def test_a_click_answers_with_the_tile_under_it_and_finds_its_like(visit, grid):
    page = visit.open("/#at=137.8,-5.4&z=5")
    tile = grid.tile_at(138.9, -4.6)
    west, south, east, north = grid.bounds(tile)
    # A quarter in: a click lies up to a pixel off, which is a twentieth of a tile here.
    click_at(page, west + (east - west) / 4, south + (north - south) / 4)
    expect(page.locator(".st-key-mars-facts")).to_be_visible()
    name = grid.names([tile])[0]
    assert facts(page)["Tile"] == name
    assert "Aeolis Mons" in facts(page)["Nearest name"]
    page.get_by_role("button", name="Find similar").click()
    painted(page, f"like={name}")
    assert facts(page)["Tile"] == name
    page.locator(".st-key-mars-tabs").get_by_text("Hits", exact=True).click()
    expect(page.locator(".mm-hit").first).to_be_visible()
    hits = page.locator(".mm-hit").evaluate_all("cards => cards.map(c => +c.dataset.tile)")
    assert grid.number_of(name) not in hits


def test_gale_lies_at_its_coordinates_and_the_picture_is_of_it(visit):
    page = visit.open("/#graticule=off&hits=off&names=off")
    go_to(page, "Gale")
    lon, lat, zoom = view(page)
    assert abs(lon - GALE[0]) < 0.3 and abs(lat - GALE[1]) < 0.3 and zoom >= 5
    page.wait_for_function(
        "document.querySelectorAll('.leaflet-tile:not(.leaflet-tile-loaded)').length === 0"
    )
    canvas = page.locator(".mm-canvas").bounding_box()
    size = 240
    clip = {
        "x": canvas["x"] + canvas["width"] / 2 - size / 2,
        "y": canvas["y"] + canvas["height"] / 2 - size / 2,
        "width": size,
        "height": size,
    }
    seen = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("L"), float)
    half = size / 2 / (256 * 2**zoom / 180)
    with rasterio.open(BASEMAP_DIR / "viking.tif") as raster:
        window = from_bounds(lon - half, lat - half, lon + half, lat + half, raster.transform)
        wanted = raster.read(window=window, out_shape=(3, size, size)).mean(axis=0)
    assert np.corrcoef(seen.ravel(), wanted.ravel())[0, 1] > 0.9


READERS = {
    "geojson": lambda path: gpd.read_file(path),
    "shapefile": lambda path: gpd.read_file(f"/vsizip/{path}/hits.shp"),
    "gpkg": lambda path: gpd.read_file(path, layer="hits"),
    "parquet": lambda path: gpd.read_parquet(path),
    "csv": lambda path: pd.read_csv(path),
}


def test_every_format_is_saved_and_can_be_read(visit, grid, tmp_path):
    page = visit.open("/?q=impact+crater&k=40")
    page.locator(".st-key-mars-tabs").get_by_text("Export", exact=True).click()
    rows = page.locator(
        ".st-key-mars-drawer .mm-export:not([data-format=session], [data-format=link])"
    )
    expect(rows.first).to_be_visible()
    keys = rows.evaluate_all("rows => rows.map(row => row.dataset.format)")
    assert set(READERS) | {"heat"} <= set(keys)
    for key in keys:
        with page.expect_download() as saving:
            page.locator(f'[data-format="{key}"] button').click()
        path = tmp_path / saving.value.suggested_filename
        saving.value.save_as(path)
        assert path.name.startswith("mars-impact-crater") and path.stat().st_size > 500
        if key in READERS:
            check_table(READERS[key](path), grid)
        elif key == "heat":
            with rasterio.open(path) as raster:
                assert raster.crs.to_dict()["R"] == RADIUS_M
                assert tuple(raster.bounds) == (-180, -90, 180, 90)


def check_table(table: pd.DataFrame, grid) -> None:
    assert list(table["rank"]) == list(range(1, 41))
    assert table["score"].is_monotonic_decreasing
    numbers = grid.tile_at(table["lon"], table["lat"])
    assert list(grid.names(numbers)) == list(table["tile"])
    if isinstance(table, gpd.GeoDataFrame):
        np.testing.assert_allclose(table.bounds, grid.bounds(numbers), atol=1e-6)
        assert table.crs.ellipsoid.semi_major_metre == RADIUS_M


def test_a_reload_gives_the_same_map(visit):
    page = visit.open("/?q=canyon&k=60#at=-70,-10&z=4&base=relief&heat=40&style=360W")
    painted(page, "q=canyon&k=60")
    page.locator(".mm-hit > button").nth(3).click()
    page.wait_for_function("location.search.includes('tile=')")
    # The flight to the hit has ended when the address names its place.
    page.wait_for_function("/at=(?!-70,-10&)/.test(location.hash)")

    def shown() -> list:
        painted(page, "q=canyon&k=60")
        expect(page.locator(".mm-hit.mm-active")).to_have_count(1)
        return [
            view(page),
            page.locator(".mm-hit.mm-active").get_attribute("data-tile"),
            page.locator(".mm-basemap").input_value(),
            page.locator("img.mm-heat").evaluate("image => image.style.opacity"),
            page.locator(".mm-hit small").all_inner_texts()[:5],
        ]

    before, address = shown(), location(page)
    page.reload()
    assert shown() == before
    assert location(page) == address
    assert before[2:4] == ["relief", "0.4"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_query_is_shown_as_its_letters(visit, text):
    # No such words were taught: without "anyway" their map is held back.
    page = visit.open("/?q=" + quote_plus(text) + "&anyway=yes")
    painted(page, "q=" + quote_plus(text))
    search(page, "dunes")
    painted(page, "q=dunes")
    recent = page.locator(".st-key-mars-recent-box button")
    expect(recent).to_have_count(1)
    assert recent.inner_text().rstrip("…") in " ".join(text.split())
    assert page.locator("img[src='x'], a[href^='javascript'], .katex").count() == 0


def test_the_browsers_back_brings_the_previous_query(visit):
    page = visit.open()
    for words in ("canyon", "dunes"):
        search(page, words)
        painted(page, f"q={words}")
    page.go_back()
    painted(page, "q=canyon")
    expect(page.get_by_role("textbox", name="Search Mars in plain words")).to_have_value("canyon")
    page.go_forward()
    painted(page, "q=dunes")
    page.get_by_role("button", name="Undo").click()
    painted(page, "q=canyon")


def test_a_box_drawn_on_the_map_limits_the_hits(visit):
    page = visit.open("/?q=dunes#at=20,10&z=3")
    painted(page, "q=dunes")
    page.get_by_role("button", name="Box", exact=True).click()
    canvas = page.locator(".mm-canvas").bounding_box()
    page.mouse.move(canvas["x"] + 250, canvas["y"] + 200)
    page.mouse.down()
    page.mouse.move(canvas["x"] + 400, canvas["y"] + 330, steps=4)
    page.mouse.up()
    page.wait_for_function("location.search.includes('box=')")
    box = parse_qs(urlsplit(location(page)).query)["box"][0]
    painted(page, f"q=dunes&box={quote_plus(box)}")
    west, south, east, north = (float(v) for v in box.split(","))
    answer = page.request.get(f"{visit.address}/mars/search?q=dunes&box={box}").json()
    assert answer["hits"]
    for hit in answer["hits"]:
        assert west <= hit["lon"] <= east and south <= hit["lat"] <= north
    page.get_by_role("button", name="Clear", exact=True).click()
    painted(page, "q=dunes")


def test_a_polygon_clicked_on_the_map_limits_the_hits(visit):
    page = visit.open("/?q=dunes#at=20,10&z=3")
    painted(page, "q=dunes")
    page.get_by_role("button", name="Polygon", exact=True).click()
    canvas = page.locator(".mm-canvas").bounding_box()
    for x, y in ((250, 150), (450, 180), (330, 380)):
        page.mouse.click(canvas["x"] + x, canvas["y"] + y)
    page.mouse.dblclick(canvas["x"] + 240, canvas["y"] + 300)
    page.wait_for_function("location.search.includes('polygon=')")
    corners = parse_qs(urlsplit(location(page)).query)["polygon"][0]
    assert corners.count(";") == 3
    painted(page, f"q=dunes&polygon={quote_plus(corners)}")
    assert "tile=" not in location(page), "drawing picks no tile"


def test_keys(visit):
    page = visit.open("/?q=dunes")
    painted(page, "q=dunes")
    expect(page.locator(".mm-hit").first).to_be_visible()
    page.keyboard.press("n")
    page.keyboard.press("n")
    expect(page.locator(".mm-hit.mm-active b")).to_have_text("2")
    page.keyboard.press("p")
    expect(page.locator(".mm-hit.mm-active b")).to_have_text("1")
    drawer = page.locator(".st-key-mars-drawer")
    drawer.evaluate("drawer => { drawer.scrollTop = 400; }")
    page.locator(".st-key-mars-tabs").get_by_text("About", exact=True).click()
    expect(drawer).to_contain_text("Index digest")
    assert drawer.evaluate("drawer => drawer.scrollTop") == 0, "a tab is read from its beginning"
    page.keyboard.press("Escape")
    expect(page.locator(".st-key-mars-drawer")).to_have_count(0)
    settled(page)
    page.keyboard.press("/")
    expect(page.get_by_role("textbox", name="Search Mars in plain words")).to_be_focused()
    page.keyboard.type("canyon")
    page.keyboard.press("Enter")
    painted(page, "q=canyon")
    expect(page.locator(".mm-hit").first).to_be_visible()
    page.keyboard.press("n")
    expect(page.locator(".mm-hit.mm-active b")).to_have_text("1")


def test_an_online_basemap_out_of_reach_says_so_and_falls_back(visit):
    page = visit.open()
    page.locator(".mm-basemap").select_option("themis")
    expect(page.locator(".mm-notice")).to_contain_text("cannot be reached")
    expect(page.locator(".mm-basemap")).to_have_value("viking")
    assert visit.outside and all("trek.nasa.gov" in address for address in visit.outside)
    visit.outside.clear()


def test_a_bad_view_in_the_address_gets_one_sentence_and_the_planet(visit):
    page = visit.open("/#at=9999,abc&z=4")
    expect(page.locator(".mm-notice")).to_contain_text("no place on Mars")
    page = visit.open("/?x#z=many&base=earth")
    expect(page.locator(".mm-notice")).to_be_visible()
    expect(page.locator(".mm-basemap")).to_have_value("viking")


def test_coordinates_and_scale_are_those_of_mars(visit):
    page = visit.open("/#at=100,60&z=5")
    canvas = page.locator(".mm-canvas").bounding_box()
    middle = (canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2)
    page.mouse.move(*middle)
    point = page.locator(".mm-point")
    # The middle may lie between two pixels, 0.02 degrees apart.
    expect(point).to_have_text(re.compile(r"(59\.9[89]|60\.0[012])° N, (99\.9[89]|100\.0[012])° E"))
    expect(page.locator(".mm-elevation")).to_contain_text("m")
    point.click()
    point.click()
    expect(point).to_contain_text("° W")
    words = page.locator(".mm-length").inner_text()
    kilometres = float(re.match(r"[\d,]+", words)[0].replace(",", ""))
    bar = page.locator(".mm-bar").bounding_box()["width"]
    per_pixel = np.radians(180 / (256 * 2**5)) * RADIUS_M / 1000 * np.cos(np.radians(60))
    assert "60° N" in words
    # The borders of the bar add two pixels.
    assert abs(bar - kilometres / per_pixel) <= 2.5


def test_the_map_and_the_index_agree_on_tiles(visit, grid):
    page = visit.open()
    rng = np.random.default_rng(5)
    lon = np.concatenate([rng.uniform(-180, 180, 4000), [-180, 180, 179.999999, 0, 0]])
    lat = np.concatenate([rng.uniform(-90, 90, 4000), [-90, 90, 0, 90, -90]])
    found = page.evaluate(
        """async points => {
          const { Grid } = await import('/mars/component/mars.js');
          const { grid } = await (await fetch('/mars/index')).json();
          const tiles = new Grid(grid);
          return points.map(([lon, lat]) => {
            const tile = tiles.tileAt(lon, lat);
            return [tile, tiles.name(tile), ...tiles.bounds(tile)];
          });
        }""",
        np.column_stack([lon, lat]).tolist(),
    )
    numbers = grid.tile_at(lon, lat)
    assert [row[0] for row in found] == numbers.tolist()
    assert [row[1] for row in found] == list(grid.names(numbers))
    np.testing.assert_allclose([row[2:] for row in found], grid.bounds(numbers), atol=1e-9)


def test_the_route_answers_what_the_page_shows(visit):
    page = visit.open("/?q=chaos+terrain&k=5")
    painted(page, "q=chaos+terrain&k=5")
    expect(page.locator(".mm-hit")).to_have_count(5)
    scores = page.locator(".mm-hit figcaption span[title='Cosine similarity']").all_inner_texts()
    reply = page.request.get(f"{visit.address}/mars/search?q=chaos+terrain&k=5")
    hits = json.loads(reply.body())["hits"]
    assert [f"{hit['score']:.3f}" for hit in hits] == scores
