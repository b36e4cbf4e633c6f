"""Indexes of other programs: every row on its tile, nothing executed, nothing silently lost."""

import json
import os
import pickle
from contextlib import suppress
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from mars_map.cli import main
from mars_map.errors import ForeignIndexError, ModelMismatchError, QueryError
from mars_map.imports import import_source, open_source, parse_grid
from mars_map.imports.pickles import read_pickle
from mars_map.imports.placing import Positions, find_grid, place
from mars_map.index import ModelCard, open_index, verify_index
from mars_map.maps.heat import heat_levels, heat_scale
from mars_map.planet.geometry import box_polygons
from mars_map.planet.grid import EqualAreaGrid, RegularGrid
from mars_map.planet.sphere import mars_crs
from mars_map.search import Engine, Query
from tests.conftest import WordEncoder
from tests.marsretrieval import marsretrieval_name

DIM = 24
GRID = RegularGrid(4.0, -80.0, 80.0)
SHA = "ab" * 32


def random_vectors(n: int, dim: int = DIM) -> np.ndarray:
    vectors = np.random.default_rng(4).normal(size=(n, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_marsretrieval(folder: Path, tiles, vectors, protocol=pickle.HIGHEST_PROTOCOL, digits=1):
    """Write a database as MarsRetrieval's build does: pictures in any order, corners as tuples."""
    folder.mkdir(exist_ok=True)
    bounds = GRID.bounds(tiles)
    names = [f"quad_{i % 3}/{marsretrieval_name(b, digits)}.png" for i, b in enumerate(bounds)]
    corners = [(round(float(b[0]), digits), round(float(b[1]), digits)) for b in bounds]
    np.save(folder / "features.npy", vectors.astype(np.float32))
    (folder / "metadata.pkl").write_bytes(pickle.dumps(names, protocol))
    (folder / "coordinates.pkl").write_bytes(pickle.dumps(corners, protocol))
    return folder


def bring(source, folder, **options):
    opened = source if hasattr(source, "pieces") else open_source(source)
    return import_source(opened, folder, model=ModelCard("m", SHA, opened.dim), **options)


def stored(index, tiles) -> np.ndarray:
    return np.array([index.vector(tile) for tile in tiles])


@pytest.fixture
def shuffled():
    """All tiles of the grid in random order, with vectors."""
    tiles = np.random.default_rng(1).permutation(GRID.n_tiles)
    return tiles, random_vectors(GRID.n_tiles)


# MarsRetrieval


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("quantisation", ["float16", "int8"])
def test_a_marsretrieval_database_comes_in_tile_by_tile(tmp_path, shuffled, protocol, quantisation):
    tiles, vectors = shuffled
    source = write_marsretrieval(tmp_path / "db", tiles, vectors, protocol)
    report = bring(source, tmp_path / "i", quantisation=quantisation)
    index = report.index
    assert index.grid == GRID  # found from the names
    assert (report.imported, report.empty, report.rescaled) == (GRID.n_tiles, 0, 0)
    assert np.abs(stored(index, tiles) - vectors).max() < (
        6e-4 if quantisation == "float16" else 0.01
    )
    assert verify_index(index.folder) == []
    assert index.manifest.extra["imported"]["format"] == "MarsRetrieval database"
    assert gpd.read_parquet(index.folder / "tiles.parquet").crs.equals(mars_crs())


def test_coordinates_may_be_an_array_or_be_absent(tmp_path, shuffled):
    tiles, vectors = shuffled
    source = write_marsretrieval(tmp_path / "db", tiles, vectors)
    (source / "coordinates.pkl").write_bytes(pickle.dumps(GRID.bounds(tiles)[:, :2]))
    bring(source, tmp_path / "a")
    (source / "coordinates.pkl").unlink()
    bring(source, tmp_path / "b")
    assert open_index(tmp_path / "a").manifest.files == open_index(tmp_path / "b").manifest.files


def test_the_published_grid_is_found_from_a_part_of_it():
    """0.2 degrees over 80 S to 80 N with holes, from names alone."""
    grid = RegularGrid()
    tiles = np.random.default_rng(2).choice(grid.n_tiles, 200_000, replace=False)
    tiles = np.union1d(tiles, [0, grid.n_tiles - 1])
    corners = np.round(grid.bounds(tiles)[:, :2], 1)
    positions = Positions(corners[:, 0], corners[:, 1], "corner")
    assert find_grid(positions) == grid
    assert (place(positions, grid) == tiles).all()


def test_names_that_are_no_tiles_are_left_out_and_counted(tmp_path, shuffled):
    tiles, vectors = shuffled
    source = write_marsretrieval(tmp_path / "db", tiles, vectors)
    names = pickle.loads((source / "metadata.pkl").read_bytes())
    corners = pickle.loads((source / "coordinates.pkl").read_bytes())
    names[5], corners[5] = "thumbnail.png", (None, None)  # what MarsRetrieval writes for these
    (source / "metadata.pkl").write_bytes(pickle.dumps(names))
    (source / "coordinates.pkl").write_bytes(pickle.dumps(corners))
    report = bring(source, tmp_path / "i")
    assert (report.unplaced, report.empty) == (1, 1)
    assert not report.index.present[tiles[5]]


def test_files_that_do_not_belong_together_are_refused(tmp_path, shuffled):
    tiles, vectors = shuffled
    source = write_marsretrieval(tmp_path / "db", tiles, vectors)
    corners = pickle.loads((source / "coordinates.pkl").read_bytes())
    (source / "coordinates.pkl").write_bytes(pickle.dumps(corners[1:] + corners[:1]))
    with pytest.raises(ForeignIndexError, match="Row 0 is called"):
        open_source(source)
    (source / "coordinates.pkl").write_bytes(pickle.dumps(corners[1:]))
    with pytest.raises(ForeignIndexError, match=r"3,599|3,600 pairs"):
        open_source(source)
    (source / "metadata.pkl").write_bytes(pickle.dumps(["E0_0_N0_0.png"]))
    with pytest.raises(ForeignIndexError, match="belong together"):
        open_source(source)


# Rows that cannot be used, and tiles without any


def test_bad_rows_are_counted_and_their_tiles_are_never_hits(tmp_path, shuffled):
    tiles, vectors = shuffled
    vectors = vectors * 3.0
    vectors[7] = np.nan
    vectors[8] = 0.0
    vectors[9, 2] = np.inf
    report = bring(write_marsretrieval(tmp_path / "db", tiles, vectors), tmp_path / "i")
    assert (report.unusable, report.empty) == (3, 3)
    assert report.rescaled == GRID.n_tiles - 3
    lengths = np.linalg.norm(np.asarray(report.index.vectors, np.float32), axis=1)
    assert np.abs(np.delete(lengths, tiles[7:10]) - 1).max() < 1e-3
    assert (np.asarray(report.index.fraction_valid)[tiles[7:10]] == 0).all()
    assert verify_index(tmp_path / "i") == []


def test_tiles_without_a_vector_are_in_no_answer(tmp_path):
    """Only a band has pictures; whatever is asked, and however many hits, the rest stays out."""
    lat = GRID.centers[1]
    tiles = np.flatnonzero(np.abs(lat) < 30)
    vectors = random_vectors(len(tiles), WordEncoder.dim)
    source = write_marsretrieval(tmp_path / "db", tiles, vectors)
    index = import_source(
        open_source(source), tmp_path / "i", grid=GRID,
        model=ModelCard(WordEncoder.model_id, WordEncoder.sha256, WordEncoder.dim),
    ).index  # fmt: skip
    engine = Engine(index, WordEncoder())
    empty = np.delete(np.arange(GRID.n_tiles), tiles)
    example = GRID.names([tiles[3]])[0]
    everything = {"top_k": GRID.n_tiles}
    queries = (
        Query("dunes", **everything),
        Query("dunes", threshold=-1.0, **everything),
        Query.like(example, **everything),
    )
    for query in queries:
        result = engine.search(query)
        assert not set(result.hits) & set(empty)
        assert len(result.hits) >= len(tiles) - 1
    # Half the vectors point away from the words: their scores are negative, yet they are ranked.
    assert (result.scores[tiles] < 0).any()
    assert (result.scores[empty] == -1).all()
    # The heat map's scale is that of the tiles that have one, and the others are clear.
    assert heat_scale(result.scores) == heat_scale(result.scores[tiles])
    levels = heat_levels(result.scores, GRID, (90, 45), mask=result.region_mask)
    assert not levels[:10].any() and levels[18:27].any()
    with pytest.raises(QueryError, match="no image"):
        engine.search(Query.like(GRID.names([empty[0]])[0]))


def test_a_query_by_another_model_is_refused(tmp_path, shuffled):
    index = bring(write_marsretrieval(tmp_path / "db", *shuffled), tmp_path / "i").index
    with pytest.raises(ModelMismatchError, match='"m"'):
        Engine(index, WordEncoder())


# Pickles


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, reduce):
        self.reduce = reduce

    def __reduce__(self):
        return self.reduce


def _touch(path):
    return f"open({str(path)!r}, 'w').close()"


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("nest", [lambda p: p, lambda p: ["E0_0_N0_0.png", p],
                                  lambda p: [(1.0, {"a": [p]})]])  # fmt: skip
def test_a_payload_is_refused_by_name_and_not_executed(tmp_path, protocol, nest):
    sign = tmp_path / "executed"
    file = tmp_path / "metadata.pkl"
    payloads = {
        f"{os.system.__module__}.system": Payload((os.system, (f"touch {sign}",))),
        "eval": Payload((eval, (_touch(sign),))),
        "exec": Payload((exec, (_touch(sign),))),
        "getattr": Payload((getattr, ("", "join"))),
        "numpy.load": Payload((np.load, (str(sign),))),
        "test_imports.Payload": PayloadByClass(),
    }
    for wanted, payload in payloads.items():
        file.write_bytes(pickle.dumps(nest(payload), protocol))
        with pytest.raises(ForeignIndexError, match="wants") as told:
            read_pickle(file)
        if protocol >= 2 or wanted != "test_imports.Payload":
            assert wanted.rpartition(".")[2] in str(told.value)
        assert str(told.value).count("\n") == 0
    assert not sign.exists()


class PayloadByClass:
    """A class that unpickling would make an object of."""

    def __setstate__(self, state):  # pragma: no cover
        raise AssertionError("executed")

    def __getstate__(self):
        return {"a": 1}


HAND_MADE = {
    "INST": b"(S'touch x'\niposix\nsystem\n.",
    "OBJ": b"(cposix\nsystem\nS'touch x'\no.",
    "persistent": b"Pevil\n.",
    "extension": b"\x82\x01.",
    "name in a memo": b"cposix\nsystem\np0\n0g0\n(S'touch x'\ntR.",
    "call of a value": b"]]R.",
    "build on a list": b"](dS'a'\nI1\nsb.",
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
    "a class of its own": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.",
    "a dtype with objects inside": b"cnumpy\ndtype\n(S'V8'\nI0\nI1\ntR.",
    "a bare name": b"cnumpy\nndarray\n.",
    "cut short": pickle.dumps(["abc"] * 10)[:-5],
    "no pickle": b"PK\x03\x04 this is a zip",
    "empty": b"",
    "only a mark": b"(.",
    "a gap in the memo": b"](q\x05.",
    "an empty memo": b"h\x00.",
    "a memo before its start": b"]p-1\n.",
    "too few values": b"\x80\x02R.",
    "no mark": b"]e.",
    "a huge string": b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "an array of another size": pickle.dumps(np.arange(4.0), 2).replace(b"K\x04\x85", b"K\x05\x85"),
}


@pytest.mark.parametrize("name", HAND_MADE)
def test_hand_made_pickles_are_one_sentence(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "x.pkl"
    file.write_bytes(HAND_MADE[name])
    with pytest.raises(ForeignIndexError) as told:
        read_pickle(file)
    assert str(file) in str(told.value) and "\n" not in str(told.value)
    assert [path.name for path in tmp_path.iterdir()] == ["x.pkl"]


def test_a_value_that_holds_itself_many_times_is_read_once(tmp_path):
    """A pickle of 30 pairs of the pair before stands for 2**30 values, and takes no time."""
    value: tuple = ([],)
    for _ in range(30):
        value = (value, value)
    file = tmp_path / "x.pkl"
    file.write_bytes(pickle.dumps(value))
    read = read_pickle(file)
    assert read[0] is read[1]


@given(st.integers(0, 5), st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=6))))
@settings(max_examples=300)
def test_a_pickle_with_damaged_bytes_is_read_or_refused(tmp_path_factory, protocol, damage):
    data = bytearray(pickle.dumps([("E_0_2", 1.5), np.arange(3.0), np.float32(1)], protocol))
    for where, put in damage:
        start = where % len(data)
        data[start : start + len(put)] = put
    file = tmp_path_factory.getbasetemp() / "damaged.pkl"
    file.write_bytes(data)
    with suppress(ForeignIndexError):
        read_pickle(file)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_and_arrays_read_as_pickle_reads_them(tmp_path, protocol):
    values = [
        [(1.5, -2.5), (None, None), ("a", 2**70)],
        {"a": [1, (2.5, True)], "b": b"bytes", 3: {}},
        np.arange(6, dtype="f4").reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(4, dtype=">i4"),
        np.array(["E_0_2", "b"]),
        np.array(["E_0_2", "b"], object),
        [np.float64(2.5), np.int32(4), (np.float32(0.5), [np.arange(2)])],
    ]
    file = tmp_path / "x.pkl"
    for value in values:
        file.write_bytes(pickle.dumps(value, protocol))
        np.testing.assert_equal(read_pickle(file), pickle.loads(file.read_bytes()))


