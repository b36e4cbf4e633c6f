"""Regions: what lies inside, at the antimeridian and the poles too."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from mars_map.errors import MarsMapError, RegionError
from mars_map.planet.geometry import split_at_antimeridian
from mars_map.planet.regions import (
    Box,
    LatitudeBand,
    Polygon,
    parse_box,
    region_from_dict,
)

REGIONS = [
    Box(-60, -20, -30, 0),
    Box(170, -10, -170, 10),
    LatitudeBand(70, 90),
    Polygon(((170, 0), (-170, 0), (-175, 20))),
    Polygon(((0, 0), (10, 0), (10, 10), (0, 10), (0, 0))),
]


@pytest.mark.parametrize("region", REGIONS, ids=str)
def test_plain_values_and_back(region):
    assert region_from_dict(region.to_dict()) == region
    assert hash(region) == hash(region_from_dict(region.to_dict()))


@pytest.mark.parametrize("region", REGIONS, ids=str)
@given(lon=st.floats(-180, 179.999), lat=st.floats(-90, 90))
def test_inside_is_inside_the_geometry(region, lon, lat):
    geometry = region.geometry()
    west, _south, east, _north = geometry.bounds
    assert geometry.is_valid and west >= -180 and east <= 180
    # Points within rounding of a border may fall on either side.
    if shapely.boundary(geometry).distance(shapely.Point(lon, lat)) > 1e-9:
        assert region.contains(lon, lat) == geometry.contains(shapely.Point(lon, lat))


def test_a_box_across_the_antimeridian_is_two_polygons():
    box = Box(170, -10, -170, 10)
    assert len(box.geometry().geoms) == 2
    np.testing.assert_array_equal(box.contains([175, -175, 180, 0], [0, 0, 0, 0]), [1, 1, 1, 0])
    assert box == Box(170, -10, 190, 10)


def test_boxes_in_0_to_360_and_round_the_planet():
    assert Box(200, 0, 210, 10) == Box(-160, 0, -150, 10)
    for west, east in ((-180, 180), (0, 360)):
        assert Box(west, -5, east, 5).contains([-180, 0, 179.9], [0, 0, 0]).all()


def test_a_polygon_takes_the_short_way_round():
    polygon = Polygon(((170, -5), (190, -5), (190, 5), (170, 5)))
    np.testing.assert_array_equal(polygon.contains([180, -175, 175, 0], [0, 0, 0, 0]), [1, 1, 1, 0])
    assert polygon.geometry().area == pytest.approx(200)


def test_splitting_keeps_the_area():
    ring = [(150, -30), (-150, -40), (-160, 40), (160, 30)]
    split = split_at_antimeridian(ring)
    whole = shapely.Polygon([(150, -30), (210, -40), (200, 40), (160, 30)])
    assert split.area == pytest.approx(whole.area)
    assert split.geom_type == "MultiPolygon"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Box(0, 10, 5, 0),
        lambda: Box(0, 0, 0, 10),
        lambda: Box(0, -91, 5, 0),
        lambda: Box(float("nan"), 0, 5, 10),
        lambda: Box(-500, 0, 5, 10),
        lambda: LatitudeBand(5, 5),
        lambda: LatitudeBand(float("nan"), 5),
        lambda: Polygon(((0, 0), (1, 1))),
        lambda: Polygon(((0, 0), (10, 10), (0, 10), (10, 0))),
        lambda: Polygon(((0, 70), (90, 70), (180, 70), (-90, 70))),
        lambda: Polygon(((0, 0), (1, 100), (2, 0))),
        lambda: Polygon(((0, 0), (1, 0), (2, 0))),
        lambda: parse_box("1,2,3"),
        lambda: parse_box("a,b,c,d"),
        lambda: parse_box("10,20,30,10"),
        lambda: parse_box("nan,0,5,10"),
        lambda: region_from_dict({}),
        lambda: region_from_dict({"kind": "disc"}),
        lambda: region_from_dict({"kind": "box", "bounds": [1, 2]}),
        lambda: region_from_dict({"kind": "polygon", "vertices": "x"}),
    ],
)
def test_what_encloses_nothing_is_refused_in_one_sentence(make):
    with pytest.raises(RegionError) as caught:
        make()
    assert isinstance(caught.value, MarsMapError) and str(caught.value).endswith(".")


def test_boxes_are_read_as_people_write_them():
    assert parse_box("-60,-20,-30,0") == Box(-60, -20, -30, 0)
    assert parse_box("60 W, 20 S, 30 W, 0") == Box(-60, -20, -30, 0)
    assert parse_box("170,-10,190,10") == Box(170, -10, -170, 10)
