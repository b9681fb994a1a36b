"""Random features: a hidden layer that stays as it was drawn, and a readout that is fitted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from expkit.models.activation import activation as activation_named


class RandomFeatures(nn.Module):
    r"""f(x) = \sum_j a_j phi_j(x), phi_j(x) = scale_j sigma(<w_j, x>) / sqrt(width), w_j fixed (Rahimi, Recht 2007).

    w_j ~ N(0, I / d) for inputs of d numbers; scale_j = exp(feature_spread g_j), g_j ~ N(0, 1). A spread leaves what
    the features can express as it is and worsens the conditioning of the readout's fit.

    Args:
        input_shape: of one example; flattened.
        n_outputs: of the readout, which has no bias.
        width: number of features.
        activation: sigma, a name that `expkit.models.activation` knows.
        feature_spread: standard deviation of the logarithm of the features' scales.
        init_scale: standard deviation of the readout's weights at initialization; at 0 gradient descent stays in the
            span of the features of the training examples, and converges to the least-squares solution of least norm.

    Shapes: (batch, *input_shape) -> (batch, n_outputs).

    Raises:
        ValueError: a negative spread, or an unknown activation.
    """

    accepts = ("vector", "signal", "image")

    hidden: Tensor  # (width, d)
    scales: Tensor  # (width,)

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        width: int = 200,
        activation: str = "relu",
        feature_spread: float = 0.0,
        init_scale: float = 0.0,
    ) -> None:
        super().__init__()
        if feature_spread < 0:
            raise ValueError(f"feature_spread is a standard deviation, got {feature_spread}")
        n_inputs = torch.Size(input_shape).numel()
        self.register_buffer("hidden", torch.randn(width, n_inputs) / n_inputs**0.5)
        self.register_buffer("scales", (feature_spread * torch.randn(width)).exp() / width**0.5)
        self.activation = activation_named(activation)
        self.readout = nn.Linear(width, n_outputs, bias=False)
        nn.init.normal_(self.readout.weight, std=init_scale)

    def features(self, x: Tensor) -> Tensor:
        """phi, (batch, *input_shape) -> (batch, width)."""
        return self.scales * self.activation(x.flatten(1) @ self.hidden.T)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.features(x))
