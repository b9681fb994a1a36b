"""R runs of `torch.optim.RAdam`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.base import BatchedOptimizer


class BatchedRAdam(BatchedOptimizer):
    """`torch.optim.RAdam` (arXiv 1908.03265): each run is rectified from its own step on, which its beta2 decides."""

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lr": ("lr",),
        "betas": ("beta1", "beta2"),
        "eps": ("eps",),
        "weight_decay": ("weight_decay",),
    }

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        return {key: torch.zeros_like(param) for key in ("exp_avg", "exp_avg_sq")}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        step = shared["step"] + 1
        beta1, beta2 = hyper["beta1"], hyper["beta2"]
        correction2 = 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / correction2
        rectifier = ((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)).sqrt()
        plain = lr / (1 - beta1**step)
        c = {
            "new1": 1 - beta1,
            "beta2": beta2,
            "new2": 1 - beta2,
            "eps": hyper["eps"],
            "plain": plain,
            "adaptive": plain * rectifier * correction2.sqrt(),
            "is_adaptive": length > 5,
        }
        if "weight_decay" in self.active:
            decoupled = self.structure["decoupled_weight_decay"]
            c["weight_decay"] = 1 - lr * hyper["weight_decay"] if decoupled else hyper["weight_decay"]
        return c, {"step": step}

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if "weight_decay" in self.active:
            if self.structure["decoupled_weight_decay"]:
                param = param * c["weight_decay"]
            else:
                grad = torch.addcmul(grad, param, c["weight_decay"])
        first = torch.lerp(slots["exp_avg"], grad, c["new1"])
        second = torch.addcmul(slots["exp_avg_sq"] * c["beta2"], grad * grad, c["new2"])
        rate = torch.where(c["is_adaptive"], c["adaptive"] / (second.sqrt() + c["eps"]), c["plain"])
        return torch.addcmul(param, first, rate, value=-1), {"exp_avg": first, "exp_avg_sq": second}
