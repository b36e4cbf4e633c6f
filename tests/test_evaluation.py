"""Global geo-localization: catalogues, nearness, the two protocols, chance, and the command."""

import itertools
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from click.testing import CliRunner
from PIL import Image
from scipy.spatial import cKDTree

from mars_map.cli import main
from mars_map.errors import CatalogueError
from mars_map.evaluation import Catalogue, GroundTruth, evaluate_query, read_blocks, read_catalogue
from mars_map.evaluation.geolocalization import LEGACY_TOP_K
from mars_map.evaluation.nearness import (
    SPACING_KM,
    flat_nearness,
    middles,
    sphere_nearness,
    tiles_inside,
)
from mars_map.planet.grid import EqualAreaGrid, RegularGrid
from mars_map.planet.sphere import great_circle_m, mars_crs, planetocentric_latitude
from mars_map.search import Query
from mars_map.training.split import Split

DEGREE_M = np.pi * 3_396_190 / 180


def catalogue_of(*geometries: shapely.Geometry) -> Catalogue:
    return Catalogue("made up", np.array(geometries, object), {})


def points(lon, lat) -> Catalogue:
    return Catalogue("made up", np.atleast_1d(shapely.points(lon, lat)), {})


def scattered(n: int, seed: int = 0) -> Catalogue:
    rng = np.random.default_rng(seed)
    return points(rng.uniform(-180, 180, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n))))


def unit_vectors(lon, lat) -> np.ndarray:
    lon, lat = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def near(geometry, grid, radius_deg=0.5) -> set[int]:
    pairs = sphere_nearness(np.array([geometry], object), grid, radius_deg).near
    return set(pairs.tile.tolist())


# Catalogues


@pytest.mark.parametrize(
    "header",
    ["name,lon,lat", "name,Longitude,Latitude", "name,CENTER_LON,CENTER_LAT", "name;Lon_E;Lat",
     "id\tLON_CIRC_IMG\tLAT_CIRC_IMG", "\ufeffid,long,lat", "id,X,Y", "name,lon_180,lat"],
)  # fmt: skip
def test_a_table_is_read_by_the_names_in_use(tmp_path, header):
    separator = max(",;\t", key=header.count)
    path = tmp_path / "table.csv"
    path.write_text(f"{header}\n{separator.join(['Gale', '137.8', '-5.4'])}\n", encoding="utf-8")
    (point,) = read_catalogue(path).geometries
    assert (point.x, point.y) == (137.8, -5.4)


def test_longitudes_of_every_convention_are_one_place(tmp_path):
    table = tmp_path / "west.csv"
    table.write_text("lat,lon_w\n-5.4,222.2\n")
    places = [points(137.8, -5.4), points(137.8 - 360, -5.4), read_catalogue(table)]
    for lon, lat in (middles(place.geometries) for place in places):
        assert lon == pytest.approx([137.8]) and lat == pytest.approx([-5.4])
    (lon,), _ = middles(points(350.0, 1.0).geometries)
    assert lon == -10.0


def test_rows_that_cannot_be_used_are_counted_by_reason(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("lon,lat\n1,2\n,3\nfour,5\n6\n7,95\n400,8\n\nnan,1\n9,10\n")
    catalogue = read_catalogue(path)
    assert catalogue.n_features == 2
    assert catalogue.skipped == {"without readable coordinates": 4, "off the planet": 2}
    assert catalogue.n_skipped == 6


def test_a_broken_name_does_not_cost_the_table(tmp_path):
    path = tmp_path / "latin1.csv"
    path.write_bytes("name,lon,lat\nSögel,-55.1,21.5\n".encode("latin-1"))
    assert read_catalogue(path).n_features == 1


def test_features_that_cannot_be_used_are_counted_by_reason(tmp_path):
    geometries = [
        {"type": "Point", "coordinates": [1, 2, -4000]},
        None,
        {"type": "Point", "coordinates": ["east", 2]},
        {"type": "LineString", "coordinates": [[0, 0]]},
        {"type": "Nonsense", "coordinates": [1, 2]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Point", "coordinates": [1e6, 2e6]},
        {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1, 2]}]},
    ]
    features = [{"type": "Feature", "properties": {}, "geometry": g} for g in geometries]
    path = tmp_path / "features.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [*features, "oops"]}))
    catalogue = read_catalogue(path)
    assert [g.wkt for g in catalogue.geometries] == ["POINT (1 2)"]
    assert catalogue.skipped == {
        "without readable coordinates": 6,
        "off the planet": 1,
        "neither points, lines nor polygons": 1,
    }


