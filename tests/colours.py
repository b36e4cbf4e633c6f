"""Where scores lie on the colour scale, worked out as its description has it."""

import numpy as np
from numpy.typing import NDArray

from mars_map.maps.heat import heat_scale


def colour_positions(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return where each tile's score lies between both ends of the scale, 0 to 1, (n_tiles,)."""
    low, high = heat_scale(scores)
    return np.clip((scores - low) / (high - low), 0.0, 1.0)
