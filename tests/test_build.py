"""`mars-map build`: from quads to an index, killed and gone on, on one machine and on a cluster."""

import contextlib
import errno
import http.server
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from mars_map.build import fetch
from mars_map.build.cluster import run_here, run_on_cluster
from mars_map.build.ledger import Ledger
from mars_map.build.plan import Recipe, plan_build
from mars_map.build.planet import UNPACKED, embed_all, estimate, publish
from mars_map.build.workshop import Clock, Workshop, cut_run, tile_runs
from mars_map.cli import main
from mars_map.errors import BuildError, ClusterError
from mars_map.index import ModelCard, open_index, verify_index
from mars_map.mosaics import BadQuad
from mars_map.planet.grid import EqualAreaGrid, RegularGrid
from mars_map.settings import MODEL_DIR
from tests.picture_encoder import PictureEncoder
from tests.test_mosaics import CTX, DEG_M, RASTERS, ground, write_raster

GRID = RegularGrid(1.0, -80, 80)
PIXELS = PictureEncoder.image_size
CORNERS = [(west, south) for south in (-28, -24) for west in (-4, 0, 4)]


def quad_path(folder, west, south):
    return folder / f"MurrayLab_CTX_V01_E{west:03d}_N{south:02d}_Mosaic.tif"


def write_quad(folder, west, south, values=ground, **profile):
    bounds = (west * DEG_M, south * DEG_M, (west + 4) * DEG_M, (south + 4) * DEG_M)
    return write_raster(quad_path(folder, west, south), CTX, bounds, (240, 240), values, **profile)


@pytest.fixture(scope="module")
def quads(tmp_path_factory):
    """Six quads, two rows of three, as the Murray Lab names them."""
    folder = tmp_path_factory.mktemp("quads")
    for west, south in CORNERS:
        write_quad(folder, west, south)
    return folder


@pytest.fixture(scope="module")
def workshop():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mars_map.encoders.load_image_encoder", PictureEncoder)
        shop = Workshop("any", 2)
    yield shop
    shop.close()


def recipe_of(workshop, grid=GRID, **options):
    return Recipe(grid, "any", workshop.encoder.sha256, PIXELS, **options)


def build(source, out, workshop, run=None, recipe=None):
    """Build with the parts of the command; return the report."""
    plan = plan_build(source, recipe or recipe_of(workshop))
    work = Ledger(out.with_name(out.name + ".work"), plan.recipe)
    run = run or partial(run_here, workshop=workshop, scratch=out.parent / "scratch")
    report = embed_all(plan, work, partial(run, recipe=plan.recipe), workshop)
    encoder = workshop.encoder
    card = ModelCard(encoder.model_id, encoder.sha256, encoder.dim)
    publish(plan, work, out, card=card, report=report)
    return report


@pytest.fixture(scope="module")
def built(quads, workshop, tmp_path_factory):
    """The index of the six quads, built in one go."""
    out = tmp_path_factory.mktemp("built") / "index"
    report = build(quads, out, workshop)
    assert report.done == 6 and not report.bad
    return out


