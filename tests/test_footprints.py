"""Footprints: the hits as a table on Mars."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
import shapely

from mars_map.maps.footprints import COLUMNS, hit_arrays, iso_date, to_geodataframe
from mars_map.planet.regions import LatitudeBand
from mars_map.search import Query

DATE = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)


def test_the_columns_are_documented_and_fit_a_shapefile(small_result):
    frame = to_geodataframe(small_result)
    assert list(frame.columns) == [*COLUMNS, "geometry"]
    assert all(len(name) <= 10 for name in COLUMNS)


def test_rows_are_the_hits_in_their_order(small_result):
    frame = to_geodataframe(small_result, DATE)
    grid = small_result.index.grid
    assert frame["rank"].tolist() == list(range(1, 21))
    assert [grid.number_of(name) for name in frame["tile"]] == small_result.hits.tolist()
    np.testing.assert_allclose(frame["score"], small_result.hit_scores, atol=1e-6)
    np.testing.assert_allclose(frame["lon"], grid.centers[0][small_result.hits], atol=1e-6)
    np.testing.assert_allclose(frame["lat"], grid.centers[1][small_result.hits], atol=1e-6)
    assert set(frame["query"]) == {"chaos at the head of an outflow channel"}
    assert set(frame["date"]) == {"2026-01-31T12:00:05Z"}
    assert frame["index"][0] == small_result.index.digest[:12]
    assert small_result.index.manifest.model.sha256[:12] in frame["model"][0]


def test_outlines_are_the_tiles(small_result):
    frame = to_geodataframe(small_result)
    bounds = small_result.index.grid.bounds(small_result.hits)
    np.testing.assert_allclose(frame.geometry.bounds.to_numpy(), bounds, atol=1e-8)
    assert frame.geometry.is_valid.all()
    assert (shapely.is_ccw(frame.geometry.exterior)).all()
    assert frame.crs.to_authority() == ("IAU_2015", "49900")


def test_tiles_at_the_antimeridian_and_the_poles_are_whole(small_engine):
    grid = small_engine.index.grid
    result = small_engine.search(Query("everything", top_k=grid.n_tiles))
    bounds = to_geodataframe(result).geometry.bounds
    assert bounds["minx"].min() == -180
    assert bounds["maxx"].max() == 180
    assert (bounds["maxx"] - bounds["minx"] <= 120).all()
    assert (bounds["miny"].min(), bounds["maxy"].max()) == (-90, 90)


def test_no_hits_are_an_empty_table_with_the_same_columns(small_engine):
    result = small_engine.search(Query("nothing", threshold=1.0))
    frame = to_geodataframe(result)
    assert len(frame) == 0
    assert list(frame.columns) == [*COLUMNS, "geometry"]
    assert hit_arrays(result) == {"tiles": [], "scores": []}


def test_a_region_limits_the_table(small_engine):
    result = small_engine.search(Query("dunes", region=LatitudeBand(50, 90), top_k=10))
    assert (to_geodataframe(result)["lat"] >= 50).all()


def test_arrays_for_the_live_map(small_result):
    arrays = hit_arrays(small_result)
    assert arrays["tiles"] == small_result.hits.tolist()
    assert arrays["scores"] == pytest.approx(small_result.hit_scores, abs=1e-4)
    assert all(type(tile) is int for tile in arrays["tiles"])


def test_dates_are_utc():
    east = DATE.astimezone(timezone(timedelta(hours=5)))
    assert iso_date(east) == "2026-01-31T12:00:05Z"
    assert iso_date().endswith("Z")
