"""One hidden layer in mean-field scaling: the output is an average over neurons."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from expkit.models.activation import activation as activation_named


class MeanFieldNetwork(nn.Module):
    r"""f(x) = 1/width A phi(gain / sqrt(d) (W + offset) x), without biases (arXiv 2402.06184).

    The output is an average over neurons (arXiv 1804.06561). All entries of W (width, d) and A (n_outputs, width) are
    drawn from N(0, 1), d being the number of inputs.

    `init_offset` shifts the mean of the first layer's weights at initialization. It is kept beside W rather than added
    to it, in double precision; training moves W + offset as it would move the sum.

    Args:
        input_shape: of one example; flattened.
        n_outputs: rows of A.
        width: number of hidden units.
        activation: phi, a name that `expkit.models.activation` knows.
        gain: of the preactivations; the paper has sqrt(2) for tanh and relu, 1 for identity (a deep linear network).
        init_offset: mean of an entry of the first layer at initialization.

    Shapes: (batch, *input_shape) -> (batch, n_outputs).

    Raises:
        ValueError: an unknown activation.
    """

    accepts = ("vector", "signal", "image")

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int = 1,
        width: int = 16,
        activation: str = "tanh",
        gain: float = 2**0.5,
        init_offset: float = 0.0,
    ) -> None:
        super().__init__()
        n_inputs = torch.Size(input_shape).numel()
        self.hidden = nn.Parameter(torch.randn(width, n_inputs))
        self.readout = nn.Parameter(torch.randn(n_outputs, width))
        self.activation = activation_named(activation)
        self.gain = gain
        self.init_offset = init_offset

    def forward(self, x: Tensor) -> Tensor:
        width, n_inputs = self.hidden.shape
        weights = (self.hidden + self.init_offset) * (self.gain / n_inputs**0.5)
        return self.activation(x.flatten(1) @ weights.T) @ self.readout.T / width
