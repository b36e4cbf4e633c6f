"""The index folder: what is written reads back, and damage is found and named."""

import json
import os

import geopandas as gpd
import numpy as np
import pytest

from mars_map.errors import (
    BuildError,
    IndexDamagedError,
    IndexMissingError,
    IndexVersionError,
    MarsMapError,
)
from mars_map.index import IndexWriter, ModelCard, open_index, verify_index, write_index
from mars_map.planet.grid import EqualAreaGrid
from mars_map.planet.sphere import RADIUS_M
from tests.conftest import DIM, make_index


@pytest.fixture
def folder(tmp_path):
    """A fresh index that a test may harm."""
    return make_index(tmp_path / "index").folder


@pytest.mark.parametrize(("quantisation", "error"), [("int8", 0.01), ("float16", 0.0005)])
def test_vectors_read_back_within_their_quantisation(tmp_path, quantisation, error):
    grid = EqualAreaGrid(10.0)
    vectors = np.random.default_rng(3).normal(size=(grid.n_tiles, 16))
    model = ModelCard("m", "0" * 64, 16)
    index = write_index(
        tmp_path / "i", grid=grid, vectors=vectors, model=model, source="s", licence="l",
        quantisation=quantisation,
    )  # fmt: skip
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    stored = np.array([index.vector(tile) for tile in range(index.n_tiles)])
    assert np.abs(stored - unit).max() < error
    np.testing.assert_allclose(np.linalg.norm(stored, axis=1), 1, atol=1e-6)
    assert index.manifest.grid == grid and index.manifest.model == model
    assert verify_index(index.folder) == []


