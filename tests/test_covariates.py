"""Covariates: exact means over footprints, known places of Mars, foreign rasters and bad ones."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_bounds

from mars_map.analysis.own import read_own
from mars_map.build.covariates import build_covariates, unseen
from mars_map.build.inputs import ALBEDO, THERMAL_INERTIA, Inputs
from mars_map.covariates import COVARIATES, FILTERS, Covariates, slope_cells
from mars_map.covariates.distance import nearest_distance_km
from mars_map.covariates.footprints import CellRaster, footprint_means
from mars_map.covariates.rasters import read_cells
from mars_map.errors import BuildError, CovariateError, MarsMapError, QueryError
from mars_map.mosaics import MosaicRaster
from mars_map.planet.grid import EqualAreaGrid, RegularGrid
from mars_map.planet.regions import LatitudeBand
from mars_map.planet.sphere import (
    METRES_PER_DEGREE,
    great_circle_m,
    mars_crs,
    planetocentric_latitude,
)
from mars_map.search import Filter, Query

GRID = EqualAreaGrid(3.0)


@pytest.fixture(scope="module")
def covariates() -> Covariates:
    """The embedded covariates on the grid of the embedded index."""
    return Covariates(EqualAreaGrid(0.5))


def cells(values: np.ndarray, west: float = -180.0, east: float = 180.0) -> CellRaster:
    """Return cells of the whole height of the planet."""
    rows, columns = values.shape
    return CellRaster(values, np.linspace(-90, 90, rows + 1), np.linspace(west, east, columns + 1))


def write(path, values, bounds=(-180, -90, 180, 90), crs=None, **options):
    """Write values from the north as a GeoTIFF."""
    rows, columns = values.shape
    profile = {"driver": "GTiff", "count": 1, "height": rows, "width": columns}
    profile |= {"dtype": values.dtype.name, "transform": from_bounds(*bounds, columns, rows)}
    profile |= {"crs": crs or mars_crs().to_wkt()} if crs != "none" else {}
    with rasterio.open(path, "w", **profile | options) as raster:
        raster.write(values, 1)
    return path


@pytest.mark.parametrize("grid", [GRID, RegularGrid(8.0, -80, 80)], ids=["equal", "regular"])
def test_means_are_those_of_a_much_finer_sampling(grid):
    values = np.random.default_rng(1).normal(size=(36, 72)).astype(np.float32)
    found = footprint_means(cells(values), grid)
    for tile in np.linspace(0, grid.n_tiles - 1, 40).astype(int):
        west, south, east, north = grid.bounds(tile)
        lon = west + (np.arange(400) + 0.5) / 400 * (east - west)
        # Equal steps of the sine of the latitude are equal areas.
        sines = np.linspace(*np.sin(np.radians([south, north])), 801)[1::2]
        row = ((np.degrees(np.arcsin(sines)) + 90) / 5).astype(int)
        column = ((lon + 180) / 5).astype(int)
        assert found[tile] == pytest.approx(values[np.ix_(row, column)].mean(), abs=0.01)


def test_the_sum_over_all_tiles_is_the_sum_over_the_planet():
    values = np.random.default_rng(2).normal(size=(90, 180))
    found = footprint_means(cells(values), GRID)
    heights = np.diff(np.sin(np.radians(np.linspace(-90, 90, 91))))
    expected = (values.mean(axis=1) * heights).sum() / 2
    assert np.average(found, weights=GRID.areas_km2) == pytest.approx(expected, abs=1e-6)


def test_any_convention_of_longitude_gives_the_same():
    values = np.random.default_rng(3).normal(size=(18, 36))
    found = footprint_means(cells(values), GRID)
    for turn in (-360.0, 360.0):
        shifted = footprint_means(cells(values, -180 + turn, 180 + turn), GRID)
        np.testing.assert_allclose(shifted, found, rtol=1e-5, atol=1e-6)
    rolled = footprint_means(cells(np.roll(values, 18, axis=1), 0, 360), GRID)
    np.testing.assert_allclose(rolled, found, rtol=1e-5, atol=1e-6)


def test_too_little_known_is_unknown_and_the_rest_is_not_diluted():
    values = np.full((60, 120), np.nan)
    values[:, 60:] = 7.0
    found = footprint_means(cells(values), GRID)
    bounds = GRID.bounds(np.arange(GRID.n_tiles))
    middle = (bounds[:, 0] + bounds[:, 2]) / 2
    assert np.isnan(found[middle < -1e-6]).all()
    np.testing.assert_allclose(found[middle > 1e-6], 7.0)


def test_slopes_are_those_of_planes():
    lat_edges = np.linspace(-90, 90, 721)
    rise = 0.02 * METRES_PER_DEGREE * (lat_edges[:-1] + 0.125)
    raster = cells(np.repeat(rise[:, np.newaxis], 1440, axis=1))
    slope = slope_cells(raster).values
    np.testing.assert_allclose(slope[2:-2], np.degrees(np.arctan(0.02)), rtol=1e-3)
    lon = np.arange(1440) * 0.25
    wave = 1000 * np.sin(np.radians(lon))[np.newaxis] * np.ones((720, 1))
    steepest = slope_cells(cells(wave)).values[360].max()
    assert steepest == pytest.approx(
        np.degrees(np.arctan(1000 / np.degrees(1) / METRES_PER_DEGREE)), rel=1e-3
    )


def test_distances_are_great_circles():
    lon, lat = np.array([0.0, 179.0, -120.0]), np.array([0.0, 10.0, 89.0])
    found = nearest_distance_km(GRID, lon, lat)
    x, y = GRID.centers
    expected = great_circle_m(x[:, np.newaxis], y[:, np.newaxis], lon, lat).min(axis=1) / 1000
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=0.01)


@pytest.mark.parametrize(
    ("name", "lon", "lat", "low", "high"),
    [
        ("elevation", 137.0, -4.7, -4600, -4000),  # floor of Gale
        ("elevation", -133.8, 18.65, 18000, 21300),  # Olympus Mons
        ("elevation", 70.0, -42.0, -8300, -6000),  # Hellas
        ("thermal_inertia", -115.0, 5.0, 40, 100),  # dust of Tharsis
        ("thermal_inertia", 137.4, -4.6, 200, 450),  # Gale
        ("thermal_inertia", 87.0, 13.0, 200, 500),  # Isidis
        ("albedo", -115.0, 5.0, 0.26, 0.32),  # Tharsis
        ("albedo", 68.0, 9.0, 0.08, 0.13),  # Syrtis Major
        ("slope", -70.5, -12.5, 2.0, 20.0),  # wall of Valles Marineris
        ("slope", -160.0, 45.0, 0.0, 0.3),  # Arcadia Planitia
        ("latitude", 0.1, 45.1, 45.0, 45.5),
        ("latitude_abs", 0.1, -45.1, 45.0, 45.5),
        ("km_to_chaos", -36.0, 1.0, 0.0, 400.0),
        ("km_to_volcano", -133.8, 18.65, 0.0, 80.0),
    ],
)
def test_known_places_have_their_values(covariates, name, lon, lat, low, high):
    assert low <= covariates(name)[covariates.grid.tile_at(lon, lat)] <= high


def test_all_covariates_cover_the_planet(covariates):
    for name in COVARIATES:
        values = covariates(name)
        assert values.dtype == np.float32 and values.shape == (covariates.grid.n_tiles,)
        assert np.isfinite(values).mean() > 0.99, name
        assert not values.flags.writeable and covariates(name) is values
    # TES did not see the poles, and says nothing of them.
    assert np.isnan(covariates("albedo")[[0, -1]]).all()
    assert set(FILTERS) < set(COVARIATES)


def test_a_filter_limits_what_is_ranked(small_engine):
    query = Query("dunes", filters=(Filter("elevation", None, -2000.0),), top_k=20_000)
    elevation = small_engine.covariate("elevation")
    hits = small_engine.search(query).hits
    np.testing.assert_array_equal(np.sort(hits), np.flatnonzero(elevation <= -2000))
    north = query.with_(region=LatitudeBand(0, 90))
    lat = small_engine.index.grid.centers[1]
    both = np.flatnonzero((elevation <= -2000) & (lat >= 0))
    np.testing.assert_array_equal(np.sort(small_engine.search(north).hits), both)
    best = small_engine.search(query.with_(top_k=5))
    assert len(best.hits) == 5, "limits come before the ranking"


def test_unknown_names_are_refused(small_engine):
    with pytest.raises(CovariateError, match="choose from elevation"):
        small_engine.search(Query("dunes", filters=(Filter("gravity", 0.0),)))
    with pytest.raises(QueryError):
        Filter("elevation")


def test_a_missing_raster_is_one_sentence(tmp_path):
    with pytest.raises(CovariateError, match="missing"):
        Covariates(GRID, rasters=tmp_path)("albedo")


@pytest.mark.parametrize(
    ("crs", "bounds"),
    [
        (None, (-180, -90, 180, 90)),
        (None, (0, -90, 360, 90)),
        ("IAU_2015:49910", None),
        ("+proj=eqc +lon_0=180 +R=3396190 +units=m", None),
        ("+proj=eqc +lat_ts=30 +lon_0=0 +R=3396000 +units=m", None),
    ],
    ids=["-180", "360", "metres", "metres from 180", "standard parallel"],
)
def test_rasters_of_any_cylindrical_system_lie_where_they_should(tmp_path, crs, bounds):
    """A raster of longitudes and latitudes: cos(lon) cos(lat) is the same in every convention."""
    lon = (np.arange(720) + 0.5) * 0.5 + (-180 if bounds is None or bounds[0] < 0 else 0)
    if crs and "lon_0=180" in crs:
        lon = lon + 180
    lat = 90 - (np.arange(360) + 0.5) * 0.5
    values = np.cos(np.radians(lat))[:, np.newaxis] * np.cos(np.radians(lon))
    if bounds is None:
        radius = 3396000.0 if "3396000" in crs else 3396190.0
        half = np.pi * radius * (np.cos(np.radians(30)) if "lat_ts" in crs else 1)
        bounds = (-half, -np.pi * radius / 2, half, np.pi * radius / 2)
    path = write(tmp_path / "a.tif", values.astype(np.float32), bounds, crs)
    x, y = (np.radians(v) for v in GRID.centers)
    found = footprint_means(read_cells(path), GRID)
    np.testing.assert_allclose(found, np.cos(x) * np.cos(y), atol=0.03)


@pytest.mark.parametrize(("called", "is_graphic"), [("Mars 2000", False), ("Ographic", True)])
def test_latitudes_of_an_ellipsoid_are_read_as_mosaics_read_them(tmp_path, called, is_graphic):
    """A raster on the CTX mosaic's own system must not lie a third of a degree beside it."""
    crs = rasterio.CRS.from_wkt(
        f'PROJCS["Equirectangular {called}",GEOGCS["{called}",DATUM["Mars",'
        'SPHEROID["Mars",3396190,169.894447223612]],PRIMEM["Reference_Meridian",0],'
        'UNIT["degree",0.0174532925199433]],PROJECTION["Equirectangular"],'
        'PARAMETER["standard_parallel_1",0],PARAMETER["central_meridian",0],UNIT["metre",1]]'
    )
    half = np.pi * 3_396_190.0
    path = write(
        tmp_path / "e.tif", np.ones((8, 8), np.uint8), (-half, -half / 2, half, half / 2), crs
    )
    expected = planetocentric_latitude(45.0) if is_graphic else 45.0
    assert read_cells(path).lat_edges[6] == pytest.approx(expected, abs=1e-6)
    with MosaicRaster(path) as raster:
        assert (raster.georeference.squash is not None) == is_graphic


