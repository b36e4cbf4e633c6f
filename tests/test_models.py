"""Models of the CLIP family: each loader against the library it stands for, and bad files."""

import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file, save_file

from mars_map import settings
from mars_map.cli import main
from mars_map.encoders import checkpoint, load_image_encoder, load_text_encoder
from mars_map.encoders.agreement import sentences
from mars_map.encoders.clip import TYPICAL
from mars_map.encoders.hub import locate, stated_sha256
from mars_map.encoders.int8 import quantise
from mars_map.encoders.minilm import MiniLM
from mars_map.encoders.preprocessing import openclip_preprocessing, transformers_preprocessing
from mars_map.encoders.tokens import ClipTokenizer
from mars_map.errors import ModelError, ModelMismatchError
from mars_map.index import ModelCard, write_index
from mars_map.planet.grid import EqualAreaGrid
from mars_map.search import Engine, Query, open_engine
from mars_map.settings import MODEL_DIR
from tests import reference

SIZES = ((56, 56), (100, 81), (33, 77), (57, 90), (20, 20))
VISION = {"image_size": 56, "layers": 2, "width": 64, "head_width": 32, "patch_size": 14}
TEXT = {"context_length": 20, "vocab_size": 49408, "width": 48, "heads": 4, "layers": 2}
SMALL = {"embed_dim": 32, "quick_gelu": True, "vision_cfg": VISION, "text_cfg": TEXT}


@pytest.fixture(autouse=True)
def _own_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    # Nothing answers at port 9: what a test does not bring is not to be had.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A small OpenCLIP model of MarScope's kind."""
    torch.manual_seed(0)
    model = reference.open_clip().model.CLIP(**SMALL)
    config = {"model_cfg": SMALL, "preprocess_cfg": {"mean": [0.5, 0.4, 0.3]}}
    return reference.write_openclip(tmp_path_factory.mktemp("openclip") / "small", model, config)


@pytest.fixture
def broken(small, tmp_path) -> Path:
    """A copy of the small model, to be spoilt."""
    return Path(shutil.copytree(small, tmp_path / "broken"))


def agree(found: np.ndarray, expected: torch.Tensor, tolerance: float = 2e-6) -> None:
    assert found.dtype == np.float32 and found.shape == tuple(expected.shape)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(found)), abs=1e-5)
    unit = torch.nn.functional.normalize(expected.detach().float(), dim=-1).numpy()
    assert np.abs(found - unit).max() < tolerance


def against_open_clip(folder: Path) -> None:
    library = reference.open_clip()
    model = library.create_model(f"local-dir:{folder}").eval()
    tokens = library.get_tokenizer(f"local-dir:{folder}")(reference.TEXTS)
    agree(
        load_text_encoder(folder, "float32").encode_text(reference.TEXTS), model.encode_text(tokens)
    )
    declared = library.transform.PreprocessCfg(**model.visual.preprocess_cfg)
    prepare = library.transform.image_transform_v2(declared, is_train=False)
    pictures = reference.pictures(*SIZES)
    prepared = torch.stack([prepare(picture) for picture in pictures])
    encoder = load_image_encoder(folder, "float32")
    fitted = torch.from_numpy(encoder.preprocessing.fit_pictures(pictures))
    assert (encoder.preprocessing.scale(fitted) - prepared).abs().max() < 1e-6
    agree(encoder.encode_images(pictures), model.encode_image(prepared))


def test_pictures_become_unit_vectors_by_the_compact_model():
    encoder = load_image_encoder(MODEL_DIR)
    noise = np.random.default_rng(0).integers(0, 256, (2, 80, 100), np.uint8)
    vectors = encoder.encode_images([Image.fromarray(grey) for grey in noise])
    assert vectors.shape == (2, encoder.dim) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)


@pytest.mark.parametrize(
    ("model", "declared", "trained_at"),
    [
        (SMALL, {"interpolation": "bicubic"}, {}),
        # Positions of 224-like pictures and of short texts are stretched to what is declared.
        (SMALL, {"resize_mode": "longest", "fill_color": 90}, {"image_size": 84, "context": 12}),
        (
            SMALL
            | {
                "quick_gelu": False,
                "custom_text": True,
                "vision_cfg": VISION | {"mlp_ratio": 4.9231},
                "init_logit_bias": -10,
            },
            {"resize_mode": "squash", "interpolation": "bilinear", "std": 0.3},
            {},
        ),
    ],
    ids=["quickgelu", "other-positions", "custom-text"],
)
def test_openclip_vits_are_what_open_clip_makes_of_them(tmp_path, model, declared, trained_at):
    library = reference.open_clip()
    torch.manual_seed(1)
    trained = model | {
        "vision_cfg": model["vision_cfg"] | {"image_size": trained_at.get("image_size", 56)},
        "text_cfg": model["text_cfg"] | {"context_length": trained_at.get("context", 20)},
    }
    custom = trained.pop("custom_text", False)
    made = (library.model.CustomTextCLIP if custom else library.model.CLIP)(**trained)
    config = {"model_cfg": model, "preprocess_cfg": declared}
    against_open_clip(reference.write_openclip(tmp_path / "model", made, config))


