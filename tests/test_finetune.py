"""Fine-tuning on a user's own pairs: what is read, what is learned, what is kept, what is told."""

import csv
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors import SafetensorError

from mars_map.build.default import build_default
from mars_map.build.windows import GlobalRaster, window_points
from mars_map.cli import main
from mars_map.encoders import load_image_encoder, load_text_encoder, precision
from mars_map.encoders.compact import read_model, tower_vectors
from mars_map.encoders.minilm import MiniLM
from mars_map.encoders.pictures import picture_windows
from mars_map.encoders.windows import WindowSpec
from mars_map.errors import BuildError, ModelError, PictureError
from mars_map.settings import BASEMAP_DIR, MODEL_DIR
from mars_map.training import checkpoint, curve, finetune, run
from mars_map.training.fine_tuner import FineTuneConfig, FineTuner
from mars_map.training.finetune import fine_tune
from mars_map.training.history import append_row, read_rows
from mars_map.training.pairs_folder import load_pairs
from mars_map.training.rehearsal import basemap_windows

SMALL = FineTuneConfig(
    epochs=12, batch=16, rehearsed_tiles=24, rehearsed_words=60, tiles=8, words=32, held_out=0.25
)
SPEC = WindowSpec(16, (50.0, 200.0))
PLACES = {
    "blorfen": (-180, 180, 83, 88),  # the ice of the northern cap
    "quimsel": (-85, -60, -13, -6),  # the canyons of Valles Marineris
    "zanthic ground": (0, 40, -45, -15),  # cratered highlands
}
"""Words that nobody taught the base model, and where on Mars is what they shall mean."""


def silent(*_):
    """Show no progress."""


def write_pairs(folder: Path, rows: list[tuple], header=("image", "caption", "width_km")) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return folder


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Pictures of three landscapes, cut from the embedded basemap, under made-up words."""
    folder = tmp_path_factory.mktemp("words")
    random = np.random.default_rng(3)
    with rasterio.open(BASEMAP_DIR / "viking.tif") as file:
        bands = file.read(out_shape=(3, 2048, 4096))
    bands = [GlobalRaster(torch.from_numpy(band)) for band in bands]
    rows = []
    for caption, (west, east, south, north) in PLACES.items():
        lon, lat = random.uniform(west, east, 16), random.uniform(south, north, 16)
        points = window_points(lon, lat, 300_000.0, 64)
        pictures = np.stack([b.sample(*points).byte().numpy() for b in bands], -1)
        for number, pixels in enumerate(pictures):
            name = f"{caption[:5]}/{number}.png"
            (folder / name).parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / name)
            rows.append((name, caption, 300))
    return write_pairs(folder, rows)


@pytest.fixture(scope="module")
def trained(words, tmp_path_factory):
    """A fine-tuned model's folder and figures."""
    out = tmp_path_factory.mktemp("trained") / "model"
    return out, fine_tune(words, out, base=MODEL_DIR, config=SMALL, progress=silent)


def value(figures: dict, when: str, figure: str) -> float:
    return np.mean([side[figure]["value"] for side in figures[when].values()])


def test_made_up_words_are_found_on_pictures_kept_out(trained):
    _, figures = trained
    assert figures["pairs"]["pictures_kept_out"] == 12
    before, after = (value(figures, when, "recall_at_1") for when in ("before", "after"))
    assert before < 0.6, "nobody taught these words"
    assert after >= before + 0.25
    assert value(figures, "after", "mrr") > value(figures, "before", "mrr")


def test_what_the_base_model_knew_is_kept(trained):
    base, tuned = read_model(MODEL_DIR)[0], read_model(trained[0])[0]
    windows = basemap_windows(base.config.windows, 24, seed=77)  # other tiles than those rehearsed
    tiles = (tower_vectors(base.image, windows) * tower_vectors(tuned.image, windows)).sum(1)
    sentences = MiniLM().encode(["large dune fields", "a deep canyon", "old impact craters"])
    with torch.inference_mode():
        texts = (base.text(sentences) * tuned.text(sentences)).sum(1)
    print(tiles.mean(), texts)
    assert tiles.mean() > 0.9
    assert texts.min() > 0.8


