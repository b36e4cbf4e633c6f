"""Rasters of Mars in any projection: a frame shows what lies under its coordinates."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import from_bounds

from mars_map.errors import MosaicError
from mars_map.mosaics import MosaicRaster, Quad, Reading, check_quad, list_quads
from mars_map.mosaics.quads import quad_of

R = 3_396_190.0
DEG_M = np.pi * R / 180
CTX = f"+proj=eqc +lat_ts=0 +lon_0=0 +R={R:.0f} +units=m +no_defs"
OBLATE = (
    'PROJCS["Mars_2015_Ocentric_Equirectangular_clon_0",GEOGCS["Mars (2015) / Ocentric",'
    'DATUM["Mars (2015)",SPHEROID["Mars (2015)",3396190,169.894447223612]],'
    'PRIMEM["Reference Meridian",0],UNIT["degree",0.0174532925199433]],'
    'PROJECTION["Equirectangular"],PARAMETER["standard_parallel_1",0],'
    'PARAMETER["central_meridian",0],PARAMETER["false_easting",0],'
    'PARAMETER["false_northing",0],UNIT["metre",1]]'
)


def ground(lon, lat):
    """A value of the planet at every point: different everywhere within a degree."""
    lon, lat = np.radians(lon), np.radians(lat)
    return 125 + 55 * np.sin(181 * lon) + 45 * np.sin(140 * lat) + 20 * np.cos(3 * lon + lat)


def write_raster(path: Path, crs, bounds, shape, values=ground, transform=None, **profile) -> Path:
    """Write what `values` gives at the longitudes and latitudes of a raster's pixels."""
    rows, columns = shape
    transform = transform or from_bounds(*bounds, columns, rows)
    crs = CRS.from_user_input(crs)
    column, row = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    x, y = transform * (column, row)
    lon, lat = degrees(crs, x, y)
    pixels = np.nan_to_num(values(lon, lat)).clip(0, 255)
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1} | profile
    with rasterio.open(
        path, "w", width=columns, height=rows, crs=crs, transform=transform, **profile
    ) as file:
        file.write(np.broadcast_to(pixels, (file.count, rows, columns)).astype(profile["dtype"]))
    return path


def degrees(crs, x, y):
    if crs.is_geographic:
        return x, y
    if "169.89" in crs.to_wkt():  # as the CTX mosaic is made: spherical formula, planetocentric
        return x / DEG_M, y / DEG_M
    from pyproj import CRS as ProjCRS

    projected = ProjCRS.from_wkt(crs.to_wkt())
    return Transformer.from_crs(projected, projected.geodetic_crs, always_xy=True).transform(x, y)


def frame_truth(bounds, rows, columns):
    west, south, east, north = bounds
    lon = west + (np.arange(columns) + 0.5) * (east - west) / columns
    lat = north - (np.arange(rows) + 0.5) * (north - south) / rows
    return ground(*np.meshgrid(lon, lat))


SMALL = 3_396_000.0
LAT_ORIGIN = f"+proj=eqc +lat_ts=30 +lat_0=10 +lon_0=5 +x_0=1000 +y_0=-2000 +R={SMALL:.0f} +units=m"
RASTERS = {
    "CTX": (CTX, (4 * DEG_M, -28 * DEG_M, 8 * DEG_M, -24 * DEG_M), (400, 400)),
    "CTX on an ellipsoid": (OBLATE, (4 * DEG_M, -28 * DEG_M, 8 * DEG_M, -24 * DEG_M), (400, 400)),
    "degrees": ("IAU_2015:49900", (0, -32, 12, -20), (600, 600)),
    "0 to 360": ("IAU_2015:49900", (0, -30, 360, 15), (500, 4000)),
    "another sphere": (f"+proj=longlat +R={SMALL:.0f}", (0, -32, 12, -20), (600, 600)),
    "latitude of origin": (LAT_ORIGIN, (-2e5, -2.3e6, 2e5, -1.9e6), (400, 400)),
    "sinusoidal": ("+proj=sinu +lon_0=3 +R=3396190", (0, -1.7e6, 3e5, -1.4e6), (400, 400)),
    "polar": ("+proj=stere +lat_0=-90 +R=3396190", (2e5, 4.1e6, 6e5, 4.4e6), (300, 400)),
}


