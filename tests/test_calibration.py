"""What words mean to the encoder, how many hits are right, and what is said about both."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from mars_map.cli import main
from mars_map.encoders.compact import CompactTextEncoder
from mars_map.errors import ModelError
from mars_map.export import export_bytes
from mars_map.index import ModelCard, write_index
from mars_map.planet.blocks import block_numbers, patch_numbers
from mars_map.planet.grid import EqualAreaGrid
from mars_map.search import Engine, Query
from mars_map.search.calibration import (
    ATTENUATION,
    CALIBRATION_FILE,
    VOCABULARY_FILE,
    Calibration,
    Landform,
    Precision,
)
from mars_map.search.records import result_record
from mars_map.search.vocabulary import Term, bare, split_parts
from mars_map.settings import MODEL_DIR
from mars_map.training.calibrate import calibrate
from mars_map.training.familiarity import Unknown, Words, set_limits
from mars_map.training.hierarchy import Counts, fit_curves
from mars_map.training.split import Split
from mars_map.training.texts import Glossary
from tests.test_page import HOSTILE, PAGE, keys, payload, search, state
from tests.toy_calibration import GULLIES, SentenceEncoder, toy_calibration, toy_vocabulary


@pytest.fixture(scope="module")
def calibrated_engine(small_index):
    """An engine on the small index that knows three landforms."""
    return Engine(small_index, SentenceEncoder(), calibration=toy_calibration())


# What words mean


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("dunes", []),
        ("Canyon with dunes but no craters", [("canyon", 1), ("dunes", 1), ("craters", 0)]),
        ("crater, no dunes and no ice", [("crater", 1), ("dunes", 0), ("ice", 0)]),
        ("crater with neither dunes nor ice", [("crater", 1), ("dunes", 0), ("ice", 0)]),
        ("crater without dunes or ice", [("crater", 1), ("dunes", 0), ("ice", 0)]),
        ("volcano next to a crater", [("volcano", 1), ("a crater", 1)]),
        ("mesas & knobs", [("mesas", 1), ("knobs", 1)]),
        ("dunes or craters", []),  # either is enough, which a product of both is not
        ("no dunes", []),
        ("dunes and dunes", []),
        ("a, b, c, d", []),
        ("and", []),
    ],
)
def test_a_query_is_split_at_its_joints(text, parts):
    assert split_parts(text) == [(words, bool(present)) for words, present in parts]


@given(st.text(max_size=80))
def test_any_text_can_be_split(text):
    for words, _ in split_parts(text):
        assert words and words in text.casefold()


def test_case_articles_and_plurals_make_no_other_wording():
    assert bare("The Impact Craters!") == bare("an impact crater") == "impact crater"
    assert bare("moss") == "moss"


@pytest.mark.parametrize("text", ["dunes", "Sand Dunes", "the dune field"])
def test_a_taught_wording_is_known_without_the_encoder(text):
    encoder = SentenceEncoder()
    reading = toy_vocabulary().read(text, encoder)
    assert reading.familiarity == "taught" and reading.terms == (Term({0: 1.0}),)
    assert encoder.calls == 0


@pytest.mark.parametrize(
    ("text", "familiarity"),
    [
        ("crater with a peak", "near"),
        ("llamas", "unknown"),
        ("big red hole", "unknown"),
        ("forest of llamas", "unknown"),
        ("gullies", "too small"),
        ("gullies in a canyon", "too small"),
        ("canyon with dunes", "taught"),
        ("canyon with sand dunes but no crater", "taught"),
        ("canyon with llamas", "unknown"),
    ],
)
def test_words_are_known_or_not(text, familiarity):
    assert toy_vocabulary().read(text, SentenceEncoder()).familiarity == familiarity


def test_joined_words_are_read_as_several_landforms():
    reading = toy_vocabulary().read("canyon with dunes but no crater", SentenceEncoder())
    assert [(max(t.weights, key=t.weights.get), t.present) for t in reading.terms] == [
        (2, True),
        (0, True),
        (1, False),
    ]


def test_a_slip_of_spelling_is_mended_and_an_english_word_is_not():
    vocabulary, encoder = toy_vocabulary(), SentenceEncoder()
    assert vocabulary.read("dune fild", encoder).spelling == "dune field"
    assert vocabulary.read("deep canyn", encoder).spelling == "deep canyon"
    assert vocabulary.read("llamas", encoder).spelling == ""
    assert vocabulary.read("dune hole", encoder).spelling == "", "hole is no slip for another word"


def test_shares_of_a_reading_add_up():
    vocabulary = toy_vocabulary()
    for text in ("crater with a peak", "deep dunes", "sand canyon"):
        likeness = vocabulary.likeness([text], SentenceEncoder())
        weights = vocabulary.weights(likeness.taught[0])
        assert sum(weights.values()) == pytest.approx(1)
        assert list(weights.values()) == sorted(weights.values(), reverse=True)


def test_never_taught_words_are_in_no_wording():
    glossary, unknown = Glossary.load(), Unknown.load()
    known = {
        bare(w) for key in glossary.keys for w in (*glossary.trained[key], *glossary.unseen[key])
    }
    never = [w for words in unknown.never.values() for w in words]
    small = [w for _, w in unknown.small_words]
    assert not known & {bare(w) for w in (*never, *small)}
    assert len(never) >= 200 and len(unknown.too_small) >= 15
    for entry in unknown.too_small.values():
        assert len(entry["words"]) >= 3 and {"name", "size", "data"} <= set(entry)


@pytest.fixture(scope="module")
def real_words():
    """The glossary and the lists of never-taught words, in MiniLM's space."""
    encoder = CompactTextEncoder(MODEL_DIR)
    return encoder, set_limits(Words.of(encoder, Glossary.load(), Unknown.load()))


