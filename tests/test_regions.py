"""Regions: what lies inside, at the antimeridian and the poles too."""

import json
import warnings

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from mars_map.errors import MarsMapError, RegionError
from mars_map.evaluation.areas import MAX_CORNERS, read_area
from mars_map.planet.gazetteer import Feature, Gazetteer
from mars_map.planet.geometry import split_at_antimeridian
from mars_map.planet.grid import EqualAreaGrid
from mars_map.planet.quadrangles import QUADRANGLES, find_quadrangle
from mars_map.planet.regions import (
    Box,
    Circle,
    LatitudeBand,
    MultiPolygon,
    Polygon,
    Quadrangle,
    feature_circle,
    named_circle,
    parse_box,
    parse_circle,
    region_from_dict,
)
from mars_map.planet.sphere import great_circle_m, mars_crs
from mars_map.search import Query
from mars_map.web.params import query_from_params, query_to_params

REGIONS = [
    Box(-60, -20, -30, 0),
    Box(170, -10, -170, 10),
    LatitudeBand(70, 90),
    Polygon(((170, 0), (-170, 0), (-175, 20))),
    Polygon(((0, 0), (10, 0), (10, 10), (0, 10), (0, 0))),
    MultiPolygon(
        (
            (((0, 0), (30, 0), (30, 30), (0, 30)), ((10, 10), (20, 10), (20, 20), (10, 20))),
            (((170, -10), (190, -10), (190, 10), (170, 10)), ((178, -2), (182, -2), (180, 2))),
        )
    ),
    Quadrangle("MC-23"),
    Quadrangle("MC-30"),
]
CIRCLES = [
    Circle(137.8, -5.4, 77),
    Circle(179.5, 20, 300, "over 180"),
    Circle(-179.9, -70, 1000),
    Circle(10, 89, 200),
    Circle(40, -90, 500),
    Circle(0, 0, 5000),
    Circle(-120, 60, 5000),
    Circle(0, 80, float(np.radians(10) * 3396.19)),
]


@pytest.mark.parametrize("region", [*REGIONS, *CIRCLES], ids=str)
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
        lambda: Circle(0, 0, 0),
        lambda: Circle(0, 0, float("nan")),
        lambda: Circle(0, 0, 6000),
        lambda: parse_circle("0,0"),
        lambda: parse_circle("0,0,wide"),
        lambda: region_from_dict({"kind": "circle", "center": [0], "radius_km": 1}),
        lambda: Quadrangle("MC-31"),
        lambda: Quadrangle("Atlantis"),
        lambda: Quadrangle(""),
        lambda: MultiPolygon(()),
        lambda: MultiPolygon(((((0, 0), (10, 10), (0, 10), (10, 0)),),)),
        lambda: MultiPolygon(((((0, 0), (9, 0), (9, 9)), ((-1, -1), (20, -1), (20, 20))),)),
        lambda: region_from_dict({"kind": "polygons", "polygons": [[[["x", 0]]]]}),
        lambda: feature_circle(Feature("Utopia", "planitia", 0, 0, None)),
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


def test_holes_and_parts_count():
    region = REGIONS[5]
    np.testing.assert_array_equal(
        region.contains([5, 15, 175, -175, 180, 50], [5, 15, 5, 5, 0, 5]), [1, 0, 1, 1, 0, 0]
    )
    # 30 x 30 - 10 x 10, and 20 x 20 without a triangle of 4 x 4 / 2.
    assert region.geometry().area == pytest.approx(800 + 400 - 8)


def test_parts_that_meet_at_the_antimeridian_are_one_region():
    halves = MultiPolygon(
        (
            (((170, 0), (180, 0), (180, 9), (170, 9)),),
            (((-180, 0), (-170, 0), (-170, 9), (-180, 9)),),
        )
    )
    assert halves.contains([180, -180, 179.999], [5, 5, 5]).all()
    assert halves.geometry().is_valid