# GeoParquet


def earth_index(path, tiles, vectors, crs=None):
    """Columns of Earth Index: id, geometry, embedding."""
    frame = gpd.GeoDataFrame(
        {"id": [str(t) for t in tiles], "embedding": list(vectors.astype(np.float32))},
        geometry=box_polygons(np.round(GRID.bounds(tiles), 9)), crs=crs or mars_crs(),
    )  # fmt: skip
    frame.to_parquet(path, index=False)
    return path


def major_tom(folder, tiles, vectors):
    """Columns of Major TOM: float32 centres, a list in a list, several files."""
    folder.mkdir()
    bounds = GRID.bounds(tiles)
    for part, rows in enumerate(np.array_split(np.arange(len(tiles)), 3)):
        columns = {
            "unique_id": [f"{t:064x}" for t in tiles[rows]],
            "embedding": pa.array([[v.tolist()] for v in vectors[rows]],
                                  pa.list_(pa.list_(pa.float32()))),
            "centre_lat": ((bounds[rows, 1] + bounds[rows, 3]) / 2).astype(np.float32),
            "centre_lon": ((bounds[rows, 0] + bounds[rows, 2]) / 2).astype(np.float32),
        }  # fmt: skip
        pq.write_table(pa.table(columns), folder / f"part_{part:05d}.parquet", row_group_size=500)
    return folder


