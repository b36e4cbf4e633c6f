"""The page's states: empty, a query, a bad query, a reload, history, limits and regions."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mars_map.encoders.prompts import DEFAULT_PROMPTS
from mars_map.planet.regions import Box, LatitudeBand
from mars_map.search import Part, Query
from mars_map.ui.map import region_rings
from mars_map.ui.state import KEY, PageState
from mars_map.ui.text import plain
from mars_map.web.params import query_string, query_to_params
from tests.conftest import WordEncoder

PAGE = Path(__file__).parent.parent / "mars_map" / "ui" / "page.py"
HOSTILE = [
    "<img src=x onerror=alert(1)> crater",
    "[click](javascript:alert(1))",
    ":red[crater] $x^2$ **bold** `code`",
    "![picture](http://example.org/x.png)",
]


@pytest.fixture
def page(small_service):
    """Open the page at an address."""

    def open_at(**params: list[str] | str) -> AppTest:
        test = AppTest.from_file(str(PAGE), default_timeout=20)
        for name, value in params.items():
            test.query_params[name] = value
        test.run()
        assert not test.exception
        return test

    return open_at


def payload(test: AppTest, key: str = "mars-map") -> dict:
    """What a component was sent."""
    (component,) = [c for c in test.get("bidi_component") if c.key == key]
    return json.loads(component.proto.json)


def state(test: AppTest) -> PageState:
    return test.session_state[KEY]


def search(test: AppTest, words: str) -> AppTest:
    test.text_input(key="mars-words").set_value(words).run()
    assert not test.exception
    return test


def keys(test: AppTest, kind: str) -> set[str | None]:
    return {element.key for element in test.get(kind)}


def test_the_empty_page_teaches(page):
    test = page()
    assert payload(test)["query"] == ""
    assert any("What a score is" in caption.value for caption in test.caption)
    assert len(test.button_group(key="mars-examples").options) >= 3
    assert not test.error and "mars-close" not in keys(test, "button")


def test_a_query_is_shown_written_to_the_address_and_opens_the_hits(page, small_index):
    test = search(page(), "dunes inside craters")
    assert payload(test)["query"] == "q=dunes+inside+craters"
    assert test.query_params["q"] == "dunes inside craters"
    assert payload(test, "mars-gallery")["query"] == payload(test)["query"]
    assert f"500 hits · {small_index.n_tiles:,} tiles scored" in test.sidebar.caption[0].value


def test_the_map_is_sent_only_a_few_hundred_bytes(page):
    test = search(page(), "dunes")
    test.number_input(key="mars-top-k").set_value(20_000).run()
    assert len(json.dumps(payload(test))) < 300


def test_an_example_is_a_query(page):
    test = page()
    examples = test.button_group(key="mars-examples")
    examples.set_value(examples.options[0]).run()
    assert state(test).query == Query(examples.options[0])
    assert test.text_input(key="mars-words").value == examples.options[0]


@pytest.mark.parametrize("words", ["", "🚀🚀", "123", "dunes " * 60])
def test_a_bad_query_gets_one_sentence_and_leaves_the_map(page, words):
    test = search(search(page(), "dunes"), words)
    assert len(test.error) == 1 and test.error[0].value.endswith(".")
    assert payload(test)["query"] == "q=dunes"
    assert test.query_params["q"] == "dunes"
    assert not test.run().error, "it is said once"


@pytest.mark.parametrize(
    "query",
    [
        Query("chaos terrain", top_k=7, threshold=-0.5),
        Query.like("r010c0001", region=Box(170, -10, -170, 10)),
        Query("ice", prompts=("{}", "a photo of {}"), region=LatitudeBand(60, 90)),
    ],
    ids=lambda query: query.label,
)
def test_a_reload_gives_the_same(page, query):
    test = page(**query_to_params(query), tile="r015c0003")
    assert state(test).query == query and state(test).tile == "r015c0003"
    assert payload(test)["query"] == query_string(query)
    assert payload(test)["selected"] is not None
    assert test.number_input(key="mars-top-k").value == query.top_k
    assert test.number_input(key="mars-threshold").value == query.threshold
    assert test.text_area(key="mars-prompts").value.splitlines() == list(query.prompts)


@pytest.mark.parametrize(
    "params",
    [
        {"q": "🚀"},
        {"q": "dunes", "k": "0"},
        {"q": "dunes", "k": "9" * 400},
        {"q": "dunes", "min": "high"},
        {"q": "dunes", "box": "1,2"},
        {"q": "dunes", "polygon": "0,0;1,1;<script>"},
        {"part": "dunes"},
        {"part": "-text:dunes"},
        {"part": "text*11:dunes"},
        {"part": "vector:AAAA:x.png"},
        {"q": "dunes", "yes": "r999c9999"},
        {"q": "dunes", "where": "elevation"},
        {"like": "../../etc/passwd"},
        {"like": ["r010c0001"] * 2 + ["r999c9999"]},
        {"q": "dunes", "prompt": "no place for words"},
    ],
    ids=str,
)
def test_an_address_edited_by_hand_gets_one_sentence_and_the_empty_page(page, params):
    test = page(**params)
    assert len(test.error) == 1
    assert payload(test)["query"] == "" and state(test).query is None


@pytest.mark.parametrize("tile", ["r999c9999", "<b>", "", "x" * 10_000])
def test_an_unknown_tile_in_the_address_selects_nothing(page, tile):
    test = page(q="dunes", tile=tile)
    assert payload(test)["selected"] is None and payload(test)["query"] == "q=dunes"


def test_back_and_forward_through_the_queries(page):
    test = page()
    for words in ("dunes", "ice", "chaos"):
        search(test, words)

    def press(label: str) -> str:
        (button,) = [b for b in test.button if b.label == label]
        button.click().run()
        return state(test).query.text

    assert [press("Undo"), press("Undo"), press("Redo")] == ["ice", "dunes", "ice"]
    assert test.text_input(key="mars-words").value == "ice"
    assert test.query_params["q"] == "ice"
    search(test, "volcano")
    assert [b.disabled for b in test.button if b.label == "Redo"] == [True]


def test_limits_change_the_present_query_and_stay_for_the_next(page):
    test = search(page(), "dunes")
    test.number_input(key="mars-top-k").set_value(12).run()
    assert state(test).query == Query("dunes", top_k=12)
    assert "12 hits" in test.sidebar.caption[0].value
    search(test, "ice")
    assert state(test).query == Query("ice", top_k=12)


@pytest.mark.parametrize("top_k", [0, -3, 1_000_000])
def test_a_top_k_out_of_range_gets_one_sentence(page, top_k):
    test = search(page(), "dunes")
    test.number_input(key="mars-top-k").set_value(top_k).run()
    assert len(test.error) == 1 and state(test).query == Query("dunes")


def test_nothing_reaches_a_high_threshold(page):
    test = search(page(), "dunes")
    test.number_input(key="mars-threshold").set_value(0.999).run()
    assert "lower it" in test.sidebar.caption[0].value and "mars-gallery" not in keys(
        test, "bidi_component"
    )


def test_a_box_across_the_antimeridian_is_drawn_in_two_parts(page):
    test = search(page(), "dunes")
    test.button_group(key="mars-region-kind").set_value("Box").run()
    test.text_input(key="mars-region").set_value("170,-10,-170,10").run()
    assert state(test).query.region == Box(170, -10, -170, 10)
    assert len(payload(test)["region"]) == 2
    test.button_group(key="mars-region-kind").set_value("Whole planet").run()
    assert state(test).query.region is None and payload(test)["region"] == []


@pytest.mark.parametrize("text", ["0,40,10,-40", "1,2,3", "a,b,c,d", "0,0,0,9"])
def test_a_box_that_encloses_nothing_gets_one_sentence(page, text):
    test = search(page(), "dunes")
    test.button_group(key="mars-region-kind").set_value("Box").run()
    test.text_input(key="mars-region").set_value(text).run()
    assert len(test.error) == 1 and state(test).query.region is None


def test_prompts_are_edited_and_reset(page):
    test = search(page(), "dunes")
    test.text_area(key="mars-prompts").set_value("{}\na drawing of {}").run()
    assert state(test).query.prompts == ("{}", "a drawing of {}")
    test.text_area(key="mars-prompts").set_value("no place").run()
    assert len(test.error) == 1 and state(test).query.prompts == ("{}", "a drawing of {}")
    (reset,) = [b for b in test.button if b.label == "Reset"]
    reset.click().run()
    assert state(test).query.prompts == DEFAULT_PROMPTS


def test_the_tile_tab_answers_for_a_tile_and_finds_its_like(page):
    test = search(page(), "dunes")
    state(test).look_at("r015c0003")
    state(test).tab = "Tile"
    test.run()
    facts = test.markdown[-1].value
    assert "r015c0003" in facts and "Elevation" in facts and "Rank" in facts
    test.button(key="mars-similar").click().run()
    assert state(test).query == Query.like("r015c0003")
    assert payload(test)["query"] == "like=r015c0003"


def test_exports_are_offered_for_the_query(page):
    test = search(page(), "dunes")
    state(test).tab = "Export"
    test.run()
    offered = payload(test, "mars-exports")
    assert offered["query"] == "q=dunes"
    assert {"geojson", "shapefile", "gpkg", "parquet", "csv", "heat"} <= {
        f["key"] for f in offered["formats"]
    }
    assert all(f["use"] for f in offered["formats"])


def test_about_names_index_and_model(page, small_index):
    test = page()
    state(test).tab = "About"
    test.run()
    shown = test.markdown[-1].value
    assert small_index.digest in shown and "public domain" in shown


def test_figures_are_shown_only_for_the_model_that_they_belong_to(page, tmp_path, monkeypatch):
    row = {"tiles": 9, "base_rate": 0.05, "trained": 0.5, "unseen": 0.4, "similar": 0.3}
    cells = {"cells": 50, "mean": row, "classes": {"chaos": row}}
    figures = {
        "test": {"tiles": 100, "mean": row, "landforms": {"chaos": row}, "one_degree": cells}
    }
    (tmp_path / "figures.json").write_text(json.dumps(figures))
    monkeypatch.setattr("mars_map.settings.MODEL_DIR", tmp_path)
    for sha256, tables in ((WordEncoder.sha256, 2), ("0" * 64, 0)):
        (tmp_path / "config.json").write_text(json.dumps({"weights_sha256": sha256}))
        test = page()
        state(test).tab = "About"
        assert len(test.run().dataframe) == tables


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_are_never_markup(page, text):
    test = search(search(page(), text), "dunes")
    recent = test.button_group(key="mars-recent").options
    assert recent == [plain(text, 28)]
    for sign in "<[$`*":
        assert sign not in plain(text, 100).replace("\\" + sign, "")


def test_a_missing_index_is_one_sentence(page, small_service, monkeypatch, tmp_path):
    monkeypatch.setattr(small_service, "_engine", None)
    monkeypatch.setattr("mars_map.settings.INDEX_DIR", tmp_path / "nowhere")
    test = page(q="dunes")
    assert len(test.error) == 1 and "nowhere" in test.error[0].value


def test_a_session_holds_no_arrays(page):
    test = search(page(), "dunes")
    for query in [Query("ice", top_k=k) for k in range(1, 80)]:
        state(test).show(query)
    assert len(state(test).history) == 50
    assert len(repr(vars(state(test)))) < 50_000


def test_outlines_are_latitude_first():
    assert region_rings(None) == []
    (ring,) = region_rings(Box(-60, -20, -30, 0))
    assert sorted(map(tuple, ring[:4])) == [(-20, -60), (-20, -30), (0, -60), (0, -30)]


def test_an_emptied_threshold_is_no_threshold(page):
    test = page(q="dunes", min="0.1")
    assert state(test).query.threshold == 0.1
    test.number_input(key="mars-threshold").set_value(None).run()
    assert state(test).query.threshold is None


def test_recent_queries_name_each_subject_once(page):
    test = page(q="dunes")
    test.number_input(key="mars-top-k").set_value(40).run()
    search(test, "canyon")
    assert len(test.button_group(key="mars-recent").options) == 1


def test_a_query_is_mixed_muted_weighted_and_undone(page):
    test = search(page(), "dunes")
    tile = "r015c0003"
    state(test).look_at(tile)
    state(test).tab = "Tile"
    test.run()
    test.button(key="mars-tile-against").click().run()
    mixed = (Part("text", "dunes"), Part("tile", tile, 0.5, against=True))
    assert state(test).query.parts == mixed
    assert test.text_input(key="mars-words").value == ""
    test.slider(key="mars-part-w-0").set_value(0.7).run()
    assert state(test).query.parts[0].weight == pytest.approx(0.7)
    test.toggle(key="mars-part-m-1").set_value(True).run()
    assert state(test).query.active == (Part("text", "dunes", 0.7),)
    test.toggle(key="mars-part-m-0").set_value(True).run()
    assert len(test.error) == 1 and "muted" in test.error[0].value
    assert state(test).query.active, "what cannot be searched changes nothing"
    test.button(key="mars-part-x-1").click().run()
    assert state(test).query.parts == (Part("text", "dunes", 0.7),)
    for _ in range(4):
        (undo,) = [b for b in test.button if b.label == "Undo"]
        undo.click().run()
    assert state(test).query == Query("dunes")
    assert test.text_input(key="mars-words").value == "dunes"


def add(test: AppTest, kind: str, text: str) -> None:
    """Add words or a place to the query."""
    test.text_input(key=f"mars-add-{kind}").set_value(text)
    test.button(key=f"mars-add-{kind}-send").click().run()


def test_words_and_places_are_added_to_a_query(page):
    test = search(page(), "dunes")
    add(test, "words", "old craters")
    test.toggle(key="mars-add-against").set_value(True).run()
    test.button_group(key="mars-add-kind").set_value("Place").run()
    add(test, "place", "Gale")
    kinds = [(p.kind, p.label, p.against) for p in state(test).query.parts]
    assert kinds == [
        ("text", "dunes", False),
        ("text", "old craters", False),
        ("tile", "Gale", True),
    ]
    for place in ("Atlantis Nowhere", "400 E, 3 N"):
        add(test, "place", place)
        assert len(test.error) == 1 and len(state(test).query.parts) == 3


def test_words_wait_until_they_are_sent(page):
    test = search(page(), "dunes")
    test.text_input(key="mars-add-words").set_value("old craters").run()
    test.toggle(key="mars-add-against").set_value(True).run()
    assert state(test).query == Query("dunes"), "leaving the box adds nothing"
    add(test, "words", "old craters")
    assert state(test).query.parts[1].against


def test_only_the_last_part_leaves_the_bare_planet(page):
    test = page(like="r015c0003")
    test.button(key="mars-part-x-0").click().run()
    assert state(test).query is None and payload(test)["query"] == ""
    (undo,) = [b for b in test.button if b.label == "Undo"]
    undo.click().run()
    assert state(test).query == Query.like("r015c0003")
