"""A session goes into a file in one browser and comes out of it in another."""

import json
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import expect

from tests.browser.test_journeys import location

QUERY = "like=r176c0372&k=40&box=100,-40,170,10"
VIEW = "at=137.8,-5.4&z=4.5&base=relief&heat=35&graticule=off"


def open_export(page):
    page.get_by_role("radiogroup", name="Drawer").get_by_text("Export", exact=True).click()
    expect(page.locator("[data-format=session]")).to_be_visible()


def test_a_session_opens_where_it_was_saved(visit, tmp_path):
    page = visit.open(f"/?{QUERY}#{VIEW}")
    page.locator(".mm-gallery:not(.mm-small) img").first.wait_for()
    open_export(page)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as Session").click()
    path = tmp_path / "session.json"
    saved.value.save_as(path)
    assert json.loads(path.read_text())["view"] == urlsplit(location(page)).fragment

    page = visit.open("/?like=r100c0100")
    open_export(page)
    page.locator("input[type=file]").set_input_files(path)
    page.wait_for_url(lambda url: "like=r176c0372" in url and "base=relief" in url)
    address = urlsplit(location(page))
    assert parse_qs(address.query) == parse_qs(QUERY)
    wanted = parse_qs(VIEW)
    assert parse_qs(address.fragment).items() >= wanted.items()
    expect(page.locator(".mm-legend input[type=range]")).to_have_value("35")
    expect(page.locator(".mm-map")).to_have_count(1)

    hostile = tmp_path / "hostile.json"
    hostile.write_text(path.read_text().replace("base=relief", "<script>"))
    page.locator("input[type=file]").set_input_files(hostile)
    expect(page.get_by_text("The session file cannot be read")).to_be_visible()
    assert "like=r176c0372" in location(page)
    assert not visit.complaints and not visit.outside
