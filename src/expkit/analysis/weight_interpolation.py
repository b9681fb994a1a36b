"""The loss along the straight line between two sets of weights."""

from __future__ import annotations

import torch
from torch import Tensor

from expkit.analysis.loss_function import LossFunction


@torch.no_grad()
def losses_between(loss: LossFunction, start: Tensor, end: Tensor, points: int = 25) -> tuple[Tensor, Tensor]:
    """The loss at evenly spaced points (1 - t) start + t end, ends included.

    Batch normalization keeps the running statistics that the model has, which fit the weights in between badly.

    Args:
        loss: as a function of all trainable parameters.
        start, end: weights, (size,) each.
        points: how many, at least 3; each costs one evaluation of the loss.

    Returns:
        t, from 0 to 1, and the loss there, (points,) each.
    """
    if points < 3:
        raise ValueError(f"points is at least 3, both ends and one between them; got {points}")
    shares = torch.linspace(0, 1, points)
    return shares, torch.stack([loss(torch.lerp(start, end, share)).double().cpu() for share in shares.tolist()])


def barrier(shares: Tensor, losses: Tensor) -> float:
    """How far the loss along a line rises above the straight line between the losses at its ends (arXiv 1912.05671).

    max over t of L(t) - [(1 - t) L(0) + t L(1)], in the loss's unit. It is at least 0, its value at both ends; 0 is a
    line without a barrier, convex functions have none.

    Args:
        shares: t, (points,), from 0 to 1.
        losses: L(t), (points,).
    """
    return float((losses - torch.lerp(losses[:1], losses[-1:], shares.to(losses))).max())
