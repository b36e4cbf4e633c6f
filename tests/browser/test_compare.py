"""Cutting the hits on the histogram, outlining units, and comparing two queries."""

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from mars_map.analysis.units import units_of
from mars_map.search import Query, open_engine
from tests.browser.test_journeys import location


@pytest.fixture(scope="module")
def hits_of():
    """Answers to queries by tile: they need no text encoder."""
    return open_engine().search


def address(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(location(page)).query)


def test_the_slider_cuts_the_hits(visit, hits_of):
    page = visit.open("/?like=r176c0372")
    slider = page.get_by_role("slider", name="Least score of a hit")
    before = slider.get_attribute("aria-valuetext")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    # Number and area are there before the server was asked.
    assert slider.get_attribute("aria-valuetext") != before
    said = page.locator(".mm-cut b").inner_text()
    page.wait_for_url("**min=*")
    cut = float(address(page)["min"][0])
    tiles = len(hits_of(Query.like("r176c0372", threshold=cut, top_k=20_000)).hits)
    assert said == f"{tiles:,} tiles"
    assert address(page)["k"] == [str(tiles)]
    page.get_by_role("button", name="No threshold").click()
    page.wait_for_url(lambda url: "min=" not in url)
    assert "k" not in address(page)


def test_units_are_outlined_and_two_queries_swiped_and_subtracted(visit, hits_of):
    page = visit.open("/?like=r176c0372&b=like%3Dr120c0100&units=0")
    shown = page.locator(".mm-map")
    units = units_of(hits_of(Query.like("r176c0372")))
    expect(shown).to_have_attribute("data-units", str(len(units)))
    page.wait_for_selector('.mm-map[data-compared^="swipe"]')
    clip = "() => getComputedStyle(document.querySelector('.leaflet-heat-b-pane')).clipPath"
    before = page.evaluate(clip)
    handle = page.get_by_role("slider", name="Swipe between A and B")
    handle.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(clip) != before
    assert handle.get_attribute("aria-valuenow") == "52"
    page.get_by_text("Side by side", exact=True).click()
    page.wait_for_selector('.mm-map[data-compared^="side"]')
    expect(page.locator(".mm-second")).to_be_visible()
    # Both maps tell where one looks.
    expect(page.locator("canvas.mm-names")).to_have_count(2)
    expect(page.locator(".mm-second canvas.mm-names")).to_be_visible()
    page.get_by_text("Difference", exact=True).click()
    page.wait_for_selector('.mm-map[data-compared^="difference"]')
    expect(page.locator(".mm-difference")).to_contain_text("Only A")
    expect(page.locator(".mm-second")).to_be_hidden()
    page.wait_for_url("**compare=difference*")
    expect(shown).to_have_attribute("data-compare", "difference")