def test_a_polar_raster_covers_its_cap(tmp_path):
    values = np.full((400, 400), 5.0, np.float32)
    half = 1_000_000.0
    path = write(tmp_path / "pole.tif", values, (-half, -half, half, half), "IAU_2015:49930")
    found = footprint_means(read_cells(path), GRID)
    _, lat = GRID.centers
    np.testing.assert_allclose(found[lat > 78], 5.0)
    assert np.isnan(found[lat < 60]).all()


def test_large_rasters_are_averaged_and_scales_are_obeyed(tmp_path, monkeypatch):
    monkeypatch.setattr("mars_map.covariates.rasters.MAX_CELLS", (90, 180))
    values = np.random.default_rng(4).integers(1, 200, (360, 720)).astype(np.uint8)
    values[:, :360] = 0
    path = write(tmp_path / "big.tif", values, nodata=0)
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = (0.5,), (10.0,)
    raster = read_cells(path)
    assert raster.values.shape == (90, 180)
    assert np.isnan(raster.values[:, :90]).all()
    assert np.nanmean(raster.values) == pytest.approx(values[values > 0].mean() / 2 + 10, rel=0.01)


def test_a_raster_of_ones_own_tells_what_it_covers(tmp_path):
    values = np.random.default_rng(5).normal(size=(180, 90)).astype(np.float32)
    half = read_own(write(tmp_path / "dust.tif", values, (-180, -90, 0, 90)), GRID)
    assert half.covariate.title == "dust (covers 50%)"
    assert np.isfinite(half.values).mean() == pytest.approx(0.5, abs=0.02)


