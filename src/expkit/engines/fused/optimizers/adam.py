"""R runs of `torch.optim.Adam` or `torch.optim.AdamW`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.base import BatchedOptimizer


class BatchedAdam(BatchedOptimizer):
    """`torch.optim.Adam` (arXiv 1412.6980), also with amsgrad (arXiv 1904.09237)."""

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lr": ("lr",),
        "betas": ("beta1", "beta2"),
        "eps": ("eps",),
        "weight_decay": ("weight_decay",),
    }

    @property
    def decoupled(self) -> bool:
        """Whether weight decay is apart from the gradient."""
        return self.structure["decoupled_weight_decay"]

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        kept = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if self.structure["amsgrad"] else [])]
        return {key: torch.zeros_like(param) for key in kept}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        step = shared["step"] + 1
        beta1, beta2 = hyper["beta1"], hyper["beta2"]
        c = {
            "new1": 1 - beta1,
            "beta2": beta2,
            "new2": 1 - beta2,
            "eps": hyper["eps"],
            "step_size": lr / (1 - beta1**step),
            "root_correction": (1 - beta2**step).rsqrt(),
        }
        if "weight_decay" in self.active:
            c["weight_decay"] = 1 - lr * hyper["weight_decay"] if self.decoupled else hyper["weight_decay"]
        return c, {"step": step}

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if "weight_decay" in self.active:
            if self.decoupled:
                param = param * c["weight_decay"]
            else:
                grad = torch.addcmul(grad, param, c["weight_decay"])
        first = torch.lerp(slots["exp_avg"], grad, c["new1"])
        second = torch.addcmul(slots["exp_avg_sq"] * c["beta2"], grad * grad, c["new2"])
        new = {"exp_avg": first, "exp_avg_sq": second}
        if self.structure["amsgrad"]:
            second = new["max_exp_avg_sq"] = torch.maximum(slots["max_exp_avg_sq"], second)
        denominator = torch.addcmul(c["eps"], second.sqrt(), c["root_correction"])
        return torch.addcdiv(param, first * c["step_size"], denominator, value=-1), new


class BatchedAdamW(BatchedAdam):
    """`torch.optim.AdamW` (arXiv 1711.05101)."""

    @property
    def decoupled(self) -> bool:
        return True
