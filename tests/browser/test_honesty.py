"""What the page says of words that it knows, half knows and does not know."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from mars_map.index import open_index
from mars_map.search.calibration import CALIBRATION_FILE
from mars_map.settings import INDEX_DIR, MODEL_DIR
from tests.browser.conftest import started
from tests.browser.test_journeys import painted, search


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose model is calibrated: the default one, or a copy with made-up labels."""
    if (MODEL_DIR / CALIBRATION_FILE).is_file():
        model = MODEL_DIR
    else:
        model = calibrated_copy(tmp_path_factory.mktemp("model"))
    with started(MARS_MAP_MODEL=str(model)) as address:
        yield address


def calibrated_copy(folder: Path) -> Path:
    """Copy the default model and calibrate it on labels that follow its own scores."""
    from mars_map.encoders.compact import CompactTextEncoder
    from mars_map.training.calibrate import calibrate
    from mars_map.training.split import Split
    from mars_map.training.texts import Glossary

    for name in ("config.json", "weights.safetensors"):
        (folder / name).write_bytes((MODEL_DIR / name).read_bytes())
    glossary, index = Glossary.load(), open_index(INDEX_DIR)
    keys = ("crater", "dunes", "canyon", "slope", "chaos", "valley_network", "polar_cap")
    some = replace(
        glossary,
        trained={key: glossary.trained[key] for key in keys},
        unseen={key: glossary.unseen[key] for key in keys},
    )
    vectors = index.vectors[:].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    towards = CompactTextEncoder(folder).encode_text([some.trained[key][0] for key in keys])
    chance = 1 / (1 + np.exp(9.0 - 15.0 * vectors @ towards.T))
    labels = (np.random.default_rng(0).random(chance.shape) < chance).astype(np.int8)
    labels[:, keys.index("valley_network")] = 0  # what is never there is expected nowhere
    calibrate(folder, vectors, labels, some, Split.load())
    return folder


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
    assert "q=llamas" in page.url and "anyway" not in page.url

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
