"""Captions, the facts behind them, and the commands that show them."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from click.testing import CliRunner
from PIL import Image
from rasterio.transform import from_bounds

from mars_map.build.inputs import ALBEDO, ELEVATION, NOMENCLATURE, THERMAL_INERTIA, Inputs
from mars_map.build.windows import GlobalRaster, window_points
from mars_map.cli import main
from mars_map.encoders.windows import Windows, WindowSpec
from mars_map.errors import BuildError, CoordinateError
from mars_map.planet.grid import EqualAreaGrid
from mars_map.training.captions import LEAST_CAPTIONS, Captioner
from mars_map.training.craters import Craters, with_named_craters
from mars_map.training.data import GRID, TrainingData
from mars_map.training.ground import Facts
from mars_map.training.inspection import (
    Counts,
    Pairs,
    kept_spec,
    parse_tile,
    shade,
    viking_colour,
)
from mars_map.training.labels import make_labels
from mars_map.training.named import DISPUTED, NamedPlaces
from mars_map.training.terrain import Terrain, measure_terrain
from mars_map.training.texts import Glossary, TextBank

SPEC = WindowSpec(16, (64.0, 180.0))
NO_CRATERS = Craters(*(np.zeros(0) for _ in range(6)))
FEATURES = """\
name,feature_type,lon,lat,diameter_km,west,south,east,north,quadrangle,origin
Olympus Mons,"Mons, montes",-133.8,18.65,610,-139,13,-128,24,,
Libya Montes,"Mons, montes",88,1.4,1043,80,-3,96,5,,
Uranius Patera,"Patera, paterae",-92.8,26.3,114,-94,25,-91.5,27.5,,
Eden Patera,"Patera, paterae",-11.06,33.77,80,-11.8,33.1,-10.3,34.4,,
Kasei Valles,"Vallis, valles",-62.9,25.1,1580,-74.4,16.3,-50.3,27.1,,
Nirgal Vallis,"Vallis, valles",-41.7,-28.2,610,-46.5,-30,-37.6,-26.9,,
Mad Vallis,"Vallis, valles",76,-56,524,74,-59,78,-53,,
Aolis Palus,"Palus, paludes",-42,-28,100,-43,-29,-41,-27,,
Gale,"Crater, craters",137.8,-5.4,154,136.5,-6.7,139.1,-4.1,,
Yellowknife,"Crater, craters",137.4,-4.6,0.2,,,,,,
ARABIA TERRA,"Terra, terrae",5.7,21.2,4851,,,,,,
"""


def write_raster(path: Path, values: np.ndarray) -> None:
    """Write a global plate carrée raster of one band."""
    path.parent.mkdir(exist_ok=True)
    rows, columns = values.shape
    profile = {"driver": "GTiff", "width": columns, "height": rows, "count": 1}
    transform = from_bounds(-180, -90, 180, 90, columns, rows)
    with rasterio.open(path, "w", dtype=values.dtype, transform=transform, **profile) as file:
        file.write(values, 1)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Inputs of a planet that is a plain but for a valley, with a few real names."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "catalogues").mkdir()
    (folder / NOMENCLATURE).write_text(FEATURES, encoding="utf-8")
    lat = 90 - (np.arange(1800) + 0.5) / 10
    depth = 400 * np.exp(-((lat + 28.0) ** 2) / 2 / 0.15**2)
    write_raster(folder / ELEVATION, np.repeat(-depth[:, None], 3600, 1).astype(np.int16))
    write_raster(folder / ALBEDO, np.full((90, 180), 0.12, np.float32))
    write_raster(folder / THERMAL_INERTIA, np.full((90, 180), 400, np.float32))
    return Inputs(folder)


@pytest.fixture(scope="module")
def pairs(inputs: Inputs) -> Pairs:
    """Windows and made-up labels of a coarse grid, with one crater, ready to be told."""
    grid, random = EqualAreaGrid(4.0), np.random.default_rng(5)
    n, p = grid.n_tiles, SPEC.pixels
    windows = Windows(
        random.integers(0, 255, (n, 2, 2, p, p), dtype=np.uint8),
        random.integers(-99, 99, (n, 2, p, p)).astype(np.int16),
        np.full((n, 2), np.nan, np.float32),
    )
    glossary = Glossary.load()
    labels = random.choice(
        np.array([-1, 0, 1], np.int8), (n, len(glossary.keys)), p=(0.2, 0.7, 0.1)
    )
    labels[0] = np.minimum(labels[0], 0)  # nothing is known to be in one tile
    at = [float(values[grid.tile_at(0.0, 0.0)]) for values in grid.centers]
    craters = Craters(*(np.array([v]) for v in (*at, 30.0, 300.0, 0.0, 1.0)))
    terrain = measure_terrain(windows, SPEC, lambda *step: None)
    facts = Facts(inputs, grid, terrain, craters)
    captioner = Captioner.of(facts, glossary, labels, np.arange(n), SPEC)
    return Pairs(TrainingData(grid, windows, glossary, labels, labels), SPEC, captioner)


def test_named_features_are_what_they_are_known_to_be(inputs):
    kinds = NamedPlaces(Facts(inputs, EqualAreaGrid(4.0), None, NO_CRATERS)).kind
    assert kinds("Olympus Mons") == "volcano" and kinds("Libya Montes") == "massif"
    assert kinds("Uranius Patera") == "caldera", "a patera is not a crater"
    assert kinds("Kasei Valles") == "outflow"
    assert kinds("Nirgal Vallis") == "valley_network", "a valley network is no flood channel"
    assert kinds("Eden Patera") == DISPUTED
    assert kinds("Mad Vallis") is None, "its name says more than is known"
    assert kinds("Aolis Palus") is None


def test_features_are_near_by_their_extent_and_valleys_by_their_course(inputs):
    places = NamedPlaces(Facts(inputs, EqualAreaGrid(4.0), None, NO_CRATERS))
    assert [place.name for place in places.near(137.8, -5.4, 32)] == ["Gale"], "no crater of 200 m"
    (gale,) = places.near(137.8, -2.0, 140)
    assert gale.gap_km == pytest.approx(3.4 * 59.27 - 77, abs=3)
    on_course = {place.name: place.gap_km for place in places.near(-42.0, -28.0, 32)}
    assert on_course["Nirgal Vallis"] < 5
    beside = [place.name for place in places.near(-42.0, -29.5, 32)]
    assert "Nirgal Vallis" not in beside, "in the valley's box, but 90 km from its course"
    assert not any(name.isupper() for name in places.ground.features)


def test_every_tile_has_captions_and_the_same_again(pairs):
    tiles = range(0, pairs.data.grid.n_tiles, 37)
    for tile in tiles:
        captions = pairs.captioner.captions(tile)
        assert len(captions) >= LEAST_CAPTIONS
        assert captions == pairs.captioner.captions(tile)
        assert all(c.text[0].isupper() or not c.text[0].isalpha() for c in captions)
    several = {c.text for tile in tiles for c in pairs.captioner.captions(tile)}
    other = Captioner(*(getattr(pairs.captioner, f) for f in Captioner.__dataclass_fields__))
    object.__setattr__(other, "seed", 9)
    assert len(several - {c.text for tile in tiles for c in other.captions(tile)}) > 50


def test_captions_state_only_what_the_labels_hold(pairs):
    data = pairs.data
    for tile in range(0, data.grid.n_tiles, 53):
        told = [c for c in pairs.captioner.captions(tile) if c.statement]
        bank = TextBank.of([c.text for c in told], [c.statement for c in told], data.glossary)
        truth = bank.truth(data.labels[tile][None], np.arange(len(told)))
        assert (truth == 1).all()


def test_a_caption_tells_the_crater_that_a_tile_lies_in_and_the_ground(pairs):
    tile = int(pairs.data.grid.tile_at(0.0, 0.0))
    facts = pairs.captioner.describe(tile)
    (crater,) = facts.craters
    assert crater.startswith("a degraded crater 60 km wide and 300 m deep")
    assert "rocky" in facts.surface and "dark" in facts.surface
    far = pairs.captioner.describe(int(pairs.data.grid.tile_at(90.0, 60.0)))
    assert far.craters == ()


def test_held_out_pairs_are_true_distinct_and_in_unseen_words(pairs):
    data, tiles = pairs.data, np.arange(100, 900)
    made = pairs.captioner.held_out_pairs(tiles, 60, seed=2)
    assert len(made) == 60 and {pair.tile for pair in made} <= set(tiles.tolist())
    facts = [(frozenset(p.statement.present), frozenset(p.statement.absent)) for p in made]
    assert len(set(facts)) == 60
    bank = TextBank.of([p.text for p in made], [_three(p.statement) for p in made], data.glossary)
    truth = bank.truth(data.labels[[p.tile for p in made]], np.arange(60))
    assert (np.diag(truth) == 1).all()
    # Three to five facts leave few other tiles, so that a picture can be found by them.
    assert (truth == 1).mean() < 0.05
    for pair in made:
        assert 3 <= len(pair.statement.present) + len(pair.statement.absent) <= 5
        for key in pair.statement.absent:
            words = {w.removeprefix("a ").removeprefix("the ") for w in data.glossary.unseen[key]}
            assert any(w in pair.text for w in words)
    assert made == pairs.captioner.held_out_pairs(tiles, 60, seed=2)


def _three(statement):
    """As many facts of a statement as a training text may have."""
    return type(statement)(statement.present, statement.absent[: 3 - len(statement.present)])


def test_exported_pairs_are_pictures_with_true_captions(pairs, tmp_path):
    texts = pairs.trained_texts(np.arange(50), 20, seed=1)
    rows = pairs.export(tmp_path / "out", texts, 1, lambda *step: None)
    with (tmp_path / "out" / "pairs.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == rows == sum(len(some) for _, some in texts)
    assert {row["width_km"] for row in table} == {"180"}
    assert len({row["image"] for row in table}) == 20
    tile, _ = texts[0]
    with Image.open(tmp_path / "out" / table[0]["image"]) as picture:
        assert np.array_equal(np.asarray(picture), pairs.data.windows.image[tile, 1, 0])


def test_a_picture_shows_all_windows_side_by_side(pairs):
    picture = pairs.picture(7)
    assert picture.width > 2 * 16 * 5 and picture.height > 2 * 16 * 5
    colour = viking_colour(np.stack([np.full((2, 2), 100), np.full((2, 2), 148)]).astype(np.uint8))
    assert colour[0, 0].tolist() == [120, 100, 80]
    # Light comes from the north-west: a slope that faces it is bright, one turned away dark.
    down_to_north_west = np.add.outer(np.arange(16), np.arange(16)) * 500
    grey = shade(down_to_north_west.astype(np.int16), 64.0)
    assert grey.mean() > 200 > 100 > shade(-down_to_north_west.astype(np.int16), 64.0).mean()


def test_the_counts_warn_of_landforms_that_are_hardly_learned(pairs):
    glossary = pairs.data.glossary
    labels = np.zeros((GRID.n_tiles, len(glossary.keys)), np.int8)
    labels[:, 0] = 1
    counts = Counts.of(
        TrainingData(GRID, pairs.data.windows, glossary, labels, labels), WindowSpec()
    )
    lines = list(counts.lines())
    assert lines[0].startswith("495,048 windows")
    crater, other = (next(x for x in lines if x.startswith(f"{k} ")) for k in glossary.keys[:2])
    assert "fewer" not in crater and "fewer than 30" in other
    assert counts.present[glossary.keys[0]]["all"] == GRID.n_tiles


def test_tiles_are_named_by_id_or_by_point():
    tile = parse_tile("137.4 E, 4.6 S")
    assert parse_tile(str(GRID.names([tile])[0])) == tile
    with pytest.raises(BuildError, match="no tile"):
        parse_tile("r999c0000")
    with pytest.raises(CoordinateError):
        parse_tile("700,10")


def test_a_work_folder_tells_which_windows_it_holds(tmp_path):
    assert kept_spec(tmp_path) == WindowSpec()
    (tmp_path / "windows").mkdir()
    described = '{"grid": {}, "spec": {"pixels": 32, "widths_km": [64.0, 256.0]}}'
    (tmp_path / "windows" / "windows.json").write_text(described, encoding="utf-8")
    assert kept_spec(tmp_path) == WindowSpec(32, (64.0, 256.0))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "r999c0000", "--inputs", "."], "no tile"),
        (["show", "-42,-20", "--inputs", "nowhere"], "no folder nowhere"),
        (["show", "42,20", "--inputs", ".", "-o", "no/x.png"], "no folder no to write x.png"),
        (["stats", "--inputs", "."], "The inputs lack"),
        (["export", "--inputs", ".", "--out", "pairs"], "The inputs lack"),
    ],
)
def test_the_shell_says_in_a_sentence_what_is_wrong(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["pairs", *arguments, "--work", "work"])
    assert result.exit_code == 1
    assert said in result.output and "Traceback" not in result.output


class SomePlaces:
    """A grid of nothing but some known places."""

    def __init__(self, places: dict[str, tuple[float, float]]) -> None:
        self.centers = tuple(np.array(list(places.values()), float).T)
        self.n_tiles = len(places)


KNOWN = {
    # place: (longitude, latitude, present, absent, not said to be present)
    "Aram Chaos": (-21.5, 2.7, "chaos", "canyon glacier", "crater_floor large_crater"),
    "Hydraotes Chaos": (-35.3, 1.0, "chaos", "volcano", "fretted"),
    "Nirgal Vallis": (-41.0, -28.2, "valley_network channel", "outflow canyon chaos", ""),
    "Kasei Valles": (-60.0, 25.3, "outflow channel", "canyon chaos", "valley_network"),
    "Ares Vallis": (-19.2, 6.0, "outflow channel", "canyon", "valley_network"),
    "Kasei's box": (-62.0, 19.5, "", "canyon", "outflow channel"),
    "Olympus caldera": (-133.3, 18.4, "volcano caldera", "canyon basin", "crater"),
    "Coprates Chasma": (-60.7, -13.4, "canyon", "outflow", "dichotomy chaos"),
    "Hellas floor": (68.0, -44.0, "basin low_ground", "canyon high_ground equatorial", ""),
    "Noctis": (-101.0, -7.0, "labyrinth", "chaos", "canyon_mound"),
    "Eden Patera": (-11.1, 33.8, "", "canyon", "crater caldera volcano"),
    "Solis Planum": (-90.0, -26.0, "plateau", "chaos outflow", "crater_floor"),
}


def test_known_places_have_the_landforms_that_they_are_known_for():
    folder = os.environ.get("MARS_MAP_INPUTS")
    if not folder:
        pytest.skip(
            "set MARS_MAP_INPUTS to the folder of inputs to check the labels of real places"
        )
    inputs = Inputs(Path(folder))
    grid = SomePlaces({name: place[:2] for name, place in KNOWN.items()})
    spec, n = WindowSpec(), len(KNOWN)
    elevation = GlobalRaster(torch.from_numpy(inputs.raster(ELEVATION)[0]))
    heights = [
        elevation.sample(*window_points(*grid.centers, width * 1000, spec.pixels))
        for width in spec.widths_km
    ]
    grey = np.full((n, len(heights), 2, spec.pixels, spec.pixels), 100, np.uint8)
    surface = np.full((n, 2), np.nan, np.float32)
    windows = Windows(grey, torch.stack(heights, 1).round().to(torch.int16).numpy(), surface)
    terrain: Terrain = measure_terrain(windows, spec, lambda *step: None)
    craters = with_named_craters(NO_CRATERS, inputs, elevation)
    labels = make_labels(Facts(inputs, grid, terrain, craters))
    assert set(labels) == set(Glossary.load().keys)
    for i, (name, (*_, present, absent, doubtful)) in enumerate(KNOWN.items()):
        assert {key: int(labels[key][i]) for key in present.split()} == dict.fromkeys(
            present.split(), 1
        ), name
        assert {key: int(labels[key][i]) for key in absent.split()} == dict.fromkeys(
            absent.split(), 0
        ), name
        assert not any(labels[key][i] == 1 for key in doubtful.split()), name
