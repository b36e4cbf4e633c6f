"""Search on Dask workers: an index larger than each may hold, and workers that are lost."""

import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mars_map.covariates import Covariates
from mars_map.errors import ClusterError, IndexDamagedError, SupersededError
from mars_map.index import ModelCard, open_index, verify_index
from mars_map.index.writer import IndexWriter
from mars_map.maps.cluster_heat import cluster_heat_png
from mars_map.maps.heat import HIGH_QUANTILE, LOW_QUANTILE, heat_png, heat_scale
from mars_map.planet.grid import RegularGrid
from mars_map.planet.regions import Box
from mars_map.search import Engine, Filter, Query
from mars_map.search.batching import while_wanted
from mars_map.search.cluster import ClusterScan
from mars_map.search.scattered import place_shards
from mars_map.search.scoring import best_tiles, score_all
from mars_map.search.shards import open_shard, scan_shard
from mars_map.web import routes
from mars_map.web.params import query_string
from tests.conftest import WordEncoder
from tests.slow_scan import slow_down

DIM = 4480
WORKERS = 2
MEMORY = 480 * 2**20
"""What a worker may hold: some of the shards, and Python with its libraries, Numba among them."""
SHARD_TILES = 4_800


@pytest.fixture(scope="module")
def planet(tmp_path_factory):
    """516 MB of float16 vectors, most of which are holes: quick to write, slow to hold."""
    random = np.random.default_rng(0)
    grid = RegularGrid(1.0, -80, 80)
    tiles = np.sort(random.choice(grid.n_tiles, 2_000, replace=False))
    vectors = random.standard_normal((len(tiles), DIM)).astype(np.float32)
    folder = tmp_path_factory.mktemp("cluster") / "index"
    with IndexWriter(
        folder, grid=grid, model=ModelCard("made up", "0" * 64, DIM), quantisation="float16"
    ) as writer:
        writer.put(tiles, vectors)
        writer.publish(source="made up", licence="none", synthetic=True)
    return open_index(folder)


@pytest.fixture(scope="module")
def cluster():
    # Without this setting a worker that is down 15 s after another loss is given up for good.
    patient = dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"})
    with (
        patient,
        LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            memory_limit=MEMORY,
            dashboard_address=":0",
            scheduler_port=0,
        ) as started,
    ):
        yield started


@pytest.fixture
def spread(planet, cluster):
    cluster.wait_for_workers(1, timeout=30)
    with ClusterScan(
        planet, cluster.scheduler_address, shard_tiles=SHARD_TILES, answer_s=150
    ) as opened:
        yield opened


@pytest.fixture
def vector(planet):
    return planet.vector(int(np.flatnonzero(planet.present)[77]))


def test_no_worker_could_hold_the_index(planet):
    assert planet.vectors.nbytes > MEMORY


def test_all_scores_are_those_of_one_machine(planet, spread, vector):
    scores = spread.scores(vector)
    assert (scores == score_all(planet, vector)).all()
    assert not scores.flags.writeable


@pytest.mark.parametrize("limits", [{"top_k": 700}, {"top_k": 50, "threshold": 0.07}])
def test_the_best_of_all_shards_merge_exactly(planet, spread, vector, limits):
    tiles, scores = spread.best(vector, **limits)
    expected = score_all(planet, vector)
    assert tiles.tolist() == best_tiles(expected, allowed=planet.present, **limits).tolist()
    assert (scores == expected[tiles]).all()


@pytest.mark.parametrize(("size", "masked"), [((200, 100), True), ((720, 360), False)])
def test_the_heat_map_that_workers_draw_is_ours(planet, spread, vector, size, masked):
    mask = np.arange(planet.n_tiles) % 3 > 0 if masked else None
    drawn = cluster_heat_png(spread, spread.spread(vector), size, mask=mask)
    scores = score_all(planet, vector)
    assert drawn == heat_png(scores, planet.grid, size, mask=mask)
    shares = (LOW_QUANTILE, HIGH_QUANTILE)
    assert spread.quantiles(spread.spread(vector), shares) == list(heat_scale(scores))


def test_quantiles_are_those_of_numpy(planet, spread, vector):
    scores = score_all(planet, vector)[planet.present].astype(np.float64)
    shares = (0.0, 0.1, 1 / 3, 0.9999, 1.0)
    ours = spread.quantiles(spread.spread(vector), shares)
    np.testing.assert_allclose(ours, np.quantile(scores, shares), rtol=1e-12)


