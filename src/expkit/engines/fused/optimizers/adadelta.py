"""R runs of `torch.optim.Adadelta`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.base import BatchedOptimizer


class BatchedAdadelta(BatchedOptimizer):
    """`torch.optim.Adadelta` (arXiv 1212.5701)."""

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lr": ("lr",),
        "rho": ("rho",),
        "eps": ("eps",),
        "weight_decay": ("weight_decay",),
    }

    def shared(self, zeros: Tensor) -> dict[str, Tensor]:
        return {}

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        return {key: torch.zeros_like(param) for key in ("square_avg", "acc_delta")}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        c = {"lr": lr, "rho": hyper["rho"], "new": 1 - hyper["rho"], "eps": hyper["eps"]}
        return c | ({"weight_decay": hyper["weight_decay"]} if "weight_decay" in self.active else {}), {}

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if "weight_decay" in self.active:
            grad = torch.addcmul(grad, param, c["weight_decay"])
        square = torch.addcmul(slots["square_avg"] * c["rho"], grad * grad, c["new"])
        delta = (slots["acc_delta"] + c["eps"]).sqrt() / (square + c["eps"]).sqrt() * grad
        accumulated = torch.addcmul(slots["acc_delta"] * c["rho"], delta * delta, c["new"])
        new = {"square_avg": square, "acc_delta": accumulated}
        return torch.addcmul(param, delta, c["lr"], value=-1), new
