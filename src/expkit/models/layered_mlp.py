"""Multilayer perceptron whose hidden layers differ in width."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from expkit.models.activation import activation as activation_named
from expkit.models.initialization import initialize


class LayeredMLP(nn.Module):
    """Hidden layers of given widths, each affine -> activation, then an affine readout; [300, 100] is LeNet-300-100.

    For equal widths, norms, dropout and tokens see `expkit.models.mlp`.

    Args:
        input_shape: of one example; flattened.
        n_outputs: of the readout.
        widths: units of each hidden layer, in order.
        activation: a name that `expkit.models.activation` knows.
        bias: whether affine maps have biases.
        init, init_scale: how weights are drawn and what they are multiplied by, see `expkit.models.initialization`.

    Shapes: (batch, *input_shape) -> (batch, n_outputs).

    Raises:
        ValueError: an unknown activation or initialization.
    """

    accepts = ("vector", "signal", "image")

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        widths: Sequence[int] = (300, 100),
        activation: str = "relu",
        bias: bool = True,
        init: Literal["torch", "he", "lecun", "xavier", "orthogonal"] = "torch",
        init_scale: float = 1.0,
    ) -> None:
        super().__init__()
        sizes = [torch.Size(input_shape).numel(), *widths]
        layers: list[nn.Module] = []
        for fan_in, width in pairwise(sizes):
            layers += [nn.Linear(fan_in, width, bias=bias), activation_named(activation)]
        self.hidden = nn.Sequential(*layers)
        self.readout = nn.Linear(sizes[-1], n_outputs, bias=bias)
        initialize(self, init, init_scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.hidden(x.flatten(1)))
