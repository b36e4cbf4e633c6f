"""A whole index in other programs' formats: it lands where it left, and comes back the same."""

import json

import faiss
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pystac
import pytest
import shapely
from click.testing import CliRunner
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from mars_map.cli import main
from mars_map.errors import ExportError
from mars_map.export.faiss_index import export_faiss
from mars_map.export.stac import (
    EMBEDDING_EXTENSION,
    SOLAR_SYSTEM_EXTENSION,
    export_stac,
)
from mars_map.export.whole_index import export_geoparquet
from mars_map.imports import import_source, open_source
from mars_map.index import IndexWriter, ModelCard, open_index
from mars_map.index.synthetic import synthesize
from mars_map.planet.geometry import box_polygons
from mars_map.planet.grid import EqualAreaGrid, RegularGrid
from mars_map.planet.sphere import mars_crs
from mars_map.search import Engine, Query
from tests.conftest import DIM, WordEncoder, make_index

MODEL = ModelCard("m", "cd" * 32, DIM)


def holed_index(folder, grid, quantisation):
    """An index in which a third of the tiles have no vector and some are half covered."""
    rng = np.random.default_rng(3)
    tiles = np.sort(rng.permutation(grid.n_tiles)[: grid.n_tiles * 2 // 3])
    share = np.where(tiles % 5 == 0, 0.5, 1.0).astype(np.float32)
    with IndexWriter(folder, grid=grid, model=MODEL, quantisation=quantisation) as writer:
        for half in (slice(1, None, 2), slice(0, None, 2)):
            writer.put(tiles[half], rng.normal(size=(len(tiles[half]), DIM)), share[half])
        writer.publish(source="made up for a test", licence="CC-BY-4.0", synthetic=True)
    return open_index(folder)


@pytest.fixture(params=["float16", "int8"])
def quantisation(request):
    return request.param


@pytest.mark.parametrize("grid", [EqualAreaGrid(6.0), RegularGrid(4.0, -80, 80)])
def test_what_is_exported_and_imported_is_the_same_index(tmp_path, grid, quantisation):
    """Bit for bit, in both quantisations: float32 in the file holds either exactly."""
    index = holed_index(tmp_path / "a", grid, quantisation)
    file = export_geoparquet(index, tmp_path / "a.parquet")
    report = import_source(
        open_source(file), tmp_path / "b", model=MODEL, quantisation=quantisation
    )
    back = report.index
    assert back.grid == grid and report.rescaled == 0
    assert (back.vectors == index.vectors).all()
    assert (back.present == index.present).all()
    if quantisation == "int8":
        assert (back.scales == index.scales).all()


def test_the_grid_is_found_again_without_our_metadata(tmp_path, quantisation):
    """Another program that rewrites the file drops what it does not know."""
    index = holed_index(tmp_path / "a", EqualAreaGrid(6.0), quantisation)
    table = pq.read_table(export_geoparquet(index, tmp_path / "a.parquet"))
    metadata = {b"geo": table.schema.metadata[b"geo"]}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "b.parquet")
    back = import_source(open_source(tmp_path / "b.parquet"), tmp_path / "b", model=MODEL).index
    assert back.grid == index.grid and (back.present == index.present).all()


def test_tiles_land_where_they_left(tmp_path, small_index):
    file = export_geoparquet(small_index, tmp_path / "e.parquet")
    frame = gpd.read_parquet(file)
    assert frame.crs.to_authority() == ("IAU_2015", "49900") and frame.crs.equals(mars_crs())
    tiles = [small_index.grid.number_of(name) for name in frame["id"]]
    assert tiles == list(range(small_index.n_tiles))
    assert shapely.equals(frame.geometry.array, box_polygons(small_index.grid.bounds(tiles))).all()
    assert (shapely.is_ccw(shapely.get_exterior_ring(frame.geometry.array))).all()
    inside = shapely.contains_xy(frame.geometry.array, frame["lon"], frame["lat"])
    assert inside.all()
    vectors = np.stack(frame["embedding"])
    assert vectors.shape == (small_index.n_tiles, DIM) and vectors.dtype == np.float32
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6  # int8: scaled exactly
    assert np.abs(vectors[17] - small_index.vector(17)).max() < 1e-6
    about = json.loads(pq.read_metadata(file).metadata[b"mars_map"])
    assert about["digest"] == small_index.digest and about["synthetic"] is True


def test_tiles_without_a_vector_are_not_in_the_file(tmp_path):
    index = holed_index(tmp_path / "a", EqualAreaGrid(6.0), "float16")
    frame = gpd.read_parquet(export_geoparquet(index, tmp_path / "e.parquet"))
    numbers = np.array([index.grid.number_of(name) for name in frame["id"]])
    assert (numbers == np.flatnonzero(index.present)).all()
    assert (frame["fraction_valid"] == np.where(numbers % 5 == 0, 0.5, 1.0)).all()


# STAC


@pytest.fixture
def collection_folder(tmp_path, small_index):
    return export_stac(small_index, tmp_path / "stac")


def test_stac_is_valid_by_the_schema_of_the_core(collection_folder):
    """pystac carries the core's schemas for 1.1.0 and brings 1.0.0 up to it."""
    collection = pystac.Collection.from_file(collection_folder / "collection.json")
    (item,) = collection.get_items()
    validator = JsonSchemaSTACValidator()
    for thing, kind in (
        (collection, pystac.STACObjectType.COLLECTION),
        (item, pystac.STACObjectType.ITEM),
    ):
        values = thing.to_dict(transform_hrefs=False)
        assert values["stac_version"] == "1.1.0"
        assert validator.validate_core(values, kind, "1.1.0")
    broken = {**item.to_dict(transform_hrefs=False), "geometry": {"type": "Polygon"}}
    with pytest.raises(pystac.STACValidationError):
        validator.validate_core(broken, pystac.STACObjectType.ITEM, "1.1.0")


def test_stac_leads_to_the_embeddings(collection_folder, small_index):
    collection = pystac.Collection.from_file(collection_folder / "collection.json")
    (item,) = collection.get_items()
    frame = gpd.read_parquet(item.assets["embeddings"].get_absolute_href())
    assert len(frame) == small_index.n_tiles
    assert item.get_collection().id == collection.id
    for link in [*collection.links, *item.links]:
        target = str(link.get_absolute_href()).partition("#")[0]
        assert (collection_folder / target.rpartition("/")[2]).exists(), link
    manifest = json.loads((collection_folder / "index-manifest.json").read_text())
    assert manifest == small_index.manifest.to_dict()


def test_stac_states_what_the_extensions_require(collection_folder, small_index):
    """Required fields and the only allowed `emb:` ones, as the schemas of both extensions say."""
    collection = json.loads((collection_folder / "collection.json").read_text())
    item = json.loads((collection_folder / "item.json").read_text())
    for thing in (collection, item):
        assert {EMBEDDING_EXTENSION, SOLAR_SYSTEM_EXTENSION} <= set(thing["stac_extensions"])
        assert thing["stac_version"] == "1.0.0"
    assert (collection["emb:type"], collection["emb:dimensions"]) == ("chip", DIM)
    assert collection["data_type"] == "float32"
    assert collection["emb:chip_layout"]["layout_type"] == "variable_grid"
    assert {"emb:model", "emb:source-data"} <= {link["rel"] for link in collection["links"]}
    assert "embeddings" in item["assets"] and "embeddings" in collection["item_assets"]
    allowed = {"emb:type", "emb:dimensions", "emb:chip_layout", "emb:fit_for_use"}
    assert {key for key in collection if key.startswith("emb:")} == allowed
    properties = item["properties"]
    assert {key for key in properties if key.startswith("emb:")} == {"emb:runtime_parameters"}
    for place in (collection, properties):
        assert place["ssys:targets"] == ["Mars"] and place["ssys:target_class"] == "planet"
    assert properties["proj:code"] == "IAU_2015:49900"
    assert collection["gsd"] == pytest.approx(6 * 59_274.7, rel=1e-4)
    assert "SYNTHETIC" in collection["title"] and "Made-up" in collection["description"]


def test_a_licence_that_is_no_spdx_id_is_linked(tmp_path, small_index, collection_folder):
    collection = json.loads((collection_folder / "collection.json").read_text())
    assert collection["license"] == "proprietary"  # "public domain" is none
    assert (collection_folder / "LICENCE.txt").read_text() == "public domain\n"
    folder = export_stac(holed_index(tmp_path / "a", EqualAreaGrid(6.0), "int8"), tmp_path / "b")
    assert json.loads((folder / "collection.json").read_text())["license"] == "CC-BY-4.0"


def test_a_stac_folder_can_be_imported(collection_folder, tmp_path, small_index):
    back = import_source(
        open_source(collection_folder), tmp_path / "i", model=MODEL, quantisation="int8"
    ).index
    assert (back.vectors == small_index.vectors).all()


# The shell


def test_the_shell_exports(tmp_path):
    index = synthesize(tmp_path / "i", tiles=900, dim=32)
    for form, name in (("geoparquet", "e.parquet"), ("stac", "stac")):
        arguments = ["export-index", str(index.folder), "--format", form, "--out"]
        done = CliRunner().invoke(main, [*arguments, str(tmp_path / name)])
        assert done.exit_code == 0, done.output
    assert len(gpd.read_parquet(tmp_path / "e.parquet")) == 900
    again = CliRunner().invoke(main, [*arguments, str(tmp_path / "stac")])
    assert again.exit_code == 1 and "there already" in again.output


def test_places_that_cannot_be_written_are_one_sentence_and_leave_nothing(tmp_path, small_index):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportError, match="is a folder"):
        export_geoparquet(small_index, tmp_path)
    for export in (export_geoparquet, export_stac):
        with pytest.raises(ExportError, match="could not be written"):
            export(small_index, tmp_path / "file" / "x.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("quantisation", ["int8", "float16"])
def test_faiss_finds_what_the_engine_finds(quantisation, tmp_path):
    index = make_index(tmp_path / "i", quantisation=quantisation)
    engine = Engine(index, WordEncoder())
    made = faiss.read_index(str(export_faiss(index, tmp_path / "e.faiss")))
    query = Query("dunes", top_k=20)
    scores, ids = made.search(engine.vector(query)[0][None], 20)
    result = engine.search(query)
    np.testing.assert_allclose(scores[0], result.hit_scores, atol=1e-5)
    assert set(ids[0]) == set(result.hits.tolist())
    table = pd.read_csv(tmp_path / "e.csv").set_index("id")
    assert table.loc[ids[0], "tile"].tolist() == index.grid.names(ids[0]).tolist()


def test_faiss_where_nothing_can_be_written(small_index, tmp_path):
    for place in (tmp_path, tmp_path / "nowhere" / "e.faiss"):
        with pytest.raises(ExportError):
            export_faiss(small_index, place)
