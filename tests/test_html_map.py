"""Standalone maps: they draw without a network, in the right place, and run nobody's words."""

import json
import re

import pytest

from mars_map.errors import BasemapError
from mars_map.export import Provenance, export_result
from mars_map.maps.basemap import Basemaps
from mars_map.maps.html import leafmap_map, result_map
from mars_map.planet.regions import LatitudeBand
from mars_map.search import Query

HOSTILE = (
    "<img src=x onerror=alert(1)> ${alert(2)} {{ 7 * 7 }} {% raw %} {# #} "
    "</script><script>alert(3)</script> \"'` dunes"
)


@pytest.fixture(scope="module")
def hostile_result(small_engine):
    return small_engine.search(Query(HOSTILE, top_k=30))


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1200, "height": 700}, offline=True)
    yield context.new_page()
    context.close()


def test_the_map_asks_the_network_for_nothing(small_result):
    text = result_map(small_result).get_root().render()
    assert not re.findall(r"<(?:script|link|img)[^<>]*https?:", text)
    assert not re.findall("jsdelivr[.]net|cloudflare[.]com|jquery[.]com", text)
    assert 'url("http' not in text
    assert "L.CRS.EPSG4326" in text
    assert len(text) < 6e6


def test_words_are_neither_markup_nor_script_nor_template(hostile_result):
    for planet_map in (result_map(hostile_result), leafmap_map(hostile_result)):
        text = planet_map.get_root().render()
        assert "<img src=x" not in text
        assert "<script>alert" not in text
        assert "{{ 7 * 7 }}" not in re.sub(r"<title>.*?</title>", "", text)
        assert "49 {" not in text


def test_the_record_reads_back(hostile_result, tmp_path):
    path = export_result(hostile_result, "html", tmp_path / "map.html")
    text = path.read_text(encoding="utf-8")
    (record,) = re.findall(r'<script type="application/json" id="mars_map">(.*?)</script>', text)
    record = json.loads(record)
    assert Query.from_dict(record["query"]) == hostile_result.query
    assert record.keys() == Provenance(hostile_result).to_dict().keys()


def test_a_browser_without_network_draws_it_and_runs_nothing(hostile_result, tmp_path, page):
    path = export_result(hostile_result, "html", tmp_path / "map.html")
    trouble = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text))
    page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
    page.on("requestfailed", lambda request: trouble.append(request.url))
    page.goto(path.as_uri())
    picture = page.locator("img.leaflet-image-layer").first
    picture.wait_for()
    assert picture.evaluate("node => node.decode().then(() => node.naturalWidth)") == 4096
    page.locator("img.mars-heat").wait_for()
    assert page.locator(".mars-title").inner_text() == hostile_result.query.label
    assert page.title().startswith(hostile_result.query.label)
    assert page.locator(".leaflet-control-scale-line").inner_text().endswith("km")
    assert trouble == []


def test_the_best_hit_is_under_its_coordinates(hostile_result, tmp_path, page):
    path = export_result(hostile_result, "html", tmp_path / "map.html")
    page.goto(path.as_uri())
    page.locator("img.mars-heat").wait_for()
    box = page.locator("img.mars-heat").bounding_box()
    west, south, east, north = hostile_result.index.grid.bounds(hostile_result.hits[0])
    lon, lat = (west + east) / 2, (south + north) / 2
    page.mouse.move(
        box["x"] + (lon + 180) / 360 * box["width"], box["y"] + (90 - lat) / 180 * box["height"]
    )
    label = page.locator(".leaflet-tooltip")
    label.wait_for()
    (name,) = hostile_result.index.grid.names(hostile_result.hits[:1])
    assert label.inner_text() == f"1 · {hostile_result.hit_scores[0]:.3f} · {name}"
    shown = page.locator(".mars-card", has_text="°").inner_text()
    latitude, longitude = (float(number) for number in re.findall(r"[\d.]+", shown))
    assert latitude == pytest.approx(abs(lat), abs=0.5)
    assert longitude == pytest.approx(abs(lon), abs=0.5)


def test_a_region_and_an_empty_answer_draw_too(small_engine):
    result = small_engine.search(Query("dunes", region=LatitudeBand(60, 90), threshold=1.0))
    assert "0 tiles" in result_map(result).get_root().render()


def test_a_missing_basemap_is_one_sentence(small_result, tmp_path):
    with pytest.raises(BasemapError, match="missing"):
        result_map(small_result, basemaps=Basemaps(tmp_path))
