"""Queries, exact scores, ranking and regions."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars_map.encoders.prompts import DEFAULT_PROMPTS, average_vectors
from mars_map.errors import MarsMapError, ModelMismatchError, QueryError
from mars_map.planet.regions import Box, LatitudeBand, Polygon
from mars_map.search import Engine, Filter, Part, Query
from mars_map.search.parts import decode_vector, encode_vector
from mars_map.search.scoring import best_tiles, score_all
from tests.conftest import WordEncoder

QUERIES = [
    Query("dunes inside craters"),
    Query.like("r010c0001", "r011c0002", top_k=7, threshold=0.25),
    Query("chaos", prompts=("{}", "a picture of {}"), region=Box(170, -10, -170, 10)),
    Query("кратер “x” <b>", region=LatitudeBand(-90, -60)),
    Query("ice", region=Polygon(((0, 0), (10, 0), (5, 9)))),
    Query(
        (
            Part("text", "dunes", 0.7),
            Part("text", "craters: old; new", 0.5, against=True),
            Part("tile", "r010c0001", 0.3, name="Gale: its north"),
            Part("vector", encode_vector(np.arange(-3.0, 13.0)), name="mine (1).png", muted=True),
        ),
        filters=(Filter("elevation", None, -2000.0), Filter("slope", 0.125, 3)),
        yes=("r010c0003",),
        no=("r011c0002", "r011c0003"),
    ),
    Query(yes=("r010c0003", "r010c0004")),
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda q: q.label)
def test_a_query_is_one_plain_value(query):
    assert Query.from_dict(query.to_dict()) == query
    assert Query.from_dict(json.loads(query.to_json())) == query
    assert hash(Query.from_dict(json.loads(query.to_json()))) == hash(query)
    assert Query.from_dict(json.loads(query.to_json())).key == query.key


def test_defaults_are_left_out_of_a_permalink():
    assert Query("dunes").to_json() == '{"text":"dunes"}'


def test_limits_do_not_change_the_scores():
    assert Query("dunes", top_k=3, region=Box(0, 0, 9, 9)).subject == Query("dunes").subject
    assert Query("dunes", prompts=("{}",)).subject != Query("dunes").subject


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"text": ""},
        {"text": "  \n\t "},
        {"text": "🏜️🌋"},
        {"text": "123 !!"},
        {"text": "dunes " * 100},
        {"parts": []},
        {"parts": [{"kind": "text"}]},
        {"parts": [{"kind": "sound", "value": "dunes"}]},
        {"parts": [{"kind": "text", "value": "dunes", "weight": 0}]},
        {"parts": [{"kind": "text", "value": "dunes", "weight": float("nan")}]},
        {"parts": [{"kind": "text", "value": "dunes", "muted": True}]},
        {"parts": [{"kind": "text", "value": "dunes", "against": True}]},
        {"parts": [{"kind": "vector", "value": "not base 64!"}]},
        {"parts": [{"kind": "vector", "value": "AAAA"}]},
        {"no": ["r010c0001"]},
        {"text": "dunes", "yes": ["r010c0001"], "no": ["r010c0001"]},
        {"text": "dunes", "yes": [f"r{i:03d}c0000" for i in range(1001)]},
        {"text": "dunes", "filters": ["elevation"]},
        {"text": "dunes", "filters": ["elevation:5..-5"]},
        {"text": "dunes", "filters": ["elevation:.."]},
        {"text": "dunes", "filters": ["elevation:low..high"]},
        {"tiles": [f"r{i:03d}c0000" for i in range(51)]},
        {"text": "dunes", "top_k": 0},
        {"text": "dunes", "top_k": 1_000_000},
        {"text": "dunes", "top_k": "many"},
        {"text": "dunes", "top_k": float("inf")},
        {"text": "dunes", "threshold": 1.5},
        {"text": "dunes", "threshold": float("nan")},
        {"text": "dunes", "prompts": []},
        {"text": "dunes", "prompts": ["no place for words"]},
        {"text": "dunes", "prompts": ["{} and {}"]},
        {"text": "dunes", "prompts": 5},
        {"text": "dunes", "region": {"kind": "box", "bounds": [0, 5, 9, -5]}},
        {"text": "dunes", "region": 3},
        {"tiles": 3},
    ],
)
def test_what_cannot_be_searched_is_said_in_one_sentence(values):
    with pytest.raises(MarsMapError) as caught:
        Query.from_dict(values)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@given(st.text(max_size=400))
def test_any_text_is_a_query_or_a_sentence(text):
    try:
        query = Query(text)
    except QueryError as error:
        assert str(error).endswith(".")
    else:
        assert Query.from_dict(json.loads(query.to_json())) == query


def test_scores_are_exact(small_index):
    vector = small_index.vector(17)
    expected = [small_index.vector(tile) @ vector for tile in range(small_index.n_tiles)]
    np.testing.assert_allclose(score_all(small_index, vector), expected, atol=1e-5)


@given(
    scores=st.lists(st.sampled_from([-0.5, 0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=60),
    top_k=st.integers(1, 70),
    threshold=st.none() | st.sampled_from([-1.0, 0.25, 0.9]),
    data=st.data(),
)
def test_ranking_agrees_with_a_full_sort(scores, top_k, threshold, data):
    scores = np.array(scores, np.float32)
    allowed = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    )
    pairs = [
        (-s, i)
        for i, s in enumerate(scores)
        if allowed[i] and (threshold is None or s >= threshold)
    ]
    expected = [i for _, i in sorted(pairs)][:top_k]
    assert best_tiles(scores, top_k, allowed=allowed, threshold=threshold).tolist() == expected


def test_a_text_query_is_the_mean_of_its_prompts(small_engine):
    result = small_engine.search(Query("chaos terrain", top_k=5))
    encoder = WordEncoder()
    texts = [prompt.replace("{}", "chaos terrain") for prompt in DEFAULT_PROMPTS]
    vector = average_vectors(encoder.encode_text(texts))
    np.testing.assert_allclose(result.scores, score_all(small_engine.index, vector), atol=1e-6)
    assert list(result.hits) == list(np.argsort(-result.scores, kind="stable")[:5])
    assert (np.diff(result.hit_scores) <= 0).all()
    assert result.scores.flags.writeable is False


def test_a_region_never_comes_back_short(small_engine):
    region = Box(100, 20, 140, 50)
    inside = region.contains(*small_engine.index.grid.centers)
    result = small_engine.search(Query("chaos terrain", region=region, top_k=20_000))
    assert sorted(result.hits) == list(np.flatnonzero(inside))
    few = small_engine.search(Query("chaos terrain", region=region, top_k=3))
    assert list(few.hits) == list(result.hits[:3])


def test_a_threshold_cuts_the_tail(small_engine):
    everything = small_engine.search(Query("chaos", top_k=20_000))
    limit = float(everything.hit_scores[40])
    cut = small_engine.search(Query("chaos", top_k=20_000, threshold=limit))
    assert len(cut.hits) == 41
    assert len(small_engine.search(Query("chaos", threshold=1.0)).hits) == 0


def test_similar_tiles_are_near_and_the_example_is_left_out(small_engine):
    grid = small_engine.index.grid
    tile = int(grid.tile_at(137.8, -5.4))
    result = small_engine.search(Query.like(grid.names([tile])[0], top_k=30))
    assert tile not in result.hits
    assert result.scores[tile] == pytest.approx(1, abs=1e-5)
    assert set(result.hits) & set(grid.neighbours(tile))


def test_an_unknown_tile_is_named(small_engine):
    with pytest.raises(QueryError, match="r999c0000"):
        small_engine.search(Query.like("r999c0000"))


def test_a_repeated_query_is_answered_from_the_cache(small_engine):
    query = Query("ghost craters on the plains")
    first, second = small_engine.search(query), small_engine.search(query.with_(top_k=3))
    assert second.scores is first.scores
    assert second.timing_ms["encode"] == second.timing_ms["score"] == 0


def test_the_cache_is_bounded(small_index):
    engine = Engine(small_index, WordEncoder(), cache_bytes=3 * 4 * small_index.n_tiles)
    first = engine.search(Query("a"))
    for word in "bcd":
        engine.search(Query(word))
    assert engine.search(Query("d")).timing_ms["score"] == 0
    assert engine.search(Query("a")).scores is not first.scores


def test_another_models_encoder_is_refused(small_index):
    class Other(WordEncoder):
        sha256 = "f" * 64

    with pytest.raises(ModelMismatchError, match="bag of words"):
        Engine(small_index, Other())
    lazy = Engine(small_index, lambda: Other())
    with pytest.raises(ModelMismatchError):
        lazy.search(Query("dunes"))


def test_the_encoder_is_not_loaded_for_tiles(small_index):
    def fail():
        raise AssertionError("a query by tiles needs no text encoder")

    name = small_index.grid.names([5])[0]
    assert len(Engine(small_index, fail).search(Query.like(name, top_k=4)).hits) == 4


def test_a_vector_survives_the_address():
    vector = np.random.default_rng(3).normal(size=128)
    read = decode_vector(encode_vector(vector))
    assert read @ vector / np.linalg.norm(vector) > 0.9999
    assert np.linalg.norm(read) == pytest.approx(1)


def test_parts_are_mixed_by_their_weights(small_engine, small_index):
    encoder = WordEncoder()
    words = average_vectors(encoder.encode_text([p.format("dunes") for p in DEFAULT_PROMPTS]))
    tile, other = (str(name) for name in small_index.grid.names([17, 400]))
    parts = (
        Part("text", "dunes", 0.7),
        Part("tile", tile, 0.3),
        Part("tile", other, 0.5, against=True),
        Part("tile", "r001c0000", muted=True),
    )
    expected = 0.7 * words + 0.3 * small_index.vector(17) - 0.5 * small_index.vector(400)
    vector, sentence = small_engine.vector(Query(parts))
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)
    assert sentence == ""
    hits = small_engine.search(Query(parts, top_k=20_000)).hits
    assert 17 not in hits and 400 in hits, "an example is no hit of its own"


def test_parts_that_cancel_each_other_are_refused(small_engine):
    tile = Part("tile", "r010c0001")
    with pytest.raises(QueryError, match="cancel"):
        small_engine.search(Query((tile, tile.with_(against=True))))


def test_a_vector_of_another_model_is_refused(small_engine):
    with pytest.raises(QueryError, match="another model"):
        small_engine.search(Query((Part("vector", encode_vector(np.ones(7))),)))


def test_weights_of_a_single_part_and_names_do_not_change_the_scores():
    plain = Query((Part("tile", "r010c0001"),))
    assert Query((Part("tile", "r010c0001", 0.3, name="Gale"),)).subject == plain.subject


def test_filters_are_applied_before_ranking(small_index):
    height = np.linspace(-8000, 8000, small_index.n_tiles).astype(np.float32)
    height[5] = np.nan
    engine = Engine(small_index, WordEncoder(), covariates={"elevation": height}.__getitem__)
    low = Filter("elevation", None, -7000.0)
    result = engine.search(Query("dunes", filters=(low,), top_k=20_000))
    assert set(result.hits) == set(np.flatnonzero(height <= -7000))
    both = engine.search(
        Query("dunes", filters=(low,), region=LatitudeBand(-90, -80), top_k=20_000)
    )
    assert 0 < len(both.hits) < len(result.hits)


def test_filters_need_covariates(small_index):
    with pytest.raises(QueryError, match="filter"):
        Engine(small_index, WordEncoder()).search(
            Query("dunes", filters=(Filter("elevation", 0.0),))
        )


def test_a_label_tells_of_yes_and_no():
    query = Query("dunes", yes=("r010c0001", "r010c0002"), no=("r010c0003",))
    assert query.label == "dunes (2 yes, 1 no)" and query.topic == "dunes"
    assert Query(yes=query.yes, no=query.no).label == "2 tiles called right"
