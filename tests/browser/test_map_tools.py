"""What the map can do besides showing hits: overlays, measuring, poles, and no border at 180°."""

import math
import re
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from mars_map.index import open_index
from mars_map.planet.gazetteer import Gazetteer
from mars_map.planet.polar import HALF_WIDTH_M, lonlat_from_polar, polar_from_lonlat
from mars_map.planet.sphere import METRES_PER_DEGREE, RADIUS_M
from mars_map.settings import GAZETTEER_FILE, INDEX_DIR
from tests.browser.test_journeys import location

KOROLEV = (164.58, 72.77)
LANDSLIDE = (-96.7191, -9.49528)
"""The second of Crosta's catalogue, of 12.9 km2."""
AREA = """async ring =>
  (await import(new URL('mars/component/mars.js', document.baseURI))).areaKm2(ring)"""


@pytest.fixture(scope="module")
def grid():
    return open_index(INDEX_DIR).grid


def middle(page: Page) -> tuple[float, float]:
    """Pixels of the middle of the map."""
    canvas = page.locator(".mm-canvas").bounding_box()
    return canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2


def hash_of(page: Page) -> dict[str, str]:
    values = parse_qs(urlsplit(unquote(location(page))).fragment)
    return {name: value[-1] for name, value in values.items()}


def picked(page: Page) -> str:
    """Id of the tile that a click picked."""
    page.wait_for_function("location.search.includes('tile=')")
    return parse_qs(urlsplit(location(page)).query)["tile"][0]


def test_a_catalogue_is_switched_on_and_tells_what_lies_under_the_pointer(visit):
    lon, lat = LANDSLIDE
    page = visit.open(f"/#at={lon},{lat}&z=7&names=off")
    page.get_by_text("Overlays").click()
    page.get_by_label("Landslides").check()
    expect(page.locator(".mm-canvas")).to_have_attribute("data-overlays", "landslides")
    page.wait_for_function("location.hash.includes('over=landslides')")
    expect(page.locator(".mm-legend .mm-hint:visible")).to_have_text("Crosta et al. 2018")
    page.wait_for_selector(".leaflet-overlays-pane canvas.leaflet-tile-loaded")
    page.mouse.move(*middle(page))
    expect(page.locator(".mm-tip")).to_contain_text("rock avalanche")
    expect(page.locator(".mm-tip")).to_contain_text("area 12.9 km²")


def test_a_line_of_known_length_is_measured_and_stays(visit):
    page = visit.open("/#at=0,0&z=3")
    page.get_by_role("button", name="Measure a line and its elevation profile").click()
    x, y = middle(page)
    per_degree = 256 * 2**3 / 180
    page.mouse.click(x - 10 * per_degree, y)
    page.mouse.dblclick(x + 10 * per_degree, y)
    title = page.locator(".mm-profile-head b")
    expect(title).to_have_text(re.compile(r"Line [\d,]+ km"))
    length = float(re.sub(r"[^\d.]", "", title.inner_text()))
    assert length == pytest.approx(20 * METRES_PER_DEGREE / 1000, rel=0.01)
    expect(page.locator(".mm-height")).to_be_visible()
    assert "tile=" not in location(page), "measuring picks no tile"
    octant = page.evaluate(AREA, [[0, 0], [90, 0], [0, 90]])
    assert octant == pytest.approx(math.pi * (RADIUS_M / 1000) ** 2 / 2)
    round_the_pole = page.evaluate(AREA, [[lon, -75] for lon in range(360)])
    cap = 2 * math.pi * (RADIUS_M / 1000) ** 2 * (1 - math.sin(math.radians(75)))
    assert round_the_pole == pytest.approx(cap, rel=1e-4)
    page.wait_for_function("location.hash.includes('line=')")
    page.reload()
    expect(title).to_have_text(re.compile(r"Line [\d,]+ km"))
    # Before the heights are there, a key has nothing to walk along.
    expect(page.locator(".mm-facts")).to_contain_text("lowest")
    page.locator(".mm-chart").press("ArrowRight")
    expect(page.locator(".mm-facts")).to_contain_text("°")
    page.keyboard.press("Escape")
    expect(page.locator(".mm-profile")).to_be_hidden()


def test_from_above_the_pole_a_click_picks_the_tile_that_is_there(visit, grid):
    page = visit.open(f"/#at={KOROLEV[0]},{KOROLEV[1]}&z=5&view=north&names=off")
    page.wait_for_selector("img.leaflet-tile-loaded[src*='/polar/north/viking/']")
    across, down = 130, -90
    x, y = middle(page)
    page.mouse.click(x + across, y + down)
    metres = 2 * HALF_WIDTH_M / (256 * 2**5)
    east, north = polar_from_lonlat(*KOROLEV, "north")
    lon, lat = lonlat_from_polar(east + across * metres, north - down * metres, "north")
    assert picked(page) == grid.names([int(grid.tile_at(lon, lat))])[0]
    # The drawer opens with the tile and takes room, so that another place comes into the middle.
    page.wait_for_function(
        "first => location.hash.includes('at=') && !location.hash.includes(`at=${first}`)",
        arg=f"{KOROLEV[0]},{KOROLEV[1]}",
    )
    before = hash_of(page)["at"]
    page.get_by_role("button", name="See the whole planet").click()
    page.wait_for_selector("img.leaflet-tile-loaded[src*='/basemap/viking/']")
    page.wait_for_function("!location.hash.includes('view=')")
    assert hash_of(page)["at"] == before, "the map still looks at the same place"