def test_a_catalogue_of_ones_own_is_a_distance(tmp_path):
    table = tmp_path / "sites.csv"
    table.write_text("name,lon,lat\nGale,137.4,-4.6\nJezero,77.7,18.4\nbad,,\n")
    own = read_own(table, EqualAreaGrid(0.5))
    grid = EqualAreaGrid(0.5)
    assert own.values[grid.tile_at(137.4, -4.6)] < 25
    assert own.values[grid.tile_at(-42.0, 5.0)] == pytest.approx(
        great_circle_m(-42, 5, 77.7, 18.4) / 1000, rel=0.01
    )
    area = tmp_path / "area.geojson"
    area.write_text(
        '{"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": '
        "[[[0, 0], [20, 0], [20, 20], [0, 20], [0, 0]]]}}"
    )
    inside = read_own(area, grid).values
    assert inside[grid.tile_at(10, 10)] == 0
    assert inside[grid.tile_at(30, 0.2)] == pytest.approx(10 * METRES_PER_DEGREE / 1000, rel=0.03)


def _bad_rasters(folder):
    values = np.ones((18, 36), np.float32)
    (folder / "text.tif").write_text("no raster at all")
    yield folder / "text.tif"
    yield folder / "absent.tif"
    yield write(folder / "earth.tif", values, crs="EPSG:4326")
    yield write(folder / "moon.tif", values, crs="IAU_2015:30100")
    yield write(folder / "none.tif", values, crs="none")
    yield write(folder / "empty.tif", values, nodata=1)
    yield write(folder / "small.tif", values, (0, 0, 10, 10))
    yield write(folder / "off.tif", values, (-180, -900, 180, 900))
    (folder / "notes.docx").write_text("words")
    yield folder / "notes.docx"
    (folder / "table.csv").write_text("a,b\n1,2\n")
    yield folder / "table.csv"


