"""Models that mars_map loads: one entrance, and what each makes of words and pictures."""

import numpy as np
import pytest
from PIL import Image

from mars_map.encoders import load_image_encoder
from mars_map.settings import MODEL_DIR


def test_pictures_become_unit_vectors_by_the_compact_model():
    encoder = load_image_encoder(MODEL_DIR)
    noise = np.random.default_rng(0).integers(0, 256, (2, 80, 100), np.uint8)
    vectors = encoder.encode_images([Image.fromarray(grey) for grey in noise])
    assert vectors.shape == (2, encoder.dim) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