SHAPES = (
    shapely.Point(20, 70),
    shapely.LineString([(20, 70), (25, 71)]),
    shapely.box(20, 65, 22, 66),
)


@pytest.mark.parametrize("suffix", ["shp", "gpkg", "geojson", "shp.zip"])
@pytest.mark.parametrize("crs", ["IAU_2015:49900", "IAU_2015:49910", "IAU_2015:49930"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.geom_type)
def test_reference_systems_of_mars_are_reprojected(tmp_path, shape, crs, suffix):
    path = tmp_path / f"catalogue.{suffix}"
    gpd.GeoDataFrame(geometry=[shape], crs=mars_crs()).to_crs(crs).to_file(path)
    (read,) = read_catalogue(path).geometries
    assert read.hausdorff_distance(shape) < 1e-6


def test_a_longitude_positive_west_and_a_planetographic_latitude_are_converted(tmp_path):
    path = tmp_path / "ographic.geojson"
    name = {"type": "name", "properties": {"name": "urn:ogc:def:crs:IAU:2015:49901"}}
    feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [30, 45]}}
    path.write_text(json.dumps({"crs": name, "features": [feature], "type": "FeatureCollection"}))
    (point,) = read_catalogue(path).geometries
    assert point.x == -30 and point.y == planetocentric_latitude(45)
    assert 0.3 < 45 - point.y < 0.4


def test_a_projection_of_the_ellipsoid_is_brought_to_the_sphere(tmp_path):
    path = tmp_path / "ellipsoid.gpkg"
    on_ellipsoid = "+proj=stere +lat_0=90 +a=3396190 +b=3376200 +units=m +no_defs"
    gpd.GeoDataFrame(geometry=[shapely.Point(0, -2e6)], crs=on_ellipsoid).to_file(path)
    (point,) = read_catalogue(path).geometries
    back = gpd.GeoSeries([shapely.Point(0, -2e6)], crs=on_ellipsoid).to_crs(
        "+proj=longlat +a=3396190 +b=3376200 +no_defs"
    )
    assert point.x == pytest.approx(0, abs=1e-9)
    assert point.y == pytest.approx(planetocentric_latitude(back[0].y))


def write_bad(folder: Path, name: str) -> Path:
    """Write a file that is no catalogue of Mars, by the name of what is wrong with it."""
    earth = gpd.GeoDataFrame(geometry=[shapely.Point(1, 2)], crs="EPSG:4326")
    files = {
        "no column.csv": "name,size\nGale,154\n",
        "no latitude.csv": "lon,size\n1,154\n",
        "empty.csv": "",
        "no rows.csv": "lon,lat\n",
        "metres.csv": "x,y\n1000000,2000000\n",
        "no json.geojson": "{",
        "no features.json": '{"type": "Topology"}',
        "a list.json": "[1, 2]",
        "no number.json": '{"features": 7}',
        "empty.geojson": '{"type": "FeatureCollection", "features": []}',
        "unclosed.csv": 'lon,lat,name\n1,2,"Gale\n3,4,Gusev\n',
        "unknown crs.geojson": '{"type": "FeatureCollection", "features": [], '
        '"crs": {"properties": {"name": "Barsoom"}}}',
        "damaged.shp": "not a shapefile",
        "picture.png": "png",
    }
    path = folder / name
    match name:
        case "earth.shp" | "earth.gpkg":
            earth.to_file(path)
        case "moon.geojson":
            moon = gpd.GeoSeries([shapely.Point(1, 2)], crs="IAU_2015:30100")
            moon.to_file(path, driver="GeoJSON")
        case "two layers.gpkg":
            for layer in ("a", "b"):
                earth.set_crs(mars_crs(), allow_override=True).to_file(path, layer=layer)
        case "lost part.shp":
            earth.to_file(path)
            path.with_suffix(".shx").unlink()
        case "missing.csv":
            pass
        case _:
            path.write_text(files[name])
    return path


