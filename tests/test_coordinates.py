"""Coordinates as people write them, and the sphere they lie on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from mars_map.errors import CoordinateError
from mars_map.planet import coordinates as c
from mars_map.planet import sphere

longitudes = st.floats(-180, 360, allow_nan=False)
latitudes = st.floats(-90, 90, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("137.8 E", 137.8),
        ("137.8E", 137.8),
        ("42 W", -42.0),
        ("42° w", -42.0),
        ("222.2", -137.8),
        ("-42", -42.0),
        ("−42", -42.0),
        ("360", 0.0),
        ("180", -180.0),
        ("+5", 5.0),
        ("317.9 east", -42.1),
    ],
)
def test_longitudes_are_read_as_people_write_them(text, expected):
    assert c.parse_longitude(text) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "text", ["", "E", "12 N", "400", "-181", "-5 W", "nan", "1e3", "<b>", "١٢x"]
)
def test_what_is_no_longitude_is_refused_in_a_sentence(text):
    with pytest.raises(CoordinateError, match=r"\.$"):
        c.parse_longitude(text)


@pytest.mark.parametrize(("text", "expected"), [("5.4 S", -5.4), ("18.4°N", 18.4), ("-90", -90.0)])
def test_latitudes(text, expected):
    assert c.parse_latitude(text) == expected


@pytest.mark.parametrize("text", ["91", "-90.1", "4 E", "five"])
def test_what_is_no_latitude_is_refused(text):
    with pytest.raises(CoordinateError):
        c.parse_latitude(text)


@pytest.mark.parametrize(
    "text",
    ["137.8,-5.4", "137.8 E, 5.4 S", "5.4 S, 137.8 E", "222.2 W; -5.4", "5.4 south, 137.8 east"],
)
def test_points_are_read_in_both_orders(text):
    assert c.parse_point(text) == pytest.approx((137.8, -5.4))


@pytest.mark.parametrize("text", ["137.8", "1,2,3", "", ",", "400,0", "0,100"])
def test_what_is_no_point_is_refused(text):
    with pytest.raises(CoordinateError):
        c.parse_point(text)


@given(longitudes)
def test_wrapping_keeps_the_meridian(lon):
    wrapped = float(c.wrap_longitude(lon))
    assert -180 <= wrapped < 180
    assert np.cos(np.radians(wrapped - lon)) == pytest.approx(1)
    assert 0 <= c.longitude_360(lon) < 360


@given(st.floats(-180, 179.99), latitudes)
def test_what_is_written_reads_back(lon, lat):
    for style in ("180", "360", "360W"):
        text = c.format_longitude(lon, style, digits=6)
        difference = (c.parse_longitude(text) - lon + 180) % 360 - 180
        assert abs(difference) < 1e-5
    assert c.parse_latitude(c.format_latitude(lat, digits=6)) == pytest.approx(lat, abs=1e-6)


def test_format_of_gale():
    assert c.format_point(137.8, -5.4) == "5.40° S, 137.80° E"
    assert c.format_longitude(-42.0) == "42.00° W"
    assert c.format_longitude(-42.0, "360") == "318.00° E"


@pytest.mark.parametrize(("lon", "lat"), [(np.nan, 0), (0, np.inf), (361, 0), (0, 90.001)])
def test_points_off_the_planet_are_refused(lon, lat):
    with pytest.raises(CoordinateError):
        c.check_point(lon, lat)


@given(longitudes, latitudes, longitudes, latitudes)
def test_distance_agrees_with_proj(lon1, lat1, lon2, lat2):
    geod = Geod(a=sphere.RADIUS_M, b=sphere.RADIUS_M)
    expected = geod.inv(lon1, lat1, lon2, lat2)[2]
    # Near antipodes the haversine loses digits: a millimetre in ten thousand kilometres elsewhere.
    assert sphere.great_circle_m(lon1, lat1, lon2, lat2) == pytest.approx(expected, abs=0.5)


def test_area_of_the_planet_and_of_a_box_across_the_antimeridian():
    whole = 4 * np.pi * (sphere.RADIUS_M / 1000) ** 2
    assert sphere.box_area_km2([-180, -90, 180, 90]) == pytest.approx(whole)
    assert sphere.box_area_km2([170, 0, -170, 10]) == pytest.approx(
        sphere.box_area_km2([-10, 0, 10, 10])
    )


def test_crs_is_the_mars_sphere():
    crs = sphere.mars_crs()
    assert crs.ellipsoid.semi_major_metre == crs.ellipsoid.semi_minor_metre == sphere.RADIUS_M
    assert crs.to_authority() == sphere.CRS_AUTHORITY


@given(latitudes)
def test_planetographic_latitude_and_back(lat):
    there = sphere.planetographic_latitude(lat)
    assert abs(there) >= abs(lat) - 1e-12
    assert sphere.planetocentric_latitude(there) == pytest.approx(lat, abs=1e-9)


def test_planetographic_latitude_differs_most_near_45_degrees():
    # tan(g) = tan(45°) (3396.19 / 3376.20)^2
    assert sphere.planetographic_latitude(45.0) == pytest.approx(45.338, abs=1e-3)
    assert sphere.planetographic_latitude([-90.0, 0.0, 90.0]) == pytest.approx([-90, 0, 90])
