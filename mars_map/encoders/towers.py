"""The two towers of transformers' CLIP and SigLIP models, built empty and filled from a checkpoint.

Only the tower that is asked for is read; weights stay mapped to their file until they are changed.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import nn

from mars_map.errors import ModelError

Side = Literal["text", "image"]


class TextTower(nn.Module):
    """Tokens (n, length) to features (n, dim), of a whole model of either family."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.text_model = model.text_model
        self.text_projection = getattr(model, "text_projection", nn.Identity())

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the features, not yet of length 1."""
        return self.text_projection(self.text_model(input_ids=tokens).pooler_output)


class ImageTower(nn.Module):
    """Pixels (n, 3, size, size) to features (n, dim), of a whole model of either family."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.vision_model = model.vision_model
        self.visual_projection = getattr(model, "visual_projection", nn.Identity())

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the features, not yet of length 1."""
        return self.visual_projection(self.vision_model(pixel_values=pixels).pooler_output)


def tower_of(model: nn.Module, side: Side) -> nn.Module:
    """Return one side of a model of either family; its weights keep the names that they had."""
    return TextTower(model) if side == "text" else ImageTower(model)


def fill(tower: nn.Module, weights: Mapping[str, torch.Tensor], source: object) -> None:
    """Put weights into a tower that was built on the "meta" device, as float32, without copies.

    source: the file, for errors. Raises ModelError for weights of another shape.
    """
    for name, wanted in tower.state_dict().items():
        if weights[name].shape != wanted.shape:
            found, needed = (" x ".join(map(str, v.shape)) for v in (weights[name], wanted))
            raise ModelError(
                f'The weights "{source}" are of another architecture than the configuration beside '
                f"them describes ({name} is {found} and should be {needed}); take both files from "
                "one model."
            )
    tower.load_state_dict({k: v.float() for k, v in weights.items()}, assign=True)
    for module in tower.modules():
        # Numbers of positions are no weights: the checkpoint does not bring them.
        if isinstance(getattr(module, "position_ids", None), torch.Tensor):
            count = module.position_embedding.num_embeddings
            module.position_ids = torch.arange(count).expand(1, -1)
