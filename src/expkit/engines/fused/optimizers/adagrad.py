"""R runs of `torch.optim.Adagrad`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.base import BatchedOptimizer


class BatchedAdagrad(BatchedOptimizer):
    """`torch.optim.Adagrad` (Duchi et al. 2011)."""

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lr": ("lr",),
        "lr_decay": ("lr_decay",),
        "weight_decay": ("weight_decay",),
        "initial_accumulator_value": ("initial_accumulator_value",),
        "eps": ("eps",),
    }

    def shared(self, zeros: Tensor) -> dict[str, Tensor]:
        return {"step": zeros} if "lr_decay" in self.active else {}

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        start = self.hyper["initial_accumulator_value"].to(param)
        return {"sum": start.view(-1, *[1] * (param.ndim - 1)).expand_as(param).clone()}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        c = {"lr": lr, "eps": hyper["eps"]}
        if "weight_decay" in self.active:
            c["weight_decay"] = hyper["weight_decay"]
        if "lr_decay" not in self.active:
            return c, {}
        return {**c, "lr": lr / (1 + shared["step"] * hyper["lr_decay"])}, {"step": shared["step"] + 1}

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if "weight_decay" in self.active:
            grad = torch.addcmul(grad, param, c["weight_decay"])
        total = torch.addcmul(slots["sum"], grad, grad)
        return torch.addcdiv(param, grad * c["lr"], total.sqrt() + c["eps"], value=-1), {"sum": total}
