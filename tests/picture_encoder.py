"""An image encoder that loads at once, also in processes that a test starts."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

POOLED = 8


class Pooling:
    """What is done to pictures before they are encoded."""

    def fit_pictures(self, pictures: Sequence[Image.Image]) -> NDArray[np.uint8]:
        """Return pictures averaged over squares, (n, 8, 8)."""
        size = (POOLED, POOLED)
        grey = [np.asarray(p.convert("L").resize(size, Image.Resampling.BOX)) for p in pictures]
        return np.stack(grey)


class PictureEncoder:
    """Pictures averaged over squares, turned by a fixed random matrix: alike pictures are near."""

    model_id = "pooled pictures"
    sha256 = hashlib.sha256(b"pooled pictures").hexdigest()
    dim = 32
    image_size = 64
    preprocessing = Pooling()

    def __init__(self, *_: object) -> None:
        self._turn = np.random.default_rng(5).normal(size=(POOLED**2, self.dim))

    def encode_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return one unit vector a picture, (n, dim)."""
        return self.encode_fitted(self.preprocessing.fit_pictures(pictures))

    def encode_pictures(
        self, pictures: Sequence[Image.Image], width_km: float | None = None
    ) -> NDArray[np.float32]:
        """The same; it knows no scales."""
        return self.encode_images(pictures)

    def encode_fitted(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return one unit vector for each of what `preprocessing` gives, (n, dim)."""
        rows = pixels.reshape(len(pixels), -1).astype(np.float64) - 127.3
        vectors = np.stack([row @ self._turn for row in rows])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def install() -> None:
    """Let this process load it in the place of every model."""
    import mars_map.encoders

    mars_map.encoders.load_image_encoder = PictureEncoder


def dask_setup(_worker: object) -> None:
    """Do the same in a Dask worker that preloads this module."""
    install()