def test_another_architecture_is_built_by_open_clip_itself(tmp_path):
    # A ResNet: not one of the ViTs that transformers computes.
    model = SMALL | {"vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16}}
    made = reference.open_clip().model.CLIP(**model)
    folder = reference.write_openclip(tmp_path / "resnet", made, {"model_cfg": model})
    against_open_clip(folder)
    with pytest.raises(ModelError, match="int8 is for the words"):
        load_text_encoder(folder, "int8")


def test_clip_tokens_are_those_of_open_clip(small):
    simple = reference.open_clip().SimpleTokenizer()
    ours = ClipTokenizer(small, 77, clean=True, fetch=True)
    ends = ("x2y's 1st", "¡Été! […] 火星", "a_b//c''ll")
    for text in (f"{text} {end}" for text in reference.TEXTS for end in ends):
        tokens = ours([text])[0]
        assert tokens.tolist() == simple([text])[0, : len(tokens)].tolist(), text


def test_pickled_half_precision_weights_give_the_same_model(small, tmp_path):
    folder = tmp_path / "pickled"
    folder.mkdir()
    shutil.copy(small / "open_clip_config.json", folder)
    weights = load_file(small / "open_clip_model.safetensors")
    halves = {f"module.{name}": value.half() for name, value in weights.items()}
    path = folder / "open_clip_pytorch_model.bin"
    torch.save({"epoch": 3, "state_dict": halves}, path)
    encoder = load_text_encoder(folder, "float32")
    assert encoder.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    vectors = encoder.encode_text(["dunes"]), load_text_encoder(small).encode_text(["dunes"])
    assert vectors[0] @ vectors[1].T > 0.9999


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_fast_words_agree_and_do_not_depend_on_their_company(small, precision):
    exact = load_text_encoder(small, "float32").encode_text(reference.TEXTS)
    encoder = load_text_encoder(small, precision)
    fast = encoder.encode_text(reference.TEXTS)
    assert encoder.precision == precision
    assert (fast * exact).sum(axis=1).min() > 0.999
    for text, vector in zip(reference.TEXTS, fast, strict=True):
        assert encoder.encode_text([text])[0] @ vector > 0.9999
    assert encoder.encode_text([]).shape == (0, 32)


def test_pictures_in_bfloat16_agree(small):
    pictures = reference.pictures(*SIZES)
    exact, fast = (load_image_encoder(small, p) for p in ("float32", "bfloat16"))
    cosines = (exact.encode_images(pictures) * fast.encode_images(pictures)).sum(axis=1)
    assert cosines.min() > 0.999 and fast.image_size == 56
    assert fast.encode_pictures(pictures, 12.0).shape == (5, 32)
    assert fast.encode_images([]).shape == (0, 32)


def test_eight_bits_hold_on_a_trained_transformer():
    # Random weights have none of the large channels that make 8 bits hard; MiniLM has.
    minilm = MiniLM()
    texts = sentences()[::4]
    exact = minilm.encode(texts)
    with torch.inference_mode():
        quantise(minilm._model, lambda: minilm.encode(TYPICAL))
    assert (minilm.encode(texts) * exact).sum(dim=1).min() > 0.997


def test_an_index_of_exact_vectors_is_searched_by_fast_words_and_by_no_other_model(small, tmp_path):
    images = load_image_encoder(small, "float32")
    grid = EqualAreaGrid(30.0)
    noise = np.random.default_rng(5).integers(0, 256, (grid.n_tiles, 8, 8, 3), np.uint8)
    vectors = images.encode_images([Image.fromarray(tile) for tile in noise])
    card = ModelCard(images.model_id, images.sha256, images.dim)
    written = {"source": "noise", "licence": "none", "synthetic": True}
    index = write_index(tmp_path / "index", grid=grid, vectors=vectors, model=card, **written)
    exact = Engine(index, load_text_encoder(small, "float32")).search(Query("dunes"))
    fast = Engine(index, load_text_encoder(small, "int8")).search(Query("dunes"))
    assert np.abs(exact.scores - fast.scores).max() < 0.01
    with pytest.raises(ModelMismatchError, match='made by the model "small"'):
        open_engine(index).search(Query("dunes"))


def test_the_shell_reads_a_picture_by_the_model_of_the_index_that_it_searches(
    small, tmp_path, monkeypatch
):
    monkeypatch.setattr(settings, "MODEL_DIRS", (MODEL_DIR, small))
    images = load_image_encoder(small, "float32")
    grid = EqualAreaGrid(30.0)
    tiles = np.random.default_rng(5).integers(0, 256, (grid.n_tiles, 60, 60, 3), np.uint8)
    tiles[7] = np.linspace(0, 255, 60)[:, np.newaxis]
    write_index(
        tmp_path / "index",
        grid=grid,
        vectors=images.encode_images([Image.fromarray(tile) for tile in tiles]),
        model=ModelCard(images.model_id, images.sha256, images.dim),
        source="noise",
        licence="none",
    )
    Image.fromarray(tiles[7]).save(tmp_path / "mine.png")
    arguments = ["--image", tmp_path / "mine.png", "--index", tmp_path / "index", "--top-k", 1]
    outcome = CliRunner().invoke(main, ["similar", *map(str, arguments), "--format", "json"])
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["hits"][0]["tile"] == grid.names([7])[0]


@pytest.mark.parametrize("end", ["the end token", 2], ids=["new", "old"])
def test_clip_of_transformers_is_what_transformers_makes_of_it(tmp_path, end):
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    size = reference.write_clip_tokenizer(tmp_path)
    shared = {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    config = CLIPConfig(
        projection_dim=24,
        text_config=shared
        | {"hidden_size": 32, "vocab_size": size, "max_position_embeddings": 20}
        | {"eos_token_id": 2 if end == 2 else size - 1},
        vision_config=shared | {"hidden_size": 48, "image_size": 56, "patch_size": 14},
    )
    torch.manual_seed(2)
    model = CLIPModel(config).eval()
    model.save_pretrained(tmp_path)
    prepare = CLIPImageProcessorPil(
        size={"shortest_edge": 60}, crop_size={"height": 56, "width": 56}
    )
    prepare.save_pretrained(tmp_path)
    tokens = CLIPTokenizer.from_pretrained(tmp_path)(
        reference.TEXTS, padding=True, truncation=True, max_length=20, return_tensors="pt"
    )
    expected = model.get_text_features(**tokens).pooler_output
    agree(load_text_encoder(tmp_path, "float32").encode_text(reference.TEXTS), expected)
    pictures = reference.pictures(*SIZES)
    prepared = prepare([p.convert("RGB") for p in pictures], return_tensors="pt")["pixel_values"]
    expected = model.get_image_features(pixel_values=prepared).pooler_output
    agree(load_image_encoder(tmp_path, "float32").encode_images(pictures), expected)


@pytest.mark.parametrize("version", [1, 2])
def test_siglip_is_what_transformers_makes_of_it(tmp_path, version, capfd):
    from transformers import SiglipConfig, SiglipModel
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    words = reference.write_siglip_tokenizer(tmp_path, version)
    shared = {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    config = SiglipConfig(
        text_config=shared
        | {"hidden_size": 32, "vocab_size": len(words), "max_position_embeddings": 24}
        | {"projection_size": 48},
        vision_config=shared | {"hidden_size": 48, "image_size": 56, "patch_size": 14},
    )
    torch.manual_seed(4)
    model = SiglipModel(config).eval()
    model.save_pretrained(tmp_path, max_shard_size="60KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    prepare = SiglipImageProcessorPil(size={"height": 56, "width": 56})
    prepare.save_pretrained(tmp_path)
    texts = [t.lower() for t in reference.TEXTS]
    options = {"padding": "max_length", "truncation": True, "max_length": 24}
    tokens = words(texts, return_tensors="pt", **options).input_ids
    expected = model.get_text_features(input_ids=tokens).pooler_output
    capfd.readouterr()
    agree(load_text_encoder(tmp_path, "float32").encode_text(reference.TEXTS), expected)
    assert capfd.readouterr() == ("", "")
    fast = load_text_encoder(tmp_path, "int8").encode_text(reference.TEXTS)
    assert (torch.nn.functional.normalize(expected).detach().numpy() * fast).sum(1).min() > 0.999
    pictures = reference.pictures(*SIZES)
    prepared = prepare([p.convert("RGB") for p in pictures], return_tensors="pt")["pixel_values"]
    expected = model.get_image_features(pixel_values=prepared).pooler_output
    agree(load_image_encoder(tmp_path, "float32").encode_images(pictures), expected)
    agree(load_image_encoder(tmp_path, "bfloat16").encode_images(pictures), expected, 0.02)


def test_deep_pictures_are_stretched_and_not_cut_off():
    prepare = openclip_preprocessing({}, 4)
    ramp = np.linspace(2000, 9000, 16).astype(np.uint16).reshape(4, 4)
    pixels = prepare.fit_pictures([Image.fromarray(ramp)])[0, :, :, 0].ravel().astype(int)
    assert len(set(pixels)) == 16 and (np.diff(pixels) > 0).all()


@pytest.mark.parametrize(
    "declared",
    [
        {"do_resize": False},
        {"size": {"height": 56, "width": 80}},
        {"size": {"height": 64, "width": 64}},
        {"size": {"shortest_edge": 56}},
        {"size": {"height": 56, "width": 56}, "image_mean": [1, 2]},
        {"size": {"height": 56, "width": 56}, "resample": "best"},
        {"size": []},
        {"rescale_factor": 1.0, "size": {"height": 56, "width": 56}},
    ],
)
def test_preprocessing_that_cannot_be_followed_is_refused(declared):
    with pytest.raises(ModelError, match="preprocessing that the checkpoint declares"):
        transformers_preprocessing(declared, 56)


def test_the_hash_of_weights_is_that_of_the_file_and_is_remembered(broken, monkeypatch):
    path = broken / "open_clip_model.safetensors"
    found = stated_sha256(broken)
    assert found == hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_text_encoder(broken, "float32").sha256 == found
    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("hashed anew"))
        assert stated_sha256(broken) == found
    weights = load_file(path)
    save_file({name: value + 1 for name, value in weights.items()}, path)
    assert stated_sha256(broken) != found
    checkpoint._memory().write_text("no JSON")
    assert stated_sha256(broken) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_model_that_the_hub_brought_once_needs_no_network(small, tmp_path):
    snapshot = tmp_path / "hub" / "models--org--name" / "snapshots" / "abc"
    shutil.copytree(small, snapshot)
    refs = tmp_path / "hub" / "models--org--name" / "refs"
    refs.mkdir()
    (refs / "main").write_text("abc")
    for where in ("hf-hub:org/name", "hf:org/name", Path("hf-hub:org/name")):
        assert locate(where).name == "org/name"
        assert stated_sha256(where) == stated_sha256(small)
    assert load_text_encoder("hf-hub:org/name").encode_text(["dunes"]).shape == (1, 32)


def test_only_what_is_needed_is_fetched_from_the_hub(small, tmp_path, monkeypatch):
    listed = [
        "README.md", "open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json",
        "open_clip_pytorch_model.bin", "training/optimizer.pt",
    ]  # fmt: skip
    fetched = []

    def fetch(repository: str, name: str) -> str:
        fetched.append(name)
        return str(small / name)

    monkeypatch.setattr("mars_map.encoders.hub.repository_files", lambda _: listed)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    assert locate("hf-hub:org/name").path == small
    assert fetched == ["open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json"]
    listed[:] = ["README.md", "weights.gguf"]
    with pytest.raises(ModelError, match="holds no model of OpenCLIP or transformers"):
        locate("hf-hub:org/name")


def test_without_a_network_the_error_says_what_to_bring(small):
    with pytest.raises(ModelError) as caught:
        load_text_encoder("hf-hub:claytonwang/MarsScope-v1")
    for word in ("cannot be reached", "open_clip_config.json", ".safetensors", "tokenizer.json"):
        assert word in str(caught.value)
    with pytest.raises(ModelError, match="no name of a repository"):
        load_text_encoder("hf-hub:no//name")


def test_without_a_vocabulary_the_error_says_what_to_bring(small, monkeypatch):
    monkeypatch.setattr("mars_map.encoders.tokens._installed_vocabulary", lambda: None)
    with pytest.raises(ModelError, match=r"brings no tokenizer; put tokenizer\.json"):
        load_text_encoder(small)


def _cut_short(folder: Path) -> None:
    path = folder / "open_clip_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def _forget(folder: Path) -> None:
    (folder / "open_clip_model.safetensors").unlink()


def _unconfigure(folder: Path) -> None:
    (folder / "open_clip_config.json").unlink()


def _change(edit):
    def spoil(folder: Path) -> None:
        path = folder / "open_clip_model.safetensors"
        weights = load_file(path)
        edit(weights)
        save_file(weights, path)

    return spoil


def _reconfigure(**changes):
    def spoil(folder: Path) -> None:
        path = folder / "open_clip_config.json"
        config = json.loads(path.read_text())
        for part, values in changes.items():
            target = config["model_cfg"] if part == "model" else config["model_cfg"][part]
            target |= values
        path.write_text(json.dumps(config))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_cut_short, "truncated or no safetensors"),
        (_forget, "has a configuration but no weights"),
        (_unconfigure, "is no model folder"),
        (_change(lambda w: w.pop("visual.proj")), r"1 are missing \(visual_projection.weight\)"),
        (
            _change(lambda w: w.update({"adapter.weight": torch.zeros(2)})),
            r"1 are not its own \(adapter.weight\)",
        ),
        (_reconfigure(vision_cfg={"layers": 3}), r"16 are missing .*, …\)"),
        (_reconfigure(text_cfg={"layers": 1}), "16 are not its own"),
        (_reconfigure(text_cfg={"width": 64}), "49408 x 48 and should be 49408 x 64"),
        (_reconfigure(model={"embed_dim": 64}), "another architecture"),
        (_reconfigure(text_cfg={"heads": 5}), "describes no model that can be built"),
        (_reconfigure(model={"embed_dim": "many"}), "describes no model that can be built"),
        (_reconfigure(model={"text_cfg": None}), "describes no model"),
        (_reconfigure(vision_cfg={"timm_model_name": "no_such_tower"}), "open_clip cannot build"),
    ],
)
def test_a_spoilt_checkpoint_is_refused_in_one_sentence(broken, spoil, sentence):
    spoil(broken)
    with pytest.raises(ModelError, match=sentence) as caught:
        load_text_encoder(broken)
    assert "\n" not in str(caught.value)