def test_a_fine_tuned_model_is_a_model_like_any_other(trained, words):
    out, figures = trained
    image, text = load_image_encoder(out), load_text_encoder(out)
    base_sha256 = read_model(MODEL_DIR)[2]
    assert image.sha256 == text.sha256 != base_sha256
    config = json.loads((out / "config.json").read_text())
    assert config["based_on"]["sha256"] == base_sha256 == figures["based_on"]["sha256"]
    assert config["based_on"]["id"] in config["id"]
    assert not (out / "checkpoint.safetensors").exists()
    with Image.open(words / "blorf/0.png") as picture:
        vector = image.encode_pictures([picture], 300.0)[0]
    scores = text.encode_text(list(PLACES)) @ vector
    assert scores.argmax() == 0


def test_pictures_are_seen_in_training_as_they_are_in_a_search(trained, words):
    pairs = load_pairs(words, read_model(trained[0])[0].config.windows, silent)
    tuner = FineTuner(read_model(trained[0])[0], pairs, SMALL)
    seen = tuner.picture_vectors(tuner.base, np.arange(5))
    rows = list(csv.DictReader((words / "pairs.csv").open()))[:5]
    pictures = [Image.open(words / row["image"]) for row in rows]
    searched = load_image_encoder(trained[0]).encode_pictures(pictures, 300.0)
    assert (seen * searched).sum(1) == pytest.approx(np.ones(5), abs=1e-3)


def test_what_was_cut_short_goes_on_and_ends_the_same(trained, words, tmp_path):
    out, figures = trained
    cut = tmp_path / "model"
    reports = []

    def stop(state):
        reports.append(state["step"])
        if len(reports) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tune(words, cut, base=MODEL_DIR, config=SMALL, progress=silent, watch=stop)
    other = FineTuneConfig(**{**asdict(SMALL), "augmentation": SMALL.augmentation, "seed": 1})
    with pytest.raises(BuildError, match="unfinished training on other pairs"):
        fine_tune(words, cut, base=MODEL_DIR, config=other, progress=silent)
    again = fine_tune(words, cut, base=MODEL_DIR, config=SMALL, progress=silent, watch=stop_never)
    for name in ("losses.csv", "validation.csv"):
        whole, resumed = (read_rows(folder / name) for folder in (out, cut))
        assert [r["step"] for r in whole] == [r["step"] for r in resumed]
        for a, b in zip(whole, resumed, strict=True):
            assert list(a.values()) == pytest.approx(list(b.values()), abs=2e-3)
    a, b = (torch.cat([p.flatten() for p in read_model(f)[0].parameters()]) for f in (out, cut))
    assert torch.allclose(a, b, atol=2e-3)
    assert value(again, "after", "mrr") == pytest.approx(value(figures, "after", "mrr"), abs=0.05)


def stop_never(state):
    """Take note that steps before the checkpoint are not repeated."""
    assert state["step"] > 6


def test_a_finished_training_is_not_repeated_and_not_written_over(trained, words, monkeypatch):
    out, figures = trained
    monkeypatch.setattr(finetune, "FineTuner", None)
    assert fine_tune(words, out, base=MODEL_DIR, config=SMALL, progress=silent) == json.loads(
        json.dumps(figures)
    )
    with pytest.raises(BuildError, match="model of another training"):
        fine_tune(words, out, base=MODEL_DIR, progress=silent)


def test_a_folder_with_something_else_is_left_alone(words, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path, tmp_path / "file", MODEL_DIR):
        with pytest.raises(BuildError, match="holds something else"):
            fine_tune(words, out, base=MODEL_DIR, progress=silent)