def test_a_click_beyond_180_degrees_picks_the_tile_on_the_other_side(visit, grid):
    page = visit.open("/#at=185,10&z=4&names=off")
    x, y = middle(page)
    page.mouse.click(x + 5 * 256 * 2**4 / 180, y)
    assert picked(page) == grid.names([int(grid.tile_at(-170, 10))])[0]
    expect(page.locator(".mm-point")).to_contain_text("W")


def test_a_place_stays_in_the_middle_when_the_drawer_opens_during_the_flight(visit):
    page = visit.open("/")
    gale = Gazetteer.load(GAZETTEER_FILE).find("Gale")
    page.get_by_role("searchbox", name="Go to a feature or a coordinate").fill("Gale")
    page.keyboard.press("Enter")
    page.locator(".st-key-mars-tabs").get_by_text("About").click()
    page.wait_for_selector(".st-key-mars-drawer")
    page.wait_for_function("location.hash.includes('at=137.')")
    expect(page.locator(".mm-point")).to_have_text("5.37° S, 137.81° E", timeout=5_000)
    lon, lat = (float(v) for v in hash_of(page)["at"].split(","))
    assert math.dist((lon, lat), (gale.lon, gale.lat)) < 0.05


THINNED = """async () => {
  const { thinned } = await import(new URL('mars/component/thinning.js', document.baseURI));
  const { Shapes } = await import(new URL('mars/component/canvas.js', document.baseURI));
  const crs = { latLngToPoint: ({ lat, lng }) => ({ x: lng, y: lat }) };
  const points = Array.from({ length: 100 }, (_, i) => [[i % 10, Math.floor(i / 10)]]);
  const shapes = new Shapes(crs, points);
  const order = Int32Array.from({ length: 100 }, (_, i) => 99 - i);
  const kept = (zoom, crowd) => [...(thinned(shapes, order, 'point', zoom, crowd) ?? [])];
  return [kept(2, 1), kept(2, 4), kept(6, 4)];
}"""
"""Points one pixel of zoom 0 apart, the last the most important; symbols keep 8 of their pixels."""


def test_many_overlays_thin_out_and_the_legend_says_how_much(visit):
    page = visit.open("/#over=minerals,graben,landslides&names=off")
    alone, crowded, near = page.evaluate(THINNED)
    assert [i for i, one in enumerate(alone) if one][-1] == 99, "the most important one is drawn"
    assert sum(alone) == 25 and sum(crowded) == 9, "every second and every fourth each way"
    assert near == [], "from near nothing is left out"
    minerals = page.locator("label:has([data-overlay=minerals]) .mm-share")
    expect(minerals).to_have_text(re.compile(r"1 in \d+"))
    expect(page.get_by_text("Thinned out")).to_be_visible()
    page.goto("about:blank")
    page = visit.open("/#at=-96.7,-9.5&z=8&over=minerals&names=off")
    expect(page.locator(".mm-canvas")).to_have_attribute("data-overlays", "minerals")
    expect(page.get_by_text("Thinned out")).to_be_hidden()


def test_the_chosen_longitudes_reach_the_drawer(visit, grid):
    page = visit.open("/?tile=r176c0372#style=360W&names=off")
    page.locator(".st-key-mars-tabs").get_by_text("Tile", exact=True).click()
    lon = grid.centers[0][grid.number_of("r176c0372")]
    centre = page.locator(".st-key-mars-facts")
    expect(centre).to_contain_text(f"{-lon % 360:.2f}° W")
    page.locator(".mm-point").click()
    expect(centre).to_contain_text(f"{abs(lon):.2f}° {'W' if lon < 0 else 'E'}")


def test_layers_of_labels_are_drawn_together_and_hidden_in_the_legend(visit):
    page = visit.open("/?like=r176c0372&yes=r177c0372#at=140,-2&z=5&names=off")
    page.locator(".st-key-mars-tabs").get_by_text("Labels", exact=True).click()
    page.get_by_role("button", name="New").click()
    other = page.locator(".mm-label .mm-other-layer")
    expect(other).not_to_have_count(0)
    page.get_by_role("group", name="Layers of labels").get_by_role("checkbox").uncheck()
    expect(other).to_have_count(0)
    page.get_by_role("group", name="Layers of labels").get_by_role("checkbox").check()
    expect(other).not_to_have_count(0)