def test_unseen_wordings_are_accepted_and_nonsense_is_not(real_words):
    _, (_, limits) = real_words
    counted = limits["other_half"]
    assert counted["unseen_counted"] > 60 and counted["never_counted"] > 80
    assert counted["unseen_accepted"] >= 0.92
    assert counted["never_accepted"] <= 0.05
    assert counted["unseen_read_right_of_three"] >= 0.9
    assert counted["too_small_recognised"] >= 0.6
    assert counted["unseen_taken_for_too_small"] <= 0.04


@pytest.mark.parametrize(
    ("text", "familiarity"),
    [
        ("dunes", "taught"),
        ("impact crater", "taught"),
        ("volcano next to a canyon", "taught"),
        ("gorges", "near or taught"),
        ("llamas", "unknown"),
        ("pizza", "unknown"),
        ("a red car", "unknown"),
        ("Eiffel tower", "unknown"),
        ("coral reef", "unknown"),
        ("mountains of madness", "unknown"),
        ("crater full of llamas", "unknown"),
        ("recurring slope lineae", "too small"),
        ("gullies", "too small"),
        ("spiders", "too small"),
        ("Curiosity rover", "too small"),
        ("transverse aeolian ridges", "too small"),
    ],
)
def test_what_people_type_is_known_or_not(real_words, text, familiarity):
    encoder, (vocabulary, _) = real_words
    assert vocabulary.read(text, encoder).familiarity in familiarity


# How many hits are right


