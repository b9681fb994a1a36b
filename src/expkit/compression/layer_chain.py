"""Which layers of a model follow each other, found out by watching it run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from expkit.compression.quantizable import FoldableNorm, QuantizableLayer

HOMOGENEOUS = (nn.ReLU, nn.LeakyReLU, nn.Identity, nn.Dropout, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d)
"""Modules f that work on each channel alone, with f(c x) = c f(x) for c > 0 (in evaluation mode)."""


@dataclass
class LayerChain:
    """Layers in the order in which they are computed.

    Attributes:
        layers: all of them.
        norms: each batch norm with the layer whose output it normalizes.
        pairs: two layers of which the second sees the first's output, with nothing but a folded norm and modules of
            `HOMOGENEOUS` in between.
    """

    layers: list[QuantizableLayer] = field(default_factory=list)
    norms: list[tuple[QuantizableLayer, FoldableNorm]] = field(default_factory=list)
    pairs: list[tuple[QuantizableLayer, QuantizableLayer]] = field(default_factory=list)


@torch.no_grad()
def layer_chain(model: nn.Module, inputs: Sequence[Tensor]) -> LayerChain:
    """The chain of a quantizable model.

    What happens outside of modules is not seen, such as flattening or adding a residual: there, chains end. Whether
    other parts of the model look at a tensor as well is not seen either, see `equalize`.

    Args:
        model: in evaluation mode.
        inputs: of a few examples.
    """
    chain = LayerChain()
    alive: list[Tensor] = []  # so that no other tensor gets the identity of one that is gone
    origin: dict[int, QuantizableLayer] = {}  # by tensor: the layer that it is the output of, up to what is homogeneous
    direct: dict[int, QuantizableLayer] = {}  # by tensor: the layer that it is the output of

    def watch(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        alive.extend([*arguments, output])
        before, after = id(arguments[0]), id(output)
        if isinstance(module, QuantizableLayer):
            chain.layers.append(module)
            if before in origin:
                chain.pairs.append((origin[before], module))
            origin[after] = direct[after] = module
        elif isinstance(module, FoldableNorm):
            if before in direct:
                chain.norms.append((direct[before], module))
                origin[after] = direct[before]
        elif before in origin:
            origin[after] = origin[before]
        if isinstance(module, nn.Identity) and before in direct:
            direct[after] = direct[before]

    watched = (QuantizableLayer, FoldableNorm, *HOMOGENEOUS)
    handles = [module.register_forward_hook(watch) for module in model.modules() if isinstance(module, watched)]
    try:
        model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return chain
