"""What the encoder is shown while it learns, and how its figures are counted."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score, precision_recall_curve

from mars_map.encoders.network import (
    COLOUR,
    FIRST_RELIEF,
    CompactNetwork,
    NetworkConfig,
    grey_layers,
)
from mars_map.encoders.pictures import picture_windows
from mars_map.encoders.windows import Windows, WindowSpec
from mars_map.planet.grid import EqualAreaGrid
from mars_map.training.augment import Augmentation, change_tones, take_away, turn_and_enlarge
from mars_map.training.cells import CELLS, cell_scores
from mars_map.training.figures import average_precision, best_f1

SPEC = WindowSpec(16, (60.0, 180.0, 500.0))
CONFIG = NetworkConfig(dim=16, widths=(8, 16), text_hidden=8, windows=SPEC)
STILL = Augmentation(
    enlarge=0.0, exposure=0.0, no_relief=0.0, no_picture=0.0, grey=0.0, no_window=0.0
)


@pytest.fixture
def tower():
    torch.manual_seed(0)
    return CompactNetwork(CONFIG).eval().image


def hillside(n: int) -> Windows:
    """Ground that falls to the east and is bright where it is high."""
    ramp = np.linspace(1500, -1500, SPEC.pixels)
    elevation = np.broadcast_to(ramp, (n, 3, SPEC.pixels, SPEC.pixels)).astype(np.int16)
    image = np.full((n, 3, 2, SPEC.pixels, SPEC.pixels), 128, np.uint8)
    image[:, :, 0] = 100 + elevation // 20
    return Windows(image, elevation, np.tile(np.float32([200, 0.2]), (n, 1)))


def test_light_and_relief_turn_together(tower):
    random = np.random.default_rng(3)
    image, elevation = turn_and_enlarge(hillside(64), STILL, random, torch.device("cpu"))
    assert torch.allclose(image[:, :, 0], 100 + torch.div(elevation, 20, rounding_mode="floor"))
    east, north = tower.layers_of(image, elevation)[:, 0, -2:].mean((2, 3)).unbind(1)
    sides = {(round(float(e), 1), round(float(n), 1)) for e, n in zip(east, north, strict=True)}
    steep = max(abs(e) for e, _ in sides)
    assert sides == {(steep, 0.0), (-steep, 0.0), (0.0, steep), (0.0, -steep)}


def test_an_enlarged_window_shows_a_part_of_it():
    windows, random = hillside(32), np.random.default_rng(0)
    how = Augmentation(enlarge=0.5, exposure=0.0)
    _, elevation = turn_and_enlarge(windows, how, random, torch.device("cpu"))
    spans = (elevation.amax((2, 3)) - elevation.amin((2, 3))).flatten()
    assert (spans <= 3000).all() and (spans >= 3000 / 1.5 * 0.95).all()
    assert spans.std() > 100, "each by another share"


def test_what_is_taken_away_leaves_no_trace(tower):
    n = 400
    layers = torch.rand(n, 3, 6, 16, 16) + 0.5
    told, seen = torch.ones(n, 5), torch.ones(n, 3, dtype=bool)
    seen[:100, 2] = False
    how = Augmentation(
        no_colour=0.5, no_relief=0.2, no_picture=0.2, grey=0.2, no_window=0.3, told_noise=0.0
    )
    kept = take_away(layers, told, seen, how, np.random.default_rng(0))
    assert kept[:, 0].all() and not kept[:100, 2].any(), "nearest always, barred never"
    assert 0.6 < kept[100:, 1:].float().mean() < 0.8
    there = layers.flatten(3).amax((1, 3)) > 0
    no_relief = ~there[:, FIRST_RELIEF:].any(1)
    grey = no_relief & ~there[:, 0]
    assert 0.3 < no_relief.float().mean() < 0.5 and 0.1 < grey.float().mean() < 0.3
    assert (told[no_relief, :3] == 0).all() and (told[grey] == 0).all()
    assert (told[:, :3] * ~kept == 0).all(), "no height of a window that is not there"
    assert 0.1 < there[:, COLOUR].float().mean() < 0.5, "half of those with a picture have colour"
    assert not (there[:, COLOUR] & ~there[:, 0]).any()


def test_tones_change_by_layer_alike_in_all_windows_of_a_view():
    layers = torch.rand(300, 2, 6, 8, 8)
    changed = change_tones(layers, Augmentation(tones=0.2), np.random.default_rng(0))
    spread = changed.flatten(3).std(3) / layers.flatten(3).std(3)
    assert torch.allclose(spread[:, 0], spread[:, 1], atol=1e-3), "one factor, whatever the window"
    assert spread[:, 0].log().std() == pytest.approx(0.2, rel=0.1)
    shift = (changed - layers * spread[..., None, None]).mean((3, 4))
    assert torch.allclose(shift[:, 0], shift[:, 1], atol=1e-3)
    assert shift[:, 0].std() == pytest.approx(0.2, rel=0.1)
    same = change_tones(layers, Augmentation(tones=0.0), np.random.default_rng(0))
    assert torch.equal(same, layers)


def test_an_absent_window_counts_for_nothing(tower):
    layers, told = torch.rand(2, 3, 6, 16, 16), torch.zeros(2, 5)
    seen = torch.tensor([[True, True, False]]).expand(2, 3)
    other = layers.clone()
    other[:, 2] = 9.0
    with torch.inference_mode():
        assert torch.allclose(tower(layers, told, seen), tower(other, told, seen), atol=1e-6)
        assert not torch.allclose(tower(layers, told), tower(other, told), atol=1e-3)


@pytest.mark.parametrize(
    ("width_km", "seen"),
    [
        (None, [True, False, False]),
        (10.0, [True, False, False]),
        (150.0, [True, True, False]),
        (800.0, [True, True, True]),
    ],
)
def test_a_picture_fills_the_windows_that_it_covers(width_km, seen):
    pixels = np.zeros((200, 300, 3), np.uint8)
    pixels[90:110, 140:160] = 255
    windows, there = picture_windows([Image.fromarray(pixels)], SPEC, width_km)
    assert there.tolist() == [seen]
    assert np.isnan(windows.surface).all() and (windows.elevation == 0).all()
    if width_km == 800.0:
        bright = (windows.image[0, :, 0] > 128).mean((1, 2))
        assert bright[0] > bright[1] > bright[2] > 0, "the narrower window shows the middle larger"


def test_a_grey_picture_keeps_nothing_but_its_contrast():
    layers = torch.rand(2, 3, 6, 8, 8) + 1
    kept = grey_layers(layers)
    assert (kept.flatten(3).amax(3) > 0).sum((0, 1)).tolist() == [0, 6, 0, 0, 0, 0]
    assert torch.equal(kept[:, :, 1], layers[:, :, 1])


def test_a_cell_scores_the_mean_of_its_tiles():
    grid = EqualAreaGrid(0.5)
    _, lat = grid.centers
    scores = np.stack([lat, np.ones_like(lat)], 1).astype(np.float32)
    cells = cell_scores(grid, scores)
    full = np.isfinite(cells[:, 0])
    assert full.mean() > 0.99
    assert np.abs(cells[full, 0] - CELLS.centers[1][full]).max() < 0.3
    assert cells[full, 1] == pytest.approx(1.0)


def test_average_precision_and_best_f1_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    relevant = random.random(500) < 0.1
    scores = random.standard_normal(500) + relevant
    assert average_precision(scores, relevant) == pytest.approx(
        average_precision_score(relevant, scores)
    )
    precision, recall, _ = precision_recall_curve(relevant, scores)
    best = np.nanmax(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    assert best_f1(scores, relevant) == pytest.approx(best)
