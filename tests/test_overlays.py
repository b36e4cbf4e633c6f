"""What lies over the map: catalogues as they were published, small, with their sources."""

import gzip
import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mars_map import web
from mars_map.build.inputs import Inputs
from mars_map.build.overlay_catalogues import CATALOGUES, Feature
from mars_map.build.overlays import build_overlays, encode_paths, simplify
from mars_map.planet.sphere import great_circle_m
from mars_map.settings import OVERLAYS_DIR
from mars_map.web import overlays

KEYS = [catalogue.key for catalogue, _ in CATALOGUES]
MOST_BYTES = 6_000_000


@pytest.fixture
def client(tmp_path):
    return TestClient(Starlette(routes=web.routes(tmp_path)))


def decoded(overlay: dict) -> list[list[np.ndarray]]:
    """The paths of each feature as (n, 2) lon, lat, as the browser reads them."""
    return [
        [np.cumsum(np.reshape(path, (-1, 2)), axis=0) / overlay["scale"] for path in paths]
        for paths in overlay["paths"]
    ]


def test_every_catalogue_is_listed_with_its_source(client):
    listed = client.get("/mars/overlay").json()
    assert [entry["key"] for entry in listed] == KEYS
    for entry in listed:
        assert entry["title"] and entry["credit"] and entry["source"] and entry["licence"]
        assert entry["count"] > 500


@pytest.mark.parametrize("key", KEYS)
def test_an_overlay_is_whole_and_on_mars(client, key):
    overlay = client.get(f"/mars/overlay/{key}").json()
    (entry,) = (e for e in client.get("/mars/overlay").json() if e["key"] == key)
    features = decoded(overlay)
    assert len(features) == len(overlay["kind"]) == len(overlay["size"]) == entry["count"]
    assert set(overlay["kind"]) == set(range(len(overlay["kinds"])))
    assert (max(size or 0 for size in overlay["size"]) > 0) == bool(entry["measure"])
    points = np.vstack([path for paths in features for path in paths])
    assert np.abs(points[:, 0]).max() <= 180.001 and np.abs(points[:, 1]).max() <= 90
    least = {"point": 1, "line": 2, "polygon": 3}[entry["geometry"]]
    assert min(len(path) for paths in features for path in paths) >= least
    # No line may run across the planet because it passes 180 degrees.
    steps = (np.diff(path[:, 0]) for paths in features for path in paths)
    assert max(np.abs(step).max(initial=0) for step in steps) < 180


def test_known_places_are_where_they_should_be(client):
    points = {key: client.get(f"/mars/overlay/{key}").json() for key in ("landslides", "dunes")}
    lon, lat = np.vstack([paths[0] for paths in decoded(points["landslides"])]).T
    inside = (lon > -90) & (lon < -40) & (lat > -20) & (lat < 0)
    assert inside.mean() > 0.3, "Valles Marineris has the most large landslides"
    # Nili Patera's dunes, the best known ones.
    middles = np.array([paths[0].mean(axis=0) for paths in decoded(points["dunes"])])
    assert great_circle_m(*middles.T, 67.3, 8.8).min() < 60_000


def test_overlays_travel_packed_and_are_kept(client):
    reply = client.get("/mars/overlay/graben", headers={"Accept-Encoding": "gzip"})
    assert reply.headers["content-encoding"] == "gzip"
    assert "max-age=86400" in reply.headers["cache-control"]
    assert reply.json()["paths"]
    again = client.get("/mars/overlay/graben", headers={"If-None-Match": reply.headers["etag"]})
    assert again.status_code == 304 and not again.content
    plain = client.get("/mars/overlay/graben", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.json() == reply.json()


def test_names_come_largest_first(client):
    names = client.get("/mars/overlay/names").json()
    sizes = [size or 0 for size in names["diameter_km"]]
    assert sizes == sorted(sizes, reverse=True)
    gale = names["name"].index("Gale")
    assert names["kind"][gale] == "crater"
    assert names["lon"][gale] == pytest.approx(137.8, abs=0.2)


def test_geology_is_a_picture(client):
    reply = client.get("/mars/overlay/geology/2/3/1.jpg")
    assert reply.headers["content-type"] == "image/jpeg" and len(reply.content) > 1_000


@pytest.mark.parametrize(
    "path", ["overlay/nothing", "overlay/..%2Fgazetteer.csv", "overlay/geology/2/9/1.jpg"]
)
def test_what_is_not_there_is_refused(client, path):
    reply = client.get(f"/mars/{path}")
    assert reply.status_code == 404 and reply.json()["error"]


def test_damaged_and_absent_files_are_one_sentence(client, tmp_path, monkeypatch):
    listed = (OVERLAYS_DIR / "overlays.json").read_text(encoding="utf-8")
    monkeypatch.setattr(overlays.settings, "OVERLAYS_DIR", tmp_path)
    kept = overlays._listed, overlays._catalogue
    for name, reader in zip(("_listed", "_catalogue"), kept, strict=True):
        monkeypatch.setattr(overlays, name, reader.__wrapped__)
    replies = [client.get("/mars/overlay")]
    (tmp_path / "overlays.json").write_text("[{")
    replies.append(client.get("/mars/overlay"))
    (tmp_path / "overlays.json").write_text(listed, encoding="utf-8")
    (tmp_path / "graben.json.gz").write_bytes(gzip.compress(b"[]" * 5_000)[:30])
    replies.append(client.get("/mars/overlay/graben"))
    for reply in replies:
        assert reply.status_code == 404 and "restore" in reply.json()["error"]


def test_the_files_are_small():
    assert sum(file.stat().st_size for file in OVERLAYS_DIR.iterdir()) < MOST_BYTES


def test_simplifying_keeps_within_the_tolerance():
    x = np.linspace(0, 20, 400)
    line = np.column_stack([x, 40 + np.sin(x)])
    simple = simplify(line, "line")
    assert len(simple) < len(line) / 4
    dense = np.vstack(
        [a + np.linspace(0, 1, 50)[:, None] * (b - a) for a, b in itertools.pairwise(simple)]
    )
    for lon, lat in line:
        assert great_circle_m(lon, lat, *dense.T).min() < 2_300
    ring = np.array([(0, 0), (0.01, 0), (0.01, 0.01), (0, 0.01), (0, 0)])
    assert len(simplify(ring, "polygon")) == 4, "a small outline keeps its corners"


def test_paths_are_written_as_steps():
    feature = Feature([np.array([(179.9, 1.0), (180.2, 1.0), (180.2, 1.5)])], "fault", None)
    encoded = encode_paths([feature], "line")
    assert encoded["paths"] == [[[179900, 1000, 300, 0, 0, 500]]]
    assert decoded(encoded)[0][0][-1] == pytest.approx([180.2, 1.5])


@pytest.mark.skipif(
    "MARS_MAP_INPUTS" not in os.environ,
    reason="set MARS_MAP_INPUTS to the folder of inputs to compare with what is shipped",
)
def test_what_is_shipped_is_what_the_build_makes(tmp_path):
    for path in build_overlays(Inputs(Path(os.environ["MARS_MAP_INPUTS"])), tmp_path):
        made, shipped = path.read_bytes(), (OVERLAYS_DIR / path.name).read_bytes()
        if path.suffix == ".gz":
            made, shipped = (json.loads(gzip.decompress(content)) for content in (made, shipped))
        assert made == shipped, path.name
