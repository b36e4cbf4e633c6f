"""Landform and paired retrieval: reading pictures, figures, chance, grouping, commands."""

import io
import itertools
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from sklearn.metrics import average_precision_score, ndcg_score

from mars_map.cli import main
from mars_map.encoders import load_image_encoder
from mars_map.encoders.prompts import DEFAULT_PROMPTS
from mars_map.errors import ModelError, ModelMismatchError, PictureError, QueryError
from mars_map.evaluation import (
    PictureQuery,
    bootstrap,
    evaluate_landforms,
    evaluate_pairs,
    evaluate_query,
    landform_questions,
    load_encoder,
    picture_files,
)
from mars_map.evaluation.catalogues import Catalogue
from mars_map.evaluation.encoders import Towers
from mars_map.evaluation.labelled import Sample
from mars_map.evaluation.landform_questions import (
    Outcome,
    Pictures,
    ask_by_pictures,
    ask_by_vectors,
)
from mars_map.evaluation.pairs import rank_partners
from mars_map.evaluation.ranking import (
    FIGURES,
    best_first,
    chance_figures,
    group_order,
    no_hit,
    ranking_figures,
)
from mars_map.settings import MODEL_DIR
from tests.conftest import DIM, WordEncoder

SHADES = {"dark": 20, "grey": 120, "bright": 230}


class ShadeEncoder:
    """Sees how bright a picture is on the average, and knows the words for it."""

    model_id = "shades"
    sha256 = "5" * 64
    dim = 2

    def __init__(self) -> None:
        self.widths: list[float | None] = []

    def encode_text(self, texts):
        shades = [next((v for w, v in SHADES.items() if w in t.lower()), 120) for t in texts]
        return self._vectors(shades)

    def encode_pictures(self, pictures, width_km=None):
        n = len(pictures)
        self.widths += [None] * n if width_km is None else list(np.broadcast_to(width_km, n))
        if any(picture.width < 4 for picture in pictures):
            raise QueryError("A picture has fewer than 4 pixels a side; give larger ones.")
        return self._vectors([np.asarray(p.convert("L"), float).mean() for p in pictures])

    def _vectors(self, shades):
        angle = np.asarray(shades, float) / 255 * np.pi / 2
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def shade(value: int, size=(8, 8), mark: int = 0) -> Image.Image:
    """A picture of one brightness; `mark` makes it differ from others by a single pixel."""
    picture = Image.new("L", size, value)
    picture.putpixel((0, 0), (value + mark) % 256)
    return picture


def write_class_folders(folder: Path, shades: dict[str, list[int]]) -> Path:
    for label, values in shades.items():
        (folder / label).mkdir(parents=True)
        for i, value in enumerate(values):
            shade(value, mark=i % 3 + 1).save(folder / label / f"{i:02d}.png")
    return folder


def write_table(folder: Path, rows: list[tuple], header="file,label,observation") -> Path:
    """Write pictures of some brightness and an index.csv: rows are (shade, label, observation)."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [header]
    for i, (value, *cells) in enumerate(rows):
        shade(value).save(folder / f"{i:02d}.png")
        lines.append(",".join([f"{i:02d}.png", *map(str, cells)]))
    (folder / "index.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Leave out most of the bootstrap, which takes the most time; one test has it whole."""
    whole = bootstrap.RESAMPLES
    monkeypatch.setattr(bootstrap, "RESAMPLES", 20)
    return whole


# Figures


def test_average_precision_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    relevant, scores = random.random((50, 40)) < 0.2, random.random((50, 40))
    relevant[:, 0] = True
    order = best_first(scores)
    figures = ranking_figures(np.take_along_axis(relevant, order, axis=1))
    expected = [average_precision_score(r, s) for r, s in zip(relevant, scores, strict=True)]
    assert figures[:, 0] == pytest.approx(expected)
    ndcg = [ndcg_score(r[None], s[None], k=10) for r, s in zip(relevant, scores, strict=True)]
    assert figures[:, 2] == pytest.approx(ndcg)


def test_figures_by_hand():
    # Relevant at ranks 1, 3 and 12 of 12.
    relevant = np.zeros((1, 12), bool)
    relevant[0, [0, 2, 11]] = True
    ap, r_precision, ndcg, hit = ranking_figures(relevant)[0]
    assert ap == pytest.approx((1 + 2 / 3 + 3 / 12) / 3)
    assert r_precision == pytest.approx(2 / 3)
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    assert ndcg == pytest.approx((1 + 1 / 2) / ideal)
    assert hit == 1
    late = np.zeros((1, 12), bool)
    late[0, 10] = True
    assert list(ranking_figures(late)[0]) == pytest.approx([1 / 11, 0, 0, 0])
    assert np.isnan(ranking_figures(np.zeros((1, 12), bool))).all()