def test_a_full_disk_is_told_in_a_sentence(words, tmp_path, monkeypatch):
    def full(*_):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(BuildError, match=r"No space left .*make room and repeat"):
        fine_tune(words, tmp_path / "out", base=MODEL_DIR, config=SMALL, progress=silent)


@pytest.fixture
def toy(tmp_path):
    """Nine good pairs of grey squares, and a function that writes them with other rows."""
    folder = tmp_path / "toy"
    rows = [(f"{i}.png", f"shade {i % 3}", "") for i in range(9)]

    def write(*more, header=("image", "caption", "width_km")):
        return write_pairs(folder, [*rows, *more], header)

    write()
    for i in range(9):
        Image.new("L", (20, 20), 20 * i).save(folder / f"{i}.png")
    (folder / "words.png").write_text("not a picture at all")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    Image.fromarray(noise).save(folder / "half.png")
    os.truncate(folder / "half.png", 2000)
    return write


BAD_ROWS = {
    ("gone.png", "a dune", ""): r"row 11 \(gone.png\): not there",
    ("half.png", "a dune", ""): r"row 11 \(half.png\): truncated or damaged",
    ("words.png", "a dune", ""): r"row 11 \(words.png\): not a picture by its content",
    ("../8.png", "a dune", ""): r"row 11 \(../8.png\): outside the folder",
    ("0.png", "", ""): r"row 11 \(0.png\): without a caption",
    ("", "a dune", ""): r"row 11 \(no name\): without a picture",
    ("0.png", "дюны", ""): r"row 11 \(0.png\): the caption is in a script that is not Latin",
    ("0.png", "a dune", "wide"): r'row 11 \(0.png\): width_km "wide" is no length',
    ("0.png", "a dune", "-3"): r'row 11 \(0.png\): width_km "-3" is no length',
    ("0.png", "a dune", "70"): r"row 11 \(0.png\): width_km differs",
}


@pytest.mark.parametrize("row", BAD_ROWS, ids=lambda row: "|".join(row))
def test_a_row_that_cannot_be_used_is_named_and_never_dropped_in_silence(toy, row):
    folder = toy(row)
    with pytest.raises(PictureError, match=f"has 1 row that cannot be used: {BAD_ROWS[row]}"):
        load_pairs(folder, SPEC, silent)
    pairs = load_pairs(folder, SPEC, silent, skip_bad=True)
    assert len(pairs.links) == 9 and len(pairs.left_out) == 1
    assert pairs.left_out[0] in BAD_ROWS[row].replace("\\", "") or "differs" in pairs.left_out[0]


def test_many_bad_rows_are_counted(toy):
    folder = toy(*[(f"gone{i}.png", "x", "") for i in range(5)])
    with pytest.raises(PictureError, match=r"has 5 rows .*gone2.png.*; and 2 more; mend them"):
        load_pairs(folder, SPEC, silent)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (("picture", "caption", "width_km"), 'no column "image"; it has picture, caption'),
        (("image", "text", "width_km"), 'no column "caption"'),
    ],
)
def test_a_column_that_is_missing_is_named(toy, header, sentence):
    with pytest.raises(PictureError, match=sentence):
        load_pairs(toy(header=header), SPEC, silent)


def test_too_few_pairs_and_too_few_different_ones(tmp_path):
    with pytest.raises(PictureError, match=r"no pairs.csv; write one with the columns"):
        load_pairs(tmp_path, SPEC, silent)
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    write_pairs(tmp_path, [("a.png", f"words {i}", "") for i in range(7)])
    with pytest.raises(PictureError, match="has 7 usable pairs; a training needs at least 8"):
        load_pairs(tmp_path, SPEC, silent)
    write_pairs(tmp_path, [("a.png", f"words {i}", "") for i in range(8)])
    with pytest.raises(PictureError, match="1 different pictures and 8 different captions"):
        load_pairs(tmp_path, SPEC, silent)