class _Payload:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("plain_pickle", [False, True])
def test_a_pickle_with_a_payload_is_refused_and_not_run(broken, tmp_path, plain_pickle):
    _forget(broken)
    path, mark = broken / "open_clip_pytorch_model.bin", tmp_path / "ran"
    content = {"state_dict": {"visual.proj": _Payload(f"touch {mark}")}}
    if plain_pickle:
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path)
    with pytest.raises(ModelError, match="could run a program"):
        load_text_encoder(broken)
    assert not mark.exists()


def test_other_models_of_transformers_are_refused(tmp_path):
    for kind in ("bert", "siglip2", "clip_text_model"):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        with pytest.raises(ModelError, match=f'of type "{kind}"'):
            load_image_encoder(tmp_path)


def test_a_folder_that_is_not_there_and_a_precision_that_is_not_known(small, tmp_path):
    with pytest.raises(ModelError, match="There is no model folder"):
        load_image_encoder(tmp_path / "nowhere")
    with pytest.raises(ModelError, match='"float8" is no precision'):
        load_text_encoder(small, "float8")
    with pytest.raises(ModelError, match="int8 is for the words"):
        load_image_encoder(small, "int8")


def test_the_shell_describes_a_model_and_measures_its_words(small):
    asked = ["model", str(small), "--agreement", "--json"]
    told = json.loads(CliRunner().invoke(main, asked, catch_exceptions=False).stdout)
    assert (told["model"], told["layout"], told["dimensions"]) == ("small", "openclip", 32)
    assert told["sha256"] == stated_sha256(small) and told["pixels"] == 56
    exact, *fast = told["agreement"]
    assert exact["least"] > 0.999999 and exact["sentences"] == 240
    assert [row["precision"] for row in fast] == ["bfloat16", "int8"]
    assert all(0.999 < row["least"] <= row["mean"] < 1 for row in fast)
    assert "quick_gelu" in CliRunner().invoke(main, ["model", str(small)]).stdout
    refused = CliRunner().invoke(main, ["model", str(small / "nowhere")])
    assert refused.exit_code == 1 and "no model folder" in refused.stderr


def test_models_of_the_hub_may_be_named_in_a_list_of_folders(monkeypatch):
    monkeypatch.setenv("MARS_MAP_MODEL", os.pathsep.join(("hf-hub:org/a", "/x/hf", "hf:org/b")))
    found = settings._folders("MARS_MAP_MODEL", Path("default"))
    assert [path.as_posix() for path in found] == ["hf-hub:org/a", "/x/hf", "hf:org/b"]
