"""The affine model: linear or logistic regression, depending on the task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from expkit.models.initialization import initialize


class Linear(nn.Module):
    """f(x) = W x + b on the flattened input.

    Args:
        input_shape: of one example; flattened.
        n_outputs: rows of W.
        bias: whether there is a b.
        init_scale: multiplies torch's initial W and b; 0 starts at zero, where gradient descent converges to the
            minimum-norm solution of an underdetermined least-squares problem.

    Shapes: (batch, *input_shape) -> (batch, n_outputs).
    """

    accepts = ("vector", "signal", "image")

    def __init__(self, input_shape: Sequence[int], n_outputs: int, bias: bool = True, init_scale: float = 1.0) -> None:
        super().__init__()
        self.readout = nn.Linear(torch.Size(input_shape).numel(), n_outputs, bias=bias)
        initialize(self, scale=init_scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(x.flatten(1))
