"""R runs of `torch.optim.ASGD`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.base import BatchedOptimizer


class BatchedASGD(BatchedOptimizer):
    """`torch.optim.ASGD` (Polyak and Juditsky 1992); the averaged parameters are the slots `ax`.

    As torch does it, the rate `eta` and the weight `mu` of an update follow from the learning rate and the step count
    of the update before.
    """

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lr": ("lr",),
        "lambd": ("lambd",),
        "alpha": ("alpha",),
        "t0": ("t0",),
        "weight_decay": ("weight_decay",),
    }

    def shared(self, zeros: Tensor) -> dict[str, Tensor]:
        return {"step": zeros, "eta": torch.zeros_like(zeros), "mu": torch.ones_like(zeros)}

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        return {"ax": torch.zeros_like(param)}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        step = shared["step"] + 1
        eta = torch.where(step == 1, lr, shared["eta"])
        c = {"eta": eta, "shrink": 1 - hyper["lambd"] * eta, "mu": shared["mu"], "copies": shared["mu"] == 1}
        if "weight_decay" in self.active:
            c["weight_decay"] = hyper["weight_decay"]
        return c, {
            "step": step,
            "eta": lr / (1 + hyper["lambd"] * lr * step) ** hyper["alpha"],
            "mu": 1 / (step - hyper["t0"]).clamp(min=1),
        }

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if "weight_decay" in self.active:
            grad = torch.addcmul(grad, param, c["weight_decay"])
        param = torch.addcmul(param * c["shrink"], grad, c["eta"], value=-1)
        average = torch.addcmul(slots["ax"], param - slots["ax"], c["mu"])
        return param, {"ax": torch.where(c["copies"], param, average)}
