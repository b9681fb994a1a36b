"""R runs of `torch.optim.NAdam`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.base import BatchedOptimizer


class BatchedNAdam(BatchedOptimizer):
    """`torch.optim.NAdam` (Dozat 2016)."""

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lr": ("lr",),
        "betas": ("beta1", "beta2"),
        "eps": ("eps",),
        "weight_decay": ("weight_decay",),
        "momentum_decay": ("momentum_decay",),
    }

    def shared(self, zeros: Tensor) -> dict[str, Tensor]:
        return {"step": zeros, "mu_product": torch.ones_like(zeros)}

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        return {key: torch.zeros_like(param) for key in ("exp_avg", "exp_avg_sq")}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        step = shared["step"] + 1
        beta1, beta2, decay = hyper["beta1"], hyper["beta2"], hyper["momentum_decay"]
        mu = beta1 * (1 - 0.5 * 0.96 ** (step * decay))
        mu_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * decay))
        product = shared["mu_product"] * mu
        c = {
            "new1": 1 - beta1,
            "beta2": beta2,
            "new2": 1 - beta2,
            "eps": hyper["eps"],
            "root_correction": (1 - beta2**step).rsqrt(),
            "of_grad": lr * (1 - mu) / (1 - product),
            "of_average": lr * mu_next / (1 - product * mu_next),
        }
        if "weight_decay" in self.active:
            decoupled = self.structure["decoupled_weight_decay"]
            c["weight_decay"] = 1 - lr * hyper["weight_decay"] if decoupled else hyper["weight_decay"]
        return c, {"step": step, "mu_product": product}

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
        denominator = torch.addcmul(c["eps"], second.sqrt(), c["root_correction"])
        numerator = torch.addcmul(grad * c["of_grad"], first, c["of_average"])
        return torch.addcdiv(param, numerator, denominator, value=-1), {"exp_avg": first, "exp_avg_sq": second}
