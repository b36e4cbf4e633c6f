"""Where and why here on the page: chips, filters, quadrangles, features, and the tab."""

import pytest

from mars_map.covariates import FILTERS
from mars_map.planet.regions import Circle, MultiPolygon, Quadrangle
from mars_map.search import Filter, Query
from mars_map.web.params import query_to_params
from tests.test_page import page, payload, state  # noqa: F401

LOW = Filter("elevation", None, -2000.0)


def test_region_and_filters_of_an_address_are_chips_and_go_by_a_click(page):  # noqa: F811
    query = Query("dunes", region=Quadrangle("MC-23"), filters=(LOW,))
    test = page(**query_to_params(query))
    assert state(test).query == query
    assert test.button(key="mars-region-x").label == "MC\\-23 Aeolis"
    assert "2,000 m" in test.button(key="mars-filter-x-0").label.replace("\\", "")
    assert test.selectbox(key="mars-quadrangle").value == "MC-23"
    test.button(key="mars-filter-x-0").click().run()
    assert state(test).query == Query("dunes", region=Quadrangle("MC-23"))
    test.button(key="mars-region-x").click().run()
    assert state(test).query == Query("dunes") and not test.exception
    assert "where" not in test.query_params and "quad" not in test.query_params


def test_a_slider_is_a_filter_and_its_ends_are_none(page):  # noqa: F811
    test = page(q="dunes")
    test.button_group(key="mars-filter-kind").set_value("elevation").run()
    slider = test.slider(key="mars-filter-elevation")
    low, high = slider.value
    slider.set_value((low, -2000.0)).run()
    assert state(test).query.filters == (LOW,)
    assert test.query_params["where"] == "elevation:..-2000"
    test.slider(key="mars-filter-elevation").set_value((low, high)).run()
    assert state(test).query.filters == () and not test.exception


def test_every_filter_has_its_slider(page):  # noqa: F811
    test = page(q="dunes", where=["albedo:0.12..0.2", "slope:..99"])
    for name in FILTERS:
        test.button_group(key="mars-filter-kind").set_value(name).run()
        assert not test.exception and not test.error
        slider = test.slider(key=f"mars-filter-{name}")
        assert slider.min <= slider.value[0] < slider.value[1] <= slider.max
        assert slider.value == ((0.12, 0.2) if name == "albedo" else (slider.min, slider.max))
    assert len(state(test).query.filters) == 2, "to look at a filter changes none"


def test_a_feature_is_its_circle_and_its_name_comes_back(page):  # noqa: F811
    test = page(q="dunes")
    test.button_group(key="mars-region-kind").set_value("Feature").run()
    test.selectbox(key="mars-feature").set_value("Gale").run()
    region = state(test).query.region
    assert isinstance(region, Circle) and region.name == "Gale"
    assert payload(test)["region"], "the map gets its outline"
    again = page(**query_to_params(state(test).query))
    assert again.selectbox(key="mars-feature").value == "Gale"


@pytest.mark.parametrize(
    "region",
    [Circle(10, 20, 300), MultiPolygon(((((0, 0), (9, 0), (9, 9)), ((5, 2), (6, 2), (6, 3))),))],
)
def test_every_kind_of_region_is_shown(page, region):  # noqa: F811
    test = page(**query_to_params(Query("dunes", region=region)))
    assert state(test).query.region == region and not test.exception and not test.error
    assert len(payload(test)["region"]) == (2 if isinstance(region, MultiPolygon) else 1)


def test_why_here_reads_the_hits_in_one_sentence(page):  # noqa: F811
    test = page(q="dunes")
    state(test).tab = "Why here"
    test.run()
    assert not test.exception and not test.error
    shown = " ".join(block.value for block in test.markdown)
    assert "hits are" in shown or "In none of" in shown
    assert test.selectbox(key="mars-why-covariate").options
    bare = page()
    state(bare).tab = "Why here"
    bare.run()
    assert any("Search for something first" in caption.value for caption in bare.caption)