def test_equal_pictures_and_equal_captions_are_one(toy):
    folder = toy(("copy.png", "SHADE  0", ""), ("0.png", "shade 1", ""))
    (folder / "copy.png").write_bytes((folder / "0.png").read_bytes())
    pairs = load_pairs(folder, SPEC, silent)
    assert len(pairs.image) == 9
    assert pairs.captions == ["shade 0", "shade 1", "shade 2"]
    assert len(pairs.links) == 10, "the copy repeats a pair, the second caption is new"
    assert pairs.digest != load_pairs(toy(), SPEC, silent).digest


def test_a_shared_caption_is_right_for_all_its_pictures_and_whole_pictures_are_kept_out(toy):
    spec = read_model(MODEL_DIR)[0].config.windows
    pairs = load_pairs(toy(*[(f"{i}.png", "grey", "") for i in range(9)]), spec, silent)
    tuner = FineTuner(read_model(MODEL_DIR)[0], pairs, SMALL)
    kept_out = set(tuner.held_out.tolist())
    assert set(tuner.held_links[:, 0]) == kept_out and not kept_out & set(tuner.links[:, 0])
    assert len(tuner.links) + len(tuner.held_links) == len(pairs.links) == 18
    images = np.unique(tuner.links[:, 0])
    right = tuner.right(images, np.array([pairs.captions.index("grey"), 0, 1, 2]))
    assert right[:, 0].all(), "shared by all"
    assert (right[:, 1:].sum(1) == 1).all(), "and each has its own shade"


def test_pictures_deeper_than_eight_bits_are_not_cut_off():
    ramp = np.linspace(0, 4000, 64 * 64).reshape(64, 64)
    holed = np.where(ramp < 20, -3.4e38, ramp / 4000)
    deep = [ramp.astype(np.uint16), ramp.astype(np.int32), holed.astype(np.float32)]
    pictures = [Image.fromarray(values) for values in deep]
    windows, _ = picture_windows(pictures, WindowSpec(32, (50.0,)))
    expected = Image.fromarray((ramp * 255 / 4000).astype(np.uint8)).resize((32, 32))
    for made in windows.image[:, 0, 0].astype(int):
        assert np.abs(made - np.asarray(expected, int)).max() <= 6


def test_bfloat16_is_used_only_where_the_processor_has_it(monkeypatch):
    for capabilities, fast in (({"amx_bf16": True}, True), ({"avx512_bf16": True}, False)):
        precision.has_fast_bfloat16.cache_clear()
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda c=capabilities: c)
        with precision.fast_precision(torch.device("cpu")):
            assert torch.is_autocast_enabled("cpu") is fast
    precision.has_fast_bfloat16.cache_clear()


def test_a_table_of_steps_forgets_what_is_repeated_and_is_never_half_written(tmp_path):
    table = tmp_path / "losses.csv"
    for step in (10, 20, 30, 20):
        append_row(table, {"step": step, "text_loss": 1 / step})
    assert [row["step"] for row in read_rows(table)] == [10, 20]
    assert list(tmp_path.iterdir()) == [table]
    table.write_text("to do: buy milk\n1\n")
    with pytest.raises(BuildError, match="no table of numbers"):
        append_row(table, {"step": 1})


def test_the_learning_curve_shows_both_tables_with_units(trained):
    out, _ = trained
    with Image.open(out / curve.CURVE_FILE) as picture:
        assert picture.format == "PNG" and min(picture.size) > 400
    figure = curve.draw_curve(out, "Fine-tuning on $x")
    assert figure.get_suptitle() == "Fine-tuning on $x"
    left, right = figure.axes
    assert "nats" in left.get_ylabel() and "steps" in left.get_xlabel()
    assert "0 to 1" in right.get_ylabel() and right.get_ylim() == (0, 1)
    losses, validation = (read_rows(out / n) for n in (curve.LOSSES_FILE, curve.VALIDATION_FILE))
    assert left.lines[0].get_ydata() == pytest.approx([row["pair_loss"] for row in losses])
    assert right.lines[0].get_xdata() == pytest.approx([row["step"] for row in validation])
    assert validation[0]["step"] == 0, "what the base model can do is where the curve begins"


