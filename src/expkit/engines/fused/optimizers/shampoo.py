"""R runs of `expkit.optim.shampoo.Shampoo`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.base import BatchedOptimizer
from expkit.optim.shampoo import grafted, gram, preconditioned, sides


class BatchedShampoo(BatchedOptimizer):
    """`expkit.optim.shampoo.Shampoo` (arXiv 1802.09568), one decomposition for each run and side."""

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lr": ("lr",),
        "betas": ("beta1", "beta2"),
        "eps": ("eps",),
        "weight_decay": ("weight_decay",),
    }

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        kept = {key: torch.zeros_like(param) for key in ("exp_avg", "exp_avg_sq")}
        own = sides(param.shape[1:], self.structure["largest_side"])
        return kept | {key: param.new_zeros(len(param), n, n) for key, n in own.items()}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        step = shared["step"] + 1
        c = {
            "lr": lr,
            "new1": 1 - hyper["beta1"],
            "new2": 1 - hyper["beta2"],
            "correction1": 1 - hyper["beta1"] ** step,
            "correction2": 1 - hyper["beta2"] ** step,
            "eps": hyper["eps"],
        }
        return c | ({"shrink": 1 - lr * hyper["weight_decay"]} if "weight_decay" in self.active else {}), {"step": step}

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        first = torch.lerp(slots["exp_avg"], grad, c["new1"])
        second = torch.lerp(slots["exp_avg_sq"], grad.square(), c["new2"])
        new = {"exp_avg": first, "exp_avg_sq": second}
        momentum = first / c["correction1"]
        update = momentum / ((second / c["correction2"]).sqrt() + c["eps"])
        own = sides(param.shape[1:], self.structure["largest_side"])
        if own:
            new2, correction = c["new2"].view(-1, 1, 1), c["correction2"].view(-1, 1, 1)
            new |= {key: torch.lerp(slots[key], gram(grad.flatten(2), key), new2) for key in own}
            moments = {key: new[key] / correction for key in own}
            direction = preconditioned(momentum.flatten(2), moments, self.structure["ridge"])
            update = grafted(update.flatten(2), direction).view_as(param)
        if "weight_decay" in self.active:
            param = param * c["shrink"]
        return torch.addcmul(param, update, c["lr"], value=-1), new
