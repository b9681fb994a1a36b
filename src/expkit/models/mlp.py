"""Multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from expkit.models.activation import activation as activation_named
from expkit.models.initialization import initialize


class MLP(nn.Module):
    """`depth` hidden layers, each affine -> norm -> activation -> dropout, then an affine readout.

    Args:
        input_shape: of one example; flattened.
        n_outputs: of the readout.
        vocab: inputs are integers below this and are embedded first; None for real-valued inputs.
        width: units of each hidden layer.
        depth: number of hidden layers; 0 leaves the affine readout alone.
        activation: a name that `expkit.models.activation` knows.
        norm: between a hidden layer's affine map and its activation.
        dropout: probability that a hidden unit is set to zero in training.
        bias: whether affine maps have biases.
        init: how weights are drawn, see `expkit.models.initialization`.
        init_scale: multiplies all weights and biases at initialization, those of norms excepted.
        embed_dim: size of the vector that stands for a token.

    Shapes: (batch, *input_shape) -> (batch, n_outputs).

    Raises:
        ValueError: a negative depth, or an unknown activation, norm or initialization.
    """

    accepts = ("vector", "signal", "image", "tokens")

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        vocab: int | None = None,
        width: int = 128,
        depth: int = 2,
        activation: str = "relu",
        norm: Literal["none", "layernorm", "batchnorm"] = "none",
        dropout: float = 0.0,
        bias: bool = True,
        init: Literal["torch", "he", "lecun", "xavier", "orthogonal"] = "torch",
        init_scale: float = 1.0,
        embed_dim: int = 32,
    ) -> None:
        super().__init__()
        if depth < 0:
            raise ValueError(f"depth is a number of hidden layers, got {depth}")
        self.embedding = nn.Identity() if vocab is None else nn.Embedding(vocab, embed_dim)
        n_inputs = torch.Size(input_shape).numel() * (1 if vocab is None else embed_dim)
        layers: list[nn.Module] = []
        for fan_in in [n_inputs, *[width] * depth][:depth]:
            layers += [nn.Linear(fan_in, width, bias=bias), _norm(norm, width), activation_named(activation)]
            layers += [nn.Dropout(dropout)] if dropout else []
        self.hidden = nn.Sequential(*layers)
        self.readout = nn.Linear(width if depth else n_inputs, n_outputs, bias=bias)
        initialize(self, init, init_scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.hidden(self.embedding(x).flatten(1)))


def _norm(name: str, width: int) -> nn.Module:
    match name:
        case "none":
            return nn.Identity()
        case "layernorm":
            return nn.LayerNorm(width)
        case "batchnorm":
            return nn.BatchNorm1d(width)
    raise ValueError(f"norm is one of none, layernorm, batchnorm; got '{name}'")
