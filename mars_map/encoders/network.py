"""The compact encoder's network: an image tower over concentric windows and a head on MiniLM.

Both towers give unit vectors of the same space. The image tower sees no coordinates, only pictures
and relief, and is told the width on the ground of each window.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F

from mars_map.encoders.windows import WindowSpec

CHANNELS = 6
"""Layers that `window_layers` makes of a window."""
SURFACE = 2
"""Facts about the surface that the tower is told: thermal inertia and albedo."""
CONTRAST, COLOUR, FIRST_RELIEF = 1, 2, 3
"""Numbers of the layers of local contrast and of colour, and of the first of those made of
elevations."""


@dataclass(frozen=True)
class NetworkConfig:
    """Everything needed to build the network before its weights are read."""

    dim: int = 128
    """Dimensions of the shared space."""
    widths: tuple[int, ...] = (64, 128, 256)
    """Channels of the trunk at a quarter, an eighth and a sixteenth of the resolution."""
    dropout: float = 0.1
    """Share of the image features that a training step leaves out."""
    told: bool = True
    """Whether the tower is told the mean elevation of each window, of which the trunk sees only the
    relief, and thermal inertia and albedo at the centre."""
    text_dim: int = 384
    """Dimensions of the sentence encoder."""
    text_hidden: int = 256
    """Width of the text head's residual branch."""
    windows: WindowSpec = field(default_factory=WindowSpec)
    """The windows that it was trained on."""
    towers: int = 1
    """Image towers that look at the same windows and are joined."""


