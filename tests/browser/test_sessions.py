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


DROP = """async (target) => {
    const canvas = new OffscreenCanvas(160, 120), pen = canvas.getContext("2d");
    for (let x = 0; x < 160; x++) {
        pen.fillStyle = `rgb(${x} ${x} 60)`;
        pen.fillRect(x, 0, 1, 120);
    }
    const files = new DataTransfer();
    files.items.add(new File([await canvas.convertToBlob()], "mine <b>.png"));
    for (const type of ["dragover", "drop"]) {
        const about = { bubbles: true, cancelable: true, dataTransfer: files };
        document.querySelector(target).dispatchEvent(new DragEvent(type, about));
    }
}"""


def test_a_picture_is_dropped_on_the_map_and_a_reload_keeps_the_way_back(visit):
    page = visit.open("/?like=r176c0372&k=40")
    page.locator(".mm-gallery:not(.mm-small) img").first.wait_for()
    page.locator(".mm-drop").wait_for(state="attached")
    page.evaluate(DROP, ".mm-map")
    page.wait_for_url(lambda url: "vector" in url)
    expect(page.locator(".st-key-mars-chips").get_by_text("mine <b>.png")).to_be_visible()
    expect(page.locator(".mm-drop")).to_be_hidden()
    page.reload()
    undo = page.get_by_role("button", name="Undo", exact=True)
    expect(undo).to_be_enabled()
    undo.click()
    page.wait_for_url(lambda url: "vector" not in url and "like=r176c0372" in url)
