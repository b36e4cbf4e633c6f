"""The HTTP routes: right answers, one clear sentence for bad input, no file but their own."""

import io
import json
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mars_map import web
from mars_map.maps.basemap import Basemaps, Picture
from mars_map.maps.heat import heat_png
from mars_map.planet.regions import Box, LatitudeBand, Polygon
from mars_map.search import Filter, Part, Query
from mars_map.search.parts import encode_vector
from mars_map.search.records import result_record
from mars_map.web import polar, rasters
from mars_map.web.cache import PictureCache
from mars_map.web.files import contained
from mars_map.web.params import query_from_params, query_string, query_to_params
from tests.conftest import WordEncoder

QUERIES = [
    Query("dunes inside craters"),
    Query("ice & <b>snow</b> = 100 %", top_k=7, threshold=-0.125),
    Query.like("r010c0001", "r011c0002", region=Box(170, -10, -170, 10)),
    Query("chaos", prompts=("{}", "a picture of {}"), region=LatitudeBand(-90, -60.5)),
    Query("кратер", region=Polygon(((0, 0), (10.25, 0), (5, 9)))),
    Query(
        (
            Part("text", "dunes: all & old", 0.7),
            Part("text", "craters", 0.5, against=True, muted=True),
            Part("tile", "r010c0001", name="Gale: its north"),
            Part("vector", encode_vector(np.arange(-3.0, 13.0)), 0.25, name="mine (1).png"),
        ),
        filters=(Filter("elevation", None, -2000.0), Filter("slope", 0.125, 3)),
        yes=("r010c0003",),
        no=("r011c0002", "r011c0003"),
    ),
    Query(yes=("r010c0003",)),
]


@pytest.fixture
def client(small_service, tmp_path):
    (tmp_path / "page.js").write_text("export {}")
    app = Starlette(routes=web.routes(tmp_path))
    return TestClient(app, raise_server_exceptions=True)


@pytest.mark.parametrize("query", QUERIES, ids=lambda q: q.label)
def test_a_query_survives_the_address(query):
    assert query_from_params(query_to_params(query)) == query


@pytest.mark.parametrize("query", QUERIES[1:4:2], ids=lambda q: q.label)
def test_search_answers_what_the_engine_found(client, small_engine, query):
    answer = client.get(f"/mars/search?{query_string(query)}").json()
    wanted = json.loads(json.dumps(result_record(small_engine.search(query))))
    assert set(answer.pop("timing_ms")) == set(wanted.pop("timing_ms"))
    assert answer == wanted


def test_footprints_are_the_hits_best_first(client, small_engine):
    result = small_engine.search(Query("dunes", top_k=9))
    answer = client.get("/mars/footprints?q=dunes&k=9").json()
    assert answer["tiles"] == result.hits.tolist()
    np.testing.assert_allclose(answer["scores"], result.hit_scores, atol=1e-4)
    assert answer["low"] < answer["high"] <= result.scores.max()


def test_the_heat_map_is_the_querys_also_after_it_was_forgotten(client, small_engine, monkeypatch):
    result = small_engine.search(Query("dunes"))
    wanted = heat_png(result.scores, result.index.grid)
    first = client.get("/mars/heat.png?q=dunes")
    assert first.content == wanted and first.headers["content-type"] == "image/png"
    monkeypatch.setattr(rasters, "_pictures", PictureCache(1))
    assert client.get("/mars/heat.png?q=dunes&k=3&min=0.5").content == wanted