@pytest.mark.parametrize("name", RASTERS)
def test_a_frame_shows_what_lies_under_its_coordinates(tmp_path, name):
    crs, bounds, shape = RASTERS[name]
    path = write_raster(tmp_path / "mosaic.tif", crs, bounds, shape)
    box = (4.8, -26.4, 5.2, -26.0)
    with MosaicRaster(path) as raster:
        frame = raster.frame(box, 64, 64)
    assert frame.valid.all()
    truth = frame_truth(box, 64, 64)
    assert np.abs(frame.pixels[..., 0] - truth).max() < 2.5
    # The test would tell a shift of half a pixel of the coarsest raster.
    assert np.abs(frame_truth((4.9, -26.4, 5.3, -26.0), 64, 64) - truth).max() > 4


def test_a_square_on_the_ground_is_centred_on_its_point(tmp_path):
    crs, bounds, shape = RASTERS["0 to 360"]
    path = write_raster(tmp_path / "mosaic.tif", crs, bounds, shape)
    with MosaicRaster(path) as raster:
        square = raster.square(-100.0, -15.0, 300_000.0, 65)
    assert square.valid.all()
    lat = -15.0 + (32 - np.arange(65)) * 300 / 65 * 1000 / DEG_M
    assert np.abs(square.pixels[:, 32, 0] - ground(-100.0, lat)).max() < 3


def test_a_tile_over_the_seam_of_a_raster_is_whole(tmp_path):
    crs, bounds, shape = RASTERS["0 to 360"]
    path = write_raster(tmp_path / "mosaic.tif", crs, bounds, shape)
    box = (-1.0, 10.0, 1.0, 12.0)
    with MosaicRaster(path) as raster:
        frame = raster.frame(box, 50, 50)
    assert frame.valid.all()
    # The half pixel at either side of the seam has no neighbour to be interpolated with.
    assert np.abs(frame.pixels[..., 0] - frame_truth(box, 50, 50)).max() < 8


def test_gaps_and_ground_off_the_raster_are_not_valid(tmp_path):
    def with_gap(lon, lat):
        return np.where(lat < -26, 0, ground(lon, lat))

    crs, bounds, shape = RASTERS["CTX"]
    path = write_raster(tmp_path / "quad.tif", crs, bounds, shape, with_gap, nodata=0)
    with MosaicRaster(path) as raster:
        frame = raster.frame((7.0, -27.0, 9.0, -25.0), 100, 100)
        away = raster.frame((20.0, 0.0, 21.0, 1.0), 10, 10)
    assert frame.valid[:49, :49].all() and not frame.valid[52:].any()
    assert not frame.valid[:, 51:].any()
    assert not away.valid.any()


def test_overviews_are_read_where_they_are_fine_enough(tmp_path):
    crs, bounds, shape = RASTERS["degrees"]
    path = write_raster(tmp_path / "mosaic.tif", crs, bounds, shape, tiled=True)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4, 8], rasterio.enums.Resampling.average)
        # The raster itself is blanked, so that only an overview can answer.
        file.write(np.full((1, 600, 600), 7, np.uint8))
    box = (2.0, -30.0, 10.0, -22.0)
    with MosaicRaster(path) as raster:
        coarse = raster.frame(box, 200, 200)
        fine = raster.frame((4.0, -26.0, 4.5, -25.5), 64, 64)
    assert np.abs(coarse.pixels[..., 0] - frame_truth(box, 200, 200)).max() < 4
    assert (fine.pixels == 7).all()


def test_deep_values_are_stretched_as_told(tmp_path):
    crs, bounds, shape = RASTERS["degrees"]
    path = write_raster(
        tmp_path / "deep.tif", crs, bounds, shape, lambda lon, lat: lon * 20, dtype="int16"
    )
    with pytest.raises(MosaicError, match="int16 values; name those to show"):
        MosaicRaster(path)
    with MosaicRaster(path, Reading(stretch=(0.0, 200.0))) as raster:
        frame = raster.frame((4.0, -26.0, 6.0, -24.0), 10, 10)
    assert abs(int(frame.pixels[5, 5, 0]) - 5.1 * 20 / 200 * 255) < 2


