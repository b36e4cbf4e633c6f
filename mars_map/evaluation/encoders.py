"""What the evaluation needs of an encoder: two methods, of one model or of two towers.

Anything with `encode_text` and `encode_pictures` serves, whatever is behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import ModelMismatchError
from mars_map.search.engine import TextEncoder

if TYPE_CHECKING:
    from PIL.Image import Image


class PictureEncoder(Protocol):
    """A model that makes unit vectors of pictures."""

    model_id: str
    """Name of the model."""
    sha256: str
    """Hash of its weights, hex."""
    dim: int
    """Dimensions of its vectors."""

    def encode_pictures(
        self, pictures: "Sequence[Image]", width_km: Sequence[float] | float | None = None
    ) -> NDArray[np.float32]:
        """Return one unit vector for each picture, (n, dim) float32.

        width_km: width of the pictures on the ground, kilometres; None where it is not known.
        """
        ...


class Encoder(TextEncoder, PictureEncoder, Protocol):
    """A model that puts words and pictures into one space."""


@dataclass(frozen=True)
class Towers:
    """A text encoder and a picture encoder of one model, as one `Encoder`.

    Raises ModelMismatchError where they belong to different models.
    """

    text: TextEncoder
    """Makes vectors of words."""
    picture: PictureEncoder
    """Makes vectors of pictures."""

    def __post_init__(self) -> None:
        if (self.text.sha256, self.text.dim) != (self.picture.sha256, self.picture.dim):
            raise ModelMismatchError(
                f'The text encoder "{self.text.model_id}" and the picture encoder '
                f'"{self.picture.model_id}" are of different models; take both from one.'
            )

    @property
    def model_id(self) -> str:
        """Name of the model."""
        return self.picture.model_id

    @property
    def sha256(self) -> str:
        """Hash of its weights, hex."""
        return self.picture.sha256

    @property
    def dim(self) -> int:
        """Dimensions of its vectors."""
        return self.picture.dim

    def encode_text(self, texts: list[str]) -> NDArray[np.float32]:
        """Return one unit vector for each text, (n, dim) float32."""
        return self.text.encode_text(texts)

    def encode_pictures(
        self, pictures: "Sequence[Image]", width_km: Sequence[float] | float | None = None
    ) -> NDArray[np.float32]:
        """Return one unit vector for each picture, (n, dim) float32."""
        return self.picture.encode_pictures(pictures, width_km)


def load_encoder(folder: str | Path) -> Encoder:
    """Load both sides of the model in a folder. Raises ModelError for a folder without a sound one.

    torch and transformers are imported here, which takes seconds.
    """
    from mars_map.encoders import load_image_encoder, load_text_encoder

    return Towers(load_text_encoder(folder), load_image_encoder(folder))