def test_the_route_lets_the_workers_draw(planet, spread, small_service, monkeypatch, tmp_path):
    name = str(planet.grid.names(np.flatnonzero(planet.present)[:1])[0])
    here = Engine(planet, lambda: None, covariates=Covariates(planet.grid))
    there = Engine(planet, lambda: None, covariates=Covariates(planet.grid), scan=spread)
    monkeypatch.setattr(small_service, "_engine", there)
    monkeypatch.setattr(spread, "scores", None)  # not all scores travel
    client = TestClient(Starlette(routes=routes(tmp_path)))
    for limits in ({}, {"region": Box(100, -60, -100, 60), "filters": (Filter("latitude", -30),)}):
        query = Query.like(name, **limits)
        reply = client.get(f"/mars/heat.png?{query_string(query)}")
        wanted = here.search(query)
        assert reply.status_code == 200, reply.text
        assert reply.content == heat_png(wanted.scores, planet.grid, mask=wanted.region_mask)


def test_an_engine_answers_from_the_cluster(planet, spread):
    name = str(planet.grid.names(np.flatnonzero(planet.present)[:1])[0])
    query = Query.like(name, top_k=30)
    here = Engine(planet, lambda: None).search(query)
    there = Engine(planet, lambda: None, scan=spread).search(query)
    assert there.hits.tolist() == here.hits.tolist()
    assert (there.scores == here.scores).all()


@pytest.mark.parametrize("killed", [1, WORKERS])
def test_workers_killed_in_mid_query_make_the_answer_late_not_wrong(
    planet, spread, cluster, vector, monkeypatch, killed
):
    # Their nannies start them anew.
    monkeypatch.setattr("mars_map.search.scattered.WORKERS_S", 60.0)
    cluster.wait_for_workers(WORKERS, timeout=60)
    expected = score_all(planet, vector)
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        pids = client.run(os.getpid)
        outcome = {}
        # Every shard takes a while, so that the kill comes when some are scanned and some are not.
        client.run(slow_down, 0.15)
        asker = threading.Thread(target=lambda: outcome.update(tiles=spread.best(vector, 300)[0]))
        asker.start()
        time.sleep(0.3)
        assert asker.is_alive(), "the query was over before the kill"
        for pid in list(pids.values())[:killed]:
            os.kill(pid, signal.SIGKILL)
        asker.join(timeout=150)
        client.run(slow_down, 0.0)
    wanted = best_tiles(expected, 300, allowed=planet.present)
    assert outcome["tiles"].tolist() == wanted.tolist()


def test_another_index_under_the_same_path_is_refused(planet):
    shard = (str(planet.folder), "f" * 64, 0, 10)
    with pytest.raises(IndexDamagedError, match="not the one that is searched"):
        scan_shard(shard, np.zeros(DIM, np.float32))
    assert not verify_index(planet.folder)
    assert open_shard((str(planet.folder), planet.digest, 5, 25)).n_tiles == 20


def test_no_scheduler_is_one_sentence(small_index, monkeypatch):
    monkeypatch.setattr("mars_map.search.connection.CONNECT_S", 0.5)
    monkeypatch.setattr("mars_map.search.connection.RETRY_S", 60.0)
    vector = small_index.vector(3)
    lost = ClusterScan(small_index, "tcp://127.0.0.1:9")
    with pytest.raises(ClusterError, match="No Dask scheduler answers at tcp://127"):
        lost.scores(vector)
    # Who asks at once does not wait for it as well.
    with monkeypatch.context() as patched:
        patched.setattr("mars_map.search.connection.connect", None)
        with pytest.raises(ClusterError, match="No Dask scheduler answers at tcp://127"):
            lost.scores(vector)
    # No client is made, which would print a traceback once it is collected.
    monkeypatch.setattr("distributed.Client", None)
    with pytest.raises(ClusterError, match="No Dask scheduler answers at nonsense"):
        ClusterScan(small_index, "nonsense").scores(vector)


def _small_cluster(workers=1, port=0):
    return LocalCluster(
        n_workers=workers,
        processes=False,
        protocol="tcp",
        scheduler_port=port,
        dashboard_address=":0",
    )


