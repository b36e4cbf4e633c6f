"""Labels, words and the split behind the compact encoder, and its training on a toy planet."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mars_map.build.windows import GlobalRaster
from mars_map.encoders.compact import read_model, write_model
from mars_map.encoders.network import CompactNetwork, NetworkConfig
from mars_map.encoders.windows import Windows, WindowSpec
from mars_map.errors import BuildError
from mars_map.planet.grid import EqualAreaGrid
from mars_map.planet.local import square_points
from mars_map.planet.sphere import great_circle_m
from mars_map.training.anchors import Anchors
from mars_map.training.augment import Augmentation, hide_parts
from mars_map.training.cells import CELLS, CellTruth
from mars_map.training.craters import SEARCH_GRID, find_craters, measure_craters
from mars_map.training.data import TrainingData
from mars_map.training.figures import average_precision
from mars_map.training.loop import Trainer, TrainingConfig
from mars_map.training.material import Material
from mars_map.training.places import TilePlaces, both, densify, either
from mars_map.training.split import PARTS, Split
from mars_map.training.team import train_network
from mars_map.training.terrain import measure_terrain, near_and_wide
from mars_map.training.texts import TEMPLATES, Glossary, Statement, TextBank
from mars_map.training.valleys import trace_course
from mars_map.training.words import teach_words

GRID = EqualAreaGrid(2.0)


def test_the_glossary_keeps_its_unseen_words_unseen():
    glossary = Glossary.load()
    assert len(glossary.keys) >= 84
    trained = {w.lower() for words in glossary.trained.values() for w in words}
    for key in glossary.keys:
        words, unseen = glossary.trained[key], glossary.unseen[key]
        assert len(words) >= 5 and len(unseen) >= 2, key
        assert not trained & {w.lower() for w in unseen}, key
        assert len(unseen) >= 0.2 * len(words), key
        assert glossary.look_alikes[key] or key in glossary.settings
        assert set(glossary.look_alikes[key]) <= set(glossary.keys) - glossary.settings
    said = [
        w.lower()
        for source in (glossary.trained, glossary.unseen)
        for ws in source.values()
        for w in ws
    ]
    assert len(said) == len(set(said)), "a wording belongs to one landform"


def test_no_unseen_words_reach_the_training_texts():
    glossary = Glossary.load()
    labels = np.ones((50, len(glossary.keys)), np.int8)
    bank = TextBank.make(glossary, labels, seed=1)
    said = {text for text, column in zip(bank.texts, bank.about, strict=True) if column >= 0}
    filled = {t.replace("{}", w) for ws in glossary.unseen.values() for w in ws for t in TEMPLATES}
    assert not said & filled


def test_a_text_of_three_facts_is_true_where_all_hold_and_false_where_one_fails():
    glossary = Glossary({k: (k,) for k in "abc"}, {k: (k * 2,) for k in "abc"})
    statements = [Statement(("a",)), Statement(("a", "b"), ("c",)), Statement((), ("c",))]
    bank = TextBank.of(["a", "a and b without c", "no c"], statements, glossary)
    assert bank.about.tolist() == [0, -1, -1]
    labels = np.array([[1, 1, 0], [1, 1, 1], [1, -1, 0], [0, -1, -1], [-1, 1, 1]], np.int8)
    truth = bank.truth(labels, np.array([0, 1, 2]))
    assert truth.tolist() == [[1, 1, 1], [1, 0, 0], [1, -1, 1], [0, 0, -1], [-1, 0, 0]]


def test_joined_texts_state_facts_of_some_tile_and_absences_that_could_be_missed():
    random = np.random.default_rng(0)
    keys = "abcdef"
    glossary = Glossary({k: (f"{k}-word",) for k in keys}, {k: (k,) for k in keys}, {"a": ("e",)})
    labels = (random.random((400, 6)) < 0.4).astype(np.int8)
    labels[:, 4] = labels[:, 0] & (random.random(400) < 0.03)  # hardly ever with a: a look-alike
    labels[:, 5] = 0
    bank = TextBank.make(glossary, labels, seed=3, pairs=600)
    joined = (bank.terms >= 0).sum(1) > 1
    assert joined.sum() > 500
    truth = bank.truth(labels, np.arange(len(bank.texts)))
    assert (truth[:, joined] == 1).any(0).all()
    absent = ~bank.holds & (bank.terms >= 0)
    assert absent.any()
    about_a = (bank.terms[:, 0] == 0)[:, None] & absent
    assert 4 in bank.terms[about_a]
    assert 5 not in bank.terms[absent], "nobody expects it, so its absence is no news"


def test_the_committed_split_is_the_one_that_its_seed_draws():
    split = Split.load()
    assert split == Split.draw(split.seed)
    assert not set(split.test) & set(split.validation)
    tiles = EqualAreaGrid(0.5)
    assert split.test_tiles(tiles).mean() == pytest.approx(0.25, abs=0.02)
    assert split.validation_tiles(tiles).mean() == pytest.approx(0.10, abs=0.02)


def test_no_training_window_shares_ground_with_one_that_is_held_out():
    split, widths = Split.load(), (100.0, 300.0)
    training = split.training_tiles(GRID, widths)
    assert training.sum() > 0.2 * GRID.n_tiles
    lon, lat = GRID.centers
    for held_out, other in (
        (split.test_tiles(GRID), max(widths)),
        (split.validation_tiles(GRID), min(widths)),
    ):
        assert not (training & held_out).any()
        # The nearest corner of a square lies half a width from its centre, so half of both widths
        # is the least distance that can be right, whatever way the squares are turned.
        for tile in np.flatnonzero(held_out)[::7]:
            gap = great_circle_m(lon[tile], lat[tile], lon[training], lat[training])
            assert gap.min() >= (min(widths) + other) / 2 * 1000 * 0.999


def test_no_part_that_is_shown_lies_in_a_window_that_is_held_out():
    split, widths = Split.load(), (100.0, 300.0)
    training, shown = split.training_tiles(GRID, widths), split.shown_parts(GRID, widths)
    assert shown[training, 0].all() and not shown[~training].any()
    wide = shown[training, 1]
    assert 0.2 < wide.all((1, 2)).mean() < 0.95, "some are whole, some are not"
    lon, lat = (values[training] for values in GRID.centers)
    # Where every pixel of the parts that are shown lies, seen from the centres that are held out.
    pixels = np.repeat(np.repeat(wide, 2, 1), 2, 2)
    east, north = (values[pixels] for values in square_points(lon, lat, 300e3, 2 * PARTS))
    for held_out, other in (
        (split.test_tiles(GRID), max(widths)),
        (split.validation_tiles(GRID), min(widths)),
    ):
        for tile in np.flatnonzero(held_out)[::389]:
            at = GRID.centers[0][tile], GRID.centers[1][tile]
            gap = great_circle_m(*at, east, north)
            assert gap.min() > other / np.sqrt(2) * 1000, "outside of the circle round its corners"


def test_what_is_hidden_leaves_no_trace():
    random = np.random.default_rng(0)
    image = random.integers(0, 255, (3, 2, 2, 32, 32)).astype(np.uint8)
    elevation = random.integers(-4000, 4000, (3, 2, 32, 32)).astype(np.int16)
    shown = np.ones((3, 2, 16, 16), bool)
    shown[0, 1, :5], shown[2, 1] = False, False
    surface = np.zeros((3, 2), np.float32)
    other = image.copy(), elevation.copy()
    other[0][0, 1, :, :10], other[1][0, 1, :10] = 7, 7
    other[0][2, 1], other[1][2, 1] = 9, 9
    first = hide_parts(Windows(image, elevation, surface), shown)
    second = hide_parts(Windows(*other, surface), shown)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first.image[0, 1, :, 10:], image[0, 1, :, 10:])
    np.testing.assert_array_equal(first.elevation[1], elevation[1])
    assert first.elevation[0, 1, 0, 0] == pytest.approx(elevation[0, 1, 10:].mean(), abs=1)


def test_tiles_are_labelled_by_the_cells_that_they_lie_in():
    shown = np.zeros((CELLS.n_tiles, 1), bool)
    cell = CELLS.tile_at(137.8, -5.4)
    shown[cell] = True
    tiles = EqualAreaGrid(0.5)
    labels = CellTruth(("crater",), shown).labels(tiles, ["dunes", "crater"])
    assert (labels[:, 0] == -1).all()
    np.testing.assert_array_equal(labels[:, 1] == 1, CELLS.tile_at(*tiles.centers) == cell)


@settings(max_examples=30)
@given(st.floats(-180, 179.9), st.floats(-90, 90), st.floats(50, 900))
def test_tiles_within_a_radius_are_those_at_a_great_circle_distance(lon, lat, radius_km):
    inside = TilePlaces.of(GRID).within(np.array([[lon, lat]]), radius_km)
    gap_km = great_circle_m(lon, lat, *GRID.centers) / 1000
    clear = np.abs(gap_km - radius_km) > 0.01
    assert (inside == (gap_km <= radius_km))[clear].all()


def test_labels_combine_like_three_valued_logic():
    yes, no, unknown = (np.array([v], np.int8) for v in (1, 0, -1))
    assert both(yes, unknown) == -1 and both(no, unknown) == 0 and both(yes, yes) == 1
    assert either(yes, unknown) == 1 and either(no, unknown) == -1 and either(no, no) == 0


def test_a_line_is_filled_with_points_across_the_antimeridian():
    points = densify(np.array([[179.0, 0.0], [-179.0, 0.0]]), step_km=10.0)
    assert 12 <= len(points) <= 14
    turn = (points[:, 0] + 180) % 360 - 180
    assert (np.abs(turn) >= 179.0 - 1e-9).all()


def crater_planet(lon: float, lat: float, radius_km: float) -> GlobalRaster:
    """A plain at 0 m with one crater: floor 1,500 m down, rim 300 m up, a peak of 600 m."""
    rows = 1200
    raster_lat = 90 - (np.arange(rows) + 0.5) * 180 / rows
    raster_lon = -180 + (np.arange(2 * rows) + 0.5) * 180 / rows
    x = great_circle_m(*np.meshgrid(raster_lon, raster_lat), lon, lat) / 1000 / radius_km
    height = np.interp(x, [0, 0.2, 0.3, 0.7, 1, 1.6], [-900, -1500, -1500, -1500, 300, 0])
    return GlobalRaster(torch.from_numpy(height.astype(np.int16)))


@pytest.mark.parametrize(("lon", "lat"), [(20.0, 84.0), (-179.9, -10.0)])
def test_a_crater_is_measured_where_it_is(lon, lat):
    crater = measure_craters(crater_planet(lon, lat, 70.0), *np.array([[lon], [lat], [70.0]]))
    assert crater.depth_m[0] == pytest.approx(1700, abs=200)
    assert crater.peak_m[0] == pytest.approx(400, abs=100)
    assert crater.rim[0] == 1.0


def test_a_crater_is_found_near_the_pole():
    tile = SEARCH_GRID.tile_at(30.0, 80.0)
    around = np.array([tile, *SEARCH_GRID.neighbours(tile)])
    found = find_craters(crater_planet(30.0, 80.0, 56.0), lambda *step: None, around)
    assert len(found.lon) == 1
    assert great_circle_m(found.lon[0], found.lat[0], 30.0, 80.0) < 8_000
    assert found.radius_km[0] == pytest.approx(56.0, rel=0.25)


def test_average_precision_by_hand():
    relevant = np.array([True, False, True, False])
    assert average_precision(np.array([4.0, 3, 2, 1]), relevant) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([1.0, 2, 3, 4]), relevant) == pytest.approx(
        (1 / 2 + 2 / 4) / 2
    )
    assert average_precision(np.array([1.0]), np.array([False])) == 0.0


SPEC = WindowSpec(16, (64.0, 256.0))


def toy_network(towers: int = 1) -> NetworkConfig:
    return NetworkConfig(dim=16, widths=(8, 16), text_hidden=16, windows=SPEC, towers=towers)


def toy_config(steps: int) -> TrainingConfig:
    return TrainingConfig(
        steps=steps,
        batch=64,
        pairs=4,
        learning_rate=5e-3,
        warm_up=5,
        checkpoint_every=10,
        word_steps=60,
        # What a view does not show cannot be learned from it.
        looks=(Augmentation(no_relief=0.0, no_picture=0.0, grey=0.0),),
    )


def toy_material() -> Material:
    """Tiles that are bright or dark, flat or steep, and the words for it."""
    random = np.random.default_rng(0)
    n = 256
    bright, steep = random.integers(0, 2, (2, n)).astype(bool)
    image = np.full((n, 2, 2, 16, 16), 128, np.uint8)
    image[:, :, 0] = np.where(bright, 200, 40)[:, None, None, None]
    ramp = np.linspace(-2000, 2000, 16).astype(np.int16)
    elevation = np.where(steep[:, None, None, None], ramp, np.int16(0))
    elevation = np.broadcast_to(elevation, (n, 2, 16, 16))
    glossary = Glossary(
        {"bright": ("bright ground", "pale surface"), "slope": ("steep slope", "hillside")},
        {"bright": ("light-coloured ground",), "slope": ("a steep hill",)},
    )
    labels = np.stack([bright, steep], 1).astype(np.int8)
    bank = TextBank.make(glossary, labels, seed=0, pairs=8)
    surface = np.full((n, 2), np.nan, np.float32)
    # Of the cells only the first landform is known.
    cell_labels = np.where([True, False], labels, np.int8(-1))
    windows = Windows(image, elevation, surface)
    data = TrainingData(GRID, windows, glossary, labels, cell_labels)
    return Material(data, np.ones((n, 2, 16, 16), bool), bank, cells=0.5, seed=0)


def test_training_learns_and_resumes_where_it_was_cut_off(tmp_path):
    material, network, config = toy_material(), toy_network(towers=2), toy_config(60)
    told, steps = [], []
    whole = train_network(
        material, network, config, tmp_path / "whole", lambda state, _: told.append(state)
    )
    assert [state["step"] for state in told] == [*range(10, 130, 10)]
    assert {state["steps"] for state in told} == {120}
    assert told[5]["text_loss"] < 0.6, "chance is about one and a half times 0.69"
    assert told[-1]["text_loss"] != told[5]["text_loss"], "the second tower draws differently"

    def stop(state, _):
        if state["step"] == 90:  # in the middle of the second tower, before its third checkpoint
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_network(material, network, config, tmp_path / "cut", stop)
    with pytest.raises(BuildError, match="not done"):
        Trainer(material, toy_network(), toy_config(70), 1).run(
            tmp_path / "cut" / "checkpoint-2.safetensors", lambda state: None
        )
    resumed = train_network(
        material, network, config, tmp_path / "cut", lambda state, _: steps.append(state["step"])
    )
    assert steps == [90, 100, 110, 120], "what was done before the checkpoint is not repeated"
    # With the words, which are taught at last.
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def test_towers_are_joined_so_that_likeness_stays_what_it_was(tmp_path):
    material, network = toy_material(), toy_network(towers=2)
    joined = train_network(material, network, toy_config(20), tmp_path)
    together = material.vectors(joined.image, lambda *_: None)
    apart = [material.vectors(tower, lambda *_: None) for tower in joined.image.towers]
    assert not torch.allclose(*apart), "each tower has its own look"
    likeness = sum(vectors @ vectors.T for vectors in apart) / 2
    # Sixteen of thirty-two directions hold nearly all that two kinds of tiles differ in.
    assert torch.allclose(together @ together.T, likeness, atol=0.02)

    write_model(tmp_path / "model", joined, "toy")
    read, _, _ = read_model(tmp_path / "model")
    assert torch.allclose(material.vectors(read.image, lambda *_: None), together, atol=0.01)


def test_words_learn_on_pictures_that_stand_still(tmp_path):
    material = toy_material()
    network = train_network(material, toy_network(), toy_config(20), tmp_path)
    image = [p.clone() for p in network.image.parameters()]
    vectors, lessons = material.vectors(network.image, lambda *_: None), material.lessons
    bright = lessons._tables[0].labels[:, 0] == 1

    def gap() -> float:
        text = lessons.bank.texts.index("bright ground")
        with torch.inference_mode():
            word = network.text(lessons.sentences(np.array([text]), noise=0.0))[0]
            cosines = (vectors @ word).numpy()
        return cosines[bright].min() - cosines[~bright].max()

    network.text.load_state_dict(CompactNetwork(toy_network()).text.state_dict())
    before = gap()
    anchors = Anchors(lessons.n_landforms, network.config.dim)
    teach_words(network, anchors, vectors, lessons, steps=150, noise=0.02, seed=0)
    assert gap() > max(before, 0.0), "every bright tile is closer to the words than any dark one"
    for a, b in zip(image, network.image.parameters(), strict=True):
        assert torch.equal(a, b)


def window_with(height: np.ndarray) -> Windows:
    """Windows of one tile with the same elevation, metres, at both scales and a grey picture."""
    pixels = height.shape[-1]
    elevation = np.broadcast_to(height.round().astype(np.int16), (1, 2, pixels, pixels))
    image = np.full((1, 2, 2, pixels, pixels), 128, np.uint8)
    return Windows(image, elevation, np.full((1, 2), np.nan, np.float32))


def test_terrain_is_measured_in_metres_and_degrees():
    spec = WindowSpec(64, (64.0, 256.0))
    km = np.arange(64) - 31.5
    plane = np.broadcast_to(20.0 * km, (64, 64))  # 20 m a kilometre: 1.146 degrees
    measured = measure_terrain(window_with(plane), spec, lambda *step: None)
    assert measured.tilt[0] == pytest.approx(1.146, abs=0.01)
    assert measured.slope[0] == pytest.approx(1.146, abs=0.05)
    assert measured.roughness[0] < 1 and measured.trough[0] == 0
    assert measured.relief[0] == pytest.approx(0.9 * 1260, rel=0.03)

    along = np.exp(-((km[:, None] - km[None, :]) ** 2) / 2 / 4.0**2)  # from corner to corner
    trough = measure_terrain(window_with(-800 * along), spec, lambda *step: None)
    ridge = measure_terrain(window_with(800 * along), spec, lambda *step: None)
    assert trough.trough[0] > 4 and ridge.trough[0] < 2
    assert trough.sink[0] > 400

    bowl = -1000 * np.exp(-(km[:, None] ** 2 + km[None, :] ** 2) / 2 / 12.0**2)
    hollow = measure_terrain(window_with(bowl), spec, lambda *step: None)
    mountain = measure_terrain(window_with(-bowl), spec, lambda *step: None)
    assert 500 < hollow.enclosed[0] < 1000 and mountain.enclosed[0] < 0
    assert mountain.stands[0] > 800 and hollow.stands[0] < 0
    tilted = measure_terrain(window_with(np.broadcast_to(40.0 * km, (64, 64))), spec, print)
    assert tilted.enclosed[0] < 0 and tilted.stands[0] < 0, "a flank is neither"


def test_terrain_finds_its_windows_by_width():
    assert near_and_wide(WindowSpec(64, (64.0, 256.0))) == (0, 1)
    assert near_and_wide(WindowSpec(64, (64.0, 180.0, 500.0))) == (0, 1)
    assert near_and_wide(WindowSpec(64, (500.0, 60.0))) == (1, 0)


def test_a_valley_is_traced_inside_of_its_box():
    rows = 2000
    lat = 90 - (np.arange(rows) + 0.5) * 180 / rows
    lon = -180 + (np.arange(2 * rows) + 0.5) * 180 / rows
    turn = lon[None, :] % 360 - 180  # degrees from the antimeridian, which it crosses
    middle = 10 + 2 * np.sin(turn / 2)
    depth = 300 * np.exp(-((lat[:, None] - middle) ** 2) / 2 / 0.15**2)
    planet = GlobalRaster(torch.from_numpy((2000 - depth).astype(np.float32)))
    course, below = trace_course(planet, 176.0, 7.0, -176.0, 13.0)
    offset = course[:, 0] % 360 - 180
    assert offset.min() < -3.8 and offset.max() > 3.8
    assert np.abs(course[:, 1] - (10 + 2 * np.sin(offset / 2))).max() < 0.2
    assert below.min() > 50
