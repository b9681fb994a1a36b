"""A learning rate that rises linearly and then falls along half a cosine."""

from __future__ import annotations

from math import cos, pi

import torch

from expkit.optim.linear_warmup import LinearWarmup


class WarmupCosine(LinearWarmup):
    r"""Linear warm-up, then cosine decay to a fraction of the learning rate (arXiv 1608.03983 without restarts).

    Update number t (from 0) is made with lr times

        (t + 1) / W                                                   for t < W
        f + (1 - f) / 2 * (1 + cos(pi (t - W) / (T - W)))             for W <= t < T

    with W warm-up steps, T = max_steps and f = final_fraction. Without warm-up this is `CosineAnnealingLR` with
    eta_min = f * lr; being a fraction, f suits several parameter groups and sweeps over lr.

    Args:
        optimizer: whose learning rates are scheduled, all by the same factor.
        max_steps: number of updates T of the training; the schedule has reached f after them and stays there.
        warmup_steps: number of updates W of the warm-up; a number below 1 is a share of max_steps (rounded).
        final_fraction: f, the share of the learning rate that is left at the end, from 0 to 1.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        max_steps: int,
        warmup_steps: float = 0.0,
        final_fraction: float = 0.0,
    ) -> None:
        if not 0 <= final_fraction <= 1:
            raise ValueError(f"final_fraction is from 0 to 1, got {final_fraction}")
        self.final_fraction = final_fraction
        super().__init__(optimizer, max_steps=max_steps, warmup_steps=warmup_steps)

    def factor(self, step: int) -> float:
        """What the learning rates of update number `step` (from 0) are multiplied by."""
        if step < self.warmup:
            return super().factor(step)
        progress = min(1.0, (step - self.warmup) / max(1, self.max_steps - self.warmup))
        return self.final_fraction + (1 - self.final_fraction) / 2 * (1 + cos(pi * progress))
