"""Scores of large indexes: compiled loops, several queries at once, rescoring, and who waits."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mars_map.errors import BusyError, SupersededError
from mars_map.index import open_index
from mars_map.index.synthetic import TruthEncoder, synthesize
from mars_map.search import Engine, Query, batching, scan, scoring
from mars_map.search.batching import BatchedScan, while_wanted
from mars_map.search.scoring import best_tiles, rescore, score_all
from mars_map.web import routes


@pytest.fixture(scope="module", params=["float16", "int8"])
def planet(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan") / request.param
    return synthesize(folder, tiles=3600, dim=72, quantisation=request.param)


@pytest.fixture(scope="module")
def refined(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refined") / "index"
    return synthesize(folder, tiles=3600, dim=72, quantisation="int8", refined=True)


@pytest.fixture
def compiled(monkeypatch):
    monkeypatch.setattr(scan, "COMPILED_FROM", 0)
    monkeypatch.setattr(scan, "BLOCK_ROWS", 500)


def _vectors(count, dim):
    vectors = np.random.default_rng(count).standard_normal((count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _expected(index, vectors):
    rows = np.asarray(index.vectors, np.float64)
    return (vectors @ rows.T) * (1.0 if index.scales is None else index.scales)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 11])
def test_compiled_loops_are_exact_for_any_number_of_queries(planet, compiled, count):
    vectors = _vectors(count, planet.dim)
    scores = scan.scan(planet, vectors)
    assert scores.dtype == np.float32 and scores.shape == (count, planet.n_tiles)
    np.testing.assert_allclose(scores, _expected(planet, vectors), atol=1e-6)


def test_compiled_loops_widen_the_least_and_the_largest_float16(planet, compiled):
    values = np.array([0.0, -0.0, 6e-8, -6e-8, 3e-5, 1.0, -1.0, 65504.0], np.float16)
    rows = np.tile(values, (40, 9))[:, : planet.dim]
    loop = scan._compiled_loop(rows)
    out = np.empty((1, len(rows)), np.float32)
    vector = np.zeros((1, planet.dim), np.float32)
    for place, value in enumerate(values):
        vector[:], vector[0, place] = 0.0, 1.0
        loop(rows, vector, out)
        assert (out == np.float32(value)).all()


def test_without_numba_the_scores_are_the_same(planet, compiled, monkeypatch):
    vectors = _vectors(2, planet.dim)
    ours = scan.scan(planet, vectors)
    monkeypatch.setattr(scan, "_compiled_loop", lambda rows: None)
    np.testing.assert_allclose(scan.scan(planet, vectors), ours, atol=1e-6)


def test_tiles_without_a_vector_score_least_in_every_row(planet, compiled):
    fraction = np.ones(planet.n_tiles, np.float32)
    fraction[::7] = 0
    gappy = replace(planet, fraction_valid=fraction)
    scores = scan.scan(gappy, _vectors(3, gappy.dim))
    assert (scores[:, ::7] == scan.NO_SCORE).all()
    assert (scores[:, gappy.present] > scan.NO_SCORE).all()


def test_a_scan_that_nobody_wants_ends(planet, compiled):
    asked = []
    assert scan.scan(planet, _vectors(1, planet.dim), wanted=lambda: asked.append(1)) is None
    assert asked


def test_a_warm_up_reads_and_compiles(planet, compiled):
    scan.warm_up(planet)
    assert np.isfinite(score_all(planet, planet.vector(5))).all()


def test_the_best_are_found_among_many_scores():
    random = np.random.default_rng(3)
    scores = np.rint(random.standard_normal(200_000) * 300).astype(np.float32) / 2000
    allowed = random.random(len(scores)) < 0.5
    for top_k in (1, 50, 1000, 20_000):
        for mask in (None, allowed):
            order = np.lexsort((np.arange(len(scores)), -scores))
            order = order if mask is None else order[mask[order]]
            assert (best_tiles(scores, top_k, allowed=mask) == order[:top_k]).all()


@pytest.mark.parametrize("limits", [{}, {"threshold": 0.2}, {"allowed": "half"}])
def test_rescored_hits_are_those_of_the_float16_rows(refined, limits):
    if "allowed" in limits:
        limits = {"allowed": np.arange(refined.n_tiles) % 2 == 0}
    for vector in _vectors(20, refined.dim):
        rough = score_all(refined, vector)
        exact = np.asarray(refined.refined, np.float32) @ vector
        ours = rescore(refined, vector, rough, 100, **limits)
        hits = best_tiles(ours, 100, **limits)
        assert hits.tolist() == best_tiles(exact, 100, **limits).tolist()
        np.testing.assert_allclose(ours[hits], exact[hits], atol=1e-6)
        assert (ours != rough).any() and np.abs(ours - rough).max() < 0.02


def test_where_int8_tells_nothing_apart_rescoring_stays_bounded(refined, monkeypatch):
    monkeypatch.setattr(scoring, "RESCORED_LEAST", 30)
    across = TruthEncoder(refined).encode_text(["Gale"])[0]  # at right angles to nearly all tiles
    rough = score_all(refined, across)
    ours = rescore(refined, across, rough, 50)
    assert 0 < (ours != rough).sum() <= 4 * 50 + 30
    assert np.abs(ours - rough).max() < 0.02


def test_an_engine_ranks_a_refined_index_by_its_float16_rows(refined):
    engine = Engine(refined, TruthEncoder(refined))
    result = engine.search(Query("Gale", top_k=40))
    rows = np.asarray(refined.refined[result.hits], np.float32)
    np.testing.assert_allclose(result.hit_scores, rows @ engine.vector(result.query)[0], atol=1e-6)
    assert open_index(refined.folder).refined.shape == refined.vectors.shape


class _SlowScan:
    """Stands in for the pass over memory: records what it was given, and takes its time."""

    def __init__(self, monkeypatch, seconds=0.1):
        self.batches, self.ended, self.seconds = [], [], seconds
        monkeypatch.setattr(batching, "scan", self)

    def __call__(self, index, vectors, *, wanted):
        self.batches.append(vectors[:, 0].tolist())
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            if not wanted():
                self.ended.append(vectors[:, 0].tolist())
                return None
            time.sleep(0.005)
        return vectors @ np.ones((vectors.shape[1], 5), np.float32)


def _ask(queue, value, outcomes, wanted=lambda: True):
    try:
        with while_wanted(wanted):
            outcomes[value] = queue.scores(np.full(4, value, np.float32))[0]
    except Exception as error:
        outcomes[value] = error


def _ask_all(queue, values, wanted=lambda: True):
    outcomes = {}
    threads = [threading.Thread(target=_ask, args=(queue, v, outcomes, wanted)) for v in values]
    for thread in threads:
        thread.start()
        time.sleep(0.005)
    return threads, outcomes


def test_who_waits_shares_a_pass_and_gets_the_own_answer(monkeypatch):
    slow = _SlowScan(monkeypatch, seconds=0.5)
    threads, outcomes = _ask_all(BatchedScan(None), range(1, 13))
    for thread in threads:
        thread.join()
    assert outcomes == {value: 4.0 * value for value in range(1, 13)}
    assert len(slow.batches) <= 4 and max(map(len, slow.batches)) == batching.MAX_BATCH


def test_equal_queries_are_one(monkeypatch):
    slow = _SlowScan(monkeypatch, seconds=0.5)
    threads, outcomes = _ask_all(BatchedScan(None), [1, 2, 2, 2, 1])
    for thread in threads:
        thread.join()
    assert outcomes == {1: 4.0, 2: 8.0}
    assert sorted(value for batch in slow.batches for value in batch) == [1.0, 2.0]


def test_too_many_who_wait_are_refused_at_once(monkeypatch):
    _SlowScan(monkeypatch, seconds=0.3)
    monkeypatch.setattr(batching, "MAX_WAITING", 2)
    threads, outcomes = _ask_all(BatchedScan(None), range(1, 5))
    threads[3].join()
    assert isinstance(outcomes[4], BusyError) and "try again" in str(outcomes[4])
    for thread in threads:
        thread.join()
    assert [outcomes[v] for v in (1, 2, 3)] == [4.0, 8.0, 12.0]


def test_who_has_moved_on_is_left_out(monkeypatch):
    slow = _SlowScan(monkeypatch, seconds=0.4)
    queue, outcomes, gone = BatchedScan(None), {}, threading.Event()
    threads = [threading.Thread(target=_ask, args=(queue, 1, outcomes))]
    threads.append(
        threading.Thread(target=_ask, args=(queue, 2, outcomes, lambda: not gone.is_set()))
    )
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    gone.set()
    for thread in threads:
        thread.join()
    assert outcomes[1] == 4.0 and isinstance(outcomes[2], SupersededError)
    assert slow.batches == [[1.0]]


def test_a_failed_pass_fails_for_all_and_the_next_works(monkeypatch):
    def fail(index, vectors, *, wanted):
        raise OSError("disk")

    monkeypatch.setattr(batching, "scan", fail)
    queue, outcomes = BatchedScan(None), {}
    _ask(queue, 1, outcomes)
    assert isinstance(outcomes[1], OSError)
    _SlowScan(monkeypatch, seconds=0)
    _ask(queue, 1, outcomes)
    assert outcomes[1] == 4.0


def test_a_client_that_has_gone_ends_its_search(small_service, monkeypatch):
    engine = small_service.engine
    monkeypatch.setattr(engine, "_scores", type(engine._scores)(1))
    monkeypatch.setattr(engine.scan, "_busy", True)  # somebody else scans all the time
    monkeypatch.setattr("mars_map.web.replies._has_gone", lambda request: True)
    reply = TestClient(Starlette(routes=routes(Path()))).get("/mars/search?q=nobody+waits")
    assert reply.status_code == 499
    monkeypatch.setattr(batching, "MAX_WAITING", 0)
    busy = TestClient(Starlette(routes=routes(Path()))).get("/mars/search?q=too+many")
    assert busy.status_code == 503 and "try again" in busy.json()["error"]
