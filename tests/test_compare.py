"""Two answers compared: ranks, sets of hits, and how far they agree."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import rankdata, spearmanr
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from mars_map.analysis.compare import (
    COLUMNS,
    align,
    area_percentiles,
    compare,
    compared_table,
    counterpart,
    rank_correlation,
)
from mars_map.errors import QueryError
from mars_map.maps.difference import (
    FADES,
    SHADES,
    difference_levels,
    difference_palette,
    difference_png,
)
from mars_map.planet.blocks import patch_numbers
from mars_map.planet.grid import EqualAreaGrid, RegularGrid
from mars_map.planet.regions import Box, LatitudeBand
from mars_map.search import Engine, Query
from mars_map.ui.map import FILES
from mars_map.web.compare import Other, read_other
from mars_map.web.routes import routes
from tests.conftest import WordEncoder, make_index

PAGE = Path(__file__).parents[1] / "mars_map" / "ui" / "page.py"


@pytest.fixture(scope="module")
def answers(small_engine):
    a = small_engine.search(Query("dunes inside craters", top_k=60, region=LatitudeBand(-60, 60)))
    return a, small_engine.search(counterpart(a, Query("dunes on plains", threshold=0.9)))


@pytest.fixture(scope="module")
def comparison(answers):
    return compare(*answers)


def test_the_other_query_is_asked_about_the_same_ground(answers):
    a, b = answers
    assert b.query.region == a.query.region
    assert b.query.threshold is None
    assert len(b.hits) == len(a.hits) == 60


def test_percentiles_are_mean_ranks_where_areas_are_equal():
    scores = np.array([0.3, 0.1, 0.3, 0.2, 0.9], np.float32)
    expected = (rankdata(scores) - 0.5) / 5
    np.testing.assert_allclose(area_percentiles(scores, np.ones(5)), expected)


def test_percentiles_count_by_area():
    np.testing.assert_allclose(
        area_percentiles(np.array([0.2, 0.1, 0.3]), np.array([1.0, 6.0, 3.0])), [0.65, 0.3, 0.85]
    )


def test_the_correlation_is_spearmans(comparison, answers):
    a, b = answers
    mask = a.region_mask
    areas = np.ones(mask.sum())
    percentiles = [area_percentiles(r.scores[mask], areas) for r in (a, b)]
    patches = patch_numbers(*(axis[mask] for axis in a.index.grid.centers))
    plain = rank_correlation(*percentiles, areas, patches)
    assert plain.value == pytest.approx(spearmanr(a.scores[mask], b.scores[mask]).statistic)
    # By area it is nearly the same, for tiles of nearly equal areas.
    assert comparison.correlation.value == pytest.approx(plain.value, abs=0.02)
    assert comparison.correlation.low < comparison.correlation.value < comparison.correlation.high


def test_a_query_agrees_with_itself_and_contradicts_its_opposite(small_engine):
    a = small_engine.search(Query("dunes", top_k=50))
    same = compare(a, a)
    assert same.correlation.value == pytest.approx(1)
    assert same.jaccard == 1
    assert same.counts == {"both": 50, "only-a": 0, "only-b": 0}
    assert rank_correlation(
        same.percentiles[0].astype(float),
        1 - same.percentiles[0].astype(float),
        a.index.grid.areas_km2,
        patch_numbers(*a.index.grid.centers),
    ).value == pytest.approx(-1)


def test_the_interval_is_wider_for_ground_in_clumps():
    """Half of the patches agree and half disagree: single tiles would seem far surer of it."""
    grid = EqualAreaGrid(3.0)
    patches = patch_numbers(*grid.centers)
    random = np.random.default_rng(0)
    first = area_percentiles(random.random(grid.n_tiles), grid.areas_km2)
    sign = np.where(np.isin(patches, random.permutation(np.unique(patches))[::2]), 1, -1)
    second = area_percentiles((first - 0.5) * sign, grid.areas_km2)
    clumped = rank_correlation(first, second, grid.areas_km2, patches)
    shuffled = rank_correlation(first, second, grid.areas_km2, random.permutation(patches))
    assert clumped.high - clumped.low > 2 * (shuffled.high - shuffled.low)
    assert clumped.low < 0 < clumped.high


def test_few_patches_give_no_interval(small_engine):
    a = small_engine.search(Query("dunes", region=Box(0, 0, 30, 20)))
    correlation = compare(a, small_engine.search(counterpart(a, Query("ice")))).correlation
    assert (correlation.low, correlation.high) == (None, None)
    small = small_engine.search(Query("dunes", region=Box(0, 0, 7, 7)))
    assert compare(small, small).correlation is None


def test_the_three_sets_are_the_hits(comparison, answers):
    a, b = (set(answer.hits.tolist()) for answer in answers)
    assert set(comparison.hits("both").tolist()) == a & b
    assert set(comparison.hits("only-a").tolist()) == a - b
    assert set(comparison.hits("only-b").tolist()) == b - a
    assert comparison.jaccard == pytest.approx(len(a & b) / len(a | b))
    order = comparison.percentiles[0, comparison.hits("only-a")]
    assert (np.diff(order) <= 0).all()


def test_ground_that_one_did_not_search_is_no_part_of_it(small_engine):
    north = small_engine.search(Query("dunes", region=LatitudeBand(0, 90), top_k=400))
    south = small_engine.search(Query("ice", region=LatitudeBand(-90, 20), top_k=400))
    found = compare(north, south)
    lat = found.grid.centers[1]
    assert np.isnan(found.percentiles[:, (lat < 0) | (lat > 20)]).all()
    for which in ("both", "only-a", "only-b"):
        assert ((lat[found.hits(which)] > 0) & (lat[found.hits(which)] < 20)).all()
    nowhere = small_engine.search(Query("dunes", region=LatitudeBand(-90, -50)))
    with pytest.raises(QueryError, match="no common ground"):
        compare(north, nowhere)


def test_an_answer_of_another_grid_is_read_under_the_centres(small_engine, tmp_path):
    other = Engine(make_index(tmp_path / "index", RegularGrid(8.0, -80, 80)), WordEncoder())
    a, b = (engine.search(Query("dunes", top_k=100)) for engine in (small_engine, other))
    found = compare(a, b)
    lon, lat = found.grid.centers
    assert (np.abs(lat[~found.searched]) > 80).all()
    tile = int(found.grid.tile_at(33.0, 12.0))
    under = int(b.index.grid.tile_at(lon[tile], lat[tile]))
    assert align(b, found.grid).scores[tile] == b.scores[under]
    # The same vectors, but for noise and the size of the tiles: the rankings are alike.
    assert found.correlation.value > 0.8


def test_the_table_lists_a_set(comparison):
    table = compared_table(comparison, "only-b")
    assert list(table.columns) == [*COLUMNS, "geometry"]
    assert len(table) == comparison.counts["only-b"]
    assert table["rank"].tolist() == list(range(1, len(table) + 1))
    assert (np.diff(table["pct_b"]) <= 0).all()
    assert table.crs.to_authority() == ("IAU_2015", "49900")
    assert set(table["query_b"]) == {"dunes on plains"}
    assert max(map(len, COLUMNS)) <= 10


def test_the_picture_is_red_where_the_first_is_higher_and_clear_where_neither_is_high():
    first = np.array([0.95, 0.2, 0.95, 0.5, np.nan, 0.8], np.float32)
    second = np.array([0.2, 0.95, 0.95, 0.5, np.nan, 0.8], np.float32)
    levels = difference_levels(np.stack([first, second]))
    red, blue, white, *clear, faint = difference_palette()[levels].astype(int)
    assert red[0] > red[2] + 50
    assert blue[2] > blue[0] + 50
    assert np.ptp(white[:3]) < 20
    assert red[3] == blue[3] == white[3] == 255
    assert [colour[3] for colour in clear] == [0, 0]
    assert 0 < faint[3] < 255
    assert SHADES * FADES < 256


def test_the_picture_of_the_planet(comparison):
    picture = Image.open(io.BytesIO(difference_png(comparison.percentiles, comparison.grid)))
    assert picture.size == (1440, 720)
    alpha = np.asarray(picture.convert("RGBA"))[:, :, 3]
    assert alpha.any()
    # The query has a band of latitudes, and beyond it nothing is compared.
    assert not alpha[: 720 // 8].any()


@pytest.fixture
def client(small_service):
    return TestClient(Starlette(routes=routes(FILES)))


ADDRESS = {"q": "dunes", "k": "60", "b": "q=dunes on plains"}


def test_the_routes_compare(client, small_engine):
    answer = client.get("/mars/compare", params=ADDRESS).json()
    a = small_engine.search(Query("dunes", top_k=60))
    found = compare(a, small_engine.search(counterpart(a, Query("dunes on plains"))))
    assert answer["jaccard"] == found.jaccard
    assert answer["spearman"]["value"] == found.correlation.value
    assert answer["hits"]["only-b"] == found.hits("only-b").tolist()
    picture = client.get("/mars/difference.png", params=ADDRESS)
    assert picture.content == difference_png(found.percentiles, found.grid)
    assert picture.headers["content-type"] == "image/png"


@pytest.mark.parametrize("form", ["geojson", "csv"])
def test_sets_of_hits_are_files(client, form):
    answer = client.get("/mars/compare", params=ADDRESS).json()
    reply = client.get(f"/mars/export/{form}", params=ADDRESS | {"as": "only-a"})
    assert f"mars-dunes-only-a.{form}" in reply.headers["content-disposition"]
    if form == "csv":
        assert len(pd.read_csv(io.BytesIO(reply.content))) == len(answer["hits"]["only-a"])
    else:
        record = reply.json()["mars_map"]["compared"]
        assert record["set"] == "only-a"
        assert Query.from_dict(record["b"]).text == "dunes on plains"
        assert record["jaccard"] == answer["jaccard"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("compare?q=dunes", "Name a second query"),
        ("compare?q=dunes&b=q%3D%20", "Type what to look for"),
        ("difference.png?q=dunes&b=k%3D3", "Type what to look for"),
        ("export/csv?q=dunes&as=nothing", "no layer"),
        ("export/heat?q=dunes&as=units", "does not hold units"),
        ("export/csv?q=dunes&as=units&least=large", "is no area"),
        ("units?q=dunes&least=-1", "least area"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(client, path, said):
    reply = client.get(f"/mars/{path}")
    assert reply.status_code == 400
    assert said in reply.json()["error"]


def test_units_come_as_geojson(client):
    collection = client.get("/mars/units?q=dunes&k=100").json()
    assert collection["crs"]["properties"]["name"] == "urn:ogc:def:crs:IAU:2015:49900"
    assert sum(one["properties"]["tiles"] for one in collection["features"]) == 100
    saved = client.get("/mars/export/gpkg?q=dunes&k=100&as=units")
    assert "mars-dunes-units.gpkg" in saved.headers["content-disposition"]


@pytest.fixture
def two_indexes(small_service, small_index, tmp_path, monkeypatch):
    """The small index and one of other tiles by the same model, both offered."""
    folders = {"small": small_index.folder, "coarse": tmp_path / "coarse"}
    other = Engine(make_index(folders["coarse"], RegularGrid(10.0, -80, 80)), WordEncoder())
    monkeypatch.setattr(type(small_service), "folders", folders)
    monkeypatch.setattr(small_service, "_others", {"coarse": other})
    return other


def test_a_query_is_compared_with_itself_on_another_index(two_indexes, client, small_engine):
    address = {"q": "dunes", "k": "100", "b": "q=dunes&index=coarse"}
    answer = client.get("/mars/compare", params=address).json()
    assert answer["spearman"]["value"] > 0.8
    a = small_engine.search(Query("dunes", top_k=100))
    # As much ground, not as many tiles.
    wanted = round(100 * two_indexes.index.n_tiles / a.index.n_tiles)
    found = compare(a, two_indexes.search(Query("dunes", top_k=wanted)))
    assert answer["jaccard"] == found.jaccard
    assert client.get("/mars/difference.png", params=address).status_code == 200


def test_tiles_of_one_index_mean_nothing_on_another(two_indexes, client):
    reply = client.get("/mars/compare", params={"q": "dunes", "b": "like=r010c0010&index=coarse"})
    assert reply.status_code == 400
    assert "compare words" in reply.json()["error"]
    reply = client.get("/mars/compare", params={"q": "dunes", "b": "q=dunes&index=none"})
    assert "no index" in reply.json()["error"]


def test_the_other_query_comes_back_from_an_address():
    for other in (Other(Query("dunes & ice")), Other(Query.like("r010c0010"), "coarse")):
        assert read_other(other.address) == other


def test_the_tab_compares_exchanges_and_stops(small_service):
    page = AppTest.from_file(str(PAGE), default_timeout=20)
    for name, value in {"q": "dunes", "k": "60", "min": "-0.9", "b": "q=ice"}.items():
        page.query_params[name] = value
    page.run()
    assert any("dunes" in one.value and "ice" in one.value for one in page.markdown)
    assert any("Jaccard" in one.value for one in page.markdown)
    next(button for button in page.button if button.label == "Exchange").click().run()
    assert page.text_input(key="mars-words").value == "ice"
    assert page.query_params["b"] in ("q=dunes", ["q=dunes"])
    # The threshold was that of other scores.
    assert "min" not in page.query_params
    next(button for button in page.button if button.label == "Stop comparing").click().run()
    assert "b" not in page.query_params
    page.text_input(key="mars-other").set_value("!!").run()
    assert any("no words" in one.value for one in page.error)
    page.text_input(key="mars-other").set_value("canyon").run()
    assert page.query_params["b"] in ("q=canyon", ["q=canyon"])
    assert not page.exception


def test_units_are_a_view_of_the_hits(small_service):
    page = AppTest.from_file(str(PAGE), default_timeout=20)
    for name, value in {"q": "dunes", "k": "60", "units": "2e6"}.items():
        page.query_params[name] = value
    page.run()
    page.segmented_control(key="mars-hits-view").set_value("Units").run()
    assert any("hits that touch" in one.value for one in page.caption)
    page.number_input(key="mars-units-least").set_value(140e6).run()
    assert any("lower the smallest area" in one.value for one in page.caption)
    assert page.query_params["units"] in ("140000000", ["140000000"])
    page.toggle(key="mars-units-shown").set_value(False).run()
    assert "units" not in page.query_params
    assert not page.exception
