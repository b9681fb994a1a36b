"""Where the grid of a quantizer should lie, given what it will quantize."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from expkit.compression.fake_quantizer import FakeQuantizer, fake_quantize, integer_limits

RangeMethod = Literal["min_max", "mse"]


@torch.no_grad()
def set_range(quantizer: FakeQuantizer, x: Tensor, method: RangeMethod = "mse", candidates: int = 50) -> None:
    """Sets a quantizer's grid for values like x, and switches it on.

    Args:
        quantizer: has one scale, or one for each index of the first axis of x.
        x: what is quantized.
        method: `min_max`: the smallest range with all of x. `mse`: of ranges that are a share i / n of that,
            i = 1 ... n, the one with the least mean squared error (arXiv 2106.08295, section 3.1).
        candidates: n, the number of ranges that `mse` tries.

    Raises:
        ValueError: there is no such method.
    """
    rows = x.reshape(1, -1) if quantizer.scale.numel() == 1 else x.reshape(len(x), -1)
    shares = {"min_max": [1.0], "mse": [i / candidates for i in range(1, candidates + 1)]}.get(method)
    if shares is None:
        raise ValueError(f"a range is set by min_max or mse; got '{method}'")
    best = torch.full((len(rows),), torch.inf).to(rows)
    scale, zero_point = torch.ones_like(best), torch.zeros_like(best)
    low, high = integer_limits(quantizer.bits, quantizer.symmetric)
    for share in shares:
        own_scale, own_zero = grid(rows.amin(1) * share, rows.amax(1) * share, quantizer.bits, quantizer.symmetric)
        error = fake_quantize(rows, own_scale[:, None], own_zero[:, None], low, high).sub_(rows).square_().mean(1)
        better = error < best
        best = torch.where(better, error, best)
        scale, zero_point = torch.where(better, own_scale, scale), torch.where(better, own_zero, zero_point)
    quantizer.set(scale.reshape(quantizer.scale.shape), zero_point.reshape(quantizer.scale.shape))


def grid(minimum: Tensor, maximum: Tensor, bits: float, symmetric: bool) -> tuple[Tensor, Tensor]:
    """Scale and zero point of the finest grid that reaches from a minimum to a maximum, and has zero on it."""
    low, high = integer_limits(bits, symmetric)
    tiny = torch.finfo(minimum.dtype).tiny
    if symmetric:
        scale = (torch.maximum(-minimum, maximum) / high).clamp(min=tiny)
        return scale, torch.zeros_like(scale)
    minimum, maximum = minimum.clamp(max=0), maximum.clamp(min=0)
    scale = ((maximum - minimum) / (high - low)).clamp(min=tiny)
    return scale, (low - minimum / scale).round().clamp(low, high)