@pytest.fixture
def on_cluster(small_index, small_service, monkeypatch, tmp_path):
    """Return what asks the routes on a cluster: status and sentence, with the seconds it took."""
    opened = []

    def of(address):
        opened.append(ClusterScan(small_index, address))
        engine = Engine(small_index, WordEncoder(), scan=opened[-1])
        monkeypatch.setattr(small_service, "_engine", engine)
        client = TestClient(Starlette(routes=routes(tmp_path)))

        def ask(address):
            start = time.monotonic()
            reply = client.get(f"/mars/{address}")
            sentence = "" if reply.status_code == 200 else reply.json()["error"]
            return reply.status_code, sentence, time.monotonic() - start

        return ask

    yield of
    for one in opened:
        one.close()


def test_without_workers_a_request_ends_soon_and_works_when_some_are_back(on_cluster, monkeypatch):
    monkeypatch.setattr("mars_map.search.scattered.WORKERS_S", 1.0)
    # Words of which no other test draws a picture: pictures are kept.
    with _small_cluster() as cluster:
        ask = on_cluster(cluster.scheduler_address)
        assert ask("search?q=yardangs&k=3")[0] == 200
        cluster.scale(0)
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(ask, "search?q=ice&k=3")
            assert ask("health")[0] == 200 and not waiting.done()
            status, sentence, seconds = waiting.result()
        assert status == 503 and "has no workers; start some with `dask worker" in sentence
        assert seconds < 10
        assert ask("heat.png?q=yardangs")[0] == 503, "what they had drawn it with is lost too"
        cluster.scale(1)
        cluster.wait_for_workers(1, timeout=60)
        assert ask("search?q=ice&k=3")[0] == 200
        assert ask("heat.png?q=yardangs")[0] == 200


def test_a_scheduler_that_goes_away_is_found_again(on_cluster, monkeypatch):
    with _small_cluster() as cluster:
        address = cluster.scheduler_address
        ask = on_cluster(address)
        assert ask("search?q=dunes&k=3")[0] == 200
    monkeypatch.setattr("mars_map.search.connection.CONNECT_S", 1.0)
    for words in ("ice", "chaos", "dust"):
        status, sentence, seconds = ask(f"search?q={words}")
        assert status == 503 and "No Dask scheduler answers" in sentence and seconds < 8
        assert ask("health")[0] == 200
    with _small_cluster(port=int(address.rpartition(":")[2])):
        deadline = time.monotonic() + 60
        while ask("search?q=ice")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_scheduler_lost_in_mid_query_is_one_sentence(small_index):
    with _small_cluster() as cluster, ClusterScan(small_index, cluster.scheduler_address) as spread:
        lost = spread.spread(small_index.vector(3))
        lost.scans[0].client.cancel(lost.scans)
        with pytest.raises(ClusterError, match="went away; start it again"):
            spread.best_of(lost, 5)
        expected = score_all(small_index, small_index.vector(3))
        assert (spread.scores(small_index.vector(3)) == expected).all()


def test_a_scheduler_that_hangs_is_one_sentence(small_index, monkeypatch):
    def hang(*_, callback_timeout):
        raise TimeoutError(f"timed out after {callback_timeout} s.")

    with _small_cluster() as cluster, ClusterScan(small_index, cluster.scheduler_address) as spread:
        spread.scores(small_index.vector(3))
        monkeypatch.setattr(Client, "nthreads", hang)
        with pytest.raises(ClusterError, match="No Dask scheduler answers"):
            spread.scores(small_index.vector(4))


def test_who_has_moved_on_does_not_wait_for_the_workers(small_index):
    with _small_cluster() as cluster, ClusterScan(small_index, cluster.scheduler_address) as spread:
        spread.scores(small_index.vector(0))
        cluster.scale(0)
        with while_wanted(lambda: False), pytest.raises(SupersededError):
            spread.scores(small_index.vector(1))


def test_shards_stay_where_they_are():
    shards = [("planet", "", first, first + 1) for first in range(7)]
    before = place_shards(shards, ["a", "b", "c"], {})
    assert sorted(Counter(before.values()).values()) == [2, 2, 3]
    assert place_shards(shards, ["a", "b", "c"], before) == before
    after = place_shards(shards, ["a", "c"], before)
    assert all(after[s] == before[s] for s in shards if before[s] != "b")
    assert sorted(Counter(after.values()).values()) == [3, 4]
    more = place_shards(shards, ["a", "c", "d"], after)
    assert max(Counter(more.values()).values()) == 3 and set(more.values()) == {"a", "c", "d"}
    assert place_shards(shards, [], before) == {}