@pytest.mark.parametrize("form", [earth_index, major_tom])
def test_parquet_comes_in_as_it_is_published(tmp_path, shuffled, form):
    tiles, vectors = shuffled
    index = bring(form(tmp_path / "e.parquet", tiles, vectors), tmp_path / "i").index
    assert index.grid == GRID
    assert np.abs(stored(index, tiles) - vectors).max() < 6e-4


def test_equal_area_rows_are_found_too(tmp_path):
    grid = EqualAreaGrid(5.0)
    vectors = random_vectors(grid.n_tiles)
    keep = np.random.default_rng(0).permutation(grid.n_tiles)[: grid.n_tiles * 2 // 3]
    frame = gpd.GeoDataFrame(
        {"embeddings": list(vectors[keep])}, geometry=box_polygons(grid.bounds(keep)),
        crs=mars_crs(),
    )  # fmt: skip
    frame.to_parquet(tmp_path / "e.parquet")
    report = bring(tmp_path / "e.parquet", tmp_path / "i")
    assert report.index.grid == grid
    assert report.empty == grid.n_tiles - len(keep)
    assert (np.flatnonzero(report.index.present) == np.sort(keep)).all()


@pytest.mark.parametrize("crs", ["EPSG:4326", "IAU_2015:49901", "IAU_2015:49910", "IAU_2015:30100"])
def test_degrees_of_another_kind_are_refused_unless_the_user_knows_better(tmp_path, shuffled, crs):
    path = earth_index(tmp_path / "e.parquet", *shuffled, crs=crs)
    with pytest.raises(ForeignIndexError, match="states the CRS"):
        open_source(path)
    index = bring(open_source(path, assume_mars=True), tmp_path / "i").index
    assert index.grid == GRID


@pytest.mark.parametrize(
    "geo",
    [{"columns": []}, {"columns": {"geometry": 3}, "primary_column": "geometry"}, {"version": "1"},
     {"primary_column": ["x"], "columns": {}}, {"primary_column": "geometry", "columns":
      {"geometry": {"crs": None}}}, {"primary_column": "geometry", "columns": {"geometry":
      {"crs": ["x"]}}}],
)  # fmt: skip
def test_metadata_without_a_crs_means_the_earth(tmp_path, shuffled, geo):
    table = pq.read_table(earth_index(tmp_path / "e.parquet", *shuffled))
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), tmp_path / "f.parquet")
    with pytest.raises(ForeignIndexError, match="assume-mars"):
        open_source(tmp_path / "f.parquet")


