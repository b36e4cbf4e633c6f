"""Units: hits that touch become one, with the area, border and centre they have on the sphere."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from click.testing import CliRunner
from scipy.sparse.csgraph import connected_components

from mars_map.analysis.units import COLUMNS, find_units, units_of, units_table
from mars_map.cli import main
from mars_map.errors import ExportError, QueryError
from mars_map.export import EXPORTERS, TABLES, Units, export_bytes, file_name
from mars_map.planet.grid import EqualAreaGrid, RegularGrid
from mars_map.planet.regions import Box
from mars_map.planet.sphere import RADIUS_M, box_area_km2
from mars_map.search import Query

R = RADIUS_M / 1000
DATE = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)
GRIDS = (EqualAreaGrid(5.0), RegularGrid(8.0, -80, 80), EqualAreaGrid(30.0))


def planted(grid, *boxes):
    """Return the tiles whose centres lie in boxes, and scores that are highest in the first."""
    lon, lat = grid.centers
    inside = [Box(*box).contains(lon, lat) for box in boxes]
    scores = np.zeros(grid.n_tiles, np.float32)
    for i, mask in enumerate(inside):
        scores[mask] = 0.9 - 0.1 * i
    return np.flatnonzero(np.any(inside, axis=0)), scores


@pytest.mark.parametrize("grid", GRIDS, ids=lambda g: f"{g.kind} {g.n_tiles}")
@pytest.mark.parametrize("share", [0.05, 0.3, 0.7])
def test_units_are_the_components_of_neighbours(grid, share):
    tiles = np.random.default_rng(3).permutation(grid.n_tiles)[: max(int(grid.n_tiles * share), 3)]
    chosen = set(tiles.tolist())
    links = np.zeros((grid.n_tiles, grid.n_tiles), np.int8)
    for tile in tiles:
        links[tile, [n for n in grid.neighbours(tile) if n in chosen]] = 1
    n, labels = connected_components(links[np.ix_(tiles, tiles)], directed=False)
    units = find_units(tiles, np.zeros(grid.n_tiles), grid)
    expected = {frozenset(tiles[labels == i].tolist()) for i in range(n)}
    found = {frozenset(part.tolist()) for part in np.split(units.tiles, units.starts[1:-1])}
    assert found == expected


@pytest.mark.parametrize("grid", GRIDS, ids=lambda g: f"{g.kind} {g.n_tiles}")
def test_areas_and_borders_add_up(grid):
    """Against polygons: the union's area, and its border measured edge by edge on the sphere."""
    tiles = np.random.default_rng(5).permutation(grid.n_tiles)[: grid.n_tiles // 3]
    units = find_units(tiles, np.zeros(grid.n_tiles), grid)
    assert units.area_km2.sum() == pytest.approx(box_area_km2(grid.bounds(tiles)).sum(), rel=1e-9)
    assert (np.diff(units.area_km2) <= 1e-6).all()
    outlines = units.outlines(grid)
    assert shapely.is_valid(outlines).all()
    areas = [sphere_area(outline) for outline in outlines]
    np.testing.assert_allclose(areas, units.area_km2, rtol=1e-6)
    borders = [border(outline) for outline in outlines]
    np.testing.assert_allclose(borders, units.perimeter_km, rtol=1e-6, atol=1e-3)


def sphere_area(outline) -> float:
    """Area of a polygon of meridians and parallels: the integral of sin(latitude) over longitude
    along its rings (Green's theorem on the sphere)."""
    total = 0.0
    for part in outline.geoms:
        for ring in (shapely.geometry.polygon.orient(part).exterior, *part.interiors):
            lon, lat = np.radians(shapely.get_coordinates(ring).T)
            sine = np.sin(lat)
            area = R**2 * abs(np.sum(np.diff(lon) * (sine[1:] + sine[:-1]) / 2))
            total += area if ring.equals(part.exterior) else -area
    return total


def border(outline) -> float:
    """Length of the rings, without what lies on the antimeridian on both of its sides."""
    pieces = [b for part in outline.geoms for b in (part.exterior, *part.interiors)]
    total = 0.0
    seams = {-180.0: [], 180.0: []}
    for ring in pieces:
        points = shapely.get_coordinates(ring)
        for (lon1, lat1), (lon2, lat2) in pairwise(points):
            if lat1 == lat2:
                total += R * np.cos(np.radians(lat1)) * np.radians(abs(lon2 - lon1))
            else:
                total += R * np.radians(abs(lat2 - lat1))
                if abs(lon1) == 180.0:
                    seams[lon1].append(shapely.LineString([(0, lat1), (0, lat2)]))
    west, east = (shapely.union_all(seams[side]) for side in (-180.0, 180.0))
    return total - 2 * R * np.radians(shapely.intersection(west, east).length)


def test_a_planted_region_has_its_area():
    grid = EqualAreaGrid(0.5)
    tiles, scores = planted(grid, (20, -12, 47, 9))
    units = find_units(tiles, scores, grid)
    assert len(units) == 1
    assert units.area_km2[0] == pytest.approx(box_area_km2(grid.bounds(tiles)).sum(), rel=1e-3)
    # The tiles of the region are those whose centres lie in it: off by part of a tile at its rim.
    assert units.area_km2[0] == pytest.approx(box_area_km2([20, -12, 47, 9]), rel=0.01)
    assert units.counts[0] == len(tiles)
    assert units.mean_score[0] == pytest.approx(0.9)


@pytest.mark.parametrize("west", [10.0, 170.0, -180.0])
def test_a_box_has_the_border_and_the_centre_that_it_has(west):
    """A box of whole tiles, also across the antimeridian."""
    grid = RegularGrid(2.0, -80, 80)
    south, north, width = 20.0, 50.0, 40.0
    tiles, scores = planted(grid, (west, south, west + width, north))
    units = find_units(tiles, scores, grid)
    assert len(units) == 1
    parallels = np.cos(np.radians([south, north])).sum()
    expected = 2 * R * np.radians(north - south) + R * np.radians(width) * parallels
    assert units.perimeter_km[0] == pytest.approx(expected, rel=1e-9)
    assert units.area_km2[0] == pytest.approx(box_area_km2([0, south, width, north]), rel=1e-9)
    middle = (west + width / 2 + 180) % 360 - 180
    assert (units.lon[0] - middle + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)
    assert units.lat[0] == pytest.approx(centre_latitude(south, north, width), abs=1e-6)


def centre_latitude(south: float, north: float, width: float) -> float:
    """Latitude of the centroid of a box, by summing many points weighted by the cosine."""
    edges = np.radians(np.linspace(south, north, 100_001))
    lat = (edges[1:] + edges[:-1]) / 2
    half = np.radians(width) / 2
    x = np.sum(np.cos(lat) ** 2) * np.sin(half) / half
    return float(np.degrees(np.arctan2(np.sum(np.sin(lat) * np.cos(lat)), x)))


def test_units_across_the_antimeridian_are_one_and_are_cut_there():
    grid = EqualAreaGrid(2.0)
    tiles, scores = planted(grid, (170, -10, -165, 10), (0, 30, 20, 40))
    units = find_units(tiles, scores, grid)
    assert len(units) == 2
    outline = units.outlines(grid)[0]
    assert outline.is_valid
    assert len(outline.geoms) == 2
    assert outline.bounds[0] == -180
    assert outline.bounds[2] == 180
    assert not any(part.interiors for part in outline.geoms)
    assert abs(units.lon[0]) > 165
    assert units.max_score[0] == pytest.approx(0.9)
    assert units.best_tile[0] in tiles


def test_a_pole_cap_and_a_ring():
    grid = EqualAreaGrid(2.0)
    tiles, scores = planted(grid, (-180, 80, 180, 90))
    cap = find_units(tiles, scores, grid)
    assert len(cap) == 1
    assert cap.lat[0] == pytest.approx(90, abs=1e-6)
    assert cap.area_km2[0] == pytest.approx(2 * np.pi * R**2 * (1 - np.sin(np.radians(80))))
    assert cap.perimeter_km[0] == pytest.approx(2 * np.pi * R * np.cos(np.radians(80)))
    tiles, scores = planted(grid, (-180, -4, 180, 4))
    ring = find_units(tiles, scores, grid)
    assert len(ring) == 1
    # It has no centroid: its best tile stands in.
    assert grid.tile_at(ring.lon[0], ring.lat[0]) == ring.best_tile[0]


def test_small_units_are_left_out():
    grid = EqualAreaGrid(2.0)
    tiles, scores = planted(grid, (0, 0, 20, 20), (60, 0, 70, 10), (100, 0, 102, 2))
    units = find_units(tiles, scores, grid)
    least = float(units.area_km2[1])
    large = find_units(tiles, scores, grid, least_km2=least)
    assert (len(units), len(large)) == (3, 2)
    np.testing.assert_array_equal(large.area_km2, units.area_km2[units.area_km2 >= least])
    np.testing.assert_array_equal(large.tiles, units.tiles[: units.starts[len(large)]])
    for least in (-1, 1e12, float("nan")):
        with pytest.raises(QueryError, match="least area"):
            find_units(tiles, scores, grid, least_km2=least)


def test_no_hits_are_no_units(small_engine):
    result = small_engine.search(Query("nothing", threshold=1.0))
    table = units_table(result)
    assert list(table.columns) == [*COLUMNS, "geometry"]
    assert len(table) == 0


def test_the_table_says_what_the_units_are(small_result):
    units, table = units_of(small_result), units_table(small_result)
    assert list(table.columns) == [*COLUMNS, "geometry"]
    assert table["tiles"].sum() == len(small_result.hits)
    assert table["unit"].tolist() == list(range(1, len(units) + 1))
    assert table.crs.to_authority() == ("IAU_2015", "49900")
    best = small_result.index.grid.names(small_result.hits[:1])[0]
    assert best in set(table["best_tile"])
    assert all(len(name) <= 10 for name in table.columns)


@pytest.mark.parametrize("form", TABLES)
def test_an_export_of_units_lands_where_it_left(small_engine, form, tmp_path):
    """Also the unit across the antimeridian, and one with a hole."""
    result = planted_result(small_engine)
    sent = units_table(result, DATE)
    data = export_bytes(result, form, date=DATE, layer=Units())
    assert file_name(result, form, Units()).startswith("mars-dunes-units.")
    if form == "csv":
        table = pd.read_csv(io.BytesIO(data))
        assert list(table.columns) == list(COLUMNS)
    else:
        path = tmp_path / f"units{EXPORTERS[form].extension}"
        path.write_bytes(data)
        table = gpd.read_parquet(path) if form == "parquet" else gpd.read_file(path)
        assert table.geometry.is_valid.all()
        if form != "kml":
            assert table.crs.ellipsoid.semi_major_metre == RADIUS_M
        for ours, theirs in zip(sent.geometry, table.geometry, strict=True):
            np.testing.assert_allclose(theirs.bounds, ours.bounds, atol=1e-6)
            assert shapely.force_2d(theirs).symmetric_difference(ours).area < 1e-4
    for name in ("area_km2", "perim_km", "lon", "lat", "mean_score", "max_score"):
        np.testing.assert_allclose(table[name].astype(float), sent[name], atol=1e-3)
    assert table["best_tile"].tolist() == sent["best_tile"].tolist()


def planted_result(engine):
    """Hits that lie in a ring, and in two groups on either side of the antimeridian."""
    grid = engine.index.grid
    ring = np.setdiff1d(planted(grid, (0, -40, 80, 10))[0], planted(grid, (25, -25, 55, -5))[0])
    hits = np.union1d(ring, planted(grid, (170, -20, -165, 20))[0])
    result = replace(engine.search(Query("dunes")), hits=hits)
    outlines = units_of(result).outlines(grid)
    assert len(outlines) == 2
    assert any(part.interiors for part in outlines[0].geoms)
    assert len(outlines[1].geoms) == 2
    return result


def test_what_an_export_of_units_tells_of_itself(small_engine):
    result = planted_result(small_engine)
    collection = json.loads(export_bytes(result, "geojson", layer=Units(least_km2=5e6)))
    assert collection["name"] == "units"
    assert collection["crs"]["properties"]["name"] == "urn:ogc:def:crs:IAU:2015:49900"
    assert collection["mars_map"]["units"]["least_km2"] == 5e6
    assert collection["mars_map"]["columns"] == COLUMNS
    assert [feature["properties"]["unit"] for feature in collection["features"]] == [1]


def test_a_picture_holds_no_units(small_result):
    with pytest.raises(ExportError, match="does not hold units"):
        export_bytes(small_result, "heat", layer=Units())


def test_the_shell_lists_and_writes_units(small_index, tmp_path):
    asked = ["similar", "--at", "20,10", "--index", str(small_index.folder), "--top-k", "90"]

    def run(*more, code=0):
        outcome = CliRunner().invoke(main, [*asked, "--as", "units", *more])
        assert outcome.exit_code == code, outcome.output
        return outcome

    lines = run().stdout.splitlines()
    assert lines[0].split() == ["unit", "tiles", "km2", "score", "centroid"]
    assert sum(int(line.split()[1]) for line in lines[1:]) == 90
    run("--format", "gpkg", "-o", str(tmp_path / "units.gpkg"))
    assert len(gpd.read_file(tmp_path / "units.gpkg")) == len(lines) - 1
    assert len(json.loads(run("--format", "json").stdout)["features"]) == len(lines) - 1
    assert "No unit is as large" in run("--least-area", "140e6").stdout
    assert "least area" in run("--least-area=-1", code=1).output