@pytest.mark.parametrize(("n", "n_relevant"), [(5, 2), (6, 1), (4, 4), (7, 3)])
def test_chance_is_the_mean_over_all_orders(n, n_relevant):
    rows = [
        [i in chosen for i in range(n)] for chosen in itertools.combinations(range(n), n_relevant)
    ]
    assert chance_figures(n, n_relevant) == pytest.approx(ranking_figures(np.array(rows)).mean(0))


def test_chance_is_what_random_orders_reach_beyond_the_depth():
    random = np.random.default_rng(1)
    rows = np.zeros((20_000, 60), bool)
    rows[:, :6] = True
    figures = ranking_figures(random.permuted(rows, axis=1))
    spread = 5 * figures.std(axis=0) / np.sqrt(len(rows))
    assert (abs(figures.mean(axis=0) - chance_figures(60, 6)) < spread).all()


def test_the_chance_to_miss_is_hypergeometric():
    assert no_hit(10, 3, 2) == pytest.approx(7 / 10 * 6 / 9)
    assert no_hit(10, 3, 8) == 0 and no_hit(10, 3, 99) == 0 and no_hit(10, 3, 0) == 1


def test_equal_scores_are_ranked_without_regard_to_the_order_of_files():
    order = best_first(np.zeros((1, 1000)))[0]
    assert sorted(order) == list(range(1000))
    first_half = ranking_figures((order < 500)[None])[0]
    assert first_half[0] == pytest.approx(0.5, abs=0.06)
    assert best_first(np.array([[1.0, 3.0, 2.0]])).tolist() == [[1, 2, 0]]


def test_a_group_ranks_where_its_best_item_does():
    order = np.array([[3, 0, 1, 2, 4], [4, 2, 3, 1, 0]])
    groups = np.array([0, 0, 1, 2, 1])
    assert group_order(order, groups).tolist() == [[2, 0, 1], [1, 2, 0]]


# Landform retrieval


def test_an_encoder_that_sees_the_classes_finds_them(tmp_path):
    folder = write_class_folders(
        tmp_path / "shades", {"dark": [10, 20, 30], "bright": [220, 230], "other": [120, 130]}
    )
    report = evaluate_landforms(folder, ShadeEncoder())
    assert [c.label for c in report.classes] == ["bright", "dark"]
    assert report.not_asked == ["other"] and report.n_pictures == 7 and not report.grouped
    for c in report.classes:
        assert [c.by_picture[name].value for name in FIGURES] == [1, 1, 1, 1]
        assert [c.by_picture[name].chance for name in FIGURES] == pytest.approx(
            list(chance_figures(7, c.n_pictures))
        )
    assert report.mean("by_picture")["map"].value == 1
    # That every draw is perfect is no proof that the next observation will be.
    assert report.mean("by_picture")["map"].low is None
    # Without observations every picture is one.
    assert report.n_observations == 7
    for which in ("by_picture", "by_observation"):
        assert report.mean(which)["map"][:2] == report.mean("by_picture")["map"][:2]


def test_words_can_be_given_for_a_label_and_for_what_is_no_landform(tmp_path):
    folder = write_class_folders(
        tmp_path / "shades", {"coal": [10, 20], "other": [120, 125], "bright": [220, 230]}
    )
    encoder = ShadeEncoder()
    untold = evaluate_landforms(folder, encoder)
    assert [c.words for c in untold.classes] == ["bright", "coal"]
    assert untold.classes[1].by_picture["map"].value < 1
    told = evaluate_landforms(folder, encoder, words={"coal": "dark ground", "other": "grey"})
    assert [c.label for c in told.classes] == ["bright", "coal", "other"]
    assert all(c.by_picture["map"].value == 1 for c in told.classes) and told.not_asked == []


def test_labels_are_asked_for_as_words_in_the_published_prompts(tmp_path):
    asked = []

    class Listening(ShadeEncoder):
        def encode_text(self, texts):
            asked.extend(texts)
            return super().encode_text(texts)

    folder = write_class_folders(tmp_path / "x", {"dark_dune-field": [10], "bright": [200]})
    evaluate_landforms(folder, Listening())
    assert [t.format("dark dune field") for t in DEFAULT_PROMPTS] == asked[3:]


def test_observations_count_once(tmp_path):
    # One observation holds ten dark pictures that rank first, another a dark one that ranks last.
    rows = [(10 + i, "dark", "A") for i in range(10)]
    rows += [(60 + 2 * i, "rock", "B") for i in range(10)] + [(250, "dark", "C")]
    report = evaluate_landforms(write_table(tmp_path / "d", rows), ShadeEncoder())
    assert report.grouped and report.n_observations == 3
    dark = report.classes[0]
    assert dark.by_picture["map"].value == pytest.approx((10 + 11 / 21) / 11)
    # Three items: A, B, C.
    assert dark.by_observation["map"].value == pytest.approx((1 + 2 / 3) / 2)
    assert dark.by_observation["r_precision"].value == 1 / 2
    assert (dark.n_pictures, dark.n_observations) == (11, 2)
    # Random: C is one of 21 pictures, A and B ten each.
    low = dark.by_observation["map"].chance
    assert 1 / 2 < low < 1


