"""What other programs read over HTTP: OGC API Features, WMTS and tiles, by GDAL itself."""

import io
import json
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import rasterio
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mars_map import web
from mars_map.maps.footprints import to_geodataframe
from mars_map.maps.heat import heat_palette
from mars_map.planet.regions import Box
from mars_map.search import Query
from mars_map.settings import BASEMAP_DIR
from mars_map.web.ogc import CRS_URI
from mars_map.web.parameters import QUERY
from mars_map.web.params import query_string, query_to_params
from tests.colours import colour_positions
from tests.http import running_server

GALE = (137.8, -5.4)
ITEMS = "/mars/ogc/collections/hits/items"
RICH = Query(
    "dunes & <b>ice</b>", region=Box(170, -40, -120, 60), top_k=70, threshold=-0.5, prompts=("{}",)
)


@pytest.fixture
def client(small_service, tmp_path):
    return TestClient(Starlette(routes=web.routes(tmp_path)), raise_server_exceptions=True)


READ = """
import json, sys
import numpy, pyogrio, rasterio

address, query, places = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

def features(query, **options):
    read = pyogrio.read_dataframe(f"OAPIF:{address}/ogc?{query}", layer="hits", **options)
    return {"tile": list(read["tile"]), "score": list(read["score"]),
            "bounds": read.bounds.to_numpy().tolist(),
            "radius": read.crs.ellipsoid.semi_major_metre}

def raster(source):
    with rasterio.open(source) as opened:
        return {"bounds": list(opened.bounds), "crs": opened.crs.to_wkt(),
                "seen": [values.tolist() for values in opened.sample(places)]}

with rasterio.open(f"WMTS:{address}/wmts,layer=viking") as opened:
    window = opened.window(129.8, -13.4, 145.8, 2.6)
    viking = opened.read((1, 2, 3), window=window, out_shape=(3, 64, 64)).mean(axis=0).tolist()
print(json.dumps({
    "pages": features(query, INITIAL_REQUEST_PAGE_SIZE="5", PAGE_SIZE="9"),
    "box": features("q=dunes&k=1000", bbox=(130, -10, 140, 0)),
    "wmts": raster(f"WMTS:{address}/wmts?q=dunes,layer=heat"),
    "gdal": raster(f"{address}/gdal/heat.xml?q=dunes"),
    "viking": viking,
}))
"""
"""What GDAL does in a process of its own: it holds Python's lock while it waits for the server."""


@pytest.fixture(scope="module")
def dunes(small_engine):
    """The answer to "dunes": colour and place of a tile of full colour, a clear one, and Gale's."""
    result = small_engine.search(Query("dunes"))
    levels = colour_positions(result.scores)
    grid = result.index.grid
    tiles = [int(levels.argmax()), int(levels.argmin()), int(grid.tile_at(*GALE))]
    places = np.column_stack([axis[tiles] for axis in grid.centers]).tolist()
    return heat_palette()[np.rint(levels[tiles] * 255).astype(int)], places


