"""The unconstrained features model: a free vector per example, and linear layers behind it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UnconstrainedFeatures(nn.Module):
    r"""f(i) = W_{depth+1} ... W_1 h_i, where the features h_i are parameters as the weights are (arXiv 2301.00437).

    It stands for a network that can give each training example whatever features it likes (arXiv 2011.11619).
    An input of several numbers has the sum of their features.

    Args:
        input_shape: [length]; length is 1 where an input is the number of an example.
        vocab: how many features there are.
        n_outputs: classes.
        width: length of a feature, and of every hidden vector.
        depth: linear layers between features and classifier; 0 is the plain model.
        bias: whether the classifier, the last layer, has a bias.
        init_scale: standard deviation of each entry of features and weights at initialization.

    Shapes: (batch, length), integers below `vocab` -> (batch, n_outputs).
    """

    accepts = ("tokens",)

    def __init__(
        self,
        input_shape: Sequence[int],
        vocab: int,
        n_outputs: int,
        width: int = 64,
        depth: int = 0,
        bias: bool = False,
        init_scale: float = 0.1,
    ) -> None:
        super().__init__()
        if depth < 0:
            raise ValueError(f"depth is a number of linear layers, got {depth}")
        if len(input_shape) != 1:
            raise ValueError(f"an input is a list of numbers, not of shape {list(input_shape)}")
        self.features = nn.Parameter(init_scale * torch.randn(vocab, width))
        self.hidden = nn.Sequential(*[nn.Linear(width, width, bias=False) for _ in range(depth)])
        self.readout = nn.Linear(width, n_outputs, bias=bias)
        for layer in (*self.hidden, self.readout):
            nn.init.normal_(layer.weight, std=init_scale)
        if bias:
            nn.init.zeros_(self.readout.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.hidden(F.embedding(x, self.features).sum(1)))
