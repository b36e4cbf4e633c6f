"""Words and pictures to unit vectors: prompts, MiniLM and the compact encoder.

Torch and transformers are imported when an encoder is loaded, not before.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mars_map.encoders.compact import CompactImageEncoder, CompactTextEncoder


def load_text_encoder(folder: str | Path) -> "CompactTextEncoder":
    """Load the text side of the model in a folder; it has `encode_text`, `dim` and `sha256`.

    Raises ModelError where a file is absent, altered or of another program.
    """
    from mars_map.encoders.compact import CompactTextEncoder

    return CompactTextEncoder(Path(folder))


def load_image_encoder(folder: str | Path) -> "CompactImageEncoder":
    """Load the image side of the model in a folder; it has `encode_windows`, `dim` and `sha256`.

    Raises ModelError where a file is absent, altered or of another program.
    """
    from mars_map.encoders.compact import CompactImageEncoder

    return CompactImageEncoder(Path(folder))