def _truncated(path):
    crs, bounds, shape = RASTERS["CTX"]
    write_raster(path, crs, bounds, shape, compress="lzw")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _no_crs(path):
    crs, bounds, shape = RASTERS["CTX"]
    write_raster(path, crs, bounds, shape)
    with rasterio.open(path, "r+") as file:
        file.crs = CRS()


def _swapped(path):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype="uint8",
        count=1,
        width=100,
        height=100,
        crs=CTX,
        transform=from_bounds(-28 * DEG_M, 4 * DEG_M, -24 * DEG_M, 8 * DEG_M, 100, 100),
    ) as file:
        file.write(np.ones((1, 100, 100), np.uint8))


def _elsewhere(path):
    write_raster(path, CTX, (8 * DEG_M, -28 * DEG_M, 12 * DEG_M, -24 * DEG_M), (200, 200))


def _earth(path):
    write_raster(path, "EPSG:4326", (4, -28, 8, -24), (100, 100))


def _text(path):
    path.write_text("this is no raster")


BAD = {
    "truncated": (_truncated, "cut short"),
    "no CRS": (_no_crs, "no coordinate reference system"),
    "swapped": (_swapped, "axes swapped"),
    "elsewhere": (_elsewhere, "does not cover the place that its name tells"),
    "Earth": (_earth, "not a map of Mars"),
    "text": (_text, "no raster"),
}


def _use(path):
    check_quad(path, quad_of(str(path)).box, Reading())
    with MosaicRaster(path) as raster:
        raster.frame((4, -28, 8, -24), 400, 400)


@pytest.mark.parametrize("name", BAD)
def test_a_quad_that_cannot_be_used_is_told_in_one_sentence(tmp_path, name):
    make, message = BAD[name]
    path = tmp_path / "MurrayLab_CTX_V01_E004_N-28_Mosaic.tif"
    make(path)
    with pytest.raises(MosaicError, match=message) as caught:
        _use(path)
    assert str(path) in str(caught.value) and str(caught.value).count(". ") == 0
    # An error of one file does not stay with the thread.
    good = write_raster(tmp_path / "good.tif", *RASTERS["CTX"])
    with MosaicRaster(good) as raster:
        assert raster.frame((4, -28, 8, -24), 40, 40).valid.all()


def test_quads_are_listed_by_their_names(tmp_path):
    names = ("MurrayLab_CTX_V01_E004_N-28_Mosaic.tif", "E-180_N84.tif", "notes.txt", "strange.tif")
    (tmp_path / "inner").mkdir()
    for name in (*names, "inner/MurrayLab_GlobalCTXMosaic_V01_E176_N-88.zip", "E004_N-28.tif"):
        (tmp_path / name).touch()
    listing = list_quads(tmp_path)
    assert [quad.name for quad in listing.quads] == ["E176_N-88", "E004_N-28", "E-180_N84"]
    assert listing.quads[1].box == (4.0, -28.0, 8.0, -24.0)
    assert {bad.name for bad in listing.bad} == {
        "MurrayLab_CTX_V01_E004_N-28_Mosaic.tif",
        "strange.tif",
    }
    assert "second file" in listing.bad[0].reason


def test_a_list_has_urls_and_paths(tmp_path):
    url = "https://example.org/tiles/MurrayLab_GlobalCTXMosaic_V01_E000_N-64.zip"
    (tmp_path / "list.txt").write_text(f"# north\n{url}\n\nquads/E004_N-28.tif  # mine\n")
    remote, local = list_quads(tmp_path / "list.txt").quads
    assert remote == Quad("E000_N-64", url, (0.0, -64.0, 4.0, -60.0)) and remote.is_remote
    assert local.location == str(tmp_path / "quads/E004_N-28.tif") and not local.is_remote


@pytest.mark.parametrize("name", ["E005_N-28.tif", "E184_N00.tif", "E000_N88.tif", "E4_S28.tif"])
def test_a_name_that_is_of_no_quad_is_refused(name):
    with pytest.raises(MosaicError, match="name of"):
        quad_of(name)
