"""Views of a tile that show the same ground another way."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from mars_map.encoders.network import COLOUR, FIRST_RELIEF, grey_layers
from mars_map.encoders.windows import Windows


@dataclass(frozen=True)
class Augmentation:
    """How views differ from their tile; shares are of the views."""

    enlarge: float = 0.3
    """Most that a window is enlarged, as a share; the part shown is anywhere in the window."""
    exposure: float = 0.1
    """Spread of the factor on brightness."""
    tones: float = 0.0
    """Spread of the factor (of its logarithm) and of the shift on each input layer, whose own
    spread is about one."""
    no_colour: float = 0.0
    """Share shown without colour."""
    no_relief: float = 0.08
    """Share shown without relief."""
    no_picture: float = 0.08
    """Share shown without picture."""
    grey: float = 0.08
    """Share shown as a user's picture would be: grey, of any exposure and without relief."""
    no_surface: float = 0.15
    """Share that is not told thermal inertia and albedo."""
    told_noise: float = 0.1
    """Spread of the noise on the told facts: a place should not be known by its exact height."""
    no_window: float = 0.15
    """Chance of each window but the nearest to be missing."""


OTHER_TONES = Augmentation(tones=0.25, no_colour=0.5)
"""Regions differ in dust, haze and season, and landforms do not; but dunes are dark, and canyons
deep, so that what is learned from these views alone finds them less surely."""


def hide_parts(windows: Windows, shown: NDArray[np.bool_]) -> Windows:
    """Return windows with the mean of what may be seen of each in place of what may not.

    shown: (n, s, parts, parts) bool, parts that divide the pixels of a window evenly. Of a window
    without any part that may be seen all is 0.
    """
    tile, scale = np.nonzero(~shown.all((2, 3)))
    times = windows.image.shape[-1] // shown.shape[-1]
    seen = shown[tile, scale].repeat(times, 1).repeat(times, 2)
    image, elevation = windows.image.copy(), windows.elevation.copy()
    image[tile, scale] = _mean_outside(image[tile, scale], seen[:, None])
    elevation[tile, scale] = _mean_outside(elevation[tile, scale], seen)
    return Windows(image, elevation, windows.surface)


def _mean_outside(values: NDArray, seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the mean of what is seen of pictures (..., p, p) wherever they are not seen."""
    kept = np.where(seen, values, np.float32(0))
    count = np.maximum(seen.sum((-2, -1), keepdims=True), 1)
    return np.where(seen, values, kept.sum((-2, -1), keepdims=True) / count)


def turn_and_enlarge(
    windows: Windows, how: Augmentation, random: np.random.Generator, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return brightness and colour (n, s, 2, p, p) and elevation (n, s, p, p), float32.

    All layers and windows of a tile are turned by the same quarters and mirrored together: the
    shadows baked into the mosaic turn with the relief that throws them, and slopes are taken after
    the turn. A window is enlarged and moved by itself, by no more than its own pixels allow.
    """
    image = torch.from_numpy(windows.image).to(device)
    elevation = torch.from_numpy(windows.elevation).to(device)
    stack = torch.cat([image.float(), elevation.float()[:, :, None]], 2)
    for part in np.array_split(random.permutation(len(stack)), 8):
        index = torch.from_numpy(part).to(device)
        turned = torch.rot90(stack[index], int(random.integers(4)), (-2, -1))
        stack[index] = turned.flip(-1) if random.integers(2) else turned
    stack = _enlarge(stack, how.enlarge, random)
    factor = 1 + how.exposure * random.standard_normal((len(stack), 1, 1, 1))
    stack[:, :, 0] *= torch.from_numpy(factor).float().to(device)
    return stack[:, :, :2], stack[:, :, 2]


def change_tones(
    layers: torch.Tensor, how: Augmentation, random: np.random.Generator
) -> torch.Tensor:
    """Return layers (n, s, CHANNELS, p, p), each of each view stronger or weaker, and shifted."""
    shape = (2, len(layers), 1, layers.shape[2], 1, 1)
    factor, shift = torch.from_numpy(how.tones * random.standard_normal(shape)).to(layers)
    return torch.addcmul(shift, layers, factor.exp())


def take_away(
    layers: torch.Tensor,
    told: torch.Tensor,
    seen: torch.Tensor,
    how: Augmentation,
    random: np.random.Generator,
) -> torch.Tensor:
    """Take colour, relief, picture, told facts or windows from some views; return what is seen.

    layers: (n, s, CHANNELS, p, p) and told: (n, s + SURFACE), altered in place; seen: (n, s) bool,
    windows that are there.
    """

    def draw(shape: tuple[int, ...]) -> torch.Tensor:
        return torch.from_numpy(random.random(shape)).to(layers.device)

    n, scales = seen.shape
    chance = draw((n,))
    first, second = how.no_relief, how.no_relief + how.no_picture
    layers[chance < first, :, FIRST_RELIEF:] = 0.0
    layers[(chance >= first) & (chance < second), :, :FIRST_RELIEF] = 0.0
    layers[draw((n,)) < how.no_colour, :, COLOUR] = 0.0
    grey = (chance >= second) & (chance < second + how.grey)
    layers[grey] = grey_layers(layers[grey])
    seen = seen & (draw((n, scales)) >= how.no_window)
    seen[:, 0] = True
    told += how.told_noise * torch.from_numpy(random.standard_normal(told.shape)).to(told)
    told[:, :scales] *= seen & ~(chance < first)[:, None]
    told[draw((n,)) < how.no_surface, scales:] = 0.0
    told[grey] = 0.0
    return seen


def _enlarge(stack: torch.Tensor, most: float, random: np.random.Generator) -> torch.Tensor:
    """Show a part of each window, (n, s, c, p, p), as large as the whole."""
    n, scales, _, p, _ = stack.shape
    if not most:
        return stack
    share = (1 + most) ** -random.random(n * scales)
    shift = (1 - share)[:, None] * random.uniform(-1, 1, (n * scales, 2))
    part = np.zeros((n * scales, 2, 3))
    part[:, 0, 0] = part[:, 1, 1] = share
    part[:, :, 2] = shift
    theta = torch.from_numpy(part).float().to(stack.device)
    grid = F.affine_grid(theta, (n * scales, 1, p, p), align_corners=False)
    flat = stack.flatten(0, 1)
    shown = F.grid_sample(flat, grid, padding_mode="border", align_corners=False)
    return shown.unflatten(0, (n, scales))
