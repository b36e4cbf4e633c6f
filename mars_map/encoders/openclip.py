"""OpenCLIP checkpoints in the hub's layout: `open_clip_config.json` and weights beside it.

The ViT family, CLIP's own architecture and that of MarScope, is put into transformers' CLIPModel:
the same arithmetic under other names, so that neither open_clip nor torchvision is needed. Any
other architecture (ConvNeXt, EVA, timm's towers) is built by open_clip, where that is installed.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import nn

from mars_map.encoders.hub import OPENCLIP_CONFIG, ModelFolder, read_json
from mars_map.encoders.model import FamilyModel, Tokenizer
from mars_map.encoders.preprocessing import Preprocessing, openclip_preprocessing
from mars_map.encoders.quiet import quiet_transformers
from mars_map.encoders.tokens import ClipTokenizer
from mars_map.encoders.towers import Side, fill, tower_of
from mars_map.errors import ModelError

PLAIN = {
    "model": {"embed_dim", "quick_gelu", "vision_cfg", "text_cfg", "custom_text"},
    "vision": {"image_size", "layers", "width", "head_width", "mlp_ratio", "patch_size"},
    "text": {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"},
}
"""What a configuration of the ViT family says; another word asks for another architecture."""
DEFAULTS = {
    "model": {},
    "vision": {"pool_type": "tok", "pos_embed_type": "learnable"},
    "text": {"pool_type": "argmax", "proj_type": "linear", "eos_id": 2},
}
"""What it may say besides, since it changes nothing."""
HARMLESS = {"init_logit_scale", "init_logit_bias", "patch_dropout", "output_tokens"}
"""Words that change nothing about the vectors, whatever their value."""
LAYER_PARTS = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}
WHOLE_PARTS = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "visual.proj": "visual_projection.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight",
    "logit_scale": "logit_scale",
}
"""Names in OpenCLIP and in transformers."""
UNUSED = {"logit_bias", "attn_mask"}
"""What a training leaves in a checkpoint and no vector depends on."""


class OpenClipModel(FamilyModel):
    """A model of the ViT family. Raises ModelError for a configuration that makes no sense."""

    def __init__(self, folder: ModelFolder) -> None:
        super().__init__(folder)
        self._declared = read_declared(folder)
        self._model = self._declared["model_cfg"]
        try:
            self._config = clip_config(self._model)
        except Exception as error:  # transformers' validation raises errors of its own.
            raise ModelError(
                f'"{folder.path / OPENCLIP_CONFIG}" describes no model that can be built; fetch '
                "the file again."
            ) from error
        self.dim = self._config.projection_dim
        vision = self._config.vision_config
        self.architecture = (
            f"OpenCLIP ViT, {vision.num_hidden_layers} layers of {vision.hidden_size}, patches of "
            f"{vision.patch_size}, {vision.image_size} px, {vision.hidden_act}"
        )

    @property
    def preprocessing(self) -> Preprocessing:
        """How pictures are prepared."""
        declared = self._declared.get("preprocess_cfg") or {}
        return openclip_preprocessing(declared, self._config.vision_config.image_size)

    @property
    def tokenizer(self) -> Tokenizer:
        """How words are read."""
        context = self._config.text_config.max_position_embeddings
        return ClipTokenizer(self.folder.path, context, clean=True, fetch=True)

    def tower(self, side: Side) -> nn.Module:
        """Return one side with its weights. Raises ModelError for weights that do not fit."""
        from transformers.models.clip.modeling_clip import CLIPModel

        with torch.device("meta"), quiet_transformers():
            model = CLIPModel(self._config)
        sources = {name: new_names(name) for name in self.checkpoint.names}
        # A name that is none of OpenCLIP's stands for itself, and is told of as a stranger.
        found = [new for name, news in sources.items() for new in news or [name]]
        found = [name for name in found if name not in UNUSED]
        self.checkpoint.check_names(model.state_dict(), found, self.architecture)
        tower = tower_of(model, side)
        wanted = tower.state_dict()
        weights: dict[str, torch.Tensor] = {}
        for name, news in sources.items():
            if news and news[0] in wanted:
                converted = _convert(self.checkpoint.tensor(name), news, wanted)
                weights |= dict(zip(news, converted, strict=True))
        fill(tower, weights, self.checkpoint.files[0])
        return tower


def read_declared(folder: ModelFolder) -> dict[str, Any]:
    """Return what a folder's configuration says. Raises ModelError where it describes no model."""
    declared = read_json(folder.path / OPENCLIP_CONFIG)
    model = declared.get("model_cfg")
    if not isinstance(model, dict) or not all(
        isinstance(model.get(part), dict) for part in ("vision_cfg", "text_cfg")
    ):
        raise ModelError(
            f'"{folder.path / OPENCLIP_CONFIG}" describes no model; fetch the file again.'
        )
    return declared