def same_index(first, second):
    for name in ("vectors.npy", "fraction_valid.npy", "tiles.parquet"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    return True


def test_an_index_of_quads_has_the_vector_of_every_tile_under_them(built, quads, workshop):
    index = open_index(built)
    assert verify_index(built) == []
    lon, lat = GRID.centers
    covered = (lon > -4) & (lon < 8) & (lat > -28) & (lat < -20)
    assert (index.present == covered).all() and covered.sum() == 96
    assert index.manifest.extra["mosaic"]["location"] == str(quads)
    assert "CTX" in index.manifest.source
    # A vector is that of the picture of the ground under its tile, drawn without any raster.
    tile = int(GRID.tile_at(5.5, -22.5))
    from PIL import Image

    x = 5 + (np.arange(PIXELS) + 0.5) / PIXELS
    picture = ground(*np.meshgrid(x, -22 - (np.arange(PIXELS) + 0.5) / PIXELS))
    image = Image.fromarray(np.rint(picture).astype(np.uint8))
    expected = workshop.encoder.encode_images([image])[0]
    scores = index.vectors.astype(np.float32) @ expected
    assert scores.argmax() == tile and scores[tile] > 0.99


def test_a_tiles_picture_is_the_ground_under_it(quads, workshop):
    """Also where a tile reaches over the edge of its quad, into its neighbours."""
    recipe = recipe_of(workshop, EqualAreaGrid(0.8))
    plan = plan_build(quads, recipe)
    task = next(task for task in plan.tasks if task.quad.name == "E000_N-24")
    bounds = recipe.grid.bounds(task.tiles)
    assert bounds[:, 0].min() < 0 and bounds[:, 1].min() < -24 and len(task.others) >= 2
    assert sum(len(task.tiles) for task in plan.tasks) == len(
        np.unique(np.concatenate([task.tiles for task in plan.tasks]))
    )
    paths = [Path(task.quad.location), *map(Path, task.others)]
    for run in tile_runs(recipe, task.tiles)[::2]:
        cut = cut_run(paths, run, recipe)
        assert list(cut.tiles) == list(run)
        for tile, picture, share in zip(*cut[:3], strict=True):
            west, south, east, north = recipe.grid.bounds(tile)
            steps = (np.arange(PIXELS) + 0.5) / PIXELS
            truth = ground(
                *np.meshgrid(west + (east - west) * steps, north - (north - south) * steps)
            )
            if share == 1.0:
                assert np.abs(np.asarray(picture, float) - truth).max() < 6
            else:
                assert north > -20  # the northern edge of what there is
    alone = cut_run(paths[:1], tile_runs(recipe, task.tiles)[0], recipe)
    assert (alone.fraction_valid < 1).all()


def test_tiles_with_too_little_data_have_no_vector(tmp_path, workshop):
    write_quad(tmp_path, 0, 0, lambda lon, lat: np.where(lon < 1.3, 0, ground(lon, lat).clip(1)))
    report = build(tmp_path, tmp_path / "index", workshop)
    index = open_index(tmp_path / "index")
    assert report.tiles == 12 and report.empty == 4
    west = index.fraction_valid[GRID.tile_at(1.5, 2.5)]
    assert west == pytest.approx(0.7, abs=0.02)
    assert index.fraction_valid[GRID.tile_at(0.5, 2.5)] == 0
    assert index.fraction_valid[GRID.tile_at(2.5, 2.5)] == 1


@pytest.mark.parametrize("name", ["0 to 360", "polar", "latitude of origin"])
def test_a_single_raster_is_divided_and_embedded(tmp_path, workshop, name):
    crs, bounds, shape = RASTERS[name]
    path = write_raster(tmp_path / "mosaic.tif", crs, bounds, shape)
    recipe = recipe_of(workshop, RegularGrid(5.0, -90, 90), min_valid=0.2)
    plan = plan_build(path, recipe)
    tiles = np.concatenate([task.tiles for task in plan.tasks])
    assert len(tiles) == len(np.unique(tiles))
    for task in plan.tasks:
        (first, *_), paths = tile_runs(recipe, task.tiles), [path]
        cut = cut_run(paths, first, recipe)
        assert cut.pictures or name != "0 to 360"
    if name == "0 to 360":
        assert len(tiles) == 72 * 9
    else:
        report = build(path, tmp_path / "index", workshop, recipe=recipe)
        index = open_index(tmp_path / "index")
        assert index.present[recipe.grid.tile_at(5.5, -27.0 if name == "polar" else -26.0)]
        assert 0 < report.tiles == index.present.sum() < 30


def run_cli(*arguments):
    return CliRunner().invoke(main, ["build", *map(str, arguments)])


def test_bad_quads_are_named_and_nothing_is_published_until_they_may_be_missing(
    tmp_path, workshop, monkeypatch
):
    monkeypatch.setattr("mars_map.build.workshop.Workshop", lambda *_: workshop)
    write_quad(tmp_path, 0, 0)
    cut_short = write_quad(tmp_path, 4, 0, compress="lzw")
    cut_short.write_bytes(cut_short.read_bytes()[:20_000])
    shutil.copy(quad_path(tmp_path, 0, 0), quad_path(tmp_path, 8, 0))
    (tmp_path / "MurrayLab_mosaic.tif").write_bytes(b"")
    out = tmp_path.parent / f"{tmp_path.name}-index"
    arguments = (tmp_path, "--out", out, "--model", "any", "--grid", "1", "--yes")
    result = run_cli(*arguments)
    assert result.exit_code == 1 and not out.exists()
    assert "3 of 4 quads cannot be used" in result.stderr
    for words in ("cut short", "does not cover the place", "does not tell where it lies"):
        assert words in result.stderr
    work = out.with_name(out.name + ".work")
    report = json.loads((work / "report.json").read_text())
    assert {bad["name"] for bad in report["bad"]} == {
        "MurrayLab_mosaic.tif",
        "E004_N00",
        "E008_N00",
    }
    assert "1 quads with 16 tiles" in result.stdout or "2 quads with 32 tiles" in result.stdout
    result = run_cli(*arguments, "--allow-missing")
    assert result.exit_code == 0 and open_index(out).present.sum() == 16
    assert open_index(out).manifest.extra["missing_quads"] == sorted(
        ["MurrayLab_mosaic.tif", "E004_N00", "E008_N00"]
    )
    # Mended, it goes on with what is left, and the index has everything.
    write_quad(tmp_path, 4, 0)
    write_quad(tmp_path, 8, 0)
    (tmp_path / "MurrayLab_mosaic.tif").unlink()
    result = run_cli(*arguments)
    assert result.exit_code == 0 and "1 quads done already" in result.stdout
    assert open_index(out).present.sum() == 48


def test_a_build_that_was_killed_goes_on_to_the_same_index(tmp_path, quads, built, workshop):
    out = tmp_path / "index"
    work = out.with_name("index.work")
    start = "from tests.picture_encoder import install; install(); from mars_map.cli import main"
    command = [sys.executable, "-c", f"{start}; main()", "build", str(quads), "--out", str(out)]
    command += ["--model", "any", "--grid", "1", "--yes", "--workers", "1", "--ahead", "1"]
    child = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 60
    while len(list(work.glob("quads/*.json"))) < 1:
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = len(list(work.glob("quads/*.json")))
    assert 1 <= done < 6 and not out.exists()
    report = build(quads, out, workshop)
    assert report.done == 6 and report.embedded_now == (6 - done) * 16
    assert same_index(out, built)


def test_a_full_disk_publishes_nothing_and_the_work_goes_on(
    tmp_path, quads, built, workshop, monkeypatch
):
    real = os.fsync
    calls = []

    def full(number):
        calls.append(number)
        if len(calls) > 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(number)

    out = tmp_path / "index"
    with monkeypatch.context() as patch:
        patch.setattr("mars_map.files.os.fsync", full)
        with pytest.raises(BuildError, match="No space left on device; make room and run the same"):
            build(quads, out, workshop)
    assert not out.exists()
    workshop.stopped.clear()
    report = build(quads, out, workshop)
    assert 0 < report.embedded_now < 96
    assert same_index(out, built)


@contextlib.contextmanager
def files_up_to(limit):
    """Let no file of this process grow beyond some bytes, as a full disk does not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_vectors_that_the_disk_cut_short_are_never_taken_for_whole(tmp_path, workshop):
    write_quad(tmp_path, 0, 0)
    out = tmp_path / "out" / "index"
    # The last of a file that the C library still holds when the disk is full: NumPy says nothing.
    with files_up_to(1500), pytest.raises(BuildError, match="File too large; mend that and run"):
        build(tmp_path, out, workshop)
    assert not list(out.with_name("index.work").glob("quads/*"))
    with files_up_to(100_000), pytest.raises(BuildError, match="written: File too large"):
        build(tmp_path, out, workshop)
    assert sorted(path.name for path in out.parent.iterdir()) == ["index.work"]
    assert build(tmp_path, out, workshop).embedded_now == 0
    assert verify_index(out) == [] and open_index(out).present.sum() == 16


def test_vectors_of_another_recipe_or_of_a_changed_quad_are_not_taken(tmp_path, workshop):
    write_quad(tmp_path, 0, 0)
    plan = plan_build(tmp_path, recipe_of(workshop))
    build(tmp_path, tmp_path / "out" / "index", workshop)
    folder = tmp_path / "out" / "index.work"
    with pytest.raises(BuildError, match=r"work of another build \(grid differ\)"):
        Ledger(folder, recipe_of(workshop, RegularGrid(2.0)))
    assert Ledger(folder, plan.recipe).has(plan.tasks[0])
    write_quad(tmp_path, 0, 0, lambda lon, lat: 255 - ground(lon, lat), compress="lzw")
    plan = plan_build(tmp_path, plan.recipe)
    assert not Ledger(folder, plan.recipe).has(plan.tasks[0])
    (folder / "quads" / "E000_N00.npy").write_bytes(b"")
    assert build(tmp_path, tmp_path / "out" / "index", workshop).embedded_now == 16


@contextlib.contextmanager
def server(folder):
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_quads_are_downloaded_unpacked_and_deleted(tmp_path, quads, built, workshop, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE_S", 0.01)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    names = []
    for west, south in CORNERS:
        path = quad_path(quads, west, south)
        name = f"MurrayLab_GlobalCTXMosaic_V01_E{west:03d}_N{south:02d}.zip"
        with zipfile.ZipFile(shelf / name, "w") as archive:
            archive.write(path, f"{path.stem}/{path.name}")
            archive.writestr(f"{path.stem}/ReadMe.txt", "about")
        names.append(name)
    damaged = "MurrayLab_GlobalCTXMosaic_V01_E008_N-28.zip"
    (shelf / damaged).write_bytes((shelf / names[0]).read_bytes()[:30_000])
    (shelf / "E016_N00.tif").write_text("<html>Please log in.</html>")
    seen = []
    scratch = tmp_path / "scratch"

    def run(tasks, recipe):
        for outcome in run_here(tasks, recipe, workshop, scratch):
            seen.append(len(list(scratch.iterdir())))
            yield outcome

    with server(shelf) as url:
        asked = (*names, damaged, "E016_N00.tif", "E176_N00.tif")
        lines = [*(f"{url}/{name}" for name in asked), "s3://ctx/E012_N00.tif"]
        lines.append("http://127.0.0.1:9/E012_N00.tif")
        (tmp_path / "list.txt").write_text("\n".join(lines))
        report = build(tmp_path / "list.txt", tmp_path / "index", workshop, run)
    assert max(seen) <= 2 and list(scratch.iterdir()) == []
    reasons = {bad.name: bad.reason for bad in report.bad}
    assert set(reasons) == {"E008_N-28", "E176_N00", "E016_N00", "E012_N00", "E012_N00.tif"}
    assert "damaged or cut short" in reasons["E008_N-28"] and "404" in reasons["E176_N00"]
    assert f'"{url}/E016_N00.tif" cannot be read: it is no raster' in reasons["E016_N00"]
    assert "no connection to the server again and again" in reasons["E012_N00"]
    assert '"s3://ctx/E012_N00.tif" cannot be downloaded: give an' in reasons["E012_N00.tif"]
    assert same_index(tmp_path / "index", built)


def test_zip_files_on_this_disk_need_the_room_of_their_own_rasters(tmp_path, quads, workshop):
    sizes = {}
    for west in (0, 4):
        path = quad_path(tmp_path, west, -28).with_suffix(".zip")
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(quad_path(quads, west, -28), "quad.tif")
        sizes[west] = path.stat().st_size
    plan = plan_build(tmp_path, recipe_of(workshop))
    needed = estimate(plan, plan.tasks, workshop, "float16", 2)
    assert needed.fetch_bytes == int(2 * UNPACKED * max(sizes.values()))
    assert needed.download_bytes == 0 and needed.cut_s is None


def test_a_cut_connection_is_taken_up_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE_S", 0.01)
    content = np.random.default_rng(0).bytes(300_000)
    asked = []

    class Cutting(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            start = int((self.headers["Range"] or "bytes=0-")[6:-1])
            asked.append(start)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : start + 120_000])  # and hangs up

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cutting) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        fetch.download(f"http://127.0.0.1:{running.server_port}/E000_N00.tif", tmp_path / "a.tif")
        running.shutdown()
    assert (tmp_path / "a.tif").read_bytes() == content
    # No more than a chunk was asked for twice.
    assert asked == sorted(asked) and np.diff(asked).min() > 120_000 - fetch.CHUNK


def wait_until(true, at_most_s=60):
    deadline = time.monotonic() + at_most_s
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_cluster_that_loses_a_worker_makes_the_same_vectors(
    tmp_path, quads, built, workshop, monkeypatch
):
    from distributed import LocalCluster

    killed = []

    def states():
        return [task.state for task in list(cluster.scheduler.tasks.values())]

    def run(tasks, recipe):
        for outcome in run_on_cluster(tasks, recipe, cluster.scheduler_address, threads=1):
            if not killed:
                # All is done and nothing fetched but this: whoever dies now takes results along.
                wait_until(lambda: all(state == "memory" for state in states()))
                fullest = max(cluster.scheduler.workers.values(), key=lambda w: len(w.has_what))
                victim = next(
                    nanny
                    for nanny in cluster.workers.values()
                    if nanny.worker_address == fullest.address
                )
                killed.append(victim.pid)
                os.kill(victim.pid, signal.SIGKILL)
                wait_until(lambda: any(state != "memory" for state in states()))
            yield outcome

    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        local_directory=str(tmp_path / "dask"),
        preload=["tests.picture_encoder"],
    ) as cluster:
        # Workers were started in other folders than whoever names quads by a relative path.
        monkeypatch.chdir(quads.parent)
        report = build(Path(quads.name), tmp_path / "index", workshop, run)
    assert killed and report.done == 6 and not report.bad
    assert same_index(tmp_path / "index", built)


def test_places_that_cannot_be_written_are_one_sentence(quads, tmp_path, workshop, monkeypatch):
    monkeypatch.setattr("mars_map.build.workshop.Workshop", lambda *_: workshop)
    file = tmp_path / "file"
    file.write_text("a file")
    common = (quads, "--model", "any", "--grid", "1", "--yes")
    for arguments, sentence in (
        (("--out", file), f'"{file}" is a file; name a folder for the index with --out.'),
        (("--out", tmp_path / "index", "--work", file), "cannot be used: Not a directory; name"),
    ):
        result = run_cli(*common, *arguments)
        assert result.exit_code == 1 and sentence in result.stderr
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "build.json").write_text("{")
    result = run_cli(*common, "--out", tmp_path / "index", "--work", tmp_path / "work")
    assert result.exit_code == 1 and 'build.json" cannot be understood; delete' in result.stderr
    assert not (tmp_path / "index").exists()


def test_a_scheduler_that_is_not_there_is_one_sentence(quads, tmp_path, workshop, monkeypatch):
    monkeypatch.setattr("mars_map.scheduler.CONNECT_S", 0.5)
    monkeypatch.setattr("mars_map.build.workshop.Workshop", lambda *_: workshop)
    out = tmp_path / "index"
    arguments = (quads, "--out", out, "--model", "any", "--grid", "1", "--yes")
    result = run_cli(*arguments, "--scheduler", "tcp://127.0.0.1:9")
    assert result.exit_code == 1 and not out.exists()
    assert "No Dask scheduler answers at tcp://127.0.0.1:9; start one" in result.stderr


def test_a_scheduler_without_workers_is_one_sentence(quads, workshop, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr("mars_map.build.cluster.WORKERS_S", 0.3)
    task, *_ = plan_build(quads, recipe_of(workshop)).tasks
    with LocalCluster(n_workers=0, dashboard_address=":0", processes=False) as empty:
        run = run_on_cluster([task], recipe_of(workshop), empty.scheduler_address)
        with pytest.raises(ClusterError, match="has no workers; start some with `dask worker"):
            next(run)


@pytest.fixture
def answer(quads, workshop, monkeypatch):
    """Return what a made-up cluster makes of a task."""
    task, *_ = plan_build(quads, recipe_of(workshop)).tasks

    def of(status, error=None):
        class Future:
            key = "a"

            def exception(self):
                return error

            def release(self):
                pass

        class Client:
            loop = None

            def map(self, *_, **__):
                future = Future()
                future.status = status
                return [future]

            def close(self, timeout):
                pass

        monkeypatch.setattr("mars_map.build.cluster.connect_to_workers", lambda *_, **__: Client())
        monkeypatch.setattr("distributed.as_completed", lambda futures, loop: iter(futures))
        ((_, outcome),) = run_on_cluster([task], recipe_of(workshop), "tcp://made-up")
        return task, outcome

    return of


def test_a_quad_that_kills_its_workers_is_a_bad_quad(answer):
    from distributed.scheduler import KilledWorker

    task, outcome = answer("error", KilledWorker("a", None, 3))
    assert isinstance(outcome, BadQuad) and task.quad.name in outcome.reason


def test_a_cluster_that_goes_away_is_one_sentence(answer):
    with pytest.raises(BuildError, match=r"is gone or gave up .cancelled.; run the same command"):
        answer("cancelled")
    with pytest.raises(BuildError, match="No module named 'mars_map'"):
        answer("error", ModuleNotFoundError("No module named 'mars_map'"))


def test_the_command_tells_what_it_will_take(quads, tmp_path, workshop, monkeypatch):
    monkeypatch.setattr("mars_map.build.workshop.Workshop", lambda *_: workshop)
    out = tmp_path / "index"
    arguments = (quads, "--out", out, "--model", "any", "--grid", "1", "--yes")
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(tmp_path)
        patch.setattr(
            "mars_map.build.planet.shutil.disk_usage", lambda _: usage._replace(free=1_000_000)
        )
        result = run_cli(*arguments)
        assert result.exit_code == 1 and "GB are free; make room" in result.stderr
    result = run_cli(*arguments, "--dtype", "int8", "--refined")
    assert result.exit_code == 0, result.output
    for words in ("6 quads with 96 tiles", "time      about", "disk  ", "tiles a second"):
        assert words in result.stdout
    index = open_index(out)
    assert index.present.sum() == 96
    assert index.vectors.dtype == np.int8 and index.refined.dtype == np.float16


def test_a_clock_tells_how_long_nothing_went_on(monkeypatch):
    seconds = iter([0, 1, 4, 5, 15, 20])
    fake = SimpleNamespace(perf_counter=lambda: next(seconds))
    monkeypatch.setattr("mars_map.build.workshop.time", fake)
    clock = Clock()
    with clock.running(), clock.running():
        pass
    with clock.running():
        pass
    assert clock.busy == 10 and clock.waiting == 0.5


def test_the_compact_encoder_is_told_how_wide_tiles_are(quads, tmp_path):
    from mars_map.encoders import load_image_encoder

    workshop = Workshop(str(MODEL_DIR), 1)
    recipe = Recipe(RegularGrid(2.0), str(MODEL_DIR), workshop.encoder.sha256, workshop.pixels, 0.9)
    build(quads, tmp_path / "index", workshop, recipe=recipe)
    index = open_index(tmp_path / "index")
    tile = int(recipe.grid.tile_at(1.0, -25.0))
    cut = cut_run([quad_path(quads, 0, -28)], np.array([tile]), recipe)
    encoder = load_image_encoder(MODEL_DIR)
    expected = encoder.encode_pictures(cut.pictures, 2 * DEG_M / 1000)[0]
    other = encoder.encode_images(cut.pictures)[0]
    assert index.vector(tile) @ expected > 0.999 > index.vector(tile) @ other
    workshop.close()


def test_thumbnails_are_cut_from_the_mosaic_where_it_is_here(built, tmp_path):
    from PIL import Image

    from mars_map.maps.basemap import Basemaps
    from mars_map.maps.mosaic import thumbnail_width_km, tile_thumbnail
    from mars_map.maps.thumbnails import thumbnail

    index, basemaps = open_index(built), Basemaps()
    # A tile at the corner of four quads shows all of them.
    body = tile_thumbnail(basemaps, index, 4.0, -24.0, 64)
    picture = np.asarray(Image.open(io.BytesIO(body)).convert("L"), float)
    offset = (np.arange(64) - 31.5) / 64 * 1.2
    lon = 4 + offset / np.cos(np.radians(24))
    truth = ground(*np.meshgrid(lon, -24 - offset))
    assert np.abs(picture - truth).mean() < 3 and np.abs(picture - truth).max() < 25
    tile = int(GRID.tile_at(4.5, -23.5))
    assert thumbnail_width_km(index, tile) == pytest.approx(1.2 * DEG_M / 1000)
    assert thumbnail_width_km(index, int(GRID.tile_at(100, 40))) == 96
    # Off the mosaic, and of an index whose mosaic is elsewhere, the basemap stands in.
    assert tile_thumbnail(basemaps, index, 100.0, 40.0, 64) == thumbnail(
        basemaps, 100.0, 40.0, size=64
    )


def test_with_a_gpu_the_threads_that_cut_prepare_the_pictures(quads, built, tmp_path, monkeypatch):
    monkeypatch.setattr("mars_map.encoders.load_image_encoder", PictureEncoder)
    monkeypatch.setattr("mars_map.build.workshop._has_gpu", lambda: True)
    workshop = Workshop("any", 2)
    assert workshop.prepares
    monkeypatch.delattr(PictureEncoder, "encode_pictures")
    build(quads, tmp_path / "index", workshop)
    assert same_index(tmp_path / "index", built)
    workshop.close()


def test_thumbnails_are_kept_for_a_mosaic_that_goes_away(tmp_path, workshop):
    from PIL import Image

    from mars_map.maps.basemap import Basemaps
    from mars_map.maps.mosaic import thumbnail_width_km, tile_thumbnail

    source = tmp_path / "quads"
    source.mkdir()
    for west in (0, 4):
        write_quad(source, west, 56, lambda lon, lat: np.where(lon > 7, 0, ground(lon, lat)))
    recipe = recipe_of(workshop, thumbnails=48)
    build(source, tmp_path / "index", workshop, recipe=recipe)
    shutil.rmtree(source)
    assert verify_index(tmp_path / "index") == []
    index, basemaps = open_index(tmp_path / "index"), Basemaps()
    for lon in (1.5, 6.5):
        body = tile_thumbnail(basemaps, index, lon, 58.5, 192)
        picture = np.asarray(Image.open(io.BytesIO(body)), float)
        # As high as told, and as wide as the tile is on the ground.
        assert picture.shape == (48, round(48 * np.cos(np.radians(58.5))))
        x = lon - 0.5 + (np.arange(picture.shape[1]) + 0.5) / picture.shape[1]
        truth = ground(*np.meshgrid(x, 59 - (np.arange(48) + 0.5) / 48))
        assert np.abs(picture - truth).mean() < 4
        width = thumbnail_width_km(index, int(GRID.tile_at(lon, 58.5)))
        assert width == pytest.approx(DEG_M / 1000 * np.cos(np.radians(58.5)))
    basemap = Image.open(io.BytesIO(tile_thumbnail(basemaps, index, 7.5, 58.5, 192)))
    assert basemap.size == (192, 192)
