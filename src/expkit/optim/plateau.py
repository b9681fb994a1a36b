"""A learning rate that falls when a metric stops improving."""

from __future__ import annotations

from typing import Literal

import torch
from torch.optim import lr_scheduler


class ReduceLROnPlateau(lr_scheduler.ReduceLROnPlateau):
    """`torch.optim.lr_scheduler.ReduceLROnPlateau`, which also says what it wants to be stepped with.

    Args:
        optimizer: whose learning rates are scheduled.
        monitor: name of the metric; `step(value)` is called with it at every evaluation point.
        mode: whether less ('min') or more ('max') of the metric is better.
        factor: by which the learning rates are multiplied, below 1.
        patience: evaluation points without improvement that are tolerated; the next one reduces.
        threshold: what counts as an improvement, relative to the best value or absolute.
        threshold_mode: 'rel' or 'abs'.
        cooldown: evaluation points after a reduction before those without improvement are counted again.
        min_lr: no learning rate falls below.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        monitor: str = "test/loss",
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(
            optimizer,
            mode=mode,
            factor=factor,
            patience=patience,
            threshold=threshold,
            threshold_mode=threshold_mode,
            cooldown=cooldown,
            min_lr=min_lr,
        )
        self.monitor = monitor
