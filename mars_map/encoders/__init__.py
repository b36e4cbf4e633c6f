"""Words and pictures to unit vectors: prompts, MiniLM, the compact model, the CLIP family.

Torch and transformers are imported when an encoder is loaded, not before.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mars_map.encoders.clip import ClipImageEncoder, ClipTextEncoder, Precision
    from mars_map.encoders.compact import CompactImageEncoder, CompactTextEncoder
    from mars_map.encoders.hub import ModelFolder
    from mars_map.encoders.model import FamilyModel


def load_text_encoder(
    where: str | Path, precision: "Precision | None" = None
) -> "CompactTextEncoder | ClipTextEncoder":
    """Load the text side of a model; it has `encode_text`, `model_id`, `dim` and `sha256`.

    where: a compact model's folder, one in the layout of OpenCLIP or of transformers, or
    "hf-hub:org/name" for a repository of the Hugging Face hub. precision: "float32", "bfloat16",
    "int8" or "auto"; None for the setting MARS_MAP_TEXT_PRECISION. The compact model has its own.
    Raises ModelError where a file is absent, altered or of another program.
    """
    from mars_map.encoders.hub import locate
    from mars_map.settings import TEXT_PRECISION

    folder = locate(where)
    if folder.kind == "compact":
        from mars_map.encoders.compact import CompactTextEncoder

        return CompactTextEncoder(folder.path)
    from mars_map.encoders.clip import ClipTextEncoder

    return ClipTextEncoder(family_model(folder), precision or TEXT_PRECISION)


def load_image_encoder(
    where: str | Path, precision: "Precision" = "auto"
) -> "CompactImageEncoder | ClipImageEncoder":
    """Load the image side of a model; it has `encode_images`, `model_id`, `dim` and `sha256`.

    where: as for `load_text_encoder`. precision: "float32", "bfloat16" or "auto". Raises ModelError
    where a file is absent, altered or of another program.
    """
    from mars_map.encoders.hub import locate

    folder = locate(where)
    if folder.kind == "compact":
        from mars_map.encoders.compact import CompactImageEncoder

        return CompactImageEncoder(folder.path)
    from mars_map.encoders.clip import ClipImageEncoder

    return ClipImageEncoder(family_model(folder), precision)


def family_model(folder: "ModelFolder") -> "FamilyModel":
    """Return the model of the CLIP family in a folder; its weights are not read yet.

    Raises ModelError for a configuration of another kind of model.
    """
    if folder.kind == "openclip":
        from mars_map.encoders.openclip import openclip_model

        return openclip_model(folder)
    from mars_map.encoders.huggingface import HuggingFaceModel

    return HuggingFaceModel(folder)