@pytest.mark.parametrize("circle", CIRCLES, ids=str)
def test_a_circle_and_its_outline_enclose_the_same(circle):
    random = np.random.default_rng(3)
    lon = random.uniform(-180, 180, 20_000)
    lat = np.degrees(np.arcsin(random.uniform(-1, 1, 20_000)))
    near = np.abs(great_circle_m(circle.lon, circle.lat, lon, lat) / 1000 - circle.radius_km)
    # An outline of 256 chords runs a little inside: by r (1 - cos(pi / 256)) = 0.4 km at 5,000 km,
    # and by more where a chord in degrees is far from a great circle, near the poles.
    apart = near > 0.01 * circle.radius_km
    geometry = circle.geometry()
    assert geometry.is_valid and geometry.bounds[0] >= -180 and geometry.bounds[2] <= 180
    inside = shapely.contains_xy(geometry, lon, lat)
    np.testing.assert_array_equal(circle.contains(lon, lat)[apart], inside[apart])
    on_sphere = circle.contains(lon, lat).mean()
    expected = (1 - np.cos(circle.radius_km / 3396.19)) / 2
    assert on_sphere == pytest.approx(expected, abs=4 * np.sqrt(expected / 20_000))


def test_circles_are_read_as_people_write_them():
    assert parse_circle("137.8,-5.4,77") == Circle(137.8, -5.4, 77)
    assert parse_circle("137.8 E, 5.4 S, 77 km, Gale") == Circle(137.8, -5.4, 77, "Gale")
    gale = Feature("Gale", "crater", 137.8, -5.4, 154)
    assert feature_circle(gale) == Circle(137.8, -5.4, 77, "Gale")


def test_the_quadrangles_tile_the_planet():
    lon, lat = EqualAreaGrid(3.0).centers
    inside = sum(Quadrangle(code).contains(lon, lat).astype(int) for code in QUADRANGLES)
    on_border = np.isin(lon % 15, 0) | np.isin(lat, [0, 30, -30, 65, -65])
    assert len(QUADRANGLES) == 30 and (inside[~on_border] == 1).all() and (inside >= 1).all()


@pytest.mark.parametrize(
    ("place", "lon", "lat", "code"),
    [
        ("Gale", 137.8, -5.4, "MC-23"),
        ("Jezero", 77.7, 18.4, "MC-13"),
        ("Olympus Mons", -133.8, 18.65, "MC-09"),
        ("Argyre", -43.4, -49.8, "MC-26"),
        ("Hellas", 70.5, -42.4, "MC-28"),
        ("Korolev", 164.6, 72.8, "MC-01"),
        ("Meridiani", -5.5, -2.0, "MC-19"),
        ("Valles Marineris", -59.2, -14.0, "MC-18"),
    ],
)
def test_known_places_lie_in_their_quadrangles(place, lon, lat, code):
    inside = [c for c in QUADRANGLES if Quadrangle(c).contains(lon, lat)]
    assert inside == [code], place


def test_quadrangles_are_found_as_people_write_them():
    for text in ("MC-23", "mc23", "23", "Aeolis", " aeolis ", "MC-23 Aeolis"):
        assert find_quadrangle(text).code == "MC-23"
    assert Quadrangle("9") == Quadrangle("Tharsis")


# An address has twelve digits; the last circle, which touches the pole, has more.
@pytest.mark.parametrize("region", [*REGIONS, *CIRCLES[:-1]], ids=str)
def test_the_address_holds_every_region(region):
    query = Query("dunes", region=region)
    assert query_from_params(query_to_params(query)) == query
    assert Query.from_dict(json.loads(query.to_json())) == query


def test_a_feature_without_a_size_is_the_next_that_has_one():
    features = (
        Feature("Hellas", "albedo feature", 70, -40, None),
        Feature("Hellas Planitia", "planitia", 70.5, -42.4, 2299),
    )
    assert named_circle(Gazetteer(features), "hellas").name == "Hellas Planitia"


def save(path, *shapes, crs=None):
    """Write shapes as a file of polygons; without a CRS where none is given."""
    import geopandas

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        geopandas.GeoDataFrame(geometry=list(shapes), crs=crs).to_file(path)
    return path


def test_polygons_of_a_file_are_a_region(tmp_path):
    holed = shapely.box(0, 0, 20, 20).difference(shapely.box(5, 5, 10, 10))
    file = save(tmp_path / "a.gpkg", holed, shapely.box(170, -5, 190, 5), crs=mars_crs())
    area = read_area(file)
    inside = area.region.contains([2, 7, 175, -175, 0], [2, 7, 0, 0, 40])
    np.testing.assert_array_equal(inside, [1, 0, 1, 1, 0])
    assert area.note.startswith("a.gpkg: 2 polygons") and "reference system" not in area.note
    assert query_from_params(query_to_params(Query("x", region=area.region))).region == area.region