@pytest.mark.parametrize("by", ["words", "pictures"])
def test_chance_by_observation_is_what_random_vectors_reach(monkeypatch, by):
    samples = [Sample(f"{i}", "dark", "A") for i in range(6)]
    samples += [Sample(f"{i}", "rock", "B") for i in range(6, 15)]
    samples += [Sample("15", "dark", "C"), Sample("16", "rock", "C")]
    samples += [Sample("17", "rock", "D"), Sample("18", "dark", "D")]
    random = np.random.default_rng(0)

    def ask() -> Outcome:
        vectors = random.normal(size=(len(samples) + 1, 16)).astype(np.float32)
        pictures = Pictures.of(samples, vectors[1:])
        if by == "words":
            return ask_by_vectors(pictures, [0], vectors[:1])[0]
        return ask_by_pictures(pictures, 0)

    told = ask()
    monkeypatch.setattr(landform_questions, "CHANCE_DRAWS", 1)  # told once is enough
    outcomes = [ask() for _ in range(500)]
    for which in ("by_picture", "by_observation"):
        values = np.array([getattr(outcome, which).values for outcome in outcomes])
        # The thousand orders behind the chance by observation have a spread of their own.
        error = values.std(axis=0) * np.sqrt(1 / 500 + 1 / 1000)
        chance = getattr(told, which).chance
        assert (abs(values.mean(axis=0) - chance) < 4 * error + 1e-3).all()


def test_pictures_are_compared_with_other_observations_alone(tmp_path):
    # Within an observation all dark pictures are alike; across, dark looks like the other's rock.
    rows = [(10, "dark", "A"), (11, "dark", "A"), (200, "rock", "A")]
    rows += [(201, "dark", "B"), (202, "dark", "B"), (12, "rock", "B")]
    report = evaluate_landforms(write_table(tmp_path / "d", rows), ShadeEncoder(), by="image")
    dark, rock = report.classes
    # A dark picture of A: B's rock first, then its two dark ones.
    assert dark.by_picture["map"].value == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert dark.by_observation["map"].value == pytest.approx(1 / 2)
    assert dark.by_picture["map"].chance == pytest.approx(chance_figures(3, 2)[0])
    assert rock.by_picture["map"].value == pytest.approx(1 / 3)
    assert (dark.outcome.n_queries, rock.outcome.n_queries) == (4, 2)


def test_an_observation_with_many_questions_weighs_no_more_than_one_with_few(tmp_path):
    # Dark ones of A find those of B first; that of B finds a rock of C before all of A.
    rows = [(10 + i, "dark", "A") for i in range(8)]
    rows += [(30, "dark", "B"), (33, "rock", "C"), (240, "rock", "C"), (250, "rock", "D")]
    report = evaluate_landforms(write_table(tmp_path / "d", rows), ShadeEncoder(), by="image")
    dark = report.classes[0]
    late = np.mean([(i + 1) / (i + 2) for i in range(8)])
    assert dark.by_picture["map"].value == pytest.approx((8 * 1 + late) / 9)
    assert dark.by_observation["map"].value == pytest.approx((1 + 1 / 2) / 2)


def test_a_class_of_one_observation_has_no_interval_and_no_question_by_picture(tmp_path):
    rows = [(10, "dark", "A"), (12, "dark", "A"), (100, "rock", "B"), (110, "rock", "C")]
    folder = write_table(tmp_path / "d", rows)
    dark = evaluate_landforms(folder, ShadeEncoder()).classes[0]
    assert dark.by_picture["map"].value == 1 and dark.by_picture["map"].low is None
    report = evaluate_landforms(folder, ShadeEncoder(), by="image")
    assert report.classes[0].outcome.n_queries == 0
    assert report.classes[0].by_picture["map"] == (None, None, None, None)
    assert report.mean("by_picture")["map"].value == report.classes[1].by_picture["map"].value
    assert "-" in report.table()


