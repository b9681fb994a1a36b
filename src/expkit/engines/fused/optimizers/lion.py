"""R runs of `expkit.optim.lion.Lion`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.base import BatchedOptimizer


class BatchedLion(BatchedOptimizer):
    """`expkit.optim.lion.Lion` (arXiv 2302.06675)."""

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lr": ("lr",),
        "betas": ("beta1", "beta2"),
        "weight_decay": ("weight_decay",),
    }

    def shared(self, zeros: Tensor) -> dict[str, Tensor]:
        return {}

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        return {"momentum": torch.zeros_like(param)}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        c = {"lr": lr, "new1": 1 - hyper["beta1"], "new2": 1 - hyper["beta2"]}
        return c | ({"shrink": 1 - lr * hyper["weight_decay"]} if "weight_decay" in self.active else {}), {}

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        momentum = slots["momentum"]
        if "weight_decay" in self.active:
            param = param * c["shrink"]
        direction = torch.lerp(momentum, grad, c["new1"]).sign()
        return torch.addcmul(param, direction, c["lr"], value=-1), {"momentum": torch.lerp(momentum, grad, c["new2"])}
