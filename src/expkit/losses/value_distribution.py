"""Real targets as distributions over bins, so that a value can be learned by cross-entropy (arXiv 2403.03950)."""

from __future__ import annotations

import torch
from torch import Tensor


def bin_centers(low: float, high: float, bins: int, like: Tensor) -> Tensor:
    """The centers z_1 ... z_m of m bins of equal width that divide [low, high], (m,)."""
    width = (high - low) / bins
    return low + width * (torch.arange(bins, device=like.device, dtype=like.dtype) + 0.5)


def two_hot(target: Tensor, low: float, high: float, bins: int) -> Tensor:
    """All weight on the two bins whose centers are next to the target, so that the mean is the target.

    Targets beyond the first and the last center have those.

    Shapes: (...) -> (..., bins).
    """
    place = ((target - low) / (high - low) * bins - 0.5).clamp(0, bins - 1)
    distance = (place.unsqueeze(-1) - torch.arange(bins, device=target.device, dtype=target.dtype)).abs()
    return (1 - distance).clamp(min=0)


def hl_gauss(target: Tensor, low: float, high: float, bins: int, smoothing: float = 0.75) -> Tensor:
    """The share that a Gaussian around the target has in each bin: Phi((z + w/2 - y) / s) - Phi((z - w/2 - y) / s).

    Of the part of it in [low, high]. Its width s is `smoothing` times a bin's width w (arXiv 1806.04613; 2403.03950,
    section 3.1). Targets beyond the range have its ends.

    Shapes: (...) -> (..., bins).
    """
    width = (high - low) / bins
    edges = low + width * torch.arange(bins + 1, device=target.device, dtype=target.dtype)
    cdf = torch.special.ndtr((edges - target.clamp(low, high).unsqueeze(-1)) / (smoothing * width))
    return cdf.diff(dim=-1) / (cdf[..., -1:] - cdf[..., :1])


def expected_value(logits: Tensor, low: float, high: float) -> Tensor:
    """sum_i p_i z_i with p = softmax(logits): (..., bins) -> (...)."""
    return logits.softmax(-1) @ bin_centers(low, high, logits.shape[-1], logits)
