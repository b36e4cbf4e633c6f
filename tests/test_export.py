"""Exports: each format lands where it left, whole or not at all."""

import errno
import io
import json
import os
import re
import resource
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import pytest
import rasterio

from mars_map.errors import ExportError
from mars_map.export import EXPORTERS, Provenance, export_bytes, export_result, file_name
from mars_map.export.citation import citation_text, references
from mars_map.export.shapefile import shorten
from mars_map.export.spreadsheet import defuse
from mars_map.maps.footprints import COLUMNS, to_geodataframe
from mars_map.planet.regions import Box, LatitudeBand
from mars_map.search import Query

DATE = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)
VECTOR_FORMATS = ("geojson", "shapefile", "gpkg", "parquet")
AWKWARD = """crater "Gale", dunes; =1+1 <b>Žulanka</b> {{ 7 * 7 }} 山 🦀 it's"""
KML = "{http://www.opengis.net/kml/2.2}"
vector_formats = pytest.mark.parametrize("form", VECTOR_FORMATS)


def read(data: bytes, form: str, folder: Path) -> gpd.GeoDataFrame:
    """Read an export as another program would: through GDAL, or pyarrow for GeoParquet."""
    path = folder / f"hits{EXPORTERS[form].extension}"
    path.write_bytes(data)
    return gpd.read_parquet(path) if form == "parquet" else gpd.read_file(path)


@pytest.fixture(scope="module")
def planet_result(small_engine):
    """Every tile of the planet: both poles and both sides of the antimeridian."""
    return small_engine.search(Query(AWKWARD, top_k=small_engine.index.n_tiles))


@vector_formats
def test_every_tile_lands_where_it_left(planet_result, form, tmp_path):
    frame = read(export_bytes(planet_result, form, date=DATE), form, tmp_path)
    assert len(frame) == planet_result.index.n_tiles
    assert frame.crs.ellipsoid.semi_major_metre == 3_396_190
    assert frame.crs.ellipsoid.inverse_flattening == 0
    assert frame.crs.is_geographic
    expected = planet_result.index.grid.bounds(planet_result.hits)
    np.testing.assert_allclose(frame.geometry.bounds.to_numpy(), expected, atol=1e-6)
    assert set(frame.geometry.geom_type) == {"Polygon"}
    assert frame.geometry.is_valid.all()


@vector_formats
def test_columns_come_back(planet_result, form, tmp_path):
    frame = read(export_bytes(planet_result, form, date=DATE), form, tmp_path)
    sent = to_geodataframe(planet_result, DATE)
    assert list(frame.columns) == [*COLUMNS, "geometry"]
    for name in ("rank", "tile", "query", "model", "index"):
        assert frame[name].tolist() == sent[name].tolist()
    for name in ("score", "lon", "lat", "west", "south", "east", "north"):
        np.testing.assert_allclose(frame[name], sent[name], atol=1e-6)
    assert (pd.to_datetime(frame["date"], utc=True) == DATE).all()


def test_csv_comes_back(planet_result):
    data = io.BytesIO(export_bytes(planet_result, "csv", date=DATE))
    # Twelve hex digits such as 6828364381e0 would be a number.
    table = pd.read_csv(data, dtype={"index": str})
    sent = to_geodataframe(planet_result, DATE).drop(columns="geometry")
    assert list(table.columns) == list(COLUMNS)
    pd.testing.assert_frame_equal(table, pd.DataFrame(sent), check_dtype=False)


@pytest.mark.parametrize("form", [*VECTOR_FORMATS, "csv"])
def test_no_hits_are_a_table_without_rows(small_engine, form, tmp_path):
    result = small_engine.search(Query("nothing", threshold=1.0))
    data = export_bytes(result, form)
    if form == "csv":
        assert data.decode().splitlines() == [",".join(COLUMNS)]
    else:
        assert len(read(data, form, tmp_path)) == 0


def test_geojson_says_that_it_is_on_mars(small_result):
    collection = json.loads(export_bytes(small_result, "geojson", date=DATE))
    assert collection["crs"]["properties"]["name"] == "urn:ogc:def:crs:IAU:2015:49900"
    feature = collection["features"][0]
    assert feature["properties"]["rank"] == 1
    (ring,) = feature["geometry"]["coordinates"]
    assert ring[0] == ring[-1]
    assert collection["mars_map"] == Provenance(small_result, DATE).to_dict()


def test_geoparquet_gives_the_crs_back_whole(small_result, tmp_path):
    frame = read(export_bytes(small_result, "parquet"), "parquet", tmp_path)
    assert frame.crs.to_authority() == ("IAU_2015", "49900")