@pytest.fixture(scope="module")
def gdal(small_engine, dunes, tmp_path_factory):
    """Everything that GDAL reads from a running server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web.service(), "_engine", small_engine)
        with running_server(tmp_path_factory.mktemp("components")) as address:
            command = [
                sys.executable,
                "-c",
                READ,
                address,
                query_string(RICH),
                json.dumps(dunes[1]),
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def hits_of(small_engine, query):
    return to_geodataframe(small_engine.search(query)).set_index("tile")


def test_gdal_reads_the_hits_as_features(gdal, small_engine):
    """Several pages, both sides of 180 degrees, and an axis order that GDAL turns round."""
    read = gdal["pages"]
    sent = hits_of(small_engine, RICH)
    assert len(read["tile"]) == len(sent) > 18 and set(read["tile"]) == set(sent.index)
    wanted = sent.loc[read["tile"]]
    np.testing.assert_allclose(read["bounds"], wanted.bounds.to_numpy(), atol=1e-6)
    np.testing.assert_allclose(read["score"], wanted["score"], atol=1e-6)
    assert read["radius"] == 3_396_190


def test_gdal_asks_for_a_box(gdal, small_engine):
    sent = hits_of(small_engine, Query("dunes", top_k=1000))
    assert set(gdal["box"]["tile"]) == set(sent.cx[130:140, -10:0].index)
    assert len(gdal["box"]["tile"]) >= 4


@pytest.mark.parametrize("how", ["wmts", "gdal"])
def test_gdal_reads_the_heat_map_in_the_right_place(gdal, dunes, how):
    read, (colours, _places) = gdal[how], dunes
    assert read["bounds"] == [-180, -90, 180, 90] and "3396190" in read["crs"]
    seen = np.array(read["seen"])
    np.testing.assert_array_equal(seen[:, 3], colours[:, 3])
    shown = colours[:, 3] > 0
    np.testing.assert_array_equal(seen[shown], colours[shown])
    assert shown.any() and not shown.all()


def test_gdal_reads_a_basemap_in_the_right_place(gdal):
    seen = np.array(gdal["viking"])
    with rasterio.open(BASEMAP_DIR / "viking.tif") as raster:
        window = raster.window(GALE[0] - 8, GALE[1] - 8, GALE[0] + 8, GALE[1] + 8)
        own = raster.read((1, 2, 3), window=window, out_shape=(3, 64, 64)).mean(axis=0)
    likeness = np.corrcoef(seen.ravel(), own.ravel())[0, 1]
    shifted = np.corrcoef(seen[3:].ravel(), own[:-3].ravel())[0, 1]
    assert likeness > 0.8 and shifted < likeness - 0.1


def test_tiles_of_the_heat_map_are_the_heat_map(client, small_engine):
    result = small_engine.search(Query("dunes"))
    whole = client.get("/mars/heat.png?q=dunes").content
    planet = np.asarray(Image.open(io.BytesIO(whole)).convert("RGBA").resize((512, 256), 0))
    halves = [client.get(f"/mars/heat/0/{x}/0.png?q=dunes").content for x in (0, 1)]
    joined = np.hstack([np.asarray(Image.open(io.BytesIO(h)).convert("RGBA")) for h in halves])
    assert joined.shape == (256, 512, 4)
    assert (joined == planet).all(axis=2).mean() > 0.95, "but for tiles' borders"
    assert result.scores.max() > result.scores.min()


def test_every_link_carries_the_query_on(client):
    landing = client.get(f"/mars/ogc?{query_string(RICH)}").json()
    links = {link["rel"]: link["href"] for link in landing["links"]}
    assert {"self", "service-desc", "service-doc", "conformance", "data"} <= set(links)
    collections = client.get(links["data"]).json()["collections"]
    (items,) = (link["href"] for link in collections[0]["links"] if link["rel"] == "items")
    assert parse_qs(urlsplit(items).query) == query_to_params(RICH)
    assert client.get(items).json()["numberMatched"] > 18
    for rel in ("service-desc", "service-doc", "conformance"):
        assert client.get(links[rel]).status_code == 200


def test_pages_hold_every_hit_once(client, small_engine):
    link, tiles = f"{ITEMS}?q=dunes&k=50&limit=20", []
    while link:
        page = client.get(link).json()
        assert page["numberMatched"] == 50 and page["numberReturned"] == len(page["features"])
        tiles += [feature["id"] for feature in page["features"]]
        rels = {one["rel"]: one["href"] for one in page["links"]}
        link = rels.get("next")
    result = small_engine.search(Query("dunes", top_k=50))
    assert tiles == result.index.grid.names(result.hits).tolist()
    back = client.get(rels["prev"]).json()
    assert [feature["id"] for feature in back["features"]] == tiles[20:40]


def test_who_asks_for_nothing_gets_longitude_first_on_mars(client):
    reply = client.get(f"{ITEMS}?q=dunes&k=3")
    assert reply.headers["content-type"] == "application/geo+json"
    assert "content-crs" not in reply.headers
    assert reply.json()["crs"]["properties"]["name"] == "urn:ogc:def:crs:IAU:2015:49900"
    for feature in reply.json()["features"]:
        ring = np.array(feature["geometry"]["coordinates"][0])
        middle = (ring.min(axis=0) + ring.max(axis=0)) / 2
        values = feature["properties"]
        np.testing.assert_allclose(middle, [values["lon"], values["lat"]], atol=1e-5)


def test_who_asks_for_the_crs_gets_its_order(client):
    plain = client.get(f"{ITEMS}?q=dunes&k=3").json()["features"]
    reply = client.get(f"{ITEMS}?q=dunes&k=3", params={"crs": CRS_URI, "q": "dunes", "k": 3})
    assert reply.headers["content-crs"] == f"<{CRS_URI}>" and "crs" not in reply.json()
    for one, other in zip(plain, reply.json()["features"], strict=True):
        turned = np.array(other["geometry"]["coordinates"])[..., ::-1]
        np.testing.assert_array_equal(one["geometry"]["coordinates"], turned)


def test_a_box_may_cross_180_degrees(client, small_engine):
    found = client.get(f"{ITEMS}?q=dunes&k=2000&limit=2000&bbox=170,-20,-170,20").json()
    bounds = hits_of(small_engine, Query("dunes", top_k=2000)).bounds
    east, west = bounds["maxx"] >= 170, bounds["minx"] <= -170
    inside = (bounds["maxy"] >= -20) & (bounds["miny"] <= 20) & (east | west)
    assert {feature["id"] for feature in found["features"]} == set(bounds.index[inside])


def test_one_hit_has_its_own_address(client):
    first = client.get(f"{ITEMS}?q=dunes&k=3").json()["features"][0]
    alone = client.get(f"{ITEMS}/{first['id']}?q=dunes&k=3").json()
    assert alone["geometry"] == first["geometry"] and alone["properties"]["rank"] == 1


def test_the_names_of_all_queries_are_known():
    from tests.test_web import QUERIES

    asked = {name for query in QUERIES for name in query_to_params(query)}
    assert asked <= set(QUERY)


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        (ITEMS, 400, "look for"),
        (f"{ITEMS}?q=dunes&limit=0", 400, "limit"),
        (f"{ITEMS}?q=dunes&limit=many", 400, "limit"),
        (f"{ITEMS}?q=dunes&offset=-1", 400, "offset"),
        (f"{ITEMS}?q=dunes&bbox=1,2,3", 400, "bbox"),
        (f"{ITEMS}?q=dunes&bbox=0,20,10,-20", 400, "bbox"),
        (f"{ITEMS}?q=dunes&bbox=a,b,c,d", 400, "bbox"),
        (f"{ITEMS}?q=dunes&bbox=nan,0,10,10", 400, "bbox"),
        (f"{ITEMS}?q=dunes&querry=1", 400, "querry"),
        (f"{ITEMS}?q=dunes&crs=http://www.opengis.net/def/crs/OGC/1.3/CRS84", 400, "Mars"),
        (f"{ITEMS}/r999c9999?q=dunes", 404, "hits"),
        ("/mars/ogc/collections/earth?q=dunes", 404, "hits"),
        ("/mars/ogc/collections/earth/items?q=dunes", 404, "hits"),
        ("/mars/heat/99/0/0.png?q=dunes", 404, "zoom"),
        ("/mars/heat/1/0/0.png", 400, "look for"),
        ("/mars/gdal/earth.xml", 404, "basemap"),
        ("/mars/gdal/heat.xml", 400, "look for"),
        ("/mars/wmts?q=", 400, "look for"),
    ],
)
def test_bad_input_gets_one_clear_sentence(client, address, status, said):
    reply = client.get(address)
    assert reply.status_code == status
    (sentence,) = reply.json().values()
    assert said in sentence and sentence.endswith(".") and "Traceback" not in sentence


def test_names_of_people_are_text_in_xml_and_links(client):
    query = {"q": 'ice & "<script>"'}
    text = client.get("/mars/wmts", params=query).text
    assert "<script>" not in text and "&lt;script&gt;" in text
    assert "%3Cscript%3E" in client.get("/mars/gdal/heat.xml", params=query).text