BAD = [
    "no column.csv", "no latitude.csv", "empty.csv", "no rows.csv", "metres.csv", "missing.csv",
    "unclosed.csv", "no json.geojson", "no features.json", "a list.json", "no number.json",
    "empty.geojson", "unknown crs.geojson", "damaged.shp", "lost part.shp", "earth.shp",
    "earth.gpkg", "moon.geojson", "two layers.gpkg", "picture.png",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path, name):
    path = write_bad(tmp_path, name)
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(path)
    message = str(caught.value)
    assert name in message and message.endswith(".") and "\n" not in message


# Nearness


@pytest.mark.parametrize("grid", [EqualAreaGrid(6.0), RegularGrid(6.0, -84, 84)], ids=str)
def test_points_are_near_by_great_circles(grid):
    catalogue = scattered(300)
    lon, lat = middles(catalogue.geometries)
    distance = great_circle_m(lon[:, None], lat[:, None], *grid.centers)
    pairs = sphere_nearness(catalogue.geometries, grid, 5.0).near
    expected = np.argwhere(distance <= 5.0 * DEGREE_M)
    assert np.array_equal(np.stack(pairs, axis=1), expected)


def test_a_distance_of_the_radius_is_near():
    grid = EqualAreaGrid(1.0)
    lon, lat = (v[20_000] for v in grid.centers)
    assert 20_000 in near(shapely.Point(lon, lat + 0.5), grid)
    assert 20_000 not in near(shapely.Point(lon, lat + 0.5001), grid)


def test_the_antimeridian_and_the_poles_are_no_border_on_the_sphere_but_are_on_the_flat_map():
    grid = RegularGrid(1.0, -90, 90)
    at_border = points(179.9, 0.5)
    neighbour = int(grid.tile_at(-179.9, 0.5))
    both = (
        sphere_nearness(at_border.geometries, grid, 1.0),
        flat_nearness(at_border.geometries, grid, 1.0),
    )
    assert [neighbour in nearness.near.tile for nearness in both] == [True, False]
    # All 360 tiles of the northernmost row touch the pole; flat, only those near one longitude.
    at_pole = points(0.0, 90.0).geometries
    assert len(sphere_nearness(at_pole, grid, 0.6).near.tile) == 360
    assert len(flat_nearness(at_pole, grid, 1.1).near.tile) == 1


def test_the_flat_map_takes_corners_where_names_give_them_and_centres_elsewhere():
    here = points(10.0, 20.0).geometries
    regular, equal = RegularGrid(0.2, -80, 80), EqualAreaGrid(0.5)
    corners = regular.bounds(flat_nearness(here, regular, 0.5).near.tile)[:, :2]
    assert np.hypot(*(corners - [10, 20]).T).max() <= 0.5 + 1e-9
    # Points of a lattice of 0.2 degrees within 0.5 of one of its own: 21, counted by hand.
    assert len(corners) == 21
    tiles = flat_nearness(here, equal, 0.5).near.tile
    distance = np.hypot(equal.centers[0] - 10, equal.centers[1] - 20)
    assert np.array_equal(tiles, np.flatnonzero(distance <= 0.5))