def test_kml_lands_where_it_left(planet_result, tmp_path):
    path = tmp_path / "hits.kml"
    path.write_bytes(export_bytes(planet_result, "kml", date=DATE))
    frame = pyogrio.read_dataframe(path, layer="hits")
    sent = to_geodataframe(planet_result, DATE)
    np.testing.assert_allclose(frame.bounds.to_numpy(), sent.bounds.to_numpy(), atol=1e-6)
    assert frame.geometry.is_valid.all()
    for name in ("rank", "score", "lon", "lat", "west", "south", "east", "north"):
        np.testing.assert_allclose(frame[name], sent[name], atol=1e-6)
    assert frame["tile"].tolist() == sent["tile"].tolist()


def test_kml_says_that_it_is_on_mars(planet_result):
    root = ElementTree.fromstring(export_bytes(planet_result, "kml", date=DATE))
    assert root.get("hint") == "target=mars"
    document = root.find(f"{KML}Document")
    assert document.findtext(f"{KML}name") == f"{AWKWARD} · Mars"
    assert "on Mars, not on the Earth" in document.findtext(f"{KML}description")
    record = json.loads(document.findtext(f"{KML}ExtendedData/{KML}Data/{KML}value"))
    assert record == Provenance(planet_result, DATE).to_dict()


def test_kml_colours_run_with_the_score(planet_result):
    root = ElementTree.fromstring(export_bytes(planet_result, "kml"))
    used = [node.text for node in root.iter(f"{KML}styleUrl")]
    levels = [int(name.removeprefix("#score")) for name in used]
    assert levels == sorted(levels, reverse=True) and {levels[0], levels[-1]} == {0, 15}
    assert {f"#{style.get('id')}" for style in root.iter(f"{KML}Style")} >= set(used)


def test_kml_bends_wide_outlines_along_their_parallels(planet_result):
    """Google Earth draws edges as great circles, which leave a parallel near the pole."""
    root = ElementTree.fromstring(export_bytes(planet_result, "kml"))
    rings = [node.text.split() for node in root.iter(f"{KML}coordinates")]
    steps = [
        np.abs(np.diff(np.array([corner.split(",") for corner in ring], float)[:, 0])).max()
        for ring in rings
    ]
    assert max(steps) <= 2.0 + 1e-6


def test_citations_name_the_result_the_index_and_the_method(planet_result):
    text = export_bytes(planet_result, "bib", date=DATE).decode()
    head, *entries = re.split(r"^(?=@)", text, flags=re.MULTILINE)
    keys = [re.match(r"@(misc|article)\{(\w+),", entry)[2] for entry in entries]
    assert keys[:3] == ["mars_map", "mars_map_index", "mars_map_model"]
    assert "2601.15949" in text and "2602.13961" in text and "2026-01-31" in text
    assert planet_result.index.digest in text
    assert "crosta2018" not in keys, "a model of others did not learn from our catalogues"
    for entry in entries:
        braces = re.sub(r"\\[{}]", "", entry)
        assert braces.count("{") == braces.count("}"), entry
    assert all(line.startswith("%") for line in head.strip().splitlines()) and "@" not in head


def test_the_projects_own_model_cites_its_data(planet_result):
    index = planet_result.index
    card = replace(index.manifest.model, id="mars_map-compact-4")
    manifest = replace(index.manifest, model=card)
    ours = SimpleNamespace(manifest=manifest, digest=index.digest, n_tiles=index.n_tiles)
    result = SimpleNamespace(query=planet_result.query, hits=[1], index=ours)
    provenance = Provenance(result, DATE)
    keys = [work.key for work in references(provenance)]
    assert {"viking", "mola", "crosta2018", "souness2012"} <= set(keys)
    assert len(set(keys)) == len(keys)
    assert "doi:10.1002/2017EA000324" in citation_text(provenance)


