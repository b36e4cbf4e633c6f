"""The embedded default: the index is whole, fits the model and finds what is known to be there."""

import json

import pytest

from mars_map.encoders import load_text_encoder
from mars_map.index import open_index, verify_index
from mars_map.planet.grid import EqualAreaGrid
from mars_map.planet.sphere import great_circle_m
from mars_map.search import Engine, Query
from mars_map.settings import INDEX_DIR, MODEL_DIR


@pytest.fixture(scope="module")
def engine():
    return Engine(open_index(INDEX_DIR), load_text_encoder(MODEL_DIR))


def test_it_is_what_was_published():
    assert verify_index(INDEX_DIR) == []


def test_it_covers_the_planet_and_was_made_by_the_model_beside_it(engine):
    index = engine.index
    assert index.grid == EqualAreaGrid(0.5)
    assert index.n_tiles == 165_016
    assert not index.manifest.synthetic
    config = json.loads((MODEL_DIR / "config.json").read_text())
    assert index.manifest.model.sha256 == config["weights_sha256"]
    assert index.dim == config["network"]["dim"]


def test_it_is_small_enough_to_ship():
    index = sum(f.stat().st_size for f in INDEX_DIR.iterdir())
    model = sum(f.stat().st_size for f in MODEL_DIR.iterdir())
    assert index <= 25 * 2**20 and model <= 25 * 2**20


@pytest.mark.parametrize(
    ("words", "lon", "lat", "within_km"),
    [
        ("canyon", -70.0, -10.0, 1800),  # Valles Marineris
        ("volcano", -115.0, 8.0, 2200),  # Tharsis and Olympus Mons
        ("polar ice cap", 0.0, 90.0, 1000),  # Planum Boreum
    ],
)
def test_most_of_the_best_hits_lie_where_mars_has_them(engine, words, lon, lat, within_km):
    hits = engine.search(Query(words, top_k=100)).hits
    at = [c[hits] for c in engine.index.grid.centers]
    assert (great_circle_m(*at, lon, lat) < within_km * 1000).mean() > 0.6


def test_a_tile_finds_its_own_kind(engine):
    melas = int(engine.index.grid.tile_at(-72.5, -10.5))
    name = str(engine.index.grid.names([melas])[0])
    result = engine.search(Query.like(name, top_k=20))
    assert melas not in result.hits, "an example is not its own hit"
    lon, lat = (c[result.hits] for c in engine.index.grid.centers)
    inside = (lon > -95) & (lon < -25) & (lat > -18) & (lat < 2)
    assert inside.mean() > 0.8, "canyons look like canyons, and they lie in Valles Marineris"


def test_the_figures_beside_the_model_beat_chance():
    figures = json.loads((MODEL_DIR / "figures.json").read_text())
    named = (
        "crater canyon chaos volcano dunes wrinkle_ridge polar_cap channel landslide graben glacier"
    )
    for key in named.split():
        measured = figures["test"]["landforms"][key]
        for words in ("trained", "unseen"):
            assert measured[words] > 1.2 * measured["base_rate"], key
