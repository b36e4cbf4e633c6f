"""The shell: what it prints, what it writes, and what it says when something is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import pytest
from click.testing import CliRunner
from PIL import Image

from mars_map.cli import main
from mars_map.settings import INDEX_DIR


@pytest.fixture
def run(small_index):
    """Call mars-map; "@" in an argument stands for the small index's folder."""

    def call(*arguments, expect=0):
        arguments = [str(small_index.folder) if a == "@" else str(a) for a in arguments]
        outcome = CliRunner().invoke(main, arguments)
        assert outcome.exit_code == expect, outcome.output
        assert "Traceback" not in outcome.output
        return outcome

    return call


def test_json_is_one_object_with_the_promised_keys(run, small_index):
    outcome = run(
        "similar", "--at", "137.8 E,5.4 S", "--index", "@", "--top-k", 5, "--format", "json"
    )
    answer = json.loads(outcome.stdout)
    assert set(answer) == {"query", "index", "model", "hits", "timing_ms"}
    assert set(answer["timing_ms"]) == {"encode", "score", "rank", "total"}
    assert answer["index"]["digest"] == small_index.digest
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3, 4, 5]
    for hit in answer["hits"]:
        assert set(hit) == {"tile", "lon", "lat", "score", "rank", "bounds"}
        west, south, east, north = hit["bounds"]
        assert west < hit["lon"] < east and south < hit["lat"] < north
        assert small_index.grid.tile_at(hit["lon"], hit["lat"]) == small_index.grid.number_of(
            hit["tile"]
        )


def test_a_table_for_people(run):
    lines = run("similar", "--at", "-42,18", "--index", "@", "--top-k", 3).stdout.splitlines()
    assert len(lines) == 4 and lines[0].split() == ["rank", "score", "tile", "centre"]


def test_a_box_across_the_antimeridian(run):
    outcome = run(
        "similar", "--at", "0,0", "--index", "@", "--bbox", "170,-30,-170,30", "--format", "json"
    )
    hits = json.loads(outcome.stdout)["hits"]
    assert hits and all(abs(hit["lon"]) >= 170 and abs(hit["lat"]) <= 30 for hit in hits)


@pytest.mark.parametrize(
    ("form", "suffix"),
    [("geojson", "geojson"), ("gpkg", "gpkg"), ("parquet", "parquet"), ("shapefile", "zip")],
)
def test_files_are_written_and_read_back(run, tmp_path, form, suffix):
    path = tmp_path / f"hits.{suffix}"
    run("similar", "--at", "10,10", "--index", "@", "--top-k", 7, "--format", form, "-o", path)
    frame = gpd.read_parquet(path) if form == "parquet" else gpd.read_file(path)
    assert list(frame["rank"]) == list(range(1, 8))


def test_geojson_and_csv_go_to_standard_output_too(run):
    arguments = ("similar", "--at", "10,10", "--index", "@", "--top-k", 2, "--format")
    assert len(json.loads(run(*arguments, "geojson").stdout)["features"]) == 2
    assert "rank" in run(*arguments, "csv").stdout


def test_info_and_verify(run, small_index):
    out = run("info", "@").stdout
    assert small_index.digest in out and "made up" in out
    assert json.loads(run("info", "@", "--json").stdout)["digest"] == small_index.digest
    assert "sound" in run("verify", "@").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "", "--index", "@"),
        ("search", "🏜️", "--index", "@"),
        ("search", "dunes", "--index", "@", "--top-k", "0"),
        ("search", "dunes", "--index", "@", "--top-k", "1000000"),
        ("search", "dunes", "--index", "@", "--threshold", "2"),
        ("search", "dunes", "--index", "@", "--bbox", "0,10,5,0"),
        ("search", "dunes", "--index", "@", "--bbox", "everywhere"),
        ("search", "dunes", "--index", "@", "--prompt", "no slot"),
        ("search", "dunes", "--index", "@"),  # the small index was made by another model
        ("search", "dunes", "--index", "nowhere"),
        ("similar", "--at", "400,0", "--index", "@"),
        ("similar", "--at", "Gale", "--index", "@"),
        ("similar", "--at", "0,0", "--index", "@", "--format", "gpkg"),
        ("similar", "--at", "0,0", "--index", "@", "--format", "csv", "-o", "no/such/folder.csv"),
        ("similar", "--at", "0,0", "--index", "@", "-o", "no/such/folder.txt"),
        ("info", "nowhere"),
        ("verify", "nowhere"),
        ("build-default", "--inputs", "nowhere", "--out", "nowhere"),
    ],
    ids=lambda a: " ".join(a),
)
def test_bad_input_gets_one_sentence_on_stderr(run, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = run(*arguments, expect=1)
    lines = outcome.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("mars-map: ") and lines[0].endswith(".")
    assert outcome.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_index_is_named_and_nothing_is_lost(run, tmp_path, small_index):
    copy = tmp_path / "index"
    copy.mkdir()
    for file in small_index.folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    os.truncate(copy / "vectors.npy", 1000)
    assert "vectors.npy" in run("verify", copy, expect=1).stderr
    assert "vectors.npy" in run("similar", "--at", "0,0", "--index", copy, expect=1).stderr


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="this system has no /proc to fail in")
def test_a_folder_that_nobody_may_write(run):
    run(
        "similar", "--at", "0,0", "--index", "@", "--format", "csv", "-o", "/proc/x.csv", expect=1
    )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk(run):
    run("similar", "--at", "0,0", "--index", "@", "-o", "/dev/full", expect=1)


@pytest.mark.parametrize(
    "command",
    [*main.commands, "evaluate geolocalization", "evaluate landforms", "evaluate pairs"],
)
def test_help(run, command):
    assert "Usage:" in run(*command.split(), "--help").stdout


def test_words_are_searched_on_the_index_that_comes_with_mars_map():
    command = [
        sys.executable,
        "-m",
        "mars_map",
        "search",
        "huge canyon",
        "--top-k",
        "20",
        "--format",
        "json",
    ]
    outcome = subprocess.run(command, capture_output=True, text=True, check=True)
    # What may be believed of the hits is said beside them, so that pipes stay clean.
    assert outcome.stderr.count("\n") == 1 and "of these 20 hits" in outcome.stderr
    hits = json.loads(outcome.stdout)["hits"]
    assert len(hits) == 20
    # Valles Marineris is the canyon: most of the best tiles lie between 100 W and 20 W.
    assert sum(-105 < hit["lon"] < -15 and -25 < hit["lat"] < 10 for hit in hits) >= 10
    assert json.loads(outcome.stdout)["model"]["sha256"]
    assert INDEX_DIR.is_dir()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_standard_output_that_cannot_be_written(small_index):
    command = [sys.executable, "-m", "mars_map", "info", str(small_index.folder)]
    with Path("/dev/full").open("w") as full:
        outcome = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert outcome.returncode == 1
    assert len(outcome.stderr.splitlines()) == 1
    assert outcome.stderr.startswith("mars-map: ")


def test_parts_and_pictures_are_searched(run, tmp_path):
    picture = tmp_path / "mine.png"
    Image.effect_noise((80, 80), 40).save(picture)
    mixed = run("search", "dunes", "--part", "-text*0.5:craters", "--format", "json")
    assert [part["value"] for part in json.loads(mixed.stdout)["query"]["parts"]] == [
        "dunes",
        "craters",
    ]
    alike = run("similar", "--image", str(picture), "--width-km", "30", "--format", "json")
    assert json.loads(alike.stdout)["query"]["parts"][0]["name"] == "mine.png"