def window_layers(
    image: torch.Tensor, elevation: torch.Tensor, width_km: torch.Tensor
) -> torch.Tensor:
    """Turn windows into the network's input layers.

    image: (n, 2, p, p) uint8; elevation: (n, p, p) metres; width_km: (n,). Returns
    (n, CHANNELS, p, p) float32, each of about unit spread: brightness, its local contrast, colour,
    relief about the mean, and slopes to the east and north.
    """
    light, colour = image.float().unbind(1)
    spread, mean = torch.std_mean(light, dim=(1, 2), keepdim=True)
    height = elevation.float()
    relief = height - height.mean(dim=(1, 2), keepdim=True)
    # Slopes are tangents, times ten: most of Mars is flatter than three degrees.
    gain = 10.0 * height.shape[-1] / (2000.0 * width_km)[:, None, None]
    padded = F.pad(relief[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    east = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) * gain
    north = (padded[:, :-2, 1:-1] - padded[:, 2:, 1:-1]) * gain
    layers = (
        (light - 100.0) / 40.0,
        (light - mean) / (spread + 4.0),
        (colour - 150.0) / 20.0,
        2.0 * F.softsign(relief / 600.0),
        2.0 * F.softsign(east),
        2.0 * F.softsign(north),
    )
    return torch.stack(layers, 1)


def grey_layers(layers: torch.Tensor) -> torch.Tensor:
    """Leave of input layers (..., CHANNELS, p, p) what a grey picture of any exposure shows."""
    kept = torch.zeros_like(layers)
    kept[..., CONTRAST, :, :] = layers[..., CONTRAST, :, :]
    return kept


class Trunk(nn.Module):
    """A small residual convolutional network, shared by all scales and told the scale."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        first, *rest = widths
        # Four pixels become channels of one before the first convolution: on a CPU the finest
        # maps cost the most, and the mosaic's own resolution is about two pixels.
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(2), _conv(4 * CHANNELS, first, 2), nn.ReLU(inplace=True)
        )
        inputs = (first, *rest[:-1])
        self.down = nn.ModuleList(_conv(i, o, 2) for i, o in zip(inputs, rest, strict=True))
        self.blocks = nn.ModuleList(_Block(width) for width in rest)
        self.scale = nn.ModuleList(nn.Linear(2, 2 * width) for width in rest)

    def forward(self, layers: torch.Tensor, width_km: torch.Tensor) -> torch.Tensor:
        """Return the mean and the maximum of the last stage, (n, 2 * widths[-1])."""
        octaves = torch.log2(width_km / 64.0)
        told = torch.stack([octaves / 2, (octaves / 2) ** 2], 1)
        x = self.stem(layers)
        for down, block, scale in zip(self.down, self.blocks, self.scale, strict=True):
            gain, shift = scale(told)[:, :, None, None].chunk(2, 1)
            x = block(F.relu(torch.addcmul(shift, down(x), 1 + gain)))
        return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1).float()


class _Block(nn.Module):
    """Two convolutions with a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(width, width, 1), nn.ReLU(inplace=True), _conv(width, width, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.body(x))


def _conv(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
    )


class ImageTower(nn.Module):
    """Concentric windows to one unit vector."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.widths_km, self.dim = config.windows.widths_km, config.dim
        self.trunk = Trunk(config.widths)
        self.dropout = config.dropout
        scales = len(self.widths_km)
        self.n_told = scales + SURFACE if config.told else 0
        features = 2 * config.widths[-1] * scales + self.n_told
        self.fuse = nn.Sequential(
            nn.Linear(features, 512), nn.LayerNorm(512), nn.GELU(), nn.Linear(512, config.dim)
        )

    def forward(
        self, layers: torch.Tensor, told: torch.Tensor, seen: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return (n, dim) of length 1 from the layers and facts of `layers_of` and `told_of`.

        seen: (n, scales) bool, False for windows that are not there; all are unless given.
        """
        return self.embed(self.features(layers, seen), told)

    def features(self, layers: torch.Tensor, seen: torch.Tensor | None = None) -> torch.Tensor:
        """Return what the trunk makes of all windows, side by side, (n, scales * width)."""
        n, scales = layers.shape[:2]
        width = torch.tensor(self.widths_km, device=layers.device).repeat(n)
        flat = layers.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        if seen is None:
            return self.trunk(flat, width).reshape(n, -1)
        # Only windows that are there cost anything; the others leave zeros.
        there = seen.flatten()
        features = self.trunk(flat[there], width[there])
        empty = features.new_zeros(n * scales, features.shape[1])
        return empty.index_copy(0, there.nonzero()[:, 0], features).reshape(n, -1)

    def embed(self, features: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """Return (n, dim) of length 1 from `features` and `told_of`."""
        both = torch.cat([features, told[:, : self.n_told]], 1)
        both = F.dropout(both, self.dropout, self.training)
        return F.normalize(self.fuse(both).float(), dim=1)

    def told_of(self, elevation: torch.Tensor, surface: torch.Tensor) -> torch.Tensor:
        """Turn (n, s, p, p) metres and `Windows.surface` into (n, s + SURFACE) facts.

        Each is of about unit spread, and 0 where it is not known.
        """
        level = elevation.float().mean((2, 3)) / 3000.0
        inertia, albedo = surface.float().unbind(1)
        facts = [level, inertia[:, None] / 150.0 - 1.5, (albedo[:, None] - 0.2) / 0.06]
        return torch.cat(facts, 1).nan_to_num(0.0).clamp(-3.0, 3.0)

    def layers_of(self, image: torch.Tensor, elevation: torch.Tensor) -> torch.Tensor:
        """Turn (n, s, 2, p, p) uint8 and (n, s, p, p) metres into (n, s, CHANNELS, p, p)."""
        n, scales = image.shape[:2]
        width = torch.tensor(self.widths_km, device=image.device).repeat(n)
        layers = window_layers(image.flatten(0, 1), elevation.flatten(0, 1), width)
        return layers.unflatten(0, (n, scales))


class JoinedTowers(nn.Module):
    """Several image towers, each with its own look at the same windows, and one vector of them."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.towers = nn.ModuleList(ImageTower(config) for _ in range(config.towers))
        self.join = nn.Linear(config.towers * config.dim, config.dim, bias=False)
        first = self.towers[0]
        self.dim, self.n_told, self.widths_km = first.dim, first.n_told, first.widths_km
        self.layers_of, self.told_of = first.layers_of, first.told_of

    def take(self, towers: Sequence["ImageTower"], join: torch.Tensor) -> None:
        """Take the weights of towers, and of the map (dim, towers * dim) that joins them."""
        for mine, given in zip(self.towers, towers, strict=True):
            mine.load_state_dict(given.state_dict())
        self.join.weight.data.copy_(join)

    def forward(
        self, layers: torch.Tensor, told: torch.Tensor, seen: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return (n, dim) of length 1, as `ImageTower` does."""
        beside = torch.cat([tower(layers, told, seen) for tower in self.towers], 1)
        # In full: at half the digits this last step would lose more than the towers do.
        with torch.autocast(layers.device.type, enabled=False):
            return F.normalize(self.join(beside.float()), dim=1)


Tower = ImageTower | JoinedTowers
"""What turns windows into vectors."""


class TextHead(nn.Module):
    """A sentence vector to a unit vector of the shared space: linear, and a residual branch."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(config.text_dim, config.dim)
        self.branch = nn.Sequential(
            nn.Linear(config.text_dim, config.text_hidden),
            nn.GELU(),
            nn.Dropout(0.1),
            nn.Linear(config.text_hidden, config.dim),
        )

    def forward(self, sentence: torch.Tensor) -> torch.Tensor:
        """sentence: (n, text_dim) of length 1; returns (n, dim) of length 1."""
        # Sentence vectors of unit length have entries of about 0.05: bring them to unit spread.
        x = sentence * math.sqrt(sentence.shape[1])
        return F.normalize(self.linear(x) + self.branch(x), dim=1)


class CompactNetwork(nn.Module):
    """Both towers, and the temperature and bias that turn their cosines into logits."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.image: Tower = ImageTower(config) if config.towers == 1 else JoinedTowers(config)
        self.text = TextHead(config)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.bias = nn.Parameter(torch.tensor(-4.0))

    def logits(self, images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """Return (n, m) logits of unit vectors (n, dim) and (m, dim); sigmoid is a probability."""
        return self.log_scale.exp() * images @ texts.T + self.bias
