"""A multilayer perceptron that also knows the sine, which arXiv 2405.21063 verifies beside usual activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from expkit.models.mlp import MLP


class Sine(nn.Module):
    """sin(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sin()


class SmoothMLP(nn.Sequential):
    """`depth` hidden layers with one activation, and a readout, drawn as torch draws them.

    Args:
        input_shape: of one example; flattened.
        n_outputs: of the readout.
        width: units of each hidden layer.
        depth: number of hidden layers.
        activation: between them.

    Shapes: (batch, *input_shape) -> (batch, n_outputs).
    """

    accepts = ("vector", "signal", "image")

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        width: int = 16,
        depth: int = 2,
        activation: Literal["relu", "tanh", "sigmoid", "gelu", "sine"] = "tanh",
    ) -> None:
        named = "tanh" if activation == "sine" else activation
        network = MLP(input_shape, n_outputs, width=width, depth=depth, activation=named)
        layers = [layer for layer in network.hidden if not isinstance(layer, nn.Identity)]
        layers = [Sine() if activation == "sine" and isinstance(layer, nn.Tanh) else layer for layer in layers]
        super().__init__(nn.Flatten(), *layers, network.readout)