def is_plain(model: Mapping[str, Any]) -> bool:
    """Tell whether a `model_cfg` is of the ViT family, which CLIPModel computes exactly."""
    parts = {"model": model, "vision": model["vision_cfg"], "text": model["text_cfg"]}
    known = all(
        key in PLAIN[part] | HARMLESS or not value or value == DEFAULTS[part].get(key)
        for part, values in parts.items()
        for key, value in values.items()
    )
    sizes = (model["vision_cfg"].get(key) for key in ("image_size", "layers", "patch_size"))
    return known and not any(isinstance(size, list | tuple) for size in sizes)


def clip_config(model: Mapping[str, Any]) -> Any:
    """Return transformers' CLIPConfig of a `model_cfg` of the ViT family; open_clip's defaults."""
    from transformers.models.clip.configuration_clip import CLIPConfig

    vision, text = model["vision_cfg"], model["text_cfg"]
    shared = {
        "hidden_act": "quick_gelu" if model.get("quick_gelu") else "gelu",
        "layer_norm_eps": 1e-5,
        "projection_dim": model["embed_dim"],
    }
    width, text_width = vision.get("width", 768), text.get("width", 512)
    return CLIPConfig(
        projection_dim=model["embed_dim"],
        vision_config=shared
        | {
            "hidden_size": width,
            "intermediate_size": int(width * vision.get("mlp_ratio", 4.0)),
            "num_hidden_layers": vision.get("layers", 12),
            "num_attention_heads": width // vision.get("head_width", 64),
            "image_size": vision.get("image_size", 224),
            "patch_size": vision.get("patch_size", 16),
        },
        text_config=shared
        | {
            "hidden_size": text_width,
            "intermediate_size": int(text_width * text.get("mlp_ratio", 4.0)),
            "num_hidden_layers": text.get("layers", 12),
            "num_attention_heads": text.get("heads", 8),
            "max_position_embeddings": text.get("context_length", 77),
            "vocab_size": text.get("vocab_size", 49408),
            # 2 makes CLIPModel look for the largest token, as open_clip does: the end of the text.
            "eos_token_id": 2,
        },
    )


def new_names(name: str) -> list[str]:
    """Return what a weight of OpenCLIP is called in transformers: one name, three, or none."""
    name = name.removeprefix("text.")
    if name in WHOLE_PARTS:
        return [WHOLE_PARTS[name]]
    before, found, after = name.partition("transformer.resblocks.")
    number, _, part = after.partition(".")
    if not found or before not in ("", "visual.") or not number.isdecimal():
        return [name] if name in UNUSED else []
    layer = f"{'vision' if before else 'text'}_model.encoder.layers.{number}"
    if part in ("attn.in_proj_weight", "attn.in_proj_bias"):
        kind = part.removeprefix("attn.in_proj_")
        return [f"{layer}.self_attn.{which}_proj.{kind}" for which in "qkv"]
    owner, _, kind = part.rpartition(".")
    return [f"{layer}.{LAYER_PARTS[owner]}.{kind}"] if owner in LAYER_PARTS else []


def _convert(
    tensor: torch.Tensor, names: Sequence[str], wanted: Mapping[str, torch.Tensor]
) -> Sequence[torch.Tensor]:
    """Return a weight of OpenCLIP as transformers' weights of these names."""
    if len(names) == 3:
        return tensor.chunk(3)
    name, shape = names[0], wanted[names[0]].shape
    if name.endswith("_projection.weight"):
        return [tensor.T.contiguous()]
    if name.endswith("position_embedding.weight") and tensor.shape[0] != shape[0]:
        image = name.startswith("vision_model")
        return [resize_grid(tensor, shape[0]) if image else resize_line(tensor, shape[0])]
    return [tensor]