def test_damaged_pages_are_one_sentence(tmp_path, shuffled):
    path = earth_index(tmp_path / "e.parquet", *shuffled)
    data = bytearray(path.read_bytes())
    data[2_000 : len(data) // 2] = bytes(len(data) // 2 - 2_000)
    path.write_bytes(data)
    with pytest.raises(ForeignIndexError) as told:
        bring(path, tmp_path / "i")
    assert str(path) in str(told.value)
    assert not (tmp_path / "i").exists()


def test_a_missing_vector_is_counted_and_another_length_refused(tmp_path, shuffled):
    tiles, vectors = shuffled
    lists: list = [v.tolist() for v in vectors]
    lists[11] = None
    bounds = GRID.bounds(tiles)
    columns = {"lon": bounds[:, 0], "lat": bounds[:, 1], "vec": lists}
    path = tmp_path / "e.parquet"
    pq.write_table(pa.table(columns), path)
    source = open_source(path, column="vec", anchor="corner")
    assert bring(source, tmp_path / "i").unusable == 1
    lists[11] = [1.0]
    pq.write_table(pa.table(columns | {"vec": lists}), path)
    with pytest.raises(ForeignIndexError, match="not all of 24 dimensions"):
        bring(open_source(path, column="vec", anchor="corner"), tmp_path / "j")
    assert not (tmp_path / "j").exists()
    with pytest.raises(ForeignIndexError, match="has no column"):
        open_source(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ForeignIndexError, match="not a whole Parquet"):
        open_source(path)


# Arrays with a table, and places that are on no grid


def csv(path, lon, lat, **more):
    pd.DataFrame({"lon": lon, "lat": lat, **more}).to_csv(path, index=False)


def test_an_array_with_a_csv(tmp_path, shuffled):
    tiles, vectors = shuffled
    np.save(tmp_path / "v.npy", vectors.astype(np.float64))
    lon, lat = (c[tiles] for c in GRID.centers)
    csv(tmp_path / "v.csv", np.where(lon < 0, lon + 360, lon), lat, name="x")
    index = bring(tmp_path / "v.npy", tmp_path / "i").index  # longitudes may run 0 to 360
    assert index.grid == GRID
    assert np.abs(stored(index, tiles) - vectors).max() < 6e-4


def refuse(tmp_path, lon, lat, vectors=None, grid=None):
    np.save(tmp_path / "v.npy", random_vectors(len(lon)) if vectors is None else vectors)
    csv(tmp_path / "v.csv", lon, lat)
    with pytest.raises(ForeignIndexError) as told:
        bring(tmp_path / "v.npy", tmp_path / "i", grid=grid)
    assert not (tmp_path / "i").exists() and "\n" not in str(told.value)
    return str(told.value)


def test_points_on_no_grid_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(-180, 180, 500), rng.uniform(-80, 80, 500)
    assert "on no tile grid" in refuse(tmp_path, lon, lat)
    lon, lat = (c[::3] for c in GRID.centers)
    assert "on no tile grid" in refuse(tmp_path, lon + 0.7, lat)  # counted from another meridian
    assert "not on the grid" in refuse(tmp_path, lon, lat, grid=RegularGrid(2.0))
    assert "not on the planet" in refuse(tmp_path, lon, lat + 90)
    assert "one row" in refuse(tmp_path, np.append(lon, lon[0]), np.append(lat, lat[0]))
    assert "No row" in refuse(tmp_path, [np.nan, np.nan], [np.nan, np.nan])
    assert "name it with --grid" in refuse(tmp_path, [2.0], [2.0])


def test_arrays_that_are_none_are_refused(tmp_path):
    lon, lat = (c[:50] for c in GRID.centers)
    assert "the same" in refuse(tmp_path, lon, lat, random_vectors(49))
    assert "one vector of numbers" in refuse(tmp_path, lon, lat, np.zeros(50))
    assert "one vector of numbers" in refuse(tmp_path, lon, lat, np.array([["a"]] * 50))
    assert "finite and not zero" in refuse(tmp_path, lon, lat, np.zeros((50, 8)))
    assert "no vectors" in refuse(tmp_path, lon, lat, np.zeros((50, 0)))
    payload = np.array([[Payload((os.system, (f"touch {tmp_path / 'executed'}",)))]] * 50, object)
    assert "not a whole NumPy array" in refuse(tmp_path, lon, lat, payload)
    assert not (tmp_path / "executed").exists()
    (tmp_path / "v.npy").write_bytes((tmp_path / "v.npy").read_bytes()[:60])
    with pytest.raises(ForeignIndexError, match="not a whole"):
        open_source(tmp_path / "v.npy")


@pytest.mark.parametrize("text", ["regular", "regular:x", "regular:0.3,-80,80.1", "hex:2",
                                  "regular:0.0001", "equal-area:0.5,2", "regular:nan"])  # fmt: skip
def test_grids_that_are_none_are_refused(text):
    with pytest.raises(ForeignIndexError, match="is no grid"):
        parse_grid(text)


def test_grids_are_written_shortly():
    assert parse_grid("regular:0.2") == RegularGrid()
    assert parse_grid("regular:4,-80,80") == GRID
    assert parse_grid("equal-area:0.5") == EqualAreaGrid(0.5)


# The shell


def shell(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_shell_imports_and_tells_what_was_left_out(tmp_path, shuffled):
    tiles, vectors = shuffled
    vectors[0] = np.nan
    source = write_marsretrieval(tmp_path / "db", tiles, vectors)
    arguments = ("import", source, "--out", tmp_path / "i", "--model-id", "MarScope")
    chosen = ("--licence", "CC-BY-4.0", "--dtype", "int8", "--refined")
    done = shell(*arguments, "--model-sha256", SHA, *chosen)
    assert done.exit_code == 0, done.output
    assert "3,599 of 3,600 rows" in done.output and "1 rows left out: zero" in done.output
    manifest = open_index(tmp_path / "i").manifest
    assert (manifest.model.id, manifest.model.sha256) == ("MarScope", SHA)
    assert manifest.licence == "CC-BY-4.0"
    told = shell("info", tmp_path / "i").output
    assert "1 of the tiles have no vector" in told and "hits ranked by float16 rows" in told
    asked = shell("search", "dunes", "--index", tmp_path / "i")
    assert asked.exit_code == 1 and "made by the model" in asked.output
    alike = shell("similar", "--at", "137.8,-5.4", "--index", tmp_path / "i", "--top-k", "3")
    assert alike.exit_code == 0, alike.output
    assert shell(*arguments, "--model-sha256", "abc").exit_code == 1


def test_the_shell_says_in_one_sentence_what_is_wrong(tmp_path, shuffled):
    source = write_marsretrieval(tmp_path / "db", *shuffled)
    rest = ("--out", tmp_path / "i", "--model-id", "m", "--model-sha256", SHA)
    (source / "metadata.pkl").write_bytes(pickle.dumps(Payload((os.system, ("true",)))))
    index = bring(write_marsretrieval(tmp_path / "ok", *shuffled), tmp_path / "index").index.folder
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "taken").mkdir()
    wrong = [
        (source, 'system"'), (tmp_path / "absent", "There is no"), (index, "already"),
        (tmp_path / "notes.txt", "neither"), (tmp_path / "v.faiss", "There is no"),
    ]  # fmt: skip
    for path, sentence in wrong:
        done = shell("import", path, *rest)
        assert done.exit_code == 1 and sentence in done.output, done.output
        assert done.output.count("\n") == 1
    done = shell("import", tmp_path / "ok", "--out", tmp_path / "taken", *rest[2:])
    assert done.exit_code == 1 and "not an index" in done.output
    assert not (tmp_path / "i").exists() and list((tmp_path / "taken").iterdir()) == []
