"""A synthetic planet: what was planted is found, exactly, and everywhere it says what it is."""

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from streamlit.testing.v1 import AppTest

from mars_map.cli import main
from mars_map.errors import BuildError, IndexDamagedError
from mars_map.export import Provenance
from mars_map.index import open_index, verify_index
from mars_map.index.synthetic import (
    MIN_TILES,
    PLACES,
    TruthEncoder,
    read_truths,
    synthesize,
    synthetic_grid,
)
from mars_map.planet.sphere import METRES_PER_DEGREE, great_circle_m
from mars_map.search import Engine, Query
from mars_map.search.scoring import best_tiles, score_all
from tests.conftest import make_index

TILES, DIM = 10_000, 48


@pytest.fixture(scope="module", params=["float16", "int8"])
def planet(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / request.param
    return synthesize(folder, tiles=TILES, dim=DIM, seed=5, quantisation=request.param)


@pytest.mark.parametrize("tiles", [360_000, 1_440_000, 5_760_000])
def test_the_sizes_of_the_benchmarks_are_met_exactly(tiles):
    assert synthetic_grid(tiles).n_tiles == tiles


def test_other_sizes_are_rounded_up(planet):
    assert TILES <= planet.n_tiles < TILES * 1.05
    assert verify_index(planet.folder) == []


def test_a_search_with_the_planted_vector_finds_its_tiles_and_no_other(planet):
    truths = read_truths(planet)
    assert [truth.name for truth in truths] == [place[0] for place in PLACES]
    for truth in truths:
        scores = score_all(planet, truth.vector)
        found = best_tiles(scores, len(truth.tiles))
        assert set(found) == set(truth.tiles)
        others = np.delete(scores, truth.tiles)
        assert scores[truth.tiles].min() > 0.9 > 0.1 > np.abs(others).max()


def test_truths_lie_where_the_manifest_says(planet):
    lon, lat = planet.grid.centers
    for truth in read_truths(planet):
        assert planet.grid.tile_at(truth.lon, truth.lat) in truth.tiles
        away = great_circle_m(lon[truth.tiles], lat[truth.tiles], truth.lon, truth.lat)
        assert away.max() <= (truth.radius_deg + planet.grid.step_deg) * METRES_PER_DEGREE


def test_its_clusters_are_places(planet):
    """Neighbours are alike and far tiles are not, as on a planet."""
    vectors = np.array([planet.vector(tile) for tile in range(0, planet.n_tiles, 7)])
    beside = np.array([planet.vector(min(t + 1, planet.n_tiles - 1)) for t in
                       range(0, planet.n_tiles, 7)])  # fmt: skip
    alike = (vectors * beside).sum(axis=1)
    far = (vectors * np.roll(vectors, len(vectors) // 2, axis=0)).sum(axis=1)
    assert np.median(alike) > 0.35 > 0.15 > abs(np.median(far))


def test_the_names_of_truths_are_words_that_it_answers(planet):
    truth = read_truths(planet)[4]
    result = Engine(planet, TruthEncoder(planet)).search(
        Query(truth.name, top_k=min(len(truth.tiles), 5_000))
    )
    assert set(result.hits) <= set(truth.tiles)
    assert Provenance(result).to_dict()["index"]["synthetic"] is True
    assert "made-up" in Provenance(result).table()["model"].iloc[0]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        synthesize(tmp_path / name, tiles=MIN_TILES, dim=32, seed=seed)
    a, b, c = (open_index(tmp_path / name).manifest for name in "abc")
    assert a.files == b.files  # sizes and sha256 of every file
    assert a.model == b.model
    assert a.files["vectors.npy"] != c.files["vectors.npy"]
    assert a.model.sha256 != c.model.sha256


@pytest.mark.parametrize(("tiles", "dim"), [(MIN_TILES - 1, 64), (MIN_TILES, 31), (0, 64)])
def test_too_small_a_planet_is_refused(tmp_path, tiles, dim):
    with pytest.raises(BuildError, match="at least"):
        synthesize(tmp_path / "i", tiles=tiles, dim=dim)
    assert not (tmp_path / "i").exists()


def test_an_index_without_truths_says_so(tmp_path):
    with pytest.raises(IndexDamagedError, match="no planted truths"):
        read_truths(make_index(tmp_path / "i"))


def test_the_shell_makes_it_and_says_that_it_is_made_up(tmp_path):
    folder = tmp_path / "planet"
    done = CliRunner().invoke(
        main, ["synthesize", str(folder), "--tiles", "900", "--dim", "32", "--dtype", "int8"]
    )
    assert done.exit_code == 0, done.output
    assert "900 made-up tiles" in done.output
    told = CliRunner().invoke(main, ["info", str(folder)])
    assert "say nothing about Mars" in told.output
    alike = CliRunner().invoke(
        main, ["similar", "--at", "137.8,-5.4", "--index", str(folder), "--format", "json"]
    )
    assert json.loads(alike.output)["index"]["synthetic"] is True


def test_a_full_disk_is_one_sentence_and_nothing_is_published(tmp_path, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    done = CliRunner().invoke(main, ["synthesize", str(tmp_path / "p"), "--tiles", "900"])
    assert done.exit_code == 1
    assert "make room" in done.output and done.output.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_no_more_leaves_nothing(tmp_path):
    """The kernel itself refuses the bytes: files of this process may not grow past 200 kB."""
    code = (
        "import resource, sys; from mars_map.cli import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
        "main(['synthesize', sys.argv[1], '--tiles', '8000', '--dim', '32'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "p")], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "could not be written" in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_page_says_that_it_is_made_up(small_service, planet, monkeypatch):
    def about():
        from mars_map.ui.about import about_tab

        about_tab()

    monkeypatch.setattr(small_service, "_engine", Engine(planet, TruthEncoder(planet)))
    test = AppTest.from_function(about, default_timeout=60).run()
    assert not test.exception
    assert "made up and say nothing about Mars" in test.warning[0].value
