"""R runs of `torch.optim.Adamax`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.base import BatchedOptimizer


class BatchedAdamax(BatchedOptimizer):
    """`torch.optim.Adamax` (arXiv 1412.6980, section 7)."""

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lr": ("lr",),
        "betas": ("beta1", "beta2"),
        "eps": ("eps",),
        "weight_decay": ("weight_decay",),
    }

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        return {key: torch.zeros_like(param) for key in ("exp_avg", "exp_inf")}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        step = shared["step"] + 1
        c = {
            "new1": 1 - hyper["beta1"],
            "beta2": hyper["beta2"],
            "eps": hyper["eps"],
            "step_size": lr / (1 - hyper["beta1"] ** step),
        }
        return c | ({"weight_decay": hyper["weight_decay"]} if "weight_decay" in self.active else {}), {"step": step}

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if "weight_decay" in self.active:
            grad = torch.addcmul(grad, param, c["weight_decay"])
        first = torch.lerp(slots["exp_avg"], grad, c["new1"])
        largest = torch.maximum(slots["exp_inf"] * c["beta2"], grad.abs() + c["eps"])
        new = {"exp_avg": first, "exp_inf": largest}
        return torch.addcdiv(param, first * c["step_size"], largest, value=-1), new
