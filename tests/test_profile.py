"""Elevation along a drawn line: great circles on the Mars sphere, real relief, plain refusals."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mars_map import web
from mars_map.errors import CoordinateError
from mars_map.planet.paths import sample_path
from mars_map.planet.sphere import METRES_PER_DEGREE, great_circle_m

MELAS = "-70,-3;-70,-17"
"""Across Valles Marineris, from the northern plateau to the southern."""

places = st.tuples(st.floats(-180, 179.9), st.floats(-89, 89))


@pytest.fixture
def client(tmp_path):
    return TestClient(Starlette(routes=web.routes(tmp_path)))


def test_the_canyon_is_deep_and_the_plateaus_are_high(client):
    answer = client.get("/mars/profile", params={"line": MELAS, "n": 400}).json()
    elevation = np.array(answer["elevation_m"])
    assert len(elevation) == 400
    assert np.ptp(elevation) > 5_000
    assert elevation[0] > 2_000 and elevation[-1] > 2_000 and elevation.min() < -2_000
    assert answer["length_km"] == pytest.approx(14 * METRES_PER_DEGREE / 1000, abs=1e-3)
    assert np.allclose(answer["lon"], -70)


def test_a_profile_reads_the_elevations_that_a_point_has(client):
    answer = client.get("/mars/profile", params={"line": "137,-5;138,-4.8;139,-7", "n": 7}).json()
    for lon, lat, height in zip(answer["lon"], answer["lat"], answer["elevation_m"], strict=True):
        point = client.get("/mars/elevation", params={"lon": lon, "lat": lat}).json()
        assert height == pytest.approx(point["elevation_m"], abs=0.5)


def test_a_profile_is_saved_as_a_table(client):
    reply = client.get("/mars/profile", params={"line": MELAS, "n": 5, "format": "csv"})
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert [float(row["lat"]) for row in rows] == pytest.approx([-3, -6.5, -10, -13.5, -17])
    assert "attachment" in reply.headers["content-disposition"]


@given(st.lists(places, min_size=2, max_size=5, unique=True), st.integers(2, 60))
def test_samples_lie_on_the_shortest_way(corners, n):
    try:
        samples = sample_path(corners, n)
    except CoordinateError as error:
        assert "opposite" in str(error) or "no length" in str(error)
        return
    steps = great_circle_m(samples.lon[:-1], samples.lat[:-1], samples.lon[1:], samples.lat[1:])
    # Where a corner lies between two samples the straight way is shorter than the line.
    assert (steps <= np.diff(samples.distance_m) * (1 + 1e-6) + 0.1).all()
    for (lon, lat), i in ((corners[0], 0), (corners[-1], -1)):
        assert great_circle_m(lon, lat, samples.lon[i], samples.lat[i]) < 0.1
    lon, lat = np.array(corners).T
    whole = great_circle_m(lon[:-1], lat[:-1], lon[1:], lat[1:]).sum()
    assert samples.distance_m[-1] == pytest.approx(whole, rel=1e-9)


def test_a_line_over_the_pole_passes_the_pole():
    samples = sample_path([(30, 80), (-150, 80)], 21)
    assert samples.lat[10] == pytest.approx(90)
    assert samples.distance_m[-1] == pytest.approx(20 * METRES_PER_DEGREE)


def test_a_line_across_180_takes_the_short_way():
    samples = sample_path([(170, 0), (-170, 0)], 5)
    assert np.allclose(np.mod(samples.lon, 360), [170, 175, 180, 185, 190])


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({}, "at least two corners"),
        ({"line": "1,2"}, "at least two corners"),
        ({"line": "1,2;3"}, "cannot be read"),
        ({"line": "1,2;nan,3"}, "not a number"),
        ({"line": "1,2;1,2"}, "no length"),
        ({"line": "0,0;180,0"}, "opposite"),
        ({"line": "0,0;1,95"}, "not on Mars"),
        ({"line": "0,0;1,1", "n": "1"}, "number of samples"),
        ({"line": "0,0;1,1", "n": "9999"}, "number of samples"),
        ({"line": ";".join(["0,0", "1,1"] * 600)}, "the most"),
    ],
)
def test_bad_lines_get_one_sentence(client, params, sentence):
    reply = client.get("/mars/profile", params=params)
    assert reply.status_code == 400
    assert sentence in reply.json()["error"]
