"""R runs of `expkit.optim.normuon.NorMuon`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.muon import BatchedMuon, _BatchedMatrices
from expkit.optim.newton_schulz import orthogonalized
from expkit.optim.normuon import normalized


class BatchedNorMuon(BatchedMuon):
    """`expkit.optim.normuon.NorMuon` (arXiv 2510.05491); like `BatchedMuon`, runs agree to bfloat16's precision."""

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {**BatchedMuon.numbers, "beta2": ("beta2",)}

    def __init__(self, hyper: dict[str, Tensor], structure: Mapping[str, Any]) -> None:
        super().__init__(hyper, {**structure, "nesterov": False, "adjust_lr_fn": "match_rms_adamw"})
        self._matrices = _NormalizedMatrices(hyper, structure)


class _NormalizedMatrices(_BatchedMatrices):
    """Of parameters (R, out, ...), each run's flattened to a matrix (out, everything else)."""

    numbers = BatchedNorMuon.numbers

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        return {"momentum_buffer": torch.zeros_like(param), "second_moment": param.new_zeros(*param.shape[:2], 1)}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        c = {"lr": lr, "new1": 1 - hyper["momentum"], "new2": 1 - hyper["beta2"]}
        return c | ({"shrink": 1 - lr * hyper["weight_decay"]} if "weight_decay" in self.active else {}), {}

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        momentum = torch.lerp(slots["momentum_buffer"], grad, c["new1"])
        update = orthogonalized(momentum.flatten(2), self.structure["ns_steps"]).to(param.dtype)
        second = torch.lerp(slots["second_moment"], update.square().mean(2, keepdim=True), c["new2"].view(-1, 1, 1))
        if "weight_decay" in self.active:
            param = param * c["shrink"]
        step = normalized(update, second).view_as(param)
        new = {"momentum_buffer": momentum, "second_moment": second}
        return torch.addcmul(param, step, c["lr"], value=-1), new
