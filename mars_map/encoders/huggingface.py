"""CLIP and SigLIP checkpoints of transformers: `config.json` and safetensors beside it.

Version 2 of SigLIP is read where pictures are squares of one size; its NaFlex variants are not.
"""

from typing import Any

import torch
from torch import nn

from mars_map.encoders.hub import CONFIG, PREPROCESSING_FILES, ModelFolder, read_json
from mars_map.encoders.model import FamilyModel, Tokenizer
from mars_map.encoders.preprocessing import Preprocessing, transformers_preprocessing
from mars_map.encoders.quiet import quiet_transformers
from mars_map.encoders.tokens import ClipTokenizer, SiglipTokenizer
from mars_map.encoders.towers import Side, fill, tower_of
from mars_map.errors import ModelError

POSITION_IDS = ".position_ids"
"""Ends the names of what old checkpoints bring beside their weights."""


class HuggingFaceModel(FamilyModel):
    """A CLIP or SigLIP model of transformers. Raises ModelError for any other."""

    def __init__(self, folder: ModelFolder) -> None:
        super().__init__(folder)
        declared = read_json(folder.path / CONFIG)
        kind = declared.get("model_type")
        if kind not in ("clip", "siglip"):
            raise ModelError(
                f'"{folder.name}" is a model of type "{kind}"; words and pictures need one of '
                "type clip or siglip."
            )
        self._is_clip = kind == "clip"
        try:
            self._config = _config(declared, kind)
        except Exception as error:  # transformers' validation raises errors of its own.
            raise ModelError(
                f'"{folder.path / CONFIG}" describes no model that can be built; fetch the file '
                "again."
            ) from error
        text, vision = self._config.text_config, self._config.vision_config
        self.dim = self._config.projection_dim if self._is_clip else text.projection_size
        self.architecture = (
            f"{'CLIP' if self._is_clip else 'SigLIP'} of transformers, {vision.num_hidden_layers} "
            f"layers of {vision.hidden_size}, patches of {vision.patch_size}, "
            f"{vision.image_size} px, {vision.hidden_act}"
        )

    @property
    def preprocessing(self) -> Preprocessing:
        """How pictures are prepared."""
        paths = [self.folder.path / name for name in PREPROCESSING_FILES]
        declared = read_json(next((path for path in paths if path.is_file()), paths[0]))
        declared = declared.get("image_processor", declared)
        return transformers_preprocessing(declared, self._config.vision_config.image_size)

    @property
    def tokenizer(self) -> Tokenizer:
        """How words are read."""
        context = self._config.text_config.max_position_embeddings
        if self._is_clip:
            return ClipTokenizer(self.folder.path, context, clean=False)
        return SiglipTokenizer(self.folder.path, context)

    def tower(self, side: Side) -> nn.Module:
        """Return one side with its weights."""
        from transformers.models.clip.modeling_clip import CLIPModel
        from transformers.models.siglip.modeling_siglip import SiglipModel

        with torch.device("meta"), quiet_transformers():
            model = (CLIPModel if self._is_clip else SiglipModel)(self._config)
        names = [name for name in self.checkpoint.names if not name.endswith(POSITION_IDS)]
        self.checkpoint.check_names(model.state_dict(), names, self.architecture)
        tower = tower_of(model, side)
        weights = {name: self.checkpoint.tensor(name) for name in tower.state_dict()}
        fill(tower, weights, self.checkpoint.files[0])
        return tower


def _config(declared: dict[str, Any], kind: str) -> Any:
    from transformers.models.clip.configuration_clip import CLIPConfig
    from transformers.models.siglip.configuration_siglip import SiglipConfig

    with quiet_transformers():
        return (CLIPConfig if kind == "clip" else SiglipConfig).from_dict(declared)