def test_another_system_of_mars_is_reprojected_and_none_is_told(tmp_path):
    half = 500_000
    metres = save(tmp_path / "m.gpkg", shapely.box(-half, -half, half, half), crs="IAU_2015:49910")
    degrees = half / 3_396_190 * 180 / np.pi
    assert read_area(metres).region.geometry().bounds == pytest.approx(
        (-degrees, -degrees, degrees, degrees), abs=1e-3
    )
    bare = read_area(save(tmp_path / "bare.shp", shapely.box(0, 0, 9, 9)))
    assert "names no reference system" in bare.note and bare.region.contains(5, 5)


@pytest.mark.parametrize(("crs", "side"), [("IAU_2015:49930", 1), ("IAU_2015:49935", -1)])
def test_an_outline_round_a_pole_encloses_it(tmp_path, crs, side):
    cap = save(tmp_path / "cap.gpkg", shapely.Point(0, 0).buffer(500_000), crs=crs)
    region = read_area(cap).region
    assert region.contains([0, 120, -180], [side * 89, side * 83, side * 90]).all()
    assert not region.contains([0, 120, -179], [side * 80, 0, side * -89]).any()
    assert region.geometry().is_valid


@pytest.mark.parametrize(
    ("shape", "inside", "outside"),
    [
        (shapely.box(-180, 70, 180, 90), [(0, 90), (-180, 75), (100, 71)], [(0, 69), (0, -90)]),
        (shapely.box(-180, -90, 180, -60), [(0, -90), (179, -61)], [(0, 0)]),
        (shapely.box(-180, -30, 180, 30), [(0, 0), (-180, 29)], [(0, 31), (9, -80)]),
        (shapely.box(-180, -90, 180, 90), [(0, 90), (7, 0), (0, -90)], []),
        (shapely.box(160, 70, 200, 90), [(-170, 80), (170, 80)], [(0, 80)]),
    ],
    ids=["north", "south", "band", "planet", "wedge"],
)
def test_outlines_along_the_borders_of_the_flat_map_are_taken_as_they_lie(
    tmp_path, shape, inside, outside
):
    area = read_area(save(tmp_path / "flat.gpkg", shape, crs=mars_crs()))
    assert area.region.contains(*np.array(inside).T).all()
    assert not outside or not area.region.contains(*np.array(outside).T).any()
    assert area.region.geometry().is_valid
    assert query_from_params(query_to_params(Query("x", region=area.region))).region == area.region


def test_many_corners_are_simplified_and_it_is_told(tmp_path):
    angle = np.linspace(0, 2 * np.pi, 5000)
    radius = 20 + np.sin(40 * angle)
    ring = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    area = read_area(save(tmp_path / "star.gpkg", shapely.Polygon(ring), crs=mars_crs()))
    assert "Simplified from " in area.note and " km)" in area.note
    assert len(area.region.vertices) <= MAX_CORNERS
    moved = shapely.hausdorff_distance(area.region.geometry(), shapely.Polygon(ring), 0.1)
    assert moved < 0.5


@pytest.mark.parametrize(
    ("name", "shape", "crs", "said"),
    [
        ("earth.gpkg", shapely.box(0, 0, 5, 5), "EPSG:4326", "not of Mars"),
        ("earth.geojson", shapely.box(0, 0, 5, 5), "EPSG:4326", "not of Mars"),
        ("moon.gpkg", shapely.box(0, 0, 5, 5), "IAU_2015:30100", "not of Mars"),
        ("bow.shp", shapely.Polygon([(0, 0), (9, 9), (0, 9), (9, 0)]), None, "crosses itself"),
        ("points.gpkg", shapely.Point(1, 1), None, "no polygons"),
        ("metres.shp", shapely.box(0, 0, 90_000, 90_000), None, "off the planet"),
        (
            "many.gpkg",
            shapely.MultiPolygon([shapely.box(i, 0, i + 0.6, 5) for i in range(-90, 90)]),
            None,
            "corners",
        ),
        ("table.csv", None, None, "no file of polygons"),
        ("words.geojson", None, None, "not a collection"),
        ("cut.gpkg", None, None, "cannot be read"),
    ],
)
def test_files_that_are_no_region_get_one_sentence(tmp_path, name, shape, crs, said):
    path = tmp_path / name
    if shape is None:
        path.write_text("words")
    else:
        save(path, shape, crs=crs)
    with pytest.raises(RegionError, match=said) as caught:
        read_area(path)
    assert str(tmp_path) not in str(caught.value) and str(caught.value).endswith(".")
