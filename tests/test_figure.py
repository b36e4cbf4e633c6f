"""Figures for print: each shows what it says, where it is, in all three formats."""

import io
import json
import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from mars_map.export import export_bytes
from mars_map.export.provenance import Provenance
from mars_map.maps import figure as figure_module
from mars_map.maps.basemap import Basemaps
from mars_map.maps.figure import HEAT_OPACITY, result_figure
from mars_map.maps.frames import (
    FlatFrame,
    PolarFrame,
    frame_of,
    graticule_step,
    latitude_text,
    longitude_text,
)
from mars_map.maps.heat import heat_palette
from mars_map.planet.regions import Box, LatitudeBand, Polygon
from mars_map.planet.sphere import great_circle_m
from mars_map.search import Query
from tests.colours import colour_positions

DATE = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)
NAMES = """dunes <b> $x_1$ & “Gale” """
REGIONS = {
    "planet": None,
    "box": Box(100, -40, 170, 10),
    "across 180": Box(150, 20, -150, 50),
    "north": LatitudeBand(65, 90),
    "south": LatitudeBand(-90, -70),
}
MIDDLES = {"planet": (137.8, -5.4), "across 180": (-178.0, 35.0), "south": (40.0, -80.0)}
"""Where the best tiles of some regions are."""
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module", autouse=True)
def coarse_paper():
    """A quarter of the dots: the same figures in a tenth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure_module, "DPI", 75)
        yield


@pytest.fixture(scope="module")
def pictures(small_engine, coarse_paper):
    """Each figure as an array, with its result and the frame that the file says it has."""

    def make(name):
        grid = small_engine.index.grid
        (tile,) = grid.names([grid.tile_at(*MIDDLES[name])])
        result = small_engine.search(Query.like(tile, region=REGIONS[name], top_k=3))
        data = export_bytes(result, "png", date=DATE)
        picture = Image.open(io.BytesIO(data))
        record = json.loads(picture.text["mars_map"])
        return np.asarray(picture.convert("RGB")), result, record

    return {name: make(name) for name in MIDDLES}


@pytest.mark.parametrize("name", MIDDLES)
def test_the_colour_at_a_tile_is_its_scores(pictures, name):
    """Read the file as a stranger would: by the CRS and the extent that it carries."""
    picture, result, record = pictures[name]
    frame = frame_of(REGIONS[name])
    assert record["frame"]["crs"] == frame.crs
    left, right, bottom, top = record["frame"]["extent"]
    x0, x1, y0, y1 = record["frame"]["pixels"]
    levels = colour_positions(result.scores)
    mask = np.ones(len(levels), bool) if result.region_mask is None else result.region_mask
    # Full colour, away from the outlines of hits and from what is drawn in the corner.
    wanted = np.flatnonzero(mask & (levels > 0.5) & ~np.isin(np.arange(len(mask)), result.hits))
    lon, lat = (axis[wanted] for axis in result.index.grid.centers)
    x, y = frame.project(lon + 0.7, lat + 0.7)
    column = np.rint(x0 + (x - left) / (right - left) * (x1 - x0)).astype(int)
    row = np.rint(y0 + (y - bottom) / (top - bottom) * (y1 - y0)).astype(int)
    colours = heat_palette()[np.rint(levels[wanted] * 255).astype(int), :3].astype(float)
    seen = picture[row, column].astype(float)
    # What shines through of the ground is the same grey in all three channels.
    rest = seen - colours * HEAT_OPACITY
    is_heat = np.ptp(rest, axis=1) < 6
    assert len(wanted) > 3 and is_heat.mean() > 0.8
    assert np.ptp(seen - np.roll(colours, 5, axis=0) * HEAT_OPACITY, axis=1).mean() > 12


@pytest.mark.parametrize("name", MIDDLES)
def test_a_figure_carries_its_provenance(pictures, name):
    picture, result, record = pictures[name]
    frame = record.pop("frame")
    assert record == json.loads(Provenance(result, DATE).to_json())
    assert picture.shape[1] == 531, "180 mm at 75 dots an inch"
    assert 0 < frame["pixels"][0] < frame["pixels"][1] < 531


def test_svg_keeps_letters_as_letters(small_engine):
    result = small_engine.search(Query(NAMES, region=REGIONS["box"], top_k=3))
    data = export_bytes(result, "svg", date=DATE)
    root = ElementTree.fromstring(data)
    texts = [" ".join(node.itertext()).strip() for node in root.iter(f"{SVG}text")]
    assert f"“{result.query.label}” on Mars." in " ".join(texts), "no formula, no markup"
    assert {"120° E", "20° S", "0°"} <= set(texts)
    assert any(re.fullmatch(r"[\d,]+ km at 15° S", text) for text in texts)
    described = [node.text for node in root.iter("{http://purl.org/dc/elements/1.1/}description")]
    assert json.loads(described[0])["index"]["digest"] == result.index.digest
    (outlines,) = (node for node in root.iter(f"{SVG}g") if node.get("id") == "footprints")
    assert len(list(outlines.iter(f"{SVG}path"))) == 3


def test_the_same_result_gives_the_same_drawing(small_engine):
    result = small_engine.search(Query("dunes", region=REGIONS["box"], top_k=3))
    assert export_bytes(result, "svg", date=DATE) == export_bytes(result, "svg", date=DATE)


def test_pdf_embeds_its_fonts(small_engine):
    result = small_engine.search(Query("dunes", region=REGIONS["north"], top_k=3))
    data = export_bytes(result, "pdf", date=DATE)
    assert data.startswith(b"%PDF") and b"/FontFile2" in data
    assert b"(D:20260131120005" in data and result.index.digest.encode() in data


def test_a_figure_without_hits_says_so(small_engine):
    result = small_engine.search(Query("dunes", threshold=1.0, region=REGIONS["box"]))
    figure = result_figure(result)
    caption = " ".join(word for text in figure.texts for word in text.get_text().split())
    assert "no tile is a hit" in caption


def test_the_caption_stays_on_the_paper(small_engine):
    result = small_engine.search(Query("w" * 295 + " a", region=REGIONS["box"], top_k=2))
    figure = result_figure(result)
    renderer = FigureCanvasAgg(figure).get_renderer()
    right = max(text.get_window_extent(renderer).x1 for text in figure.texts)
    bottom = min(text.get_window_extent(renderer).y0 for text in figure.texts)
    assert right <= figure.bbox.x1 and bottom >= 0


@pytest.mark.parametrize("name", REGIONS)
def test_the_scale_bar_is_true_at_the_middle_latitude(name):
    frame = frame_of(REGIONS[name])
    lat = frame.middle_latitude
    lon = np.array([30.0, 30.01]) if name != "across 180" else np.array([179.0, 179.01])
    x, y = frame.project(lon, [lat, lat])
    on_paper = np.hypot(np.diff(x), np.diff(y))[0] * frame.metres_per_unit
    np.testing.assert_allclose(on_paper, great_circle_m(lon[0], lat, lon[1], lat), rtol=1e-4)


@pytest.mark.parametrize("name", REGIONS)
def test_pixels_lie_where_they_are_projected(name):
    frame = frame_of(REGIONS[name])
    lon, lat = frame.lonlat(60, 40)
    x, y = frame.project(lon, lat)
    left, right, bottom, top = frame.extent
    np.testing.assert_allclose((x - left) / (right - left) * 60, np.mgrid[:40, :60][1] + 0.5)
    np.testing.assert_allclose((top - y) / (top - bottom) * 40, np.mgrid[:40, :60][0] + 0.5)


@pytest.mark.parametrize("name", ["box", "across 180", "north", "south"])
def test_the_basemap_lies_under_the_result(name):
    """Compare the picture of the frame with the planet's picture, point by point."""
    basemaps = Basemaps()
    frame = frame_of(REGIONS[name])
    size = (300, max(2, round(300 * frame.ratio)))
    shown = frame.picture(basemaps.raster("viking"), *size).astype(float).mean(axis=2)
    planet = basemaps.planet("viking", 4096).astype(float).mean(axis=2)
    lon, lat = frame.lonlat(*size)
    wanted = planet[
        np.clip(((90 - lat) / 180 * 2048).astype(int), 0, 2047),
        np.clip(((lon + 180) / 360 * 4096).astype(int), 0, 4095),
    ]
    inside = np.abs(lat) > np.abs(frame.edge) if isinstance(frame, PolarFrame) else np.isfinite(lat)

    def likeness(picture):
        return np.corrcoef(shown[inside], picture[inside])[0, 1]

    assert likeness(wanted) > 0.75
    assert likeness(np.roll(wanted, 6, axis=0)) < likeness(wanted) - 0.2


def test_regions_get_the_frame_that_fits_them():
    assert frame_of(None) == FlatFrame(-180.0, -90.0, 180.0, 90.0)
    crossing = frame_of(Polygon(((170, 0), (-170, 0), (180, 10))))
    assert isinstance(crossing, FlatFrame) and 150 < crossing.west < 170 < 190 < crossing.east < 210
    assert frame_of(Box(10, 62, 40, 80)) == PolarFrame(61.0)
    assert frame_of(LatitudeBand(-90, -60)) == PolarFrame(-59.0)
    assert isinstance(frame_of(LatitudeBand(50, 90)), FlatFrame)
    assert frame_of(LatitudeBand(-10, 10)).extent[:2] == (-180.0, 180.0)


def test_labels_of_the_graticule():
    assert [longitude_text(v) for v in (-180, 190, 0, 30.5)] == ["180°", "170° W", "0°", "30.5° E"]
    assert [latitude_text(v) for v in (-90, 0, 2.5)] == ["90° S", "0°", "2.5° N"]
    assert graticule_step(360) == 60 and graticule_step(50) == 10 and graticule_step(1.0) == 0.2
