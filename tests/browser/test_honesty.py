"""What the page says of words that it knows, half knows and does not know."""

import re

from playwright.sync_api import Page, expect

from tests.browser.test_journeys import location, painted, search


def bare_planet(page: Page) -> None:
    """Expect neither heat map nor legend nor hits."""
    expect(page.locator("img.mm-heat")).to_have_count(0)
    expect(page.locator(".mm-heat-scale")).to_be_hidden()
    expect(page.locator(".mm-hit")).to_have_count(0)


def test_words_that_were_taught_get_an_estimate(visit):
    page = visit.open()
    search(page, "impact crater")
    painted(page, "q=impact+crater")
    line = page.locator(".st-key-mars-estimate")
    expect(line).to_have_text(
        re.compile(r"(About \d+ %|Expect about 1 in \d+) of these 500 hits .*\(\d+ to \d+ %\)")
    )
    line.locator("[data-testid=stTooltipIcon]").hover()
    expect(page.get_by_role("tooltip")).to_contain_text("not trained on")
    expect(page.locator(".st-key-mars-doubt")).to_have_count(0)


def test_a_region_has_its_own_estimate(visit):
    page = visit.open("/?q=polar+ice+cap")
    painted(page, "q=polar+ice+cap")
    line = page.locator(".st-key-mars-estimate")
    planet = line.inner_text()
    page.goto(visit.address + "/?q=polar+ice+cap&band=-20,20")
    painted(page, "q=polar+ice+cap&band=-20%2C20")
    expect(line).not_to_have_text(planet)
    expect(line).to_contain_text(re.compile("Expect (about 1 in|hardly any)"))


def test_words_that_were_never_taught_paint_nothing_unless_asked_twice(visit):
    page = visit.open()
    search(page, "impact crater")
    painted(page, "q=impact+crater")
    search(page, "llamas")
    doubt = page.locator(".st-key-mars-doubt")
    expect(doubt).to_contain_text("never taught words like “llamas”")
    bare_planet(page)
    expect(page.get_by_text("No hits are shown")).to_be_visible()
    assert "q=llamas" in location(page) and "anyway" not in location(page)

    page.get_by_role("button", name="Show anyway").click()
    painted(page, "q=llamas")
    expect(page.locator("img.mm-heat")).to_have_count(1)
    expect(page.locator(".mm-hit").first).to_be_visible()
    expect(doubt).to_contain_text("never taught")
    page.wait_for_function("location.search.includes('anyway=yes')")

    page.reload()
    painted(page, "q=llamas")
    page.go_back()
    page.wait_for_function("!location.search.includes('anyway')")
    bare_planet(page)


def test_what_is_too_small_is_named_with_what_would_show_it(visit):
    page = visit.open("/?q=recurring+slope+lineae")
    doubt = page.locator(".st-key-mars-doubt")
    for words in ("about 5 km", "half a metre to five metres wide", "HiRISE"):
        expect(doubt).to_contain_text(words)
    bare_planet(page)
    suggestion = page.locator(".st-key-mars-suggestions button").first
    words = suggestion.inner_text()
    suggestion.click()
    painted(page, "q=" + words.replace(" ", "+"))
    expect(page.get_by_role("textbox", name="Search Mars in plain words")).to_have_value(words)
    expect(doubt).to_have_count(0)


def test_a_slip_of_spelling_is_one_click_from_the_right_words(visit):
    page = visit.open()
    search(page, "canyn")
    expect(page.locator(".st-key-mars-doubt")).to_contain_text("did you mean “canyon”?")
    page.locator(".st-key-mars-spelling button").click()
    painted(page, "q=canyon")
    expect(page.locator(".st-key-mars-estimate")).to_be_visible()


def test_the_name_of_a_place_leads_there(visit):
    page = visit.open()
    search(page, "Gale")
    expect(page.locator(".st-key-mars-doubt")).to_contain_text("one place (crater)")
    bare_planet(page)
    page.get_by_role("button", name="Go to Gale").click()
    expect(page.locator(".st-key-mars-facts")).to_contain_text("Gale (crater)")


def test_the_route_tells_the_same(visit):
    page = visit.open()
    answers = {
        words: page.request.get(f"{visit.address}/mars/search?q={words}&k=20").json()["estimate"]
        for words in ("dunes", "llamas", "gullies", "valley network")
    }
    assert answers["dunes"]["familiarity"] == "taught"
    assert 0 <= answers["dunes"]["low"] <= answers["dunes"]["precision"]
    assert answers["llamas"]["familiarity"] == "unknown"
    assert answers["llamas"]["precision"] is None
    assert answers["gullies"]["too_small"]["name"] == "gullies"
    assert answers["valley network"]["precision"] < answers["dunes"]["precision"]
