"""Networks whose weights are all in linear layers: derivatives by the weights follow from those by the units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Use:
    """Of a linear layer: what it was given, and zeros, added to what it made of it, to take derivatives by."""

    layer: nn.Linear
    inputs: Tensor
    shift: Tensor


def linear_layers_of(model: nn.Module, parameters: Iterable[nn.Parameter]) -> list[nn.Linear] | None:
    """The linear layers that have these parameters, each its own; None where they have others, or not all of them."""
    wanted = set(parameters)
    layers = [module for module in model.modules() if type(module) is nn.Linear and wanted & {*module.parameters()}]
    own = [parameter for layer in layers for parameter in layer.parameters()]
    return layers if len(own) == len(set(own)) and set(own) == wanted else None


@contextmanager
def watched(layers: Sequence[nn.Linear]) -> Iterator[list[Use]]:
    """Inside, each use of one of the layers is noted down, in their order."""
    uses: list[Use] = []

    def shifted(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        assert isinstance(layer, nn.Linear)
        uses.append(Use(layer, given[0], torch.zeros_like(output, requires_grad=True)))
        return output + uses[-1].shift

    hooks = [layer.register_forward_hook(shifted) for layer in layers]
    try:
        yield uses
    finally:
        for hook in hooks:
            hook.remove()


def each_once_on_vectors(uses: Sequence[Use], layers: Sequence[nn.Linear]) -> bool:
    """Whether each layer was used once, and on one vector an example."""
    used = [use.layer for use in uses]
    return len(used) == len(layers) and set(used) == set(layers) and all(use.inputs.ndim == 2 for use in uses)