def test_a_line_is_near_along_its_whole_length():
    grid = EqualAreaGrid(0.5)
    line = shapely.LineString([(170, 10), (-170, 10), (-170, -5)])
    t = np.linspace(0, 1, 4001)
    lon = np.concatenate([170 + 20 * t, np.full(4001, 190.0)])
    lat = np.concatenate([np.full(4001, 10.0), 10 - 15 * t])
    lon_t, lat_t = grid.centers
    close = np.flatnonzero((np.abs(np.abs(lon_t) - 180) < 12) & (np.abs(lat_t) < 12))
    distance = np.array([great_circle_m(lon_t[i], lat_t[i], lon, lat).min() for i in close])
    slack = 1000 * SPACING_KM**2 / (8 * 29.6)
    assert set(close[distance <= 0.5 * DEGREE_M - slack]) <= near(line, grid)
    assert near(line, grid) <= set(close[distance <= 0.5 * DEGREE_M + 1])


RING = shapely.Polygon(
    [(-40.1, 10.1), (-10, 10.1), (-10, 30), (-40.1, 30)],
    [[(-30, 15), (-20, 15), (-20, 25), (-30, 25)]],
)
CROSSING = shapely.Polygon([(160, -10), (-160, -10), (-160, 10), (160, 10)])
UNWRAPPED = shapely.Polygon([(160, -10), (200, -10), (200, 10), (160, 10)])
SPLIT = shapely.MultiPolygon([shapely.box(160, -10, 180, 10), shapely.box(-180, -10, -160, 10)])
CAP = shapely.Polygon([(lon, -75) for lon in range(-175, 180, 10)])
CAP_AS_BOX = shapely.box(-180, -90, 180, -75)


def in_ring(lon, lat):
    hole = (lon > -30) & (lon < -20) & (lat > 15) & (lat < 25)
    return (lon > -40.1) & (lon < -10) & (lat > 10.1) & (lat < 30) & ~hole


def in_crossing(lon, lat):
    return (np.abs(lon) > 160) & (np.abs(lat) < 10)


def in_cap(lon, lat):
    return lat < -75


@pytest.mark.parametrize(
    ("polygon", "inside"),
    [
        pytest.param(RING, in_ring, id="hole"),
        pytest.param(CROSSING, in_crossing, id="across 180"),
        pytest.param(UNWRAPPED, in_crossing, id="beyond 180"),
        pytest.param(SPLIT, in_crossing, id="split at 180"),
        pytest.param(CAP, in_cap, id="round a pole"),
        pytest.param(CAP_AS_BOX, in_cap, id="box to a pole"),
    ],
)
def test_a_polygon_is_near_within_it_and_round_it(polygon, inside):
    grid = EqualAreaGrid(180 / 91)  # no centre lies on an edge
    lon, lat = grid.centers
    expected = set(np.flatnonzero(inside(lon, lat)).tolist())
    assert set(tiles_inside(np.array([polygon], object), grid).tile.tolist()) == expected
    # The inside sampled finely enough: tiles within 3 degrees of one of the samples.
    x, y = (v.ravel() for v in np.meshgrid(np.arange(-180, 180, 0.2), np.arange(-90, 40, 0.2)))
    keep = inside(x, y)
    tree = cKDTree(unit_vectors(x[keep], y[keep]))
    distance = np.degrees(2 * np.arcsin(tree.query(unit_vectors(lon, lat))[0] / 2))
    found = near(polygon, grid, 3.0)
    assert expected < set(np.flatnonzero(distance < 2.8).tolist()) <= found
    assert found <= set(np.flatnonzero(distance < 3.2).tolist())


def test_the_middle_of_an_outline_does_not_depend_on_the_antimeridian():
    lon, lat = middles(np.array([CROSSING, UNWRAPPED], object))
    assert np.abs(lon) == pytest.approx([180, 180], abs=0.01) and lat == pytest.approx(
        [0, 0], abs=0.01
    )


# Protocols


