"""How many: the histogram of all scores, its knee, and where half of the hits are right."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from mars_map.planet.regions import Box
from mars_map.search import Engine, Query
from mars_map.search.query import DEFAULT_TOP_K, MAX_TOP_K
from mars_map.search.threshold import (
    candidates,
    count_above,
    even_count,
    histogram,
    knee_place,
    round_edges,
)
from mars_map.ui.map import FILES
from mars_map.web.params import query_string
from mars_map.web.routes import routes
from tests.toy_calibration import SentenceEncoder, toy_calibration

PAGE = Path(__file__).parents[1] / "mars_map" / "ui" / "page.py"
REGION = Box(-60, -40, 60, 40)


@pytest.fixture(scope="module")
def result(small_engine):
    return small_engine.search(Query("dunes", top_k=20, region=REGION))


@pytest.fixture(scope="module")
def calibrated(small_index):
    return Engine(small_index, SentenceEncoder(), calibration=toy_calibration())


@pytest.fixture
def client(small_service):
    return TestClient(Starlette(routes=routes(FILES)))


def test_counts_and_areas_are_exact_at_every_edge(result):
    found = histogram(result)
    allowed = candidates(result)
    areas = result.index.grid.areas_km2
    assert found.counts.sum() == allowed.sum() == found.tiles[0]
    for edge, tiles, km2 in zip(found.edges, found.tiles, found.km2, strict=True):
        above = allowed & (result.scores >= np.float32(edge))
        assert tiles == above.sum() == count_above(result, float(edge))
        assert km2 == pytest.approx(areas[above].sum())
    assert (found.tiles[-1], found.km2[-1]) == (0, 0)


def test_a_cut_at_an_edge_gives_as_many_hits(small_engine, result):
    found = histogram(result)
    for place in (0, len(found.edges) // 2, len(found.edges) - 2):
        query = result.query.with_(threshold=float(found.edges[place]), top_k=MAX_TOP_K)
        assert len(small_engine.search(query).hits) == found.tiles[place]


def test_tiles_that_the_query_names_are_no_candidates(small_engine):
    names = small_engine.index.grid.names([5, 6, 7, 8])
    query = Query.like(*names[:2], yes=(names[2],), no=(names[3],))
    allowed = candidates(small_engine.search(query))
    assert np.flatnonzero(~allowed).tolist() == [5, 6, 8]
    everything = small_engine.search(query.with_(top_k=MAX_TOP_K))
    assert set(everything.hits.tolist()) == set(np.flatnonzero(allowed).tolist())
    assert candidates(small_engine.search(Query("dunes"))) is None


@pytest.mark.parametrize(
    "scores", [[-1.0, 1.0], [0.25, 0.25], [0.1, 0.100001], [], [-0.3, 0.7, 0.123456]]
)
def test_edges_are_round_and_hold_every_score(scores):
    edges = round_edges(np.array(scores, np.float32))
    assert 2 <= len(edges) <= 700
    assert (np.diff(edges) > 0).all()
    as_kept = edges.astype(np.float32)
    assert all(as_kept[0] <= np.float32(score) < as_kept[-1] for score in scores)
    step = np.diff(edges).mean()
    assert f"{step:.0e}"[0] in "125"


def test_the_knee_is_where_two_lines_meet():
    """A few tiles rise steeply above a long, nearly even slope: Kneedle finds the corner."""
    edges = np.linspace(0, 1, 201)
    tiles = np.where(edges > 0.4, (1 - edges) / 0.6 * 500, 500 + (0.4 - edges) / 0.4 * 40_000)
    place = knee_place(tiles.astype(int), edges)
    assert edges[place] == pytest.approx(0.4, abs=0.02)


def test_the_knee_hardly_moves_when_half_of_the_tiles_are_left_out():
    random = np.random.default_rng(2)
    scores = np.concatenate([random.normal(0, 0.1, 40_000), random.normal(0.45, 0.06, 1500)])
    edges = np.round(np.arange(-0.6, 0.8, 0.005), 9)

    def knee(some):
        return edges[knee_place((np.sort(some)[None] >= edges[:, None]).sum(1), edges)]

    halves = [knee(random.permutation(scores)[:20_000]) for _ in range(4)]
    assert np.ptp(halves) <= 0.03
    assert 0.1 < np.mean(halves) < 0.4


def test_few_tiles_have_no_knee(small_engine):
    result = small_engine.search(Query("dunes", region=Box(0, 0, 20, 20)))
    assert histogram(result).knee is None
    assert knee_place(np.array([500, 500, 0]), np.array([0.1, 0.2, 0.3])) is None


@pytest.mark.parametrize(
    ("expected", "most"),
    [
        ([], None),
        ([(30, 0.4), (100, 0.3)], None),
        ([(30, 0.9), (100, 0.7)], 100),
        ([(10, 0.75), (1000, 0.25)], 100),
        ([(30, 0.6), (100, 0.4), (300, 0.6), (1000, 0.4)], 547),
    ],
)
def test_half_of_the_hits_are_right_down_to_the_even_cut(expected, most):
    assert even_count(expected) == most


def test_what_is_expected_is_what_stands_beside_the_hits(calibrated):
    result = calibrated.search(Query("dunes", top_k=300))
    found = histogram(result)
    at = {one.cut.tiles: one for one in found.expected}
    assert at[300].precision == result.estimate.precision
    assert at[300].cut == found.cut
    if found.even:
        wanted = replace(result.query, threshold=found.even.threshold, top_k=MAX_TOP_K)
        assert len(calibrated.search(wanted).hits) == found.even.tiles


def test_words_that_were_never_taught_get_no_expectation(calibrated):
    found = histogram(calibrated.search(Query("llamas in a forest")))
    assert found.expected == ()
    assert found.even is None


def test_no_tile_at_all_is_an_empty_histogram(small_engine):
    found = histogram(small_engine.search(Query("dunes", region=Box(1, 1, 1.5, 1.5))))
    assert found.counts.sum() == 0
    assert (found.cut, found.knee, found.even) == (None, None, None)
    assert found.to_dict()["expected"] == []


def test_the_route_says_it_all(client, result):
    answer = client.get(f"/mars/histogram?{query_string(result.query)}").json()
    assert answer == histogram(result).to_dict()
    assert answer["cut"]["tiles"] == 20
    assert client.get("/mars/histogram").status_code == 400


def test_a_threshold_takes_as_many_hits_as_it_needs(small_service, small_engine):
    page = AppTest.from_file(str(PAGE), default_timeout=20)
    page.query_params["q"] = "dunes"
    page.run()
    low = float(np.quantile(small_engine.search(Query("dunes")).scores, 0.2))
    page.number_input(key="mars-threshold").set_value(round(low, 2)).run()
    needed = count_above(small_engine.search(Query("dunes")), round(low, 2))
    assert needed > DEFAULT_TOP_K
    assert page.query_params["k"] in (str(needed), [str(needed)])
    page.number_input(key="mars-threshold").set_value(None).run()
    assert "k" not in page.query_params
    assert not page.exception


def test_other_words_are_not_cut_at_the_score_of_the_first(small_service):
    page = AppTest.from_file(str(PAGE), default_timeout=20)
    for name, value in {"q": "dunes", "min": "0.2", "k": "900"}.items():
        page.query_params[name] = value
    page.run()
    page.text_input(key="mars-words").set_value("ice").run()
    assert not page.exception
    assert {name for name in page.query_params if name in ("k", "min")} == set()