def test_intervals_are_of_observations_and_not_of_pictures(tmp_path, few_resamples, monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", few_resamples)
    # Twelve observations, of which half are dark: the same as single pictures and tenfold.
    random = np.random.default_rng(3)
    shades = random.permutation(np.arange(12) * 20)
    labels = ["dark" if i % 2 else "rock" for i in range(12)]
    single = [(int(v), x, f"o{i}") for i, (v, x) in enumerate(zip(shades, labels, strict=True))]
    tenfold = [(v + j, x, o) for v, x, o in single for j in range(10)]
    once = evaluate_landforms(write_table(tmp_path / "a", single), ShadeEncoder())
    many = evaluate_landforms(write_table(tmp_path / "b", tenfold), ShadeEncoder())
    width = [r.classes[0].by_picture["map"].high - r.classes[0].by_picture["map"].low
             for r in (once, many)]  # fmt: skip
    assert once.classes[0].by_picture["map"].low < once.classes[0].by_picture["map"].value
    assert width[1] > 0.6 * width[0]


def test_identical_pictures_count_once_and_not_at_all_with_two_labels(tmp_path):
    rows = [(10, "dark", "A"), (10, "dark", "B"), (11, "dark", "B"), (90, "dark", "A")]
    rows += [(90, "rock", "B"), (200, "rock", "C")]
    report = evaluate_landforms(write_table(tmp_path / "d", rows), ShadeEncoder())
    assert report.n_pictures == 3
    assert report.to_dict()["left_out"] == {
        "identical to a picture of another label": ["03.png", "04.png"],
        "identical to another picture": ["01.png"],
    }


def test_a_folder_may_name_observations_in_its_files(tmp_path):
    folder = tmp_path / "d"
    for label, value in (("dark", 10), ("rock", 200)):
        (folder / label).mkdir(parents=True)
        for i in range(4):
            shade(value + i).save(folder / label / f"ESP_{i // 2}_x-{i}.png")
    report = evaluate_landforms(folder, ShadeEncoder(), observation_pattern=r"^(ESP_\d+)")
    assert report.grouped and report.n_observations == 2
    assert evaluate_landforms(folder, ShadeEncoder(), observation_pattern="ESP_.").grouped
    for pattern in ("(", "HiRISE"):
        with pytest.raises(PictureError):
            evaluate_landforms(folder, ShadeEncoder(), observation_pattern=pattern)


def test_a_width_comes_from_the_table_or_else_from_the_option(tmp_path):
    folder = write_table(
        tmp_path / "d",
        [(10, "dark", "64"), (20, "dark", ""), (200, "rock", "0"), (210, "rock", "")],
        "file,label,width_km",
    )
    encoder = ShadeEncoder()
    report = evaluate_landforms(folder, encoder)
    assert sorted(encoder.widths, key=str) == [64, None, None]
    assert report.to_dict()["left_out"] == {"with a width that is no length": ["02.png"]}
    encoder = ShadeEncoder()
    evaluate_landforms(folder, encoder, width_km=5.0)
    assert encoder.widths == [64, 5, 5]


# Pictures in folders and zip files


def zipped(folder: Path, path: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


@pytest.mark.parametrize("prefix", ["", "set/"])
def test_a_zip_file_is_its_folder_and_is_never_unpacked(tmp_path, prefix):
    rows = [(10, "dark", "A"), (20, "dark", "B"), (100, "rock", "A"), (200, "rock", "C")]
    table = write_table(tmp_path / "table", rows)
    classes = write_class_folders(tmp_path / "classes", {"dark": [1, 2], "bright": [200]})
    (classes / ".DS_Store").write_text("x")
    for folder in (table, classes):
        path = zipped(folder, tmp_path / f"{folder.name}.zip", prefix)
        before = sorted(tmp_path.rglob("*"))
        one, other = (evaluate_landforms(p, ShadeEncoder()).to_dict() for p in (folder, path))
        assert sorted(tmp_path.rglob("*")) == before
        assert one.pop("data") == folder.name and other.pop("data") == path.name
        assert one == other


def test_what_cannot_be_read_is_named_with_its_reason(tmp_path, monkeypatch):
    folder = write_table(tmp_path / "d", [(10, "dark", ""), (200, "rock", ""), (210, "rock", "")])
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG")
    (folder / "cut.jpg").write_bytes(buffer.getvalue()[:-900])
    png = io.BytesIO()
    Image.fromarray(noise).save(png, "PNG")
    damaged = bytearray(png.getvalue())
    damaged[len(damaged) // 2] ^= 0xFF
    (folder / "damaged.png").write_bytes(bytes(damaged))
    (folder / "text.png").write_text("no picture")
    (folder / "empty.png").write_bytes(b"")
    shade(5, (2, 2)).save(folder / "tiny.png")
    shade(5, (3000, 10)).save(folder / "wide.png")
    (folder / "large.png").write_bytes(b"x" * 20_000)
    shade(7).save(folder / "unlisted.png")
    (tmp_path / "secret.png").write_bytes((folder / "00.png").read_bytes())
    names = ["cut.jpg", "damaged.png", "text.png", "empty.png", "tiny.png", "wide.png",
             "large.png", "gone.png", "../secret.png", str(tmp_path / "secret.png")]  # fmt: skip
    with (folder / "index.csv").open("a") as file:
        file.writelines(f"{name},rock,\n" for name in names)
        file.write(",rock,\nunlabelled.png,,\n\n")
    monkeypatch.setattr(picture_files, "MAX_PIXELS", 10_000)
    monkeypatch.setattr(picture_files, "MAX_FILE_BYTES", 2**14)
    expected = {
        "truncated or damaged": ["cut.jpg", "damaged.png"],
        "not a picture by its content": ["text.png", "empty.png"],
        "refused by the encoder (A picture has fewer than 4 pixels a side; give larger ones)": [
            "tiny.png"
        ],
        "larger than 10,000 pixels": ["wide.png"],
        "larger than 0 MB": ["large.png"],
        "not there": ["gone.png"],
        "outside the folder": ["../secret.png", str(tmp_path / "secret.png")],
        "without a file": ["row 14"],
        "without a label": ["unlabelled.png"],
        "not listed in index.csv": ["unlisted.png"],
    }
    report = evaluate_landforms(folder, ShadeEncoder())
    assert report.to_dict()["left_out"] == expected and report.n_pictures == 3
    assert "2 truncated or damaged: cut.jpg, damaged.png" in report.table()
    # In a zip file nothing lies outside; there is simply no such file.
    del expected["outside the folder"]
    expected["not there"] += ["../secret.png", str(tmp_path / "secret.png")]
    packed = evaluate_landforms(zipped(folder, tmp_path / "d.zip"), ShadeEncoder())
    assert packed.to_dict()["left_out"] == expected


def test_a_zip_file_that_lies_about_sizes_is_not_unpacked_beyond_the_limit(tmp_path, monkeypatch):
    folder = write_table(
        tmp_path / "d", [(10, "dark", ""), (15, "dark", ""), (99, "rock", ""), (200, "rock", "")]
    )
    (folder / "02.png").write_bytes(b"\0" * 50_000_000)
    path = zipped(folder, tmp_path / "bomb.zip")
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(picture_files, "MAX_FILE_BYTES", 2**20)
    report = evaluate_landforms(path, ShadeEncoder())
    assert report.to_dict()["left_out"] == {"larger than 1 MB": ["02.png"]}
    data = bytearray(path.read_bytes())
    # A byte of the first picture's content: its checksum no longer fits.
    data[data.index(b"00.png") + 40] ^= 0xFF
    path.write_bytes(bytes(data))
    assert evaluate_landforms(path, ShadeEncoder()).to_dict()["left_out"] == {
        "truncated or damaged": ["00.png"],
        "larger than 1 MB": ["02.png"],
    }


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    folder = write_class_folders(tmp_path / "d", {"dark": [1, 2, 3], "bright": [200]})
    monkeypatch.setattr(picture_files, "MAX_FILES", 3)
    for path in (folder, zipped(folder, tmp_path / "d.zip")):
        with pytest.raises(PictureError, match="more than 3 files"):
            evaluate_landforms(path, ShadeEncoder())


def test_an_encoder_without_sound_vectors_is_refused(tmp_path):
    folder = write_class_folders(tmp_path / "d", {"dark": [1, 2], "bright": [200]})

    class Broken(ShadeEncoder):
        def encode_pictures(self, pictures, width_km=None):
            return np.full((len(pictures), 2), np.nan, np.float32)

    with pytest.raises(ModelError, match="no sound vectors"):
        evaluate_landforms(folder, Broken())
    with pytest.raises(ModelMismatchError, match="different models"):
        Towers(WordEncoder(), ShadeEncoder())


# Paired retrieval


def write_pairs(folder: Path, rows: list[tuple], header="image,caption") -> Path:
    """Write pictures and a pairs.csv: rows are (shade, caption)."""
    folder.mkdir()
    lines = [header]
    for i, (value, *cells) in enumerate(rows):
        shade(value).save(folder / f"{i:02d}.png")
        lines.append(",".join([f"{i:02d}.png", *map(str, cells)]))
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_ranks_by_hand():
    questions = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    answers = np.array([[0.8, 0.6], [1, 0], [0, 1]], np.float32)
    # One right answer each, and for the last question two.
    links = np.array([[0, 0], [1, 2], [2, 1], [2, 2]])
    direction = rank_partners(questions, answers, links)
    assert direction.ranks.tolist() == [2, 1, 2] and direction.n_right.tolist() == [1, 1, 2]
    values = {name: e.value for name, e in direction.estimates().items()}
    assert values == pytest.approx(
        {"recall_at_1": 1 / 3, "recall_at_5": 1, "recall_at_10": 1, "median_rank": 2, "mrr": 2 / 3}
    )


def test_ranks_are_those_of_sorting_with_many_questions():
    random = np.random.default_rng(4)
    a, b = (random.normal(size=(700, 8)).astype(np.float32) for _ in range(2))
    links = np.stack([np.arange(700)] * 2, axis=1)
    ranks = rank_partners(a, b, links).ranks
    order = np.argsort(-(a @ b.T), axis=1)
    assert np.array_equal(ranks, 1 + np.argmax(order == np.arange(700)[:, None], axis=1))


def test_chance_of_pairs_is_what_random_orders_reach():
    random = np.random.default_rng(5)
    # 40 questions to 30 answers, one to three of them right.
    links = np.array([(q, a) for q in range(40) for a in {q % 30, q * 7 % 30, q * 11 % 30}])
    values = []
    for _ in range(300):  # each a different encoder without skill
        a, b = random.normal(size=(40, 20)), random.normal(size=(30, 20))
        direction = rank_partners(a, b, links)
        values.append([e.value for e in direction.estimates().values()])
    chance = np.array([e.chance for e in direction.estimates().values()])
    mean, spread = np.mean(values, axis=0), np.std(values, axis=0) / np.sqrt(300)
    sharp = [0, 1, 2, 4]
    assert (abs(mean - chance)[sharp] < 5 * spread[sharp]).all()
    assert abs(mean[3] - chance[3]) < 1


def test_an_encoder_that_tells_nothing_apart_is_at_chance():
    vectors = np.ones((500, 4), np.float32) / 2
    links = np.stack([np.arange(500)] * 2, axis=1)
    direction = rank_partners(vectors, vectors, links)
    estimates = direction.estimates()
    assert estimates["mrr"].value == pytest.approx(estimates["mrr"].chance)
    assert estimates["median_rank"].value == pytest.approx(250, abs=1)


def test_the_same_caption_and_the_same_picture_are_one(tmp_path):
    rows = [(10, "Dark ground"), (20, "dark  GROUND"), (250, "bright ground"), (10, "a plain")]
    report = evaluate_pairs(write_pairs(tmp_path / "p", rows), ShadeEncoder())
    record = report.to_dict()
    # Three pictures, for the first and the last are alike, and three captions.
    assert record["n_pairs"] == 4
    assert (record["image_to_text"]["n"], record["image_to_text"]["n_candidates"]) == (3, 3)
    assert (record["text_to_image"]["n"], record["text_to_image"]["n_candidates"]) == (3, 3)
    # Either dark picture is right for "dark ground": no rank is lost to the other. "A plain" is
    # taken for grey: the picture of 20 stands before that of 10.
    assert sorted(report.text_to_image.ranks) == [1, 1, 2]
    assert sorted(report.text_to_image.n_right) == [1, 1, 2]
    # The picture with two captions is right with either.
    assert list(report.image_to_text.ranks) == [1, 1, 1]
    assert record["image_to_text"]["recall_at_1"]["value"] == 1


def test_rows_of_pairs_that_cannot_be_used_are_named(tmp_path):
    folder = write_pairs(
        tmp_path / "p",
        [(10, "dark", "64"), (230, "bright", ""), (120, "grey", "wide"), (99, "", ""), (5, "x", 1)],
        "image,caption,width_km",
    )
    (folder / "04.png").write_bytes(b"no picture")
    encoder = ShadeEncoder()
    report = evaluate_pairs(folder, encoder, width_km=100)
    assert report.to_dict()["left_out"] == {
        "with a width that is no length": ["02.png"],
        "without a caption": ["03.png"],
        "not a picture by its content": ["04.png"],
    }
    assert report.n_pairs == 2 and sorted(encoder.widths) == [64, 100]
    assert "left out     1 without a caption: 03.png" in report.table()


# Pictures as queries of geo-localization


def test_a_picture_is_a_query_to_an_index_of_its_model(small_engine, tmp_path):
    index = small_engine.index
    import shapely

    class TileEncoder:
        """Gives the vector of the tile whose number is the picture's width."""

        model_id, sha256, dim = WordEncoder.model_id, WordEncoder.sha256, DIM

        def encode_pictures(self, pictures, width_km=None):
            return np.array([index.vector(picture.width) for picture in pictures])

    lon, lat = (v[[300]] for v in index.grid.centers)
    catalogue = Catalogue("one", np.array([shapely.Point(lon[0], lat[0])], object), {})
    shade(5, (300, 4)).save(tmp_path / "a.png")
    query = PictureQuery.read([tmp_path / "a.png"], TileEncoder(), width_km=64)
    report = evaluate_query(small_engine, query, catalogue)
    # The tile that looks like the picture is its own: found first.
    assert report.outcome.corrected.best.k == 1 and report.outcome.corrected.best.f1 == 1
    assert report.to_dict()["query"] == {"images": ["a.png"], "width_km": 64}
    shade(5, (301, 4)).save(tmp_path / "b.png")
    both = PictureQuery.read([tmp_path / "a.png", tmp_path / "b.png"], TileEncoder())
    mean = index.vector(300) + index.vector(301)
    assert both.vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert both.label == "like a.png and 1 more"
    foreign = PictureQuery.read([tmp_path / "a.png"], ShadeEncoder())
    with pytest.raises(ModelMismatchError):
        evaluate_query(small_engine, foreign, catalogue)
    for name in ("none.png", "."):
        with pytest.raises(PictureError, match="not there"):
            PictureQuery.read([tmp_path / name], TileEncoder())


# The encoder that comes with mars_map, and the commands


@pytest.fixture
def evaluate(tmp_path):
    """Call `mars-map evaluate` with the model that comes with mars_map."""

    def call(*arguments, expect=0):
        outcome = CliRunner().invoke(main, ["evaluate", *map(str, arguments)])
        assert outcome.exit_code == expect, outcome.output
        return outcome

    return call


@pytest.fixture
def craters(tmp_path) -> Path:
    """Two classes of drawn ground with observations, as a zip file: bowls and plains."""
    folder = tmp_path / "craters"
    folder.mkdir()
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    random = np.random.default_rng(0)
    lines = ["file,label,hirise_observation"]
    for i in range(12):
        bowl = np.hypot(x, y) < 0.3 + 0.03 * (i // 2)
        ground = 120 + 60 * bowl * x * (i % 2) + random.normal(0, 3, x.shape)
        Image.fromarray(ground.astype(np.uint8)).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{'crater' if i % 2 else 'smooth_plain'},o{i // 4}")
    (folder / "index.csv").write_text("\n".join(lines))
    return zipped(folder, tmp_path / "craters.zip")


@pytest.mark.parametrize("by", ["text", "image"])
def test_landforms_on_the_real_encoder(evaluate, craters, tmp_path, by):
    picture = tmp_path / "curves.png"
    arguments = ("landforms", craters, "--by", by, "--width-km", 64, "--curve", picture)
    answer = json.loads(evaluate(*arguments, "--json").stdout)
    assert answer["task"] == "landforms" and answer["by"] == by and answer["grouped"]
    assert (answer["n_pictures"], answer["n_observations"]) == (12, 3)
    assert set(answer["classes"]) == {"crater", "smooth_plain"}
    for figures in (*answer["classes"].values(), answer["mean"]):
        for which in ("by_picture", "by_observation"):
            assert set(figures[which]) == set(FIGURES)
            for estimate in figures[which].values():
                assert set(estimate) == {"value", "chance", "low", "high"}
                assert 0 <= estimate["value"] <= 1 and 0 <= estimate["chance"] <= 1
    words = {"text": "smooth plain", "image": None}[by]
    assert answer["classes"]["smooth_plain"]["words"] == words
    assert answer["classes"]["crater"]["n_queries"] == {"text": 1, "image": 6}[by]
    with Image.open(picture) as image:
        assert image.format == "PNG"
        # Two panels with axes and curves, no blank sheet.
        assert (np.asarray(image.convert("L")) < 128).sum() > 2000
    out = evaluate(*arguments).stdout
    assert "12 of 3 observations" in out and "crater" in out and "mean" in out


def test_pairs_on_the_real_encoder(evaluate, tmp_path):
    folder = write_pairs(tmp_path / "p", [(10 * i, f"ground of shade {i}") for i in range(1, 8)])
    picture = tmp_path / "curves.png"
    answer = json.loads(evaluate("pairs", folder, "--curve", picture, "--json").stdout)
    names = {"recall_at_1", "recall_at_5", "recall_at_10", "median_rank", "mrr"}
    for side in ("image_to_text", "text_to_image"):
        assert set(answer[side]) == names | {"n", "n_candidates"}
        assert answer[side]["n"] == answer[side]["n_candidates"] == 7
        assert answer[side]["recall_at_5"]["chance"] == pytest.approx(5 / 7)
        assert answer[side]["median_rank"]["chance"] == 4
        assert answer[side]["recall_at_10"]["value"] == 1
    with Image.open(picture) as image:
        assert image.format == "PNG" and (np.asarray(image.convert("L")) < 128).sum() > 2000
    out = evaluate("pairs", folder).stdout
    assert "median rank" in out and "recall@10" in out and "7 of 7 pictures" in out


def test_a_picture_is_a_query_to_the_index_that_comes_with_mars_map(evaluate, tmp_path):
    catalogue = tmp_path / "one.csv"
    places = [f"{lon},{lat}" for lon in range(-180, 180, 20) for lat in range(-80, 81, 20)]
    catalogue.write_text("\n".join(["lon,lat", *places]))
    shade(99, (64, 64)).save(tmp_path / "a.png")
    command = ("geolocalization", "--catalogue", catalogue, "--image", tmp_path / "a.png")
    answer = json.loads(evaluate(*command, "--width-km", 64, "--test-blocks", "--json").stdout)
    assert answer["query"] == {"images": ["a.png"], "width_km": 64}
    assert answer["test_blocks"] == "split.json"
    assert answer["n_tiles"] < answer["whole_index"]["n_tiles"]
    for figures in (answer, answer["whole_index"]):
        for protocol in ("legacy", "corrected"):
            assert {"f1", "precision", "recall", "k", "auprc"} <= set(figures[protocol])
        assert 0 < figures["chance_auprc"] < 1


def test_any_two_towers_of_one_model_serve():
    encoder = load_encoder(MODEL_DIR)
    assert encoder.sha256 == load_image_encoder(MODEL_DIR).sha256
    vectors = encoder.encode_text(["dunes"])
    assert vectors.shape == (1, encoder.dim)
    assert encoder.encode_pictures([shade(9)]).shape == (1, encoder.dim)


def test_a_name_that_is_no_unicode_can_be_printed(evaluate, craters, tmp_path):
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(craters) as archive:
        archive.extractall(folder)
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    out = evaluate("landforms", folder, "--json").stdout
    assert json.loads(out)["left_out"] == {"not listed in index.csv": ["caf?.png"]}


def write_bad(folder: Path, name: str) -> Path:
    """Write a collection that cannot be evaluated, by the name of what is wrong with it."""
    path = folder / name
    match name:
        case "missing":
            pass
        case "empty":
            path.mkdir()
        case "file.zip":
            path.write_text("no archive")
        case "cut.zip":
            whole = zipped(write_class_folders(folder / "x", {"dark": [1, 2]}), folder / "w.zip")
            path.write_bytes(whole.read_bytes()[:-30])
        case "one":
            write_class_folders(path, {"dark": [5]})
        case "one class":
            write_class_folders(path, {"dark": [5, 6]})
        case "other":
            write_class_folders(path, {"other": [5, 6], "background": [90]})
        case "no label":
            write_table(path, [(5, "dark")], "file,kind")
        case "no pictures":
            write_table(path, [(5, "dark")], "picture,label")
        case "unclosed":
            write_table(path, [(5, 'dark "', '"A'), (6, '"rock', "B")])
        case "all damaged":
            for file in write_class_folders(path, {"dark": [5, 6], "rock": [90]}).rglob("*.png"):
                file.write_bytes(b"x")
        case "Cyrillic":
            write_class_folders(path, {"кратер": [5, 6], "rock": [90]})
    return path


BAD = ["missing", "empty", "file.zip", "cut.zip", "one", "one class", "other", "no label",
       "no pictures", "unclosed", "all damaged", "Cyrillic"]  # fmt: skip


def check_sentence(outcome) -> str:
    lines = outcome.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("mars-map: ") and lines[0].endswith(".")
    assert outcome.stdout == ""
    return lines[0]


@pytest.mark.parametrize("name", BAD)
def test_labelled_pictures_that_cannot_be_judged_get_one_sentence(evaluate, tmp_path, name):
    sentence = check_sentence(evaluate("landforms", write_bad(tmp_path, name), expect=1))
    assert name in sentence or name == "Cyrillic"


def test_bad_options_get_one_sentence(evaluate, craters, tmp_path):
    no_class = check_sentence(evaluate("landforms", craters, "--words", "dune=dunes", expect=1))
    assert 'labelled "dune"' in no_class and "crater, smooth_plain" in no_class
    for options in (
        ("--words", "crater"),
        ("--words", "crater="),
        ("--words", "crater=123"),
        ("--prompt", "no slot"),
        ("--observation", "("),
        ("--model", tmp_path),
        ("--curve", tmp_path / "no" / "folder.png"),
    ):
        check_sentence(evaluate("landforms", craters, *options, expect=1))
    evaluate("landforms", craters, "--width-km", -1, expect=2)
    catalogue = tmp_path / "one.csv"
    catalogue.write_text("lon,lat\n137.8,-5.4\n")
    for options in (
        ("--image", tmp_path / "none.png"),
        ("--image", catalogue),
        ("--image", craters, "--query", "dunes"),
    ):
        command = ("geolocalization", "--catalogue", catalogue, *options)
        check_sentence(evaluate(*command, expect=1))


@pytest.mark.parametrize(
    "content",
    [None, "", "image,words\n0.png,dark\n", "image,caption\n", "image,caption\n0.png,dark\n",
     "image,caption\n0.png,dark\n1.png,Dark\n", "image,caption\n0.png,дюны\n1.png,dark\n",
     'image,caption\n0.png,"dark\n1.png,bright\n', "image,caption\n8.png,a\n9.png,b\n"],
)  # fmt: skip
def test_pairs_that_cannot_be_judged_get_one_sentence(evaluate, tmp_path, content):
    folder = tmp_path / "p"
    folder.mkdir()
    for i in range(2):
        shade(100 * i).save(folder / f"{i}.png")
    if content is not None:
        (folder / "pairs.csv").write_text(content)
    check_sentence(evaluate("pairs", folder, expect=1))
