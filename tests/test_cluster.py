"""Search on Dask workers: an index larger than each may hold, and workers that are lost."""

import io
import os
import signal
import threading
import time

import numpy as np
import pytest
from distributed import Client, LocalCluster
from PIL import Image

from mars_map.errors import ClusterError, IndexDamagedError
from mars_map.index import ModelCard, open_index, verify_index
from mars_map.index.writer import IndexWriter
from mars_map.maps.cluster_heat import cluster_heat_png
from mars_map.maps.heat import heat_png, heat_scale
from mars_map.planet.grid import RegularGrid
from mars_map.search import Engine, Query, scan
from mars_map.search.cluster import ClusterScan, open_shard, scan_shard
from mars_map.search.scoring import best_tiles, score_all

DIM = 3456
WORKERS = 2
MEMORY = 320 * 2**20
"""What a worker may hold: some of the shards, and Python with its libraries."""
SHARD_TILES = 4_800


@pytest.fixture(scope="module")
def planet(tmp_path_factory):
    """398 MB of float16 vectors, most of which are holes: quick to write, slow to hold."""
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
    with LocalCluster(
        n_workers=WORKERS,
        threads_per_worker=1,
        memory_limit=MEMORY,
        dashboard_address=None,
        scheduler_port=0,
    ) as started:
        yield started


@pytest.fixture
def spread(planet, cluster):
    cluster.wait_for_workers(1, timeout=30)
    with ClusterScan(
        planet, cluster.scheduler_address, shard_tiles=SHARD_TILES, answer_s=40
    ) as opened:
        yield opened


@pytest.fixture
def vector(planet):
    return planet.vector(int(np.flatnonzero(planet.present)[77]))


def test_no_worker_could_hold_the_index(planet):
    assert planet.vectors.nbytes > MEMORY


def test_all_scores_are_those_of_one_machine(planet, spread, vector):
    scores = spread.scores(vector)
    np.testing.assert_allclose(scores, score_all(planet, vector), atol=2e-7)
    assert not scores.flags.writeable


@pytest.mark.parametrize("limits", [{"top_k": 700}, {"top_k": 50, "threshold": 0.07}])
def test_the_best_of_all_shards_merge_exactly(planet, spread, vector, limits):
    tiles, scores = spread.best(vector, **limits)
    expected = score_all(planet, vector)
    assert tiles.tolist() == best_tiles(expected, allowed=planet.present, **limits).tolist()
    np.testing.assert_allclose(scores, expected[tiles], atol=2e-7)


def test_the_heat_map_that_workers_draw_is_ours(planet, spread, vector):
    size = (200, 100)  # less than a pixel a tile
    drawn = np.asarray(
        Image.open(io.BytesIO(cluster_heat_png(spread, spread.spread(vector), size)))
    )
    expected = heat_png(score_all(planet, vector), planet.grid, size, mask=planet.present)
    ours = np.asarray(Image.open(io.BytesIO(expected)))
    # The ends of the scale come from a histogram: a colour may be its neighbour.
    assert drawn.shape == ours.shape and (ours > 0).any()
    assert np.abs(drawn.astype(int) - ours).max() <= 1
    scale = heat_scale(score_all(planet, vector))
    quantiles = spread.quantiles(spread.spread(vector), (0.75, 0.999))
    np.testing.assert_allclose(quantiles, scale, atol=2e-4)


def test_an_engine_answers_from_the_cluster(planet, spread):
    name = str(planet.grid.names(np.flatnonzero(planet.present)[:1])[0])
    query = Query.like(name, top_k=30)
    here = Engine(planet, lambda: None).search(query)
    there = Engine(planet, lambda: None, scan=spread).search(query)
    assert there.hits.tolist() == here.hits.tolist()
    np.testing.assert_allclose(there.scores, here.scores, atol=2e-7)


def test_a_worker_killed_in_mid_query_makes_the_answer_late_not_wrong(
    planet, spread, cluster, vector
):
    expected = score_all(planet, vector)
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        pids = client.run(os.getpid)
        outcome = {}
        # Every shard takes a while, so that the kill comes when some are scanned and some are not.
        client.run(_slow_down, 0.15)
        asker = threading.Thread(target=lambda: outcome.update(tiles=spread.best(vector, 300)[0]))
        asker.start()
        time.sleep(0.3)
        assert asker.is_alive(), "the query was over before the kill"
        os.kill(next(iter(pids.values())), signal.SIGKILL)
        asker.join(timeout=40)
        client.run(_slow_down, 0.0)
    wanted = best_tiles(expected, 300, allowed=planet.present)
    assert outcome["tiles"].tolist() == wanted.tolist()


def _slow_down(seconds):
    from mars_map.search import cluster

    def slow(*given, **named):
        time.sleep(seconds)
        return scan.scan(*given, **named)

    cluster.scan = slow


def test_another_index_under_the_same_path_is_refused(planet):
    shard = (str(planet.folder), "f" * 64, 0, 10)
    with pytest.raises(IndexDamagedError, match="not the one that is searched"):
        scan_shard(shard, np.zeros(DIM, np.float32))
    assert not verify_index(planet.folder)
    assert open_shard((str(planet.folder), planet.digest, 5, 25)).n_tiles == 20


def test_no_scheduler_and_no_workers_are_one_sentence(planet, monkeypatch):
    monkeypatch.setattr("mars_map.scheduler.CONNECT_S", 1.0)
    monkeypatch.setattr("mars_map.search.cluster.WORKERS_S", 1.0)
    with pytest.raises(ClusterError, match="No Dask scheduler answers at tcp://127"):
        ClusterScan(planet, "tcp://127.0.0.1:9")
    # No client is made, which would print a traceback once it is collected.
    with monkeypatch.context() as patch:
        patch.setattr("distributed.Client", None)
        with pytest.raises(ClusterError, match="No Dask scheduler answers at nonsense"):
            ClusterScan(planet, "nonsense")
    with (
        LocalCluster(n_workers=0, dashboard_address=":0", processes=False) as empty,
        pytest.raises(ClusterError, match="has no workers"),
    ):
        ClusterScan(planet, empty.scheduler_address)


def test_a_scheduler_that_goes_away_is_one_sentence_and_is_found_again(small_index):
    def started(port=0):
        return LocalCluster(
            n_workers=1,
            processes=False,
            protocol="tcp",
            scheduler_port=port,
            dashboard_address=None,
        )

    vector = small_index.vector(3)
    with started() as cluster:
        address = cluster.scheduler_address
        spread = ClusterScan(small_index, address)
        expected = spread.scores(vector)
        lost = spread.spread(vector)
        spread._client.cancel(lost)
        with pytest.raises(ClusterError, match="went away; start it again"):
            spread.best_of(lost, 5)
        spread._client.close(timeout=2)  # as a client does that finds no scheduler for a while
    with started(int(address.rpartition(":")[2])), spread:
        assert (spread.scores(vector) == expected).all()