def test_the_heat_map_is_masked_outside_the_region(small_engine):
    result = small_engine.search(Query("dunes", region=LatitudeBand(0, 90), top_k=5))
    with rasterio.open(io.BytesIO(export_bytes(result, "heat", date=DATE))) as raster:
        values = raster.read(1)
        assert "3396190" in raster.crs.to_wkt()
        assert json.loads(raster.tags()["mars_map"])["query"] == result.query.to_dict()
        lon, lat = (axis[result.hits] for axis in result.index.grid.centers)
        best = [v[0] for v in raster.sample(zip(lon, lat, strict=True))]
    np.testing.assert_array_equal(best, result.hit_scores)
    assert np.isnan(values[values.shape[0] // 2 :]).all()
    assert np.isfinite(values[: values.shape[0] // 2]).all()


def metadata(data: bytes, form: str, folder: Path) -> dict:
    path = folder / f"hits{EXPORTERS[form].extension}"
    path.write_bytes(data)
    if form == "shapefile":
        return json.loads(zipfile.ZipFile(path).read("provenance.json"))
    if form == "gpkg":
        return json.loads(pyogrio.read_info(path)["layer_metadata"]["mars_map"])
    if form == "parquet":
        return json.loads(pq.read_schema(path).metadata[b"mars_map"])
    return json.loads(data)["mars_map"]


@vector_formats
def test_provenance_gives_the_query_back(small_engine, form, tmp_path):
    query = Query(AWKWARD, region=Box(170, -10, -170, 10), top_k=7, threshold=-0.5)
    result = small_engine.search(query)
    record = metadata(export_bytes(result, form, date=DATE), form, tmp_path)
    assert Query.from_dict(record["query"]) == query
    assert record["date"] == "2026-01-31T12:00:05Z"
    assert record["index"]["digest"] == result.index.digest
    assert record["model"]["sha256"] == result.index.manifest.model.sha256
    assert record["crs"] == "IAU_2015:49900"
    assert record["hits"] == len(result.hits)
    assert record["program"].startswith("mars_map ")


def test_a_text_too_long_for_a_shapefile_is_marked_and_kept_beside(small_engine, tmp_path):
    text = "dünen " * 49 + "🦀 dune"
    result = small_engine.search(Query(text, top_k=3))
    data = export_bytes(result, "shapefile")
    (short,) = set(read(data, "shapefile", tmp_path)["query"])
    assert short.endswith("…")
    assert text.startswith(short[:-1])
    assert len(short.encode()) > 240
    assert metadata(data, "shapefile", tmp_path)["query"]["text"] == text
    for form in ("geojson", "gpkg", "parquet"):
        assert set(read(export_bytes(result, form), form, tmp_path)["query"]) == {text}


@pytest.mark.parametrize("text", ["a" * 254, "ü" * 127, "", "plain"])
def test_a_text_that_fits_is_left_alone(text):
    assert shorten(text) == text


def test_shortening_never_cuts_a_letter():
    for length in range(80, 90):
        short = shorten("山" * length + "ü" * 20)
        assert len(short.encode()) <= 254


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+1", "-2+3 dunes", "@SUM(A1)"])
def test_a_spreadsheet_runs_no_query_as_formula(small_engine, text):
    result = small_engine.search(Query(text + " dune", top_k=2))
    table = pd.read_csv(io.BytesIO(export_bytes(result, "csv")))
    assert set(table["query"]) == {f"'{text} dune"}
    assert defuse("dunes = sand") == "dunes = sand"


@pytest.mark.parametrize("form", EXPORTERS)
def test_a_file_is_what_the_bytes_are(small_result, form, tmp_path, monkeypatch):
    # Figures take their time by the dot; tests/test_figure.py looks at what is in them.
    monkeypatch.setattr("mars_map.maps.figure.DPI", 50)
    path = export_result(small_result, form, tmp_path / f"out{EXPORTERS[form].extension}")
    assert path.stat().st_size > 500
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    if form == "geojson":
        export_result(small_result, form, path, date=DATE)
        assert path.read_bytes() == export_bytes(small_result, form, date=DATE)


def test_a_place_that_cannot_be_written_is_one_sentence(small_result, tmp_path):
    for path in (tmp_path / "none" / "x.csv", tmp_path, tmp_path / ("x" * 300)):
        with pytest.raises(ExportError) as error:
            export_result(small_result, "csv", path)
        assert str(error.value).count(". ") == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ExportError, match="device"):
        export_result(small_result, "csv", "/dev/null")
    assert not Path("/dev/null").is_file()


@contextmanager
def no_room():
    """Files of this process may not grow beyond a kilobyte: the nearest thing to a full disk.

    Not a fixture, because the report of a run may itself be a file that is longer than that.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("form", ["csv", "shapefile", "gpkg"])
def test_a_full_disk_leaves_the_older_file_alone(small_result, tmp_path, form):
    path = tmp_path / "hits.out"
    path.write_text("before")
    with no_room(), pytest.raises(ExportError, match=r"could not be (made|written)"):
        export_result(small_result, form, path)
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["hits.out"]


@pytest.mark.parametrize(("owner", "step"), [(os, "fsync"), (Path, "replace")])
def test_a_late_failure_leaves_the_older_file_alone(
    small_result, tmp_path, monkeypatch, owner, step
):
    path = tmp_path / "hits.csv"
    path.write_text("before")

    def refuse(*_arguments):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, refuse)
        with pytest.raises(ExportError, match="Read-only file system"):
            export_result(small_result, "csv", path)
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["hits.csv"]


def test_a_link_is_followed(small_result, tmp_path):
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("before")
    link.symlink_to(target)
    export_result(small_result, "csv", link)
    assert link.is_symlink()
    assert target.read_text().startswith("rank,")


def test_unknown_formats_are_refused(small_result):
    with pytest.raises(ExportError, match="geojson"):
        export_bytes(small_result, "docx")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("dunes inside craters", "mars-dunes-inside-craters.gpkg"),
        ("../../etc/passwd x", "mars-etc-passwd-x.gpkg"),
        ("山 crater", "mars-山-crater.gpkg"),
    ],
)
def test_names_of_downloads_are_plain(small_engine, text, name):
    assert file_name(small_engine.search(Query(text, top_k=1)), "gpkg") == name
