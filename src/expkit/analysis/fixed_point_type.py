"""What a fixed point of the modern Hopfield network stands for: all patterns, some, or one (arXiv 2008.02217)."""

from __future__ import annotations

import torch
from torch import Tensor

MASS = 0.9
"""Of the softmax, that a fixed point's patterns have together (as in the paper)."""

TYPES = ("global", "metastable", "single")


def effective_patterns(weights: Tensor, mass: float = MASS) -> Tensor:
    """How many of the largest weights it takes to have `mass` together: (...,), from 1 to the number of patterns.

    Args:
        weights: (..., patterns), not negative, summing to 1.
        mass: between 0 and 1.
    """
    together = weights.sort(-1, descending=True).values.cumsum(-1)
    return (together < mass).sum(-1).clamp_max(weights.shape[-1] - 1) + 1


def fixed_point_type(weights: Tensor, mass: float = MASS) -> dict[str, Tensor]:
    """Of each fixed point, which of `TYPES` it is: bool, (...,).

    'single': one pattern has `mass`. 'global': more than half of all patterns are needed for it. 'metastable': the
    rest, an average over a part of the patterns.

    Args:
        weights: (..., patterns), the softmax at the fixed point; at least 3 patterns.
        mass: between 0 and 1.
    """
    count = effective_patterns(weights, mass)
    single, whole = count == 1, count > weights.shape[-1] / 2
    return {"global": whole & ~single, "metastable": ~(single | whole), "single": single}


def shares(types: dict[str, Tensor]) -> dict[str, float]:
    """The share of each type among all fixed points."""
    return {name: float(own.to(torch.float64).mean()) for name, own in types.items()}
