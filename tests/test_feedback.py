"""Yes and no: labels sharpen a query, whatever the labels are; suggestions are new and unlike."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mars_map.errors import QueryError
from mars_map.index import ModelCard, TileIndex, write_index
from mars_map.planet.grid import EqualAreaGrid
from mars_map.search import Engine, Query
from mars_map.search.feedback import ROCCHIO_YES, Refined, refine, suggest
from tests.conftest import WordEncoder

DIM = 24
N_TILES = 4000
SHARE = 0.03


def unit(vectors: NDArray) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


class Planet:
    """Tiles with a landform on 3 % of them, along a direction that other, stronger ones drown."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        tiles = self.random.normal(size=(N_TILES, DIM)) * np.geomspace(3.0, 0.3, DIM)
        self.shown = self.random.random(N_TILES) < SHARE
        self.landform = np.zeros(DIM)
        self.landform[-4:] = 1.0
        self.tiles = unit(tiles + 1.0 + self.shown[:, None] * self.landform)
        self.background = self.tiles[self.random.choice(N_TILES, 1000, replace=False)]

    def some(self, shown: bool, count: int) -> NDArray[np.int64]:
        return self.random.choice(np.flatnonzero(self.shown == shown), count, replace=False)

    def precision(self, vector: NDArray) -> float:
        """Average precision over all tiles."""
        ranked = self.shown[np.argsort(-(self.tiles @ vector))]
        return float((np.cumsum(ranked) / np.arange(1, N_TILES + 1))[ranked].mean())


@pytest.fixture
def planet() -> Planet:
    return Planet()


def test_five_yes_and_five_no_beat_every_single_tile(planet):
    yes, no = planet.tiles[planet.some(True, 5)], planet.tiles[planet.some(False, 5)]
    refined = refine(None, yes, no, background=planet.background)
    singles = [planet.precision(tile) for tile in yes]
    assert planet.precision(refined.vector) > 2 * max(singles)


def test_more_labels_are_better_and_a_good_query_is_not_spoilt(planet):
    words = unit(planet.landform + planet.random.normal(size=DIM) * 0.5)
    before = planet.precision(words)
    found = []
    for count in (1, 5, 40):
        yes, no = planet.tiles[planet.some(True, count)], planet.tiles[planet.some(False, count)]
        refined = refine(words, yes, no, background=planet.background)
        found.append(planet.precision(refined.vector))
    assert found[0] > 0.7 * before
    assert found[2] > found[1] > before


def test_the_method_follows_the_number_of_yes_and_is_said(planet):
    def method(n_yes: int, n_no: int) -> str:
        yes, no = planet.tiles[:n_yes], planet.tiles[n_yes : n_yes + n_no]
        return refine(planet.tiles[-1], yes, no, background=planet.background).sentence

    assert method(ROCCHIO_YES, 1) == "Rocchio from 2 yes, 1 no"
    assert method(0, 3) == "Rocchio from 0 yes, 3 no"
    assert method(5, 5) == "Discriminant from 5 yes, 5 no"


def test_without_enough_background_rocchio_is_used(planet):
    refined = refine(None, planet.tiles[:9], planet.tiles[9:12], background=planet.tiles[: DIM - 1])
    assert refined.method == "Rocchio"


def test_a_query_moves_towards_yes_and_away_from_no(planet):
    words, tile = planet.tiles[0], planet.tiles[1]
    nothing = np.empty((0, DIM), np.float32)
    towards = refine(words, tile[None], nothing, background=planet.background).vector
    away = refine(words, nothing, tile[None], background=planet.background).vector
    assert towards @ tile > words @ tile > away @ tile


def check(refined: Refined) -> None:
    assert refined.vector.shape == (DIM,)
    assert refined.vector.dtype == np.float32
    assert np.linalg.norm(refined.vector) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("with_words", [True, False])
@pytest.mark.parametrize(
    ("yes", "no"),
    [(1, 0), (5, 0), (3, 3), (200, 200)],
)
def test_any_labels_give_a_unit_vector(planet, with_words, yes, no):
    words = planet.tiles[-1] if with_words else None
    check(refine(words, planet.tiles[:yes], planet.tiles[-no:][:no], background=planet.background))


def test_contradictory_labels_give_a_unit_vector(planet):
    same = np.repeat(planet.tiles[:1], 4, axis=0)
    check(refine(None, same, same, background=planet.background))
    check(refine(None, same[:1], same[:1], background=same))
    check(refine(planet.tiles[5], same, same, background=np.repeat(same, 20, axis=0)))