def made_up_ground(
    random: np.random.Generator, n_landforms: int, n_patches: int, n_tiles: int
) -> tuple[list, np.ndarray, np.ndarray, np.ndarray]:
    """Draw landforms with true curves, and scores and labels of tiles that follow them.

    Returns the truth (base rate, intercept, slope, scatter of blocks), scores, labels and patches.
    """
    base = random.uniform(0.01, 0.2, n_landforms)
    slope = random.normal(12, 4, n_landforms)
    intercept = -0.3 * slope + random.normal(0, 1, n_landforms)
    scatter = np.full(n_landforms, 1.0)
    patches = np.repeat(np.arange(n_patches), n_tiles // n_patches)
    scores = np.clip(random.normal(0.1, 0.22, (len(patches), n_landforms)), -0.9, 0.9)
    own = random.normal(size=(n_patches, n_landforms)) * scatter
    logits = np.log(base / (1 - base)) + intercept + slope * scores + own[patches]
    labels = (random.random(scores.shape) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    labels[random.random(labels.shape) < 0.1] = -1
    return [base, intercept, slope, scatter], scores, labels, patches


def fitted(base, scores, labels, patches) -> Calibration:
    """Fit a calibration whose prototypes are the axes, so that a tile's vector is its scores."""
    counts = Counts.of(scores, labels, patches)
    curves = fit_curves(counts, np.log(base / (1 - base)))
    factors = np.linalg.cholesky(curves.covariance)
    landforms = tuple(
        Landform("", "", float(b), tuple(m), tuple(f[np.tril_indices(2)]), float(sd), False)
        for b, m, f, sd in zip(base, curves.mean, factors, curves.scatter, strict=True)
    )
    return replace(toy_calibration(), landforms=landforms, prototypes=np.eye(len(base)))


def test_curves_are_those_that_the_labels_were_drawn_from():
    random = np.random.default_rng(4)
    (base, intercept, slope, scatter), scores, labels, patches = made_up_ground(
        random, 12, 30, 60_000
    )
    offset = np.log(base / (1 - base))
    curves = fit_curves(Counts.of(scores, labels, patches), offset)
    at = np.array([0.1, 0.3, 0.5])
    # Over all patches the curve is flatter than in each.
    flatter = np.sqrt(1 + ATTENUATION * scatter**2)[:, None]
    true = (offset[:, None] + intercept[:, None] + slope[:, None] * at) / flatter
    found = offset[:, None] + curves.mean[:, :1] + curves.mean[:, 1:] * at
    # Thirty patches leave a mean of their scatter of a fifth in each curve.
    assert np.abs(found - true).mean() < 0.3
    assert curves.scatter.mean() == pytest.approx(scatter.mean(), abs=0.2)


def test_a_landform_without_examples_borrows_from_the_rest():
    random = np.random.default_rng(5)
    (base, _, slope, _), scores, labels, patches = made_up_ground(random, 12, 20, 40_000)
    labels[:, 0] = -1
    curves = fit_curves(Counts.of(scores, labels, patches), np.log(base / (1 - base)))
    assert curves.mean[0, 1] == pytest.approx(slope[1:].mean(), abs=1.5)
    assert curves.covariance[0, 1, 1] > 5 * curves.covariance[1:, 1, 1].max()


def test_nine_intervals_of_ten_hold_the_truth_on_new_ground():
    random = np.random.default_rng(6)
    held, errors = [], []
    for _ in range(6):
        (base, *_), scores, labels, patches = made_up_ground(random, 12, 26, 26_000)
        learned = patches < 13
        calibration = fitted(base, scores[learned], labels[learned], patches[learned])
        for i in range(12):
            known = np.flatnonzero(~learned & (labels[:, i] >= 0))
            hits = known[np.argsort(-scores[known, i])[:200]]
            found = calibration.precision(
                scores[hits].astype(np.float32), patches[hits], (Term({i: 1.0}),), len(hits)
            )
            truth = (labels[hits, i] == 1).mean()
            held.append(found.low <= truth <= found.high)
            errors.append(found.value - truth)
    assert 0.82 <= np.mean(held) <= 1.0
    assert abs(np.mean(errors)) < 0.03


def test_without_doubt_the_estimate_is_the_curve():
    calibration = toy_calibration(spread=(0.0, 0.0, 0.0), scatter=0.0)
    vectors = np.repeat(calibration.prototypes[:1], 400, axis=0)
    found = calibration.precision(vectors, np.zeros(400, np.int64), (Term({0: 1.0}),), 400)
    wanted = 1 / (1 + np.exp(-(np.log(0.2 / 0.8) - 2.0 + 8.0)))
    assert found.value == pytest.approx(wanted, abs=2e-3)
    # What is left is the luck of 400 draws.
    assert found.high - found.low == pytest.approx(
        2 * 1.645 * np.sqrt(wanted * (1 - wanted) / 400), rel=0.3
    )


def test_both_of_two_landforms_are_rarer_than_either_and_absence_is_the_rest():
    calibration = toy_calibration()
    vectors = np.random.default_rng(1).normal(size=(300, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    patches = np.arange(300) % 40

    def value(*terms: Term) -> float:
        return calibration.precision(vectors, patches, terms, 300).value

    dunes, crater = Term({0: 1.0}), Term({1: 1.0})
    assert value(dunes, crater) < min(value(dunes), value(crater))
    assert value(replace(dunes, present=False)) == pytest.approx(1 - value(dunes), abs=2e-3)
    between = value(Term({0: 0.5, 1: 0.5}))
    low, high = sorted((value(dunes), value(crater)))
    assert low - 0.02 <= between <= high + 0.02


def test_hits_in_one_block_are_less_certain_than_hits_in_many():
    calibration = toy_calibration(scatter=1.5)
    vectors = np.repeat(calibration.prototypes[:1] * 0.3, 500, axis=0)
    terms = (Term({0: 1.0}),)
    one = calibration.precision(vectors, np.zeros(500, np.int64), terms, 500)
    many = calibration.precision(vectors, np.arange(500) % 50, terms, 500)
    assert one.high - one.low > 1.4 * (many.high - many.low)


def test_patches_are_runs_of_blocks_of_about_one_width():
    lon, lat = EqualAreaGrid(2.0).centers
    patches, blocks = patch_numbers(lon, lat), block_numbers(lon, lat)
    assert np.array_equal(patches[np.abs(lat) < 30], blocks[np.abs(lat) < 30])
    tiles = np.unique(patches, return_counts=True)[1]
    assert tiles.max() < 2.1 * tiles.min()
    assert len(np.unique(patches)) < len(np.unique(blocks))


# What is said


def test_sentences_say_what_was_estimated(calibrated_engine):
    taught = calibrated_engine.search(Query("dunes")).estimate
    assert taught.familiarity == "taught" and taught.landforms == ("dunes",)
    few = replace(taught, precision=Precision(0.05, 0.01, 0.12))
    assert few.sentence == "Expect about 1 in 20 of these 500 hits to show it (1 to 12 %)."
    none = replace(taught, precision=Precision(0.001, 0.0, 0.004), n_hits=7)
    assert none.sentence.startswith("Expect hardly any of these 7 hits")
    many = replace(taught, precision=Precision(0.62, 0.45, 0.75))
    assert many.sentence == "About 62 % of these 500 hits show it (45 to 75 %)."
    near = replace(many, familiarity="near", meaning="“dunes”")
    assert near.sentence == "Read as “dunes”: about 62 % of these 500 hits show it (45 to 75 %)."
    assert "leans on other landforms" in replace(many, pooled=True).sentence


def test_what_is_not_known_is_said_and_gets_no_figure(calibrated_engine):
    unknown = calibrated_engine.search(Query("llamas")).estimate
    assert not unknown.is_known and unknown.precision is None
    assert "never taught words like “llamas”" in unknown.sentence
    slip = calibrated_engine.search(Query("canyn")).estimate
    assert slip.sentence.endswith("did you mean “canyon”?")
    small = calibrated_engine.search(Query("gullies")).estimate
    assert not small.is_known and small.too_small == GULLIES
    for said in ("5 km", "gullies", "metres wide", "HiRISE pictures"):
        assert said in small.sentence


def test_no_hits_no_figure(calibrated_engine):
    estimate = calibrated_engine.search(Query("dunes", threshold=1.0)).estimate
    assert estimate.n_hits == 0 and estimate.precision is None and estimate.sentence == ""


def test_an_estimate_is_made_once_and_again_the_same(calibrated_engine, small_index):
    query = Query("dune sand", top_k=30)
    first = calibrated_engine.search(query).estimate
    assert calibrated_engine.search(query).estimate is first
    other = Engine(small_index, SentenceEncoder(), calibration=toy_calibration())
    assert other.search(query).estimate == first


def test_many_hits_are_sampled(calibrated_engine, small_index):
    # By the bare word, which is the landform's prototype, so that the best hits are its best.
    every = Query("dunes", top_k=small_index.n_tiles, prompts=("{}",))
    estimate = calibrated_engine.search(every).estimate
    assert estimate.n_hits == small_index.n_tiles > 1000
    best = calibrated_engine.search(every.with_(top_k=10)).estimate
    assert best.precision.value > estimate.precision.value


def test_nothing_is_said_of_tiles_of_foreign_models_and_without_a_calibration(
    small_index, small_engine
):
    calibrated = Engine(small_index, SentenceEncoder(), calibration=toy_calibration())
    tile = small_index.grid.names([5])[0]
    assert calibrated.search(Query.like(tile)).estimate is None
    assert small_engine.search(Query("dunes")).estimate is None
    other = Engine(small_index, SentenceEncoder(), calibration=toy_calibration("f" * 64))
    assert other.search(Query("dunes")).estimate is None
    plain = Engine(small_index, small_engine.encoder(), calibration=toy_calibration())
    assert plain.search(Query("dunes")).estimate is None


def test_records_and_files_carry_the_estimate(calibrated_engine, small_engine):
    result = calibrated_engine.search(Query("dunes", top_k=5))
    record = json.loads(json.dumps(result_record(result)))["estimate"]
    assert record["familiarity"] == "taught" and record["landforms"] == ["dunes"]
    assert 0 <= record["low"] <= record["precision"] <= record["high"] <= 1
    assert record["sentence"] == result.estimate.sentence and record["confidence"] == 0.9
    written = json.loads(export_bytes(result, "geojson"))["mars_map"]["estimate"]
    assert written == record
    assert "estimate" not in result_record(small_engine.search(Query("dunes", top_k=5)))
    unknown = result_record(calibrated_engine.search(Query("llamas")))["estimate"]
    assert unknown["precision"] is None and unknown["familiarity"] == "unknown"
    small = result_record(calibrated_engine.search(Query("gullies")))["estimate"]
    assert small["too_small"] == GULLIES._asdict()


def test_the_shell_says_it_beside_the_answer(calibrated_engine, monkeypatch):
    monkeypatch.setattr("mars_map.cli.searching.open_engine", lambda *_, **__: calibrated_engine)

    def run(*words: str):
        outcome = CliRunner().invoke(main, ["search", *words, "--top-k", "3"])
        assert outcome.exit_code == 0
        return outcome

    known, unknown = run("dunes"), run("llamas")
    assert "show it" in known.stderr and "show it" not in known.stdout
    assert "never taught" in unknown.stderr and len(unknown.stdout.splitlines()) == 4
    answer = json.loads(run("llamas", "--format", "json").stdout)
    assert answer["estimate"]["familiarity"] == "unknown" and len(answer["hits"]) == 3


# The files


GROUND = EqualAreaGrid(1.5)


@pytest.fixture(scope="module")
def made_model(tmp_path_factory):
    """A copy of the default model, calibrated on made-up labels whose curves are known.

    Returns the folder, the vectors, the labels and the contents of the calibration.
    """
    folder = tmp_path_factory.mktemp("model")
    for name in ("config.json", "weights.safetensors"):
        (folder / name).write_bytes((MODEL_DIR / name).read_bytes())
    glossary = Glossary.load()
    keys = ("crater", "dunes", "canyon", "volcano", "chaos", "polar_cap")
    some = replace(
        glossary,
        trained={key: glossary.trained[key] for key in keys},
        unseen={key: glossary.unseen[key] for key in keys},
    )
    encoder, random = CompactTextEncoder(folder), np.random.default_rng(0)
    towards = encoder.encode_text([some.trained[key][0] for key in keys])
    mixture = random.dirichlet(np.full(len(keys), 0.3), GROUND.n_tiles)
    vectors = mixture @ towards + random.normal(size=(GROUND.n_tiles, encoder.dim)) * 0.06
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    chance = 1 / (1 + np.exp(7.0 - 12.0 * vectors @ towards.T))
    labels = (random.random(chance.shape) < chance).astype(np.int8)
    labels[random.random(labels.shape) < 0.05] = -1
    table = calibrate(folder, vectors, labels, some, Split.load(), GROUND)
    return folder, vectors, labels, some, table


def test_a_calibration_estimates_what_is_true_on_ground_that_it_never_saw(made_model):
    *_, table = made_model
    for part in ("left_out_validation", "test"):
        for kind in ("trained", "unseen"):
            row = table["checks"][part][f"{kind}, best 2.0%"]
            assert row["queries"] >= 15
            assert row["mean_estimate"] == pytest.approx(row["mean_truth"], abs=0.12)
            assert row["interval_holds"] >= 0.75


def test_a_written_calibration_is_read_back_and_estimates_a_planet(made_model, tmp_path):
    folder, vectors, labels, glossary, table = made_model
    size = sum((folder / name).stat().st_size for name in (CALIBRATION_FILE, VOCABULARY_FILE))
    assert size < 2**20
    encoder = CompactTextEncoder(folder)
    index = write_index(
        tmp_path / "index",
        grid=GROUND,
        vectors=vectors,
        model=ModelCard(encoder.model_id, encoder.sha256, encoder.dim),
        source="made up for a test",
        licence="public domain",
        synthetic=True,
    )
    engine = Engine(index, encoder, calibration=lambda: Calibration.load(folder))
    result = engine.search(Query("sand dunes", top_k=300))
    column = glossary.keys.index("dunes")
    known = result.hits[labels[result.hits, column] >= 0]
    truth = (labels[known, column] == 1).mean()
    assert result.estimate.precision.low - 0.05 <= truth <= result.estimate.precision.high + 0.05
    assert engine.search(Query("pizza")).estimate.familiarity == "unknown"
    assert table["weights_sha256"] == encoder.sha256


@pytest.mark.parametrize("damage", ["cut", "version", "no vectors", "fewer wordings", "no json"])
def test_a_damaged_calibration_is_one_sentence(made_model, tmp_path, damage):
    folder = made_model[0]
    for name in (CALIBRATION_FILE, VOCABULARY_FILE):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    table, vectors = tmp_path / CALIBRATION_FILE, tmp_path / VOCABULARY_FILE
    values = json.loads(table.read_text(encoding="utf-8"))
    if damage == "cut":
        vectors.write_bytes(vectors.read_bytes()[:1000])
    elif damage == "no vectors":
        vectors.unlink()
    elif damage == "no json":
        table.write_text("{")
    elif damage == "version":
        table.write_text(json.dumps(values | {"version": 99}))
    else:
        table.write_text(json.dumps(values | {"wordings": values["wordings"][:-1]}))
    with pytest.raises(ModelError) as caught:
        Calibration.load(tmp_path)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_a_folder_without_a_calibration_has_none(tmp_path):
    assert Calibration.load(tmp_path) is None


# The page


@pytest.fixture
def page(small_service, calibrated_engine, monkeypatch):
    """Open the page of a service that knows three landforms."""
    monkeypatch.setattr(small_service, "_engine", calibrated_engine)

    def open_at(**params: str) -> AppTest:
        test = AppTest.from_file(str(PAGE), default_timeout=20)
        for name, value in params.items():
            test.query_params[name] = value
        test.run()
        assert not test.exception
        return test

    return open_at


def said(test: AppTest) -> str:
    """Everything that the panel says, without Markdown's backslashes."""
    texts = [*test.sidebar.markdown, *test.sidebar.caption, *test.sidebar.warning]
    return "\n".join(text.value for text in texts).replace("\\", "")


def test_the_page_shows_the_estimate_and_where_it_comes_from(page, calibrated_engine):
    test = page(q="dunes")
    estimate = calibrated_engine.search(Query("dunes")).estimate
    assert estimate.sentence in said(test)
    (line,) = [m for m in test.sidebar.markdown if "show it" in m.value]
    assert "not trained on" in line.proto.help
    assert payload(test)["query"] == "q=dunes" and not test.warning


@pytest.mark.parametrize("words", ["llamas", "gullies", "canyn"])
def test_what_is_not_known_is_held_back_until_somebody_insists(page, words):
    test = search(page(), words)
    assert payload(test)["query"] == "" and "mars-gallery" not in keys(test, "bidi_component")
    assert len(test.warning) == 1 and test.query_params["q"] == words
    assert "anyway" not in test.query_params
    test.button(key="mars-anyway").click().run()
    assert payload(test)["query"] == f"q={words}"
    assert payload(test, "mars-gallery")["query"] == f"q={words}"
    assert len(test.warning) == 1, "the note stays beside the map"
    assert test.query_params["anyway"] == "yes"
    assert "mars-anyway" not in keys(test, "button")


def test_who_insisted_once_is_not_asked_again_for_the_same_words(page):
    test = page(q="llamas", anyway="yes")
    assert payload(test)["query"] == "q=llamas"
    test.number_input(key="mars-top-k").set_value(7).run()
    assert payload(test)["query"] == "q=llamas&k=7"
    search(test, "gullies")
    assert payload(test)["query"] == "" and "anyway" not in test.query_params


def test_suggestions_are_searched_for(page):
    test = search(page(), "canyn")
    test.button_group(key="mars-spelling").set_value("canyon").run()
    assert state(test).query == Query("canyon")
    assert payload(test)["query"] == "q=canyon" and not test.warning
    assert test.text_input(key="mars-words").value == "canyon"


def test_hits_of_a_tile_get_no_estimate(page):
    test = page(like="r015c0003")
    assert payload(test)["query"] == "like=r015c0003"
    assert "show it" not in said(test) and not test.warning


def test_the_name_of_a_place_is_pointed_to(page, small_index):
    test = search(page(), "Gale crater")
    assert "one place (crater)" in said(test)
    test.button(key="mars-place").click().run()
    tile = small_index.grid.tile_at(137.81, -5.37)
    assert state(test).go[1] == tile and state(test).tab == "Tile"
    assert state(test).tile == small_index.grid.names([tile])[0]


@pytest.mark.parametrize("text", HOSTILE)
def test_words_in_a_note_are_never_markup(page, text):
    test = search(page(), text)
    for warning in test.warning:
        for sign in "<[$`*":
            assert sign not in warning.value.replace("\\" + sign, "")


def test_about_tells_how_the_estimates_stood_up(page, made_model, monkeypatch, tmp_path):
    *_, table = made_model
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps(table))
    monkeypatch.setattr("mars_map.settings.MODEL_DIR", tmp_path)
    for sha256, told in ((SentenceEncoder.sha256, True), ("0" * 64, False)):
        (tmp_path / "config.json").write_text(json.dumps({"weights_sha256": sha256}))
        test = page()
        state(test).tab = "About"
        captions = [c.value for c in test.run().caption if "interval held" in c.value]
        assert bool(captions) == told
        if told:
            accepted = table["familiarity"]["other_half"]["unseen_accepted"]
            assert f"{accepted:.0%} are taken as known" in captions[0]