@pytest.fixture
def shell():
    def call(*arguments, expect=0):
        outcome = CliRunner().invoke(main, ["train", *map(str, arguments)])
        assert outcome.exit_code == expect, outcome.output
        return outcome

    return call


def test_the_shell_shows_recall_before_and_after_and_the_next_step(
    shell, trained, words, monkeypatch, tmp_path
):
    out, figures = trained
    figures["pairs"]["left_out"] = ["row 7 (x.png): not there"]
    given = {}

    def feign(source, target, **options):
        given.update(options)
        return figures

    monkeypatch.setattr(finetune, "fine_tune", feign)
    outcome = shell("--pairs", words, "--out", out, "--epochs", 3, "--seed", 5, "--skip-bad")
    assert given["config"].epochs == 3 and given["config"].seed == 5 and given["skip_bad"]
    assert given["base"] == MODEL_DIR
    assert "left out: row 7 (x.png): not there" in outcome.stderr
    rows = [line for line in outcome.stdout.splitlines() if "recall@1 " in line]
    after = figures["after"]["text_to_image"]["recall_at_1"]["value"]
    assert rows[0].split()[-2] == f"{after:.3f}"
    assert f"mars-map build-default --model {out}" in outcome.stdout


def test_the_shell_trains_the_whole_and_draws_its_curve(shell, monkeypatch, tmp_path):
    landform = {"trained": 0.5, "unseen": 0.4, "similar": 0.3, "base_rate": 0.1}

    def feign(inputs, work, out, *, config, progress, watch):
        assert (config.steps, config.seed) == (40, 9)
        for step in (20, 40):
            progress("training", step, 40)
            append_row(work / "losses.csv", {"step": step, "text_loss": 1 / step})
            watch({"step": step, "text_loss": 1 / step})
        return {"test": {"landforms": {"dunes": landform}, "mean": landform}}

    monkeypatch.setattr(run, "train_default", feign)
    where = ("--inputs", tmp_path, "--work", tmp_path, "--out", tmp_path / "model")
    outcome = shell(*where, "--steps", 40, "--seed", 9, "--threads", 1, "--device", "cpu")
    assert "dunes" in outcome.stdout and "0.400" in outcome.stdout
    assert (tmp_path / "learning-curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--out", "o"), "Give --inputs DIR to train from rasters, or --pairs DIR"),
        (("--out", "o", "--pairs", "p", "--inputs", "i"), "not both"),
        (("--out", "o", "--pairs", "p", "--steps", "3"), "--steps goes with --inputs"),
        (("--out", "o", "--inputs", "i", "--work", "w", "--batch", "3"), "--batch goes with"),
        (("--out", "o", "--inputs", "i"), "--work DIR"),
        (("--out", "o", "--pairs", "p"), 'no folder or zip file "p"'),
        (("--out", "o", "--pairs", "p", "--model", "m"), "m/config.json"),
        (("--out", "o", "--inputs", "i", "--work", "w"), "inputs lack"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(shell, arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARS_MAP_INPUTS", raising=False)
    outcome = shell(*arguments, expect=1)
    lines = outcome.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("mars-map: ") and sentence in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_inputs_that_are_set_for_other_commands_do_not_hinder(shell, monkeypatch, tmp_path):
    monkeypatch.setenv("MARS_MAP_INPUTS", str(tmp_path))
    outcome = shell("--pairs", tmp_path / "p", "--out", tmp_path / "o", expect=1)
    assert "no folder or zip file" in outcome.stderr


def test_an_index_is_not_built_over_another_model(trained, tmp_path):
    with pytest.raises(ModelError, match=r"config.json\" is missing"):
        build_default(tmp_path, tmp_path / "data", model=tmp_path)
    with pytest.raises(BuildError, match="holds another model"):
        build_default(tmp_path, MODEL_DIR.parent, model=trained[0])
