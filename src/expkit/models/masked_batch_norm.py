"""Batch normalization over those rows that count."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MaskedBatchNorm(nn.Module):
    r"""(x - mean) / sqrt(variance + eps) * weight + bias for each feature (arXiv 1502.03167), over the rows of a mask.

    As torch.nn.BatchNorm1d of these rows alone: in training with their mean and (biased) variance, of which running
    averages are kept (with the unbiased variance) for evaluation. Shapes do not depend on how many rows count, so
    that runs can be stacked. With no row that counts, the averages take in zeros.

    Args:
        width: number of features.
        momentum: share of the batch in the running averages.
        eps: added to the variance.

    Shapes: x (rows, width), mask (rows,) of zeros and ones -> (rows, width); rows that do not count are transformed
    like the others.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        mean, variance = self._of_batch(x, mask) if self.training else (self.running_mean, self.running_var)
        scale = (variance + self.eps).rsqrt() * self.weight
        return x * scale + (self.bias - mean * scale)

    def _of_batch(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        mask = mask.to(x.dtype)
        share = mask / mask.sum().clamp(min=1)
        mean = share @ x
        variance = share @ (x - mean).square()
        with torch.no_grad():
            count = mask.sum()
            self.running_mean.mul_(1 - self.momentum).add_(self.momentum * mean.detach())
            unbiased = variance.detach() * count / (count - 1).clamp(min=1)
            self.running_var.mul_(1 - self.momentum).add_(self.momentum * unbiased)
        return mean, variance
