"""R runs of `torch.optim.Rprop`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.base import BatchedOptimizer


class BatchedRprop(BatchedOptimizer):
    """`torch.optim.Rprop` (Riedmiller and Braun 1993). The learning rate of the first update is the first step size."""

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lr": ("lr",),
        "etas": ("eta_minus", "eta_plus"),
        "step_sizes": ("smallest", "largest"),
    }

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        return {"prev": torch.zeros_like(param), "step_size": torch.ones_like(param)}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        step = shared["step"] + 1
        # Before the first update there is no earlier gradient, so that every sign is 0 and every step size becomes lr.
        c = {"eta_zero": torch.where(step == 1, lr, 1.0)}
        return c | {key: hyper[key] for key in ("eta_minus", "eta_plus", "smallest", "largest")}, {"step": step}

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        agreement = grad * slots["prev"]
        eta = torch.where(agreement > 0, c["eta_plus"], torch.where(agreement < 0, c["eta_minus"], c["eta_zero"]))
        step_size = torch.clamp(slots["step_size"] * eta, c["smallest"], c["largest"])
        grad = torch.where(agreement < 0, 0.0, grad)
        return torch.addcmul(param, grad.sign(), step_size, value=-1), {"prev": grad, "step_size": step_size}
