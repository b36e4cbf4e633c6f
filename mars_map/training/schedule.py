"""How fast a training learns in its course."""

import math

LEAST = 0.01
"""Share of the highest rate that is left at the end."""


def rate_share(step: int, steps: int, warm_up: int) -> float:
    """Return the share of the highest learning rate at a step, over 0 and up to 1.

    It rises in a line over the first `warm_up` steps, and then falls as a cosine to `LEAST`.
    """
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(steps - warm_up, 1)
    return LEAST + (1 - LEAST) * 0.5 * (1 + math.cos(math.pi * done))
