"""R runs of `torch.optim.SGD`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.base import BatchedOptimizer


class BatchedSGD(BatchedOptimizer):
    """`torch.optim.SGD`: momentum, dampening, Nesterov's momentum, weight decay as an L2 penalty."""

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lr": ("lr",),
        "momentum": ("momentum",),
        "dampening": ("dampening",),
        "weight_decay": ("weight_decay",),
    }

    def __init__(self, hyper: dict[str, Tensor], structure: Mapping[str, Any]) -> None:
        # Without momentum torch ignores dampening.
        dampening = torch.where(hyper["momentum"] == 0, 0.0, hyper["dampening"])
        super().__init__({**hyper, "dampening": dampening}, structure)

    def shared(self, zeros: Tensor) -> dict[str, Tensor]:
        return {"step": zeros} if "dampening" in self.active else {}

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        return {"momentum_buffer": torch.zeros_like(param)} if "momentum" in self.active else {}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        c = {"lr": lr} | {key: hyper[key] for key in ("momentum", "weight_decay") if key in self.active}
        if "dampening" not in self.active:
            return c, {}
        # The first gradient enters the buffer whole.
        fresh = torch.where(shared["step"] == 0, 1.0, 1 - hyper["dampening"])
        return {**c, "fresh": fresh}, {"step": shared["step"] + 1}

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if "weight_decay" in self.active:
            grad = torch.addcmul(grad, param, c["weight_decay"])
        if "momentum" not in self.active:
            return torch.addcmul(param, grad, c["lr"], value=-1), {}
        fresh = grad * c["fresh"] if "dampening" in self.active else grad
        buffer = torch.addcmul(fresh, slots["momentum_buffer"], c["momentum"])
        direction = torch.addcmul(grad, buffer, c["momentum"]) if self.structure["nesterov"] else buffer
        return torch.addcmul(param, direction, c["lr"], value=-1), {"momentum_buffer": buffer}
