"""R runs of `torch.optim.Adafactor`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.base import BatchedOptimizer


class BatchedAdafactor(BatchedOptimizer):
    """`torch.optim.Adafactor` (arXiv 1804.04235); norms and means are those of each run's own parameter."""

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lr": ("lr",),
        "beta2_decay": ("beta2_decay",),
        "eps": ("eps1", "eps2"),
        "d": ("d",),
        "weight_decay": ("weight_decay",),
    }

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        if param.ndim < 3:
            return {"variance": torch.zeros_like(param)}
        return {"row_var": torch.zeros_like(param[..., :1]), "col_var": torch.zeros_like(param[..., :1, :])}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        step = shared["step"] + 1
        c = {
            "new": step ** hyper["beta2_decay"],
            "relative_step": torch.minimum(lr, step.rsqrt()),
            **{key: hyper[key] for key in ("d", "eps1", "eps2")},
        }
        return c | ({"shrink": 1 - lr * hyper["weight_decay"]} if "weight_decay" in self.active else {}), {"step": step}

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        # eps1 is null, here nan, unless a run says otherwise: then it is that of the parameters' precision.
        eps1 = torch.where(c["eps1"].isnan(), torch.finfo(param.dtype).eps, c["eps1"])
        rate = torch.maximum(c["eps2"], _root_mean_square(param)) * c["relative_step"]
        if "weight_decay" in self.active:
            param = param * c["shrink"]
        if param.ndim < 3:
            estimate = torch.lerp(slots["variance"], grad * grad, c["new"])
            new = {"variance": estimate}
        else:
            row = torch.lerp(slots["row_var"], grad.square().mean(-1, keepdim=True), c["new"])
            column = torch.lerp(slots["col_var"], grad.square().mean(-2, keepdim=True), c["new"])
            estimate = row * column / torch.maximum(row.mean(-2, keepdim=True), eps1)
            new = {"row_var": row, "col_var": column}
        update = torch.maximum(estimate, eps1 * eps1).rsqrt() * grad
        rate = rate / (_root_mean_square(update) / c["d"]).clamp(min=1.0)
        return torch.addcmul(param, update, rate, value=-1), new


def _root_mean_square(values: Tensor) -> Tensor:
    """Of each run's values: (R, ...) to (R, 1, ..., 1)."""
    mean = values.reshape(len(values), -1).square().mean(1)
    return mean.sqrt().view(-1, *[1] * (values.ndim - 1))
