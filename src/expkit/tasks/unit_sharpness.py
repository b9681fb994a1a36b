"""Regression whose learning rate is in units of the inverse sharpness at initialization."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from expkit.data.base import Split
from expkit.tasks.supervised import Regression


class UnitSharpnessRegression(Regression):
    r"""The loss of `Regression` divided by a constant, the buffer `sharpness`, which is 1 until something sets it.

    Gradient descent with learning rate e on L / lambda is gradient descent with e / lambda on L. With lambda the
    sharpness at initialization, which the callback `unit_sharpness` puts there before the first step, the learning rate
    is in units of 1 / lambda: by the linearized model gradient descent is stable up to 2 (arXiv 2205.11787 calls this
    the critical learning rate), whatever the data, the width or the seed are.

    Metrics: `loss`, divided (from the first step on); `mse` and `mae`, as they are.
    """

    def __init__(
        self,
        model: nn.Module,
        n_outputs: int,
        loss: Literal["mse", "mae", "huber"] = "mse",
        per_position: bool = False,
    ) -> None:
        super().__init__(model, n_outputs, loss, per_position)
        self.sharpness: Tensor
        self.register_buffer("sharpness", torch.ones(()))

    def objective(self, batch: Split) -> dict[str, Tensor]:
        metrics = super().objective(batch)
        return {**metrics, "loss": metrics["loss"] / self.sharpness}