def test_the_heat_map_is_clear_outside_the_region(client):
    body = client.get("/mars/heat.png?q=dunes&band=0,90").content
    alpha = np.asarray(Image.open(io.BytesIO(body)).convert("RGBA"))[..., 3]
    south = alpha[alpha.shape[0] // 2 + 24 :]
    assert alpha.any() and not south.any()


def test_a_browser_that_holds_a_picture_gets_no_bytes(client):
    first = client.get("/mars/heat.png?q=dunes")
    again = client.get("/mars/heat.png?q=dunes", headers={"If-None-Match": first.headers["etag"]})
    other = client.get("/mars/heat.png?q=ice", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content
    assert other.status_code == 200 and other.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize("layer", ["viking", "relief", "elevation"])
def test_basemap_tiles_are_pictures_of_256_pixels(client, layer):
    reply = client.get(f"/mars/basemap/{layer}/1/3/1.jpg")
    assert reply.status_code == 200
    assert Image.open(io.BytesIO(reply.content)).size == (256, 256)


def test_a_thumbnail_shows_the_tile(client, small_index):
    name = small_index.grid.names([700])[0]
    assert Image.open(io.BytesIO(client.get(f"/mars/thumb/{name}.jpg").content)).size == (192, 192)
    large = client.get(f"/mars/thumb/{name}.jpg?size=256").content
    assert Image.open(io.BytesIO(large)).size == (256, 256)


def test_the_tile_under_a_point_is_the_grids(client, small_index):
    rng = np.random.default_rng(3)
    points = np.column_stack([rng.uniform(-180, 360, 40), rng.uniform(-90, 90, 40)])
    for lon, lat in [*points, (-180.0, -90.0), (180.0, 90.0)]:
        answer = client.get(f"/mars/tile-at?lon={lon}&lat={lat}").json()
        number = small_index.grid.tile_at(lon, lat)
        assert answer["tile"] == small_index.grid.names([number])[0]
        assert answer["bounds"] == small_index.grid.bounds(number).tolist()


def test_elevations_of_known_places(client):
    def at(lon, lat):
        return client.get(f"/mars/elevation?lon={lon}&lat={lat}").json()["elevation_m"]

    assert at(226.2, 18.65) > 19_000, "Olympus Mons"
    assert at(70.5, -42.4) < -6_000, "Hellas Planitia"


def test_places_complete_names_and_read_points(client):
    (gale,) = client.get("/mars/places?text=gale crater").json()["places"]
    assert gale["name"] == "Gale" and abs(gale["lon"] - 137.8) < 0.1
    (point,) = client.get("/mars/places?text=42 W, 18 N").json()["places"]
    assert (point["lon"], point["lat"]) == (-42.0, 18.0)
    assert client.get("/mars/places?text=").json() == {"places": []}
    assert len(client.get("/mars/places?text=a").json()["places"]) <= 8


def test_the_description_of_the_index_lets_the_map_compute_tiles(client, small_index):
    answer = client.get("/mars/index").json()
    assert answer["digest"] == small_index.digest
    assert answer["model"] == WordEncoder.model_id
    assert sum(answer["grid"]["columns"]) == small_index.n_tiles
    assert len(answer["grid"]["edges"]) == len(answer["grid"]["columns"]) + 1
    assert [layer["online"] for layer in answer["layers"]] == [False] * 3 + [True] * 3


def test_an_export_is_a_file_to_save(client):
    reply = client.get("/mars/export/csv?q=dunes&k=4")
    assert reply.headers["content-type"].startswith("text/csv")
    assert reply.headers["content-disposition"].startswith("attachment")
    assert len(reply.text.splitlines()) == 5


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("search", 400),
        ("search?q=", 400),
        ("search?q=" + quote("🚀🚀"), 400),
        ("search?q=" + "dunes+" * 100, 400),
        ("search?part=dunes", 400),
        ("search?like=r999c9999", 400),
        ("search?like=" + quote("<script>"), 400),
        ("search?q=dunes&k=0", 400),
        ("search?q=dunes&k=1000000", 400),
        ("search?q=dunes&k=many", 400),
        ("search?q=dunes&min=nan", 400),
        ("search?q=dunes&min=high", 400),
        ("search?q=dunes&box=1,2,3", 400),
        ("search?q=dunes&box=0,40,10,-40", 400),
        ("search?q=dunes&band=5", 400),
        ("search?q=dunes&band=5,100", 400),
        ("search?q=dunes&polygon=0,0;1,1", 400),
        ("search?q=dunes&polygon=0,0;10,10;10,0;0,10", 400),
        ("search?q=dunes&polygon=a,b;c", 400),
        ("search?q=dunes&box=0,0,9,9&band=0,9", 400),
        ("search?q=dunes&prompt=nothing", 400),
        ("heat.png?q=", 400),
        ("footprints?q=", 400),
        ("tile-at", 400),
        ("tile-at?lon=x&lat=0", 400),
        ("tile-at?lon=0&lat=91", 400),
        ("tile-at?lon=400&lat=0", 400),
        ("tile-at?lon=nan&lat=0", 400),
        ("elevation?lon=inf&lat=0", 400),
        ("places?text=400 E, 3 N", 400),
        ("thumb/r999c9999.jpg", 404),
        ("thumb/..%2f..%2fx.jpg", 404),
        ("thumb/r010c0001.jpg?size=99999999", 404),
        ("basemap/earth/0/0/0.jpg", 404),
        ("basemap/viking/3/99/0.jpg", 404),
        ("basemap/viking/99/0/0.jpg", 404),
        ("export/docx?q=dunes", 400),
        ("nothing/here", 404),
    ],
)
def test_bad_input_gets_one_clear_sentence(client, address, status):
    reply = client.get(f"/mars/{address}")
    assert reply.status_code == status
    (sentence,) = reply.json().values()
    assert sentence[0].isupper() or sentence[0] == '"'
    assert sentence.endswith((".", "?")) and len(sentence) < 300
    assert "Traceback" not in sentence and "Error" not in sentence


