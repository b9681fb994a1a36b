"""Layers of torch_geometric that a stack of runs can hold."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import nn

Convolution = TypeVar("Convolution", bound=nn.Module)

INSPECTORS: dict[type, Any] = {}
"""What torch_geometric knows of the methods of each class of layers, taken from the first of its layers."""


def stackable(convolution: Convolution) -> Convolution:
    """The layer, with the inspector that all layers of its class share.

    torch_geometric gives each layer one of its own, all alike. Runs are only stacked if whatever their modules hold,
    besides tensors and numbers, is the same.
    """
    convolution.inspector = INSPECTORS.setdefault(type(convolution), convolution.inspector)
    return convolution
