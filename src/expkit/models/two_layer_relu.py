"""Two-layer ReLU network with a fixed second layer, the standard object of feature-learning theory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class TwoLayerReLU(nn.Module):
    r"""f(x) = \sum_j a_j relu(<w_j, x>), without biases (arXiv 2310.02541, eq. 2.1).

    w_j ~ N(0, init_scale^2 I); a_j = +-1/sqrt(width), each sign with probability 1/2.

    Args:
        input_shape: of one example; flattened.
        width: number of hidden units (m).
        init_scale: standard deviation of each entry of the first layer at initialization.
        train_readout: whether a is trained as well; fixed by default, as in the paper.
        n_outputs: 1; there is one readout vector.

    Shapes: (batch, *input_shape) -> (batch, 1).
    """

    accepts = ("vector", "signal", "image")

    def __init__(
        self,
        input_shape: Sequence[int],
        width: int = 200,
        init_scale: float = 1e-4,
        train_readout: bool = False,
        n_outputs: int = 1,
    ) -> None:
        super().__init__()
        if n_outputs != 1:
            raise ValueError(f"TwoLayerReLU has one output, but the task needs {n_outputs}")
        n_inputs = torch.Size(input_shape).numel()
        self.hidden = nn.Parameter(init_scale * torch.randn(width, n_inputs))
        signs = 2.0 * torch.randint(2, (width,)) - 1.0
        self.readout = nn.Parameter(signs / width**0.5, requires_grad=train_readout)

    def forward(self, x: Tensor) -> Tensor:
        return (torch.relu(x.flatten(1) @ self.hidden.T) @ self.readout).unsqueeze(-1)