def test_a_missing_index_is_named(client, small_service, monkeypatch, tmp_path):
    monkeypatch.setattr(small_service, "_engine", None)
    monkeypatch.setattr("mars_map.settings.INDEX_DIR", tmp_path / "nowhere")
    reply = client.get("/mars/search?q=dunes")
    assert reply.status_code == 503 and "nowhere" in reply.json()["error"]


def test_leaflet_and_the_components_are_served(client):
    script = client.get("/mars/leaflet/leaflet-src.esm.js")
    assert script.status_code == 200 and script.headers["content-type"].startswith("text/java")
    assert client.get("/mars/leaflet/leaflet.css").headers["content-type"].startswith("text/css")
    assert client.get("/mars/component/page.js").text == "export {}"


@pytest.mark.parametrize(
    "name",
    [
        "../secret.js",
        "a/../../secret.js",
        "%2e%2e/secret.js",
        "..%2fsecret.js",
        "/etc/passwd",
        "link.js",
        "notes.txt",
        "page.js\0.png",
        "",
        ".",
        "x" * 5000 + ".js",
    ],
)
def test_no_name_leads_out_of_the_folder(client, tmp_path, name):
    (tmp_path.parent / "secret.js").write_text("secret")
    (tmp_path / "notes.txt").write_text("not for the web")
    (tmp_path / "link.js").symlink_to(tmp_path.parent / "secret.js")
    assert contained(tmp_path, name) is None
    reply = client.get("/mars/component/" + quote(name, safe="%/"))
    assert reply.status_code == 404 and "secret" not in reply.text


def test_the_store_of_pictures_forgets_the_oldest():
    store = PictureCache(25)
    made = []

    def picture(key):
        made.append(key)
        return Picture(b"0123456789", "image/png")

    for key in "aabacb":
        store.get(key, lambda key=key: picture(key))
    assert made == ["a", "b", "c", "b"], "b was the least recently used when c came"
    assert store.size == 20


def test_warming_up_reports_what_is_wrong_and_goes_on(small_service, monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(small_service, "_engine", None)
    monkeypatch.setattr("mars_map.settings.INDEX_DIR", tmp_path / "nowhere")
    small_service.warm()
    assert small_service.is_warm and "nowhere" in caplog.text


def test_the_first_look_at_a_pole_is_ready(client, monkeypatch):
    made = []

    def make(_basemaps, *tile):
        made.append(tile)
        return Picture(b"ready", "image/jpeg")

    monkeypatch.setattr(rasters, "_pictures", PictureCache(10_000))
    monkeypatch.setattr(Basemaps, "polar_tile", make)
    polar.warm_up()
    count = len(made)
    for pole in ("north", "south"):
        assert client.get(f"/mars/polar/{pole}/viking/3/3/4.jpg").content == b"ready"
    assert len(made) == count, "nothing is made a second time"
