"""Masks on the weights of any model, and how to find them again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Mask(nn.Module):
    """Parametrizes a weight as w * mask, so that what is pruned is zero and gets no gradient.

    Buffers, both of the weight's shape:
        mask: true where the weight is there.
        decided: the mask that pruning has decided on. It differs from `mask` only while another one is tried instead,
            as in controls with random masks.

    Args:
        weight: the tensor to be masked; nothing of it is pruned at first.
    """

    mask: Tensor
    decided: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", torch.ones_like(weight, dtype=torch.bool))
        self.register_buffer("decided", torch.ones_like(weight, dtype=torch.bool))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight


@dataclass(frozen=True)
class Masked:
    """A weight with its mask.

    Args:
        name: as the model had it before it was masked: 'hidden.0.weight'.
        weight: the parameter, pruned entries included.
        buffers: `mask` and `decided`.
    """

    name: str
    weight: nn.Parameter
    buffers: Mask

    @torch.no_grad()
    def decide(self, mask: Tensor) -> None:
        """Prunes for good: from now on this is the mask, and the one that rewinding goes back to."""
        self.buffers.mask.copy_(mask)
        self.buffers.decided.copy_(mask)


def add_mask(layer: nn.Module, name: str) -> None:
    """Masks the parameter `name` of a layer.

    Torch makes a class for every layer that it parametrizes. Here layers of one class stay of one class, for runs are
    trained as one program only if their modules are of the same classes.
    """
    plain = type(layer)
    parametrize.register_parametrization(layer, name, Mask(getattr(layer, name)))
    layer.__class__ = _CLASSES.setdefault((plain, name), type(layer))


def masked(model: nn.Module) -> Iterator[Masked]:
    """The masked weights of a model, in the order of its layers."""
    for path, module in model.named_modules():
        if not isinstance(module, parametrize.ParametrizationList):
            continue
        for parametrization in module:
            if isinstance(parametrization, Mask):
                assert isinstance(module.original, nn.Parameter)
                yield Masked(path.replace("parametrizations.", ""), module.original, parametrization)


_CLASSES: dict[tuple[type[nn.Module], str], type[nn.Module]] = {}