def test_vectors_are_memory_mapped_and_read_only(small_index):
    assert isinstance(small_index.vectors, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        small_index.vectors[0] = 0


def test_tiles_are_geoparquet_on_mars(small_index):
    frame = gpd.read_parquet(small_index.folder / "tiles.parquet")
    assert frame.crs.ellipsoid.semi_major_metre == RADIUS_M
    assert list(frame["tile"]) == list(small_index.grid.names(np.arange(small_index.n_tiles)))
    np.testing.assert_allclose(frame.bounds, small_index.grid.bounds(np.arange(len(frame))))


@pytest.mark.parametrize("name", ["vectors.npy", "scales.npy", "tiles.parquet"])
class TestDamage:
    """Each file of an index, harmed in each way, is named by `verify_index`."""

    def test_truncated(self, folder, name):
        os.truncate(folder / name, 100)
        self.expect(folder, name, open_fails=True)

    def test_missing(self, folder, name):
        (folder / name).unlink()
        self.expect(folder, name, open_fails=True)

    def test_one_bit(self, folder, name):
        data = bytearray((folder / name).read_bytes())
        data[-1] ^= 1
        (folder / name).write_bytes(data)
        self.expect(folder, name, open_fails=False)

    def test_swapped(self, folder, name, tmp_path):
        other = make_index(tmp_path / "other", EqualAreaGrid(9.0)).folder
        (folder / name).write_bytes((other / name).read_bytes())
        self.expect(folder, name, open_fails=True)

    @staticmethod
    def expect(folder, name, *, open_fails):
        problems = verify_index(folder)
        assert len(problems) == 1 and name in problems[0]
        if open_fails:
            with pytest.raises(IndexDamagedError, match=name):
                open_index(folder)


def test_an_edited_manifest_is_found(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("public domain", "proprietary"))
    assert "manifest.json" in verify_index(folder)[0]
    with pytest.raises(IndexDamagedError):
        open_index(folder)


def _with_manifest(folder, **changes):
    """Write a manifest with other values and a digest that fits them, as a forger would."""
    from mars_map.index.manifest import _digest

    path = folder / "manifest.json"
    values = {**json.loads(path.read_text()), **changes}
    values.pop("digest")
    path.write_text(json.dumps({**values, "digest": _digest(values)}))
    return folder


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"version": 2}, IndexVersionError),
        ({"format": "zip"}, IndexDamagedError),
        ({"grid": {"kind": "hexagons"}}, IndexDamagedError),
        ({"quantisation": "int4"}, IndexDamagedError),
        ({"n_tiles": 7}, IndexDamagedError),
        ({"model": {"id": "x"}}, IndexDamagedError),
        ({"files": {"../../etc/passwd": {"bytes": 1, "sha256": ""}}}, IndexDamagedError),
        ({"model": {"id": "x", "sha256": "", "dim": DIM + 1}}, IndexDamagedError),
    ],
)
def test_a_foreign_manifest_is_refused(folder, changes, error):
    with pytest.raises(error):
        open_index(_with_manifest(folder, **changes))
    assert len(verify_index(folder)) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00", "[" * 100_000])
def test_a_manifest_that_is_not_one(folder, text):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(MarsMapError):
        open_index(folder)


def test_an_array_that_would_run_code_is_not_loaded(folder):
    np.save(folder / "scales.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(IndexDamagedError):
        open_index(folder)


def test_no_index(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(IndexMissingError):
            open_index(path)
        assert len(verify_index(path)) == 1


def test_an_index_is_replaced_whole(folder):
    before = open_index(folder).digest
    after = make_index(folder, EqualAreaGrid(9.0)).digest
    assert before != after == open_index(folder).digest
    assert verify_index(folder) == []
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_a_folder_that_is_no_index_is_not_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(IndexMissingError):
        make_index(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_bad_vectors_publish_nothing(tmp_path, folder):
    grid = EqualAreaGrid(6.0)
    model = ModelCard("m", "0" * 64, 4)
    good = np.ones((grid.n_tiles, 4))
    for bad in (good[1:], good * 0, np.where(np.eye(*good.shape), np.nan, good)):
        with pytest.raises(BuildError):
            write_index(
                tmp_path / "new", grid=grid, vectors=bad, model=model, source="", licence=""
            )
    assert [p.name for p in tmp_path.iterdir()] == [folder.name]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError):
        make_index(tmp_path / "file" / "index")


# The writer

WRITER_GRID = EqualAreaGrid(10.0)
WRITER_MODEL = ModelCard("m", "0" * 64, 16)
TERMS = {"source": "s", "licence": "l"}


def writer(folder, quantisation="int8"):
    return IndexWriter(folder, grid=WRITER_GRID, model=WRITER_MODEL, quantisation=quantisation)


@pytest.mark.parametrize("quantisation", ["int8", "float16"])
def test_rows_may_come_in_any_order_and_pieces(tmp_path, quantisation):
    n = WRITER_GRID.n_tiles
    vectors = np.random.default_rng(3).normal(size=(n, 16))
    whole = write_index(
        tmp_path / "a", grid=WRITER_GRID, vectors=vectors, model=WRITER_MODEL,
        quantisation=quantisation, **TERMS,
    )  # fmt: skip
    assert whole.fraction_valid is None and whole.present is None
    order = np.random.default_rng(4).permutation(n)
    with writer(tmp_path / "b", quantisation) as file:
        for tiles in np.array_split(order, 7):
            file.put(tiles, vectors[tiles])
        file.publish(**TERMS)
    assert open_index(tmp_path / "b").manifest.files == whole.manifest.files


def test_tiles_that_were_never_put_have_no_vector(tmp_path):
    with writer(tmp_path / "i") as file:
        file.put(np.array([7, 3]), np.ones((2, 16)), np.array([0.25, 1.0], np.float32))
        file.publish(**TERMS)
    index = open_index(tmp_path / "i")
    assert np.flatnonzero(index.present).tolist() == [3, 7]
    assert (index.fraction_valid[[3, 7]] == [1.0, 0.25]).all()
    assert not index.vector(4).any() and np.linalg.norm(index.vector(7)) == pytest.approx(1)
    table = gpd.read_parquet(index.folder / "tiles.parquet")
    assert (table["fraction_valid"] == index.fraction_valid).all()
    assert verify_index(index.folder) == []
    (index.folder / "fraction_valid.npy").write_bytes(b"")
    assert "fraction_valid.npy" in verify_index(index.folder)[0]


@pytest.mark.parametrize(
    ("tiles", "vectors", "share", "sentence"),
    [
        ([1, 1], np.ones((2, 16)), None, "more than one vector"),
        ([0], np.ones((1, 16)), None, "more than one vector"),  # put before
        ([1], np.ones((1, 15)), None, "shape"),
        ([1], np.zeros((1, 16)), None, "zero or not finite"),
        ([1], np.full((1, 16), np.inf), None, "zero or not finite"),
        ([1], np.ones((1, 16)), [0.0], "valid fraction"),
        ([1], np.ones((1, 16)), [1.5], "valid fraction"),
        ([1], np.ones((1, 16)), [np.nan], "valid fraction"),
    ],
)
def test_a_row_that_cannot_be_stored_is_refused(tmp_path, tiles, vectors, share, sentence):
    share = None if share is None else np.array(share, np.float32)
    with writer(tmp_path / "i") as file:
        file.put(np.array([0]), np.ones((1, 16)))
        with pytest.raises(BuildError, match=sentence):
            file.put(np.array(tiles), vectors, share)
    assert list(tmp_path.iterdir()) == []


def test_an_index_stays_until_the_new_one_is_whole(folder):
    before = open_index(folder).digest
    with writer(folder) as file:
        file.put(np.array([0]), np.ones((1, 16)))  # and then no publish
    with pytest.raises(BuildError, match="no vector"), writer(folder) as file:
        file.publish(**TERMS)
    assert open_index(folder).digest == before and verify_index(folder) == []
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_another_folder_is_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(IndexMissingError, match="not an index"):
        writer(tmp_path / "photos")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