def resize_grid(positions: torch.Tensor, count: int) -> torch.Tensor:
    """Return the positions of a square of patches for another number of them, (count, width).

    The first is the class token's and stays. Bicubic with antialiasing, as open_clip does it.
    """
    first, square = positions[:1].float(), positions[1:].float()
    old, new = math.isqrt(len(square)), math.isqrt(count - 1)
    if old**2 != len(square) or new**2 != count - 1:
        raise ModelError("The checkpoint's positions are no square of patches; use another model.")
    square = square.T.reshape(1, -1, old, old)
    square = nn.functional.interpolate(
        square, size=(new, new), mode="bicubic", antialias=True, align_corners=False
    )
    return torch.cat([first, square.reshape(-1, new * new).T]).contiguous()


def resize_line(positions: torch.Tensor, count: int) -> torch.Tensor:
    """Return the positions of words for another length of text, (count, width), linearly."""
    line = positions.float().T[None]
    line = nn.functional.interpolate(line, size=count, mode="linear", align_corners=False)
    return line[0].T.contiguous()


class LibraryModel(FamilyModel):
    """A model of any architecture that an installed open_clip builds.

    Raises ModelError where open_clip is not installed or cannot build it.
    """

    takes_int8 = False

    def __init__(self, folder: ModelFolder) -> None:
        super().__init__(folder)
        self._declared = read_declared(folder)
        self.dim = int(self._declared["model_cfg"].get("embed_dim", 0))
        vision = self._declared["model_cfg"]["vision_cfg"]
        self.architecture = f"OpenCLIP {vision.get('timm_model_name', 'model')}, by open_clip"
        try:
            import open_clip
        except (ImportError, RuntimeError) as error:
            raise ModelError(
                f'The architecture of "{folder.name}" ({self.architecture}) needs open_clip; run '
                "`pip install open_clip_torch`."
            ) from error
        self._library = open_clip

    @cached_property
    def _whole(self) -> nn.Module:
        # Opened first, so that a file that is no checkpoint or holds a program is refused here.
        _ = self.checkpoint
        try:
            return self._library.create_model(
                f"local-dir:{self.folder.path}", weights_only=True, require_pretrained=True
            )
        except Exception as error:  # Builders of a hundred architectures raise anything.
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise ModelError(
                f'open_clip cannot build the model in "{self.folder.path}" ({reason[:200]}); take '
                "configuration and weights from one model."
            ) from error

    @property
    def preprocessing(self) -> Preprocessing:
        """How pictures are prepared."""
        size = self._whole.visual.image_size
        height, width = size if isinstance(size, list | tuple) else (size, size)
        if height != width:
            raise ModelError(f'"{self.folder.name}" takes pictures that are no squares.')
        return openclip_preprocessing(self._declared.get("preprocess_cfg") or {}, height)

    @property
    def tokenizer(self) -> Tokenizer:
        """How words are read."""
        try:
            return self._library.get_tokenizer(f"local-dir:{self.folder.path}")
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ModelError(
                f'The tokenizer in "{self.folder.path}" cannot be read; put the tokenizer files of '
                "the model beside its weights."
            ) from error

    def tower(self, side: Side) -> nn.Module:
        """Return one side with its weights."""
        return LibraryTower(self._whole, side)


class LibraryTower(nn.Module):
    """One side of a model that open_clip built."""

    def __init__(self, model: nn.Module, side: Side) -> None:
        super().__init__()
        self.model = model
        self.side = side

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the features of tokens or of pixels, not yet of length 1."""
        if self.side == "text":
            return self.model.encode_text(values)
        return self.model.encode_image(values.to(next(self.model.parameters()).dtype))


def openclip_model(folder: ModelFolder) -> FamilyModel:
    """Return the model in a folder of OpenCLIP's layout, by CLIPModel where that computes it."""
    plain = is_plain(read_declared(folder)["model_cfg"])
    return OpenClipModel(folder) if plain else LibraryModel(folder)
