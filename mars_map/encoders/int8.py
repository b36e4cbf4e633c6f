"""Matrix products in 8 bits, for words on a processor: a quarter of the memory, half the time.

A query's few words are a thin matrix, so that the time goes into reading weights: bytes decide.
Weights have one scale an output, values one scale a word: the vector of a text does not depend on
the texts beside it. Trained transformers have a few channels of very large values, which would
leave no bits for the others; as in SmoothQuant (arXiv 2211.10438) each channel is first divided by
a factor that moves half of that range into the weights.
"""

from collections.abc import Callable

import torch
from torch import nn

SHARE = 0.5
"""How much of a channel's range the weights take over."""


class Int8Linear(nn.Module):
    """A linear layer with weights of 8 bits, (in, out), and a bias of float32, (out,)."""

    def __init__(self, linear: nn.Linear, largest: torch.Tensor) -> None:
        """Take over a layer. largest: largest absolute value of each input seen, (in,)."""
        super().__init__()
        weight = linear.weight.detach().float()
        reach = weight.abs().amax(dim=0).clamp(min=1e-5)
        factor = largest.clamp(min=1e-5) ** SHARE / reach ** (1 - SHARE)
        weight = weight * factor
        scale = weight.abs().amax(dim=1).clamp(min=1e-12) / 127
        self.register_buffer("factor", 1 / factor)
        self.register_buffer("scale", scale)
        self.register_buffer("weight", torch.round(weight / scale[:, None]).to(torch.int8).T)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float())

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return values (…, in) float32 times the weights, (…, out) float32."""
        words = (values * self.factor).flatten(0, -2)
        step = words.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
        product = torch._int_mm(torch.round(words / step).to(torch.int8), self.weight)
        product = product.float() * step * self.scale
        if self.bias is not None:
            product += self.bias
        return product.view(*values.shape[:-1], -1)


def quantise(module: nn.Module, run: Callable[[], object]) -> None:
    """Put every linear layer of a module, in place, into 8 bits; it then runs on processors only.

    run: passes some typical values through the module, to learn the range of each channel.
    """
    linear = {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear)}
    largest = {name: torch.zeros(part.in_features) for name, part in linear.items()}

    def watch(name: str) -> Callable:
        def see(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            seen = inputs[0].detach().abs().flatten(0, -2).amax(dim=0)
            largest[name] = torch.maximum(largest[name], seen)

        return see

    hooks = [part.register_forward_pre_hook(watch(name)) for name, part in linear.items()]
    run()
    for hook in hooks:
        hook.remove()
    for name, part in linear.items():
        module.set_submodule(name, Int8Linear(part, largest[name]))
