"""Dice, an activation that adapts to the data."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dice(nn.Module):
    r"""f(s) = p(s) s + (1 - p(s)) alpha s (arXiv 1706.06978, eq. 9), with

        p(s) = sigmoid((s - E[s]) / sqrt(Var[s] + eps)).

    Mean and variance are those of the batch in training, and running averages in evaluation; alpha is learned for each
    channel and begins at 0. It is PReLU with a step that is smooth and lies where the data are.

    Args:
        width: number of channels, the last dimension.
        eps: added to the variance.

    Shapes: (..., width) -> the same.
    """

    def __init__(self, width: int, eps: float = 1e-8) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, eps=eps, affine=False)
        self.alpha = nn.Parameter(torch.zeros(width))

    def forward(self, s: Tensor) -> Tensor:
        p = torch.sigmoid(self.norm(s.flatten(0, -2)).view(s.shape))
        return s * (p + (1 - p) * self.alpha)