def test_bad_files_get_one_sentence_each(tmp_path):
    for path in _bad_rasters(tmp_path):
        with pytest.raises(CovariateError) as caught:
            read_own(path, GRID)
        said = str(caught.value)
        assert isinstance(caught.value, MarsMapError) and said.endswith("."), said
        assert path.name in said, said


def test_the_build_keeps_values_and_marks_what_was_not_seen(tmp_path):
    latitude = 90 - (np.arange(360) + 0.5) / 2
    random = np.random.default_rng(6)
    inertia = random.integers(20, 500, (360, 720)).astype(np.float32)
    albedo = (0.06 + random.integers(1, 256, (360, 720)) * 0.26 / 255).astype(np.float32)
    inertia[np.abs(latitude) > 87] = 20
    albedo[np.abs(latitude) > 87] = 0.06
    inertia[180, 100], albedo[180, 100] = 20, 0.06
    for name, values in ((THERMAL_INERTIA, inertia), (ALBEDO, albedo)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, values)
    made = build_covariates(Inputs(tmp_path), tmp_path / "out", lambda *_: None)
    assert [path.name for path in made] == ["thermal_inertia.tif", "albedo.tif"]
    for path, source in zip(made, (inertia, albedo), strict=True):
        found = read_cells(path).values[::-1]
        assert np.isnan(found[np.abs(latitude) > 87]).all()
        seen = np.abs(latitude) < 80
        np.testing.assert_allclose(found[seen], source[seen], atol=0.0011)
    assert not unseen(inertia)[180, 100], "dust at the equator may have the least value"
    with pytest.raises(BuildError, match="lack"):
        build_covariates(Inputs(tmp_path / "none"), tmp_path / "out", lambda *_: None)