def test_tiles_without_an_image_count_for_nothing(planet):
    blank = np.zeros((2, DIM), np.float32)
    yes, no = planet.tiles[:4], planet.tiles[4:6]
    plain = refine(None, yes, no, background=planet.background)
    mixed = refine(
        None,
        np.vstack([yes, blank]),
        np.vstack([blank, no]),
        background=np.vstack([planet.background, blank]),
    )
    assert mixed.vector == pytest.approx(plain.vector, abs=1e-6)
    assert mixed.sentence == plain.sentence


def test_without_query_and_yes_there_is_nothing_to_look_for(planet):
    nothing, blank = np.empty((0, DIM), np.float32), np.zeros((3, DIM), np.float32)
    for yes in (nothing, blank):
        with pytest.raises(QueryError, match="what is wrong is not enough"):
            refine(None, yes, planet.tiles[:2], background=planet.background)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An engine on an index of the planted planet."""
    grid = EqualAreaGrid(6.0)
    card = ModelCard(WordEncoder.model_id, WordEncoder.sha256, DIM)
    index = write_index(
        tmp_path_factory.mktemp("planted") / "index",
        grid=grid,
        vectors=Planet().tiles[: grid.n_tiles],
        model=card,
        source="made up for a test",
        licence="public domain",
        synthetic=True,
    )
    encoder = WordEncoder()
    encoder.dim = DIM
    return Engine(index, encoder)


def test_the_engine_says_what_labels_did_and_hides_the_no(engine):
    names = engine.index.grid.names(np.arange(8)).tolist()
    result = engine.search(Query(yes=tuple(names[:5]), no=tuple(names[5:])))
    assert result.refinement == "Discriminant from 5 yes, 3 no"
    assert not set(range(5, 8)) & set(result.hits.tolist())
    assert set(range(5)) <= set(result.hits.tolist())


def test_example_tiles_alone_count_as_yes(engine):
    names = engine.index.grid.names(np.arange(8)).tolist()
    called = engine.search(Query(yes=tuple(names[:4]), no=(names[7],)))
    example = engine.search(Query.like(names[0], yes=tuple(names[1:4]), no=(names[7],)))
    assert example.refinement == called.refinement
    assert example.scores == pytest.approx(called.scores, abs=1e-6)


class TestSuggestions:
    def suggest(self, index: TileIndex, **options) -> tuple[NDArray, NDArray]:
        scores = Planet().tiles[: index.n_tiles] @ unit(Planet().landform)
        return suggest(scores, index, **options), scores

    def test_are_new_distinct_and_among_the_allowed(self, engine):
        allowed = np.zeros(engine.index.n_tiles, bool)
        allowed[::3] = True
        tiles, _ = self.suggest(engine.index, yes=[0, 3], no=[6, 9, 10], k=6, allowed=allowed)
        assert len(set(tiles.tolist())) == 6
        assert allowed[tiles].all()
        assert not set(tiles.tolist()) & {0, 3, 6, 9, 10}
        assert not allowed[tiles.max() + 1 if tiles.max() + 1 < len(allowed) else 1]

    def test_half_lie_at_the_boundary(self, engine):
        order = np.argsort(self.suggest(engine.index, yes=[], no=[])[1])
        best, middle = order[-1], order[len(order) // 2]
        tiles, scores = self.suggest(engine.index, yes=[int(best)], no=[int(order[0])], k=6)
        boundary = (scores[best] + scores[order[0]]) / 2
        doubt = np.abs(scores - boundary)
        assert (np.argsort(np.argsort(doubt))[tiles[:3]] < 160).all()
        assert (scores[tiles[3:]] > scores[middle]).all()

    def test_are_less_alike_than_the_best_hits(self, engine):
        tiles, scores = self.suggest(engine.index, yes=[], no=[], k=8)
        vectors = np.array([engine.index.vector(int(t)) for t in tiles])
        best = np.array([engine.index.vector(int(t)) for t in np.argsort(-scores)[:8]])

        def likeness(rows: NDArray) -> float:
            return float((rows @ rows.T)[np.triu_indices(len(rows), 1)].mean())

        assert likeness(vectors) < likeness(best)

    def test_of_few_tiles_are_few_and_of_none_none(self, engine):
        allowed = np.zeros(engine.index.n_tiles, bool)
        allowed[[4, 5, 6]] = True
        tiles, _ = self.suggest(engine.index, yes=[4], no=[], k=6, allowed=allowed)
        assert sorted(tiles.tolist()) == [5, 6]
        allowed[:] = False
        tiles, _ = self.suggest(engine.index, yes=[], no=[], allowed=allowed)
        assert tiles.tolist() == []
