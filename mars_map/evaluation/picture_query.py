"""Pictures of one's own as a query."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mars_map.encoders.prompts import average_vectors
from mars_map.errors import PictureError
from mars_map.evaluation.encoders import PictureEncoder
from mars_map.evaluation.picture_files import UnreadableError, decode_picture, file_content

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class PictureQuery:
    """A query by pictures of one's own; their vectors are averaged, as in MarsRetrieval."""

    files: tuple[str, ...]
    """Names of the pictures' files."""
    width_km: float | None
    """Their width on the ground, kilometres; None where it is not known."""
    encoder: PictureEncoder
    """The model that made the vector."""
    vector: NDArray[np.float32]
    """Of length 1, (dim,)."""

    @classmethod
    def read(
        cls, paths: Sequence[str | Path], encoder: PictureEncoder, width_km: float | None = None
    ) -> "PictureQuery":
        """Embed the pictures of some files. Raises PictureError for one that cannot be read."""
        pictures = [_picture(Path(path)) for path in paths]
        vectors = encoder.encode_pictures(pictures, width_km)
        names = tuple(Path(path).name for path in paths)
        return cls(names, width_km, encoder, average_vectors(vectors))

    @property
    def label(self) -> str:
        """The query in a few words."""
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        return f"like {self.files[0]}{more}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: images, width_km."""
        return {"images": list(self.files), "width_km": self.width_km}


def _picture(path: Path) -> "Image":
    try:
        return decode_picture(file_content(path))
    except UnreadableError as error:
        raise PictureError(f'The picture "{path}" is {error}; give a PNG, JPEG or TIFF.') from error
