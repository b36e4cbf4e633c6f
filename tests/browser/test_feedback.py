"""Yes and no in a real browser: the map ranks anew, and every step can be taken back."""

import json
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from tests.browser.test_journeys import location

START = "/?like=r180c0360"
"""A query by tile: no need to wait for the text encoder."""


def labels(page: Page) -> dict[str, list[str]]:
    """What the address says was called right and wrong."""
    params = parse_qs(urlsplit(location(page)).query)
    return {answer: params.get(answer, [""])[0].split(",") for answer in ("yes", "no")}


def repainted(page: Page, before: str) -> str:
    """Wait until the map shows another answer than before; its part of the address."""
    page.wait_for_function(
        "before => (document.querySelector('.mm-map')?.dataset.painted ?? before) !== before",
        arg=before,
    )
    return painted(page)


def painted(page: Page) -> str:
    return page.locator(".mm-map").get_attribute("data-painted") or ""


def cards(page: Page) -> list[str]:
    """The tiles of the first hits, in order."""
    pictures = page.locator(".mm-gallery:not(.mm-small) .mm-hit img")
    return [p.get_attribute("alt").removeprefix("Tile ") for p in pictures.all()[:12]]


def test_yes_and_no_rank_anew_and_undo_restores(visit):
    page = visit.open(START)
    first = repainted(page, "")
    page.wait_for_selector(".mm-gallery .mm-hit")
    before = cards(page)

    page.get_by_role("button", name=f"Yes: {before[3]}").click()
    second = repainted(page, first)
    expect(page.get_by_text("Rocchio from 2 yes, 0 no")).to_be_visible()
    expect(page.get_by_text("Tell me about these")).to_be_visible()
    expect(page.locator(".mm-small .mm-hit")).to_have_count(6)
    assert labels(page)["yes"] == [before[3]]
    assert page.locator(".mm-label .mm-label-yes").count() >= 1

    # The keys answer to the tile that is looked at, and take the last step back.
    shown = cards(page)
    page.locator(".mm-gallery:not(.mm-small) .mm-hit > button").nth(2).click()
    page.wait_for_function("tile => location.search.includes('tile=' + tile)", arg=shown[2])
    page.keyboard.press("x")
    repainted(page, second)
    assert labels(page)["no"] == [shown[2]]
    assert page.locator(".mm-label .mm-label-no").count() >= 1
    expect(page.get_by_role("button", name=f"Yes: {shown[3]}")).to_be_visible()
    assert shown[2] not in cards(page)
    for earlier in (second, first):
        page.keyboard.press("u")
        page.wait_for_function(
            "query => document.querySelector('.mm-map')?.dataset.painted === query", arg=earlier
        )
    expect(page.get_by_text("Tell me about these")).to_be_hidden()
    assert cards(page) == before


def test_a_lasso_labels_many_and_the_layer_goes_to_a_file(visit, tmp_path):
    page = visit.open(START)
    first = repainted(page, "")
    page.get_by_role("button", name="Lasso: yes").click()
    box = page.locator(".mm-canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for dx, dy in ((14, 0), (14, 14), (0, 14), (0, 4)):
        page.mouse.move(x + dx, y + dy, steps=3)
    page.mouse.up()
    repainted(page, first)
    called = labels(page)["yes"]
    assert len(called) > 3

    page.get_by_text("Labels", exact=True).first.click()
    expect(page.get_by_text(f"{len(called)} yes, 0 no.")).to_be_visible()
    expect(page.locator(".mm-called-yes").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as GeoJSON").click()
    file = tmp_path / "labels.geojson"
    download.value.save_as(file)
    document = json.loads(file.read_text())
    assert {f["properties"]["tile"] for f in document["features"]} == set(called)
