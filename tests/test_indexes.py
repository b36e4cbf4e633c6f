"""Several indexes in one server: by name, each with its own model, in routes and on the page."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from mars_map import api, settings
from mars_map.cli import main
from mars_map.errors import ModelMismatchError, QueryError
from mars_map.index.synthetic import TruthEncoder, synthesize
from mars_map.search import Query
from mars_map.search.opening import fitting_encoder, model_folder
from mars_map.web import routes, service
from mars_map.web.indexes import chosen_index, folder_of, named_folders
from tests.conftest import make_index


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A folder with a synthetic planet and an index whose model nobody has."""
    folder = tmp_path_factory.mktemp("shelf")
    synthesize(folder / "planet", tiles=3600, dim=64)
    make_index(folder / "strange")
    return folder


@pytest.fixture
def several(shelf, small_index, small_service, monkeypatch):
    monkeypatch.setattr(settings, "INDEX_DIR", small_index.folder)
    monkeypatch.setattr(settings, "INDEX_DIRS", (small_index.folder, shelf))
    monkeypatch.setattr(settings, "MODEL_DIRS", (shelf / "no model",))
    monkeypatch.setattr(small_service, "_others", {})
    return small_service


@pytest.fixture
def client(several):
    return TestClient(Starlette(routes=routes(Path())))


def test_folders_of_indexes_and_equal_names(shelf, small_index, tmp_path):
    found = named_folders((small_index.folder, shelf, small_index.folder))
    assert list(found) == ["index", "planet", "strange", "index-2"]
    assert folder_of(found, "") == small_index.folder
    assert folder_of(found, "planet") == shelf / "planet"
    with pytest.raises(QueryError, match="there is index, planet"):
        folder_of(found, "venus")
    assert list(named_folders((tmp_path / "none",))) == ["none"], "opening it says what is wrong"


def test_every_route_takes_the_name_of_an_index(client, several, small_index):
    first, planet = client.get("/mars/index").json(), client.get("/mars/index?index=planet").json()
    assert (first["digest"], first["name"]) == (small_index.digest, "index")
    assert (planet["name"], planet["synthetic"]) == ("planet", True)
    hits = client.get("/mars/search?q=Gale&k=3&index=planet").json()
    assert hits["index"]["digest"] == planet["digest"] and hits["index"]["synthetic"]
    pictures = [client.get(f"/mars/heat.png?q=Gale{index}") for index in ("", "&index=planet")]
    assert pictures[0].content != pictures[1].content
    assert client.get("/mars/health?index=planet").json()["index"] == planet["digest"]
    unknown = client.get("/mars/footprints?q=Gale&index=venus")
    assert unknown.status_code == 400
    assert (
        unknown.json()["error"]
        == 'There is no index "venus" here; there is index, planet, strange.'
    )


def test_an_index_without_its_model_answers_by_tile_and_says_so_for_words(client, several):
    by_tile = client.get("/mars/search?like=r010c0010&k=5&index=strange")
    assert by_tile.status_code == 200 and len(by_tile.json()["hits"]) == 5
    by_words = client.get("/mars/search?q=dunes&index=strange")
    assert by_words.status_code == 503
    assert "is not at hand" in by_words.json()["error"] and "pick a tile" in by_words.text


def test_an_index_finds_its_model_by_hash(shelf, small_index, several, monkeypatch):
    with chosen_index("strange"):
        index = service().index
        assert model_folder(index) is None
        with pytest.raises(ModelMismatchError):
            fitting_encoder(index)
        models = [shelf / "first", shelf / "second"]
        for folder, sha256 in zip(models, ("0" * 64, index.manifest.model.sha256), strict=True):
            folder.mkdir()
            (folder / "config.json").write_text(json.dumps({"weights_sha256": sha256}))
        monkeypatch.setattr(settings, "MODEL_DIRS", tuple(models))
        assert model_folder(index) == models[1] == several.model_folder
    with chosen_index("planet"):
        assert isinstance(service().engine.encoder(), TruthEncoder)
        result = service().search(Query("Hellas", top_k=5))
    assert np.all(result.hit_scores > 0.9)


@pytest.fixture
def page(several):
    def open_(**params):
        test = AppTest.from_file(str(Path("mars_map/ui/page.py").resolve()), default_timeout=60)
        for name, value in params.items():
            test.query_params[name] = value
        return test.run()

    return open_


def _texts(test):
    return " ".join(
        [*(m.value for m in test.caption), *(str(h.proto.body) for h in test.get("html"))]
    )


def test_the_page_searches_the_index_in_its_address_and_offers_the_others(page):
    test = page(index="planet", q="Gale")
    assert not test.exception and not test.error
    assert "3,600 tiles scored" in _texts(test) and "made up" in _texts(test)
    assert "?index=strange&amp;q=Gale" in _texts(test) and "planet (synthetic)" in _texts(test)
    assert test.query_params["index"] in ("planet", ["planet"])


def test_the_page_names_an_index_that_is_not_there_and_shows_the_first(page):
    test = page(index="venus")
    assert not test.exception
    assert "venus" in test.error[0].value
    assert "3,600 tiles" not in _texts(test)


def test_one_index_is_no_choice(page, several, small_index, monkeypatch):
    monkeypatch.setattr(settings, "INDEX_DIRS", (small_index.folder,))
    assert 'class="mars-index' not in _texts(page())


def test_a_script_searches_any_index_by_the_model_that_made_it(several, shelf):
    index = api.open_index(shelf / "planet")
    result = api.search(index, "Gale", top_k=3)
    assert result.index is index and len(result.hits) == 3
    with pytest.raises(ModelMismatchError):
        api.search(api.open_index(shelf / "strange"), "Gale")


def test_the_shell_evaluates_any_index_by_the_model_that_made_it(several, shelf, tmp_path):
    catalogue = tmp_path / "gale.csv"
    index = api.open_index(shelf / "planet")
    lon, lat = (float(v[index.grid.tile_at(137.8, -5.4)]) for v in index.grid.centers)
    catalogue.write_text(f"lon,lat\n{lon},{lat}\n")
    command = ["evaluate", "geolocalization", "--catalogue", str(catalogue), "--json"]
    planet = CliRunner().invoke(
        main, [*command, "--index", str(shelf / "planet"), "--query", "Gale"]
    )
    assert planet.exit_code == 0, planet.output
    assert json.loads(planet.stdout)["corrected"]["recall"] == 1
    strange = [*command, "--index", str(shelf / "strange")]
    picture = str(tmp_path / "any.png")
    for asked in (("--query", "dunes"), ("--image", picture)):
        outcome = CliRunner().invoke(main, [*strange, *asked])
        assert outcome.exit_code == 1 and "is not at hand" in outcome.stderr