def published_reading(tile_lon, tile_lat, scores, lon, lat):
    """MarsRetrieval's protocol once more, step by step and without any shared code."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:20_000]
    step = max(1, len(order) // 100)
    sizes = list(range(step, len(order) + 1, step))
    if sizes[-1] != len(order):
        sizes.append(len(order))
    best, precisions, recalls = None, [], []
    for k in sizes:
        chosen = order[:k]
        distance = np.hypot(tile_lon[chosen][:, None] - lon, tile_lat[chosen][:, None] - lat)
        p, r = (distance.min(axis=1) <= 0.5).mean(), (distance.min(axis=0) <= 0.5).mean()
        f1 = 2 * p * r / (p + r) if p + r > 0 else 0.0
        if best is None or f1 > best[0]:
            best = (f1, p, r, k)
        precisions.append(p)
        recalls.append(r)
    area = 0.0
    for i in range(1, len(sizes)):
        area += (recalls[i] - recalls[i - 1]) * (precisions[i] + precisions[i - 1]) / 2
    return *best, area


@pytest.mark.parametrize(
    "grid", [RegularGrid(6.0, -60, 60), EqualAreaGrid(6.0), EqualAreaGrid(30.0)], ids=str
)
def test_legacy_is_the_published_protocol(grid):
    lon, lat = grid.centers
    if isinstance(grid, RegularGrid):
        lon, lat = grid.bounds(np.arange(grid.n_tiles))[:, :2].T
    rng = np.random.default_rng(3)
    chosen = rng.choice(grid.n_tiles, grid.n_tiles // 3, replace=False)
    features = points(*(v[chosen] + rng.uniform(-0.5, 0.5, len(chosen)) for v in (lon, lat)))
    scores = rng.random(grid.n_tiles).astype(np.float32)
    scores[chosen] += 0.5
    curve = GroundTruth.of(features, grid).evaluate(scores).legacy
    x, y = shapely.get_x(features.geometries), shapely.get_y(features.geometries)
    # The protocol takes longitudes as the file has them; these may lie beyond 180.
    x = (x + 180) % 360 - 180
    assert curve.best == pytest.approx(published_reading(lon, lat, scores, x, y))
    assert curve.best.f1 > 0


def test_legacy_ranks_twenty_thousand_tiles_in_a_hundred_steps():
    grid = RegularGrid(1.0, -90, 90)
    outcome = GroundTruth.of(scattered(50), grid).evaluate(np.zeros(grid.n_tiles))
    assert np.array_equal(outcome.legacy.k, np.arange(1, 101) * 200)
    assert outcome.legacy.k[-1] == LEGACY_TOP_K < outcome.corrected.k[-1] == grid.n_tiles


def test_corrected_by_hand():
    # Eight tiles of 90 degrees; two features near the first of them and one near the sixth.
    grid = RegularGrid(90.0, -90, 90)
    lon, lat = grid.centers
    features = points([lon[0], lon[0] + 1, lon[5]], [lat[0], lat[0], lat[5]])
    scores = np.linspace(1, 0, 8)[[1, 0, 2, 3, 4, 5, 6, 7]]  # the second tile ranks first
    outcome = GroundTruth.of(features, grid, 2.0).evaluate(scores)
    curve = outcome.corrected
    assert curve.precision == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 2 / 6, 2 / 7, 2 / 8])
    assert curve.recall == pytest.approx([0, 2 / 3, 2 / 3, 2 / 3, 2 / 3, 1, 1, 1])
    assert curve.auprc == pytest.approx(1 / 2 * 2 / 3 + 2 / 6 * 1 / 3)
    assert curve.best == pytest.approx((4 / 7, 1 / 2, 2 / 3, 2, curve.auprc))
    assert outcome.base_rate == 2 / 8 and outcome.n_tiles == 8


def test_a_perfect_ranking_has_an_area_of_one():
    grid = EqualAreaGrid(6.0)
    features = points(*(v[::7] for v in grid.centers))
    scores = np.zeros(grid.n_tiles)
    scores[::7] = 1
    outcome = GroundTruth.of(features, grid).evaluate(scores)
    assert outcome.corrected.best == (1, 1, 1, features.n_features, pytest.approx(1))
    # Without an anchor at recall 0 the published area lacks what its first step finds.
    assert outcome.legacy.auprc < 1


def test_what_lies_across_the_antimeridian_is_found_by_corrected_alone():
    grid = RegularGrid(0.5, -10, 10)
    features = points(np.full(20, 179.99), np.arange(-9.75, 10, 1.0))
    scores = np.zeros(grid.n_tiles)
    scores[grid.tile_at(np.full(20, -179.9), np.arange(-9.75, 10, 1.0))] = 1
    outcome = GroundTruth.of(features, grid).evaluate(scores)
    assert outcome.corrected.recall[19] == outcome.corrected.precision[19] == 1
    assert outcome.legacy.recall[0] == 0


def test_chance_is_the_mean_over_all_rankings():
    grid = RegularGrid(90.0, -45, 45)  # four tiles
    geometries = [shapely.Point(lon, 1) for lon in (-135, -100, 0, 45)]
    for radius in (1.5, 36.0, 50.0, 85.0):
        truth = GroundTruth.of(catalogue_of(*geometries), grid, radius)
        rankings = [truth.evaluate(np.array(p)) for p in itertools.permutations(range(4))]
        mean = np.mean([ranking.corrected.auprc for ranking in rankings])
        assert rankings[0].chance_auprc == pytest.approx(mean, abs=1e-12)


def test_chance_is_what_random_scores_reach():
    grid = EqualAreaGrid(3.0)
    truth = GroundTruth.of(scattered(400), grid, 2.0)
    rng = np.random.default_rng(5)
    areas = [truth.evaluate(rng.random(grid.n_tiles)) for _ in range(200)]
    chance = areas[0].chance_auprc
    values = np.array([outcome.corrected.auprc for outcome in areas])
    assert abs(values.mean() - chance) < 4 * values.std() / np.sqrt(len(values))
    found = truth.corrected.near.feature
    assert chance == pytest.approx(areas[0].base_rate * len(np.unique(found)) / 400, rel=0.05)


def test_ranking_all_tiles_of_a_mask_changes_nothing_and_a_part_is_its_own_world():
    grid = EqualAreaGrid(6.0)
    truth = GroundTruth.of(scattered(200), grid, 3.0)
    scores = np.random.default_rng(6).random(grid.n_tiles)
    whole = truth.evaluate(scores)
    assert truth.evaluate(scores, np.ones(grid.n_tiles, bool)).to_dict() == whole.to_dict()
    north = grid.centers[1] > 0
    part = truth.evaluate(scores, north)
    lat = middles(truth.catalogue.geometries)[1]
    assert part.n_tiles == north.sum() and part.corrected.n_features == (lat > 0).sum()
    # What the other tiles score is of no account.
    assert truth.evaluate(np.where(north, scores, 9), north).to_dict() == part.to_dict()


def test_a_query_by_example_does_not_find_its_own_tile(small_engine):
    grid = small_engine.index.grid
    lon, lat = (float(v[500]) for v in grid.centers)
    query = Query.like(str(grid.names([500])[0]))
    report = evaluate_query(small_engine, query, points(lon, lat))
    assert report.outcome.n_tiles == grid.n_tiles - 1
    assert report.outcome.corrected.best.recall == 0
    words = evaluate_query(small_engine, Query("dunes"), points(lon, lat))
    assert words.outcome.n_tiles == grid.n_tiles and words.outcome.corrected.recall[-1] == 1


# The command


@pytest.fixture
def evaluate(small_index, tmp_path):
    """Call `mars-map evaluate geolocalization` on the small index with tile centres as features."""
    lon, lat = small_index.grid.centers
    table = "\n".join(f"{x},{y}" for x, y in zip(lon[::5], lat[::5], strict=True))
    catalogue = tmp_path / "features.csv"
    catalogue.write_text(f"lon,lat\n{table}\n,\n")

    def call(*arguments, expect=0, catalogue=catalogue):
        common = ("--index", small_index.folder, "--catalogue", catalogue)
        command = ["evaluate", "geolocalization", *map(str, (*common, *arguments))]
        outcome = CliRunner().invoke(main, command)
        assert outcome.exit_code == expect, outcome.output
        return outcome

    return call


def test_json_is_one_object_with_the_promised_keys(evaluate, small_index):
    answer = json.loads(evaluate("--at", "10,20", "--json").stdout)
    assert answer["index"]["digest"] == small_index.digest
    assert answer["n_skipped"] == 1 and answer["n_features"] == len(
        range(0, small_index.n_tiles, 5)
    )
    for protocol in ("legacy", "corrected"):
        assert {"f1", "precision", "recall", "k", "auprc"} <= set(answer[protocol])
        assert 0 < answer[protocol]["f1"] <= 1
    assert 0 < answer["chance_auprc"] < 1 and answer["query"]["tiles"]


def test_a_table_for_people_and_a_picture(evaluate, tmp_path):
    picture = tmp_path / "curves.png"
    out = evaluate("--at", "10,20", "--curve", picture).stdout
    assert "1 without readable coordinates" in out and "chance" in out
    with Image.open(picture) as image:
        image.load()
        assert image.format == "PNG" and image.width == 1500


def test_test_blocks_confine_the_ranking(evaluate, small_index, tmp_path):
    blocks = tmp_path / "blocks.geojson"
    gpd.GeoSeries([shapely.box(0, 0, 90, 90), shapely.box(-90, -45, 0, 0)], crs=mars_crs()).to_file(
        blocks
    )
    answer = json.loads(evaluate("--at", "-10,20", "--test-blocks", blocks, "--json").stdout)
    lon, lat = small_index.grid.centers
    inside = ((lon >= 0) & (lon <= 90) & (lat >= 0)) | (
        (abs(lon + 45) <= 45) & (abs(lat + 22.5) <= 22.5)
    )
    assert answer["n_tiles"] == inside.sum() and answer["test_blocks"] == "blocks.geojson"


@pytest.mark.parametrize("grid", [EqualAreaGrid(1.0), RegularGrid(2.5, -80, 80)], ids=str)
def test_the_blocks_of_a_split_are_those_of_training(tmp_path, grid):
    split = Split.draw(11)
    split.save(tmp_path / "split.json")
    blocks = read_blocks(tmp_path / "split.json", grid)
    assert np.array_equal(blocks.tiles, split.test_tiles(grid)) and blocks.name == "split.json"
    assert 0.15 < blocks.tiles.mean() < 0.35


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--query", "dunes", "--at", "0,0"),
        ("--query", ""),
        ("--at", "nowhere"),
        ("--at", "0,0", "--test-blocks", "features.csv"),
        ("--at", "0,0", "--test-blocks", "missing.geojson"),
        ("--at", "0,0", "--curve", "no/such/folder.png"),
        ("--at", "0,0", "--index", "nowhere"),
    ],
    ids=lambda a: " ".join(a),
)
def test_bad_input_gets_one_sentence_on_stderr(evaluate, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = evaluate(*arguments, expect=1)
    lines = outcome.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("mars-map: ") and lines[0].endswith(".")
    assert outcome.stdout == ""


def test_a_bad_catalogue_gets_one_sentence_too(evaluate, tmp_path):
    outcome = evaluate("--at", "0,0", expect=1, catalogue=write_bad(tmp_path, "earth.shp"))
    assert len(outcome.stderr.strip().splitlines()) == 1 and "not of Mars" in outcome.stderr
