"""A learning rate that rises linearly to its full value and stays there."""

from __future__ import annotations

import torch
from torch.optim.lr_scheduler import LRScheduler


class LinearWarmup(LRScheduler):
    """Update number t (from 0) is made with lr * min(1, (t + 1) / warmup), lr being the optimizer's own.

    So the first update already moves, and the last one of the warm-up is made with all of lr.

    Args:
        optimizer: whose learning rates are scheduled, all by the same factor.
        max_steps: number of updates of the training.
        warmup_steps: number of updates of the warm-up; a number below 1 is a share of max_steps (rounded).

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, max_steps: int, warmup_steps: float = 0.1) -> None:
        self.max_steps = max_steps
        self.warmup = resolve_steps(warmup_steps, max_steps)
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        """What the learning rates of update number `step` (from 0) are multiplied by."""
        return min(1.0, (step + 1) / max(1, self.warmup))

    def get_lr(self) -> list[float | torch.Tensor]:
        return [base * self.factor(self.last_epoch) for base in self.base_lrs]


def resolve_steps(steps: float, max_steps: int) -> int:
    """A number of steps, given as such or as a share (below 1) of max_steps."""
    if steps < 0 or (steps >= 1 and steps != int(steps)):
        raise ValueError(f"a number of steps is a whole number, or a share of max_steps below 1; got {steps}")
    return round(steps * max_steps) if steps < 1 else int(steps)
