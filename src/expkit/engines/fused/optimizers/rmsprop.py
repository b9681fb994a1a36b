"""R runs of `torch.optim.RMSprop`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.base import BatchedOptimizer


class BatchedRMSprop(BatchedOptimizer):
    """`torch.optim.RMSprop`, with momentum and centered (arXiv 1308.0850)."""

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lr": ("lr",),
        "alpha": ("alpha",),
        "eps": ("eps",),
        "weight_decay": ("weight_decay",),
        "momentum": ("momentum",),
    }

    def shared(self, zeros: Tensor) -> dict[str, Tensor]:
        return {}

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        kept = ["square_avg"]
        if self.structure["centered"]:
            kept.append("grad_avg")
        if "momentum" in self.active:
            kept.append("momentum_buffer")
        return {key: torch.zeros_like(param) for key in kept}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        c = {"lr": lr, "alpha": hyper["alpha"], "new": 1 - hyper["alpha"], "eps": hyper["eps"]}
        return c | {key: hyper[key] for key in ("momentum", "weight_decay") if key in self.active}, {}

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if "weight_decay" in self.active:
            grad = torch.addcmul(grad, param, c["weight_decay"])
        square = torch.addcmul(slots["square_avg"] * c["alpha"], grad * grad, c["new"])
        new = {"square_avg": square}
        if self.structure["centered"]:
            mean = new["grad_avg"] = torch.lerp(slots["grad_avg"], grad, c["new"])
            square = torch.addcmul(square, mean, mean, value=-1)
        direction = grad / (square.sqrt() + c["eps"])
        if "momentum" in self.active:
            direction = torch.addcmul(direction, slots["momentum_buffer"], c["momentum"])
            new["momentum_buffer"] = direction
        return torch.addcmul(param, direction, c["lr"], value=-1), new
