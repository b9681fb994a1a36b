"""R runs of `expkit.optim.muon.Muon`."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any, ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.adam import BatchedAdamW
from expkit.engines.fused.optimizers.base import BatchedOptimizer, State
from expkit.errors import ConfigError
from expkit.optim.muon import is_hidden_matrix
from expkit.optim.newton_schulz import orthogonalized


class BatchedMuon(BatchedOptimizer):
    """`expkit.optim.muon.Muon`: which parameter is a matrix for Muon is decided by the same rule.

    A schedule's factor scales both learning rates, `lr` and `adamw_lr`. Newton-Schulz iterations are in bfloat16, as
    torch does them; a batched product may round in another order than a single one, so that runs agree to bfloat16's
    precision in each update (about 1 %), not to that of the parameters.
    """

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lr": ("lr",),
        "weight_decay": ("weight_decay",),
        "momentum": ("momentum",),
        "adamw_lr": ("adamw_lr",),
        "adamw_betas": ("adamw_beta1", "adamw_beta2"),
        "adamw_eps": ("adamw_eps",),
        "adamw_weight_decay": ("adamw_weight_decay",),
    }

    def __init__(self, hyper: dict[str, Tensor], structure: Mapping[str, Any]) -> None:
        super().__init__(hyper, structure)
        self._matrices = _BatchedMatrices(hyper, structure)
        self._adamw = BatchedAdamW(_of_adamw(hyper), {"amsgrad": False})

    def init(self, params: Mapping[str, Tensor]) -> State:
        rule = {"kernels": self.structure["kernels"], "exclude": self.structure["exclude"]}
        matrices = {name: param for name, param in params.items() if is_hidden_matrix(name, param[0], **rule)}
        others = {name: param for name, param in params.items() if name not in matrices}
        if not matrices:
            raise ConfigError(
                "optimizer: Muon needs a parameter with two or more dimensions that `exclude` does not name; "
                f"there are only {', '.join(params)}."
            )
        return self._matrices.init(matrices) | (self._adamw.init(others) if others else {})

    def update(
        self,
        params: Mapping[str, Tensor],
        grads: Mapping[str, Tensor],
        state: Mapping[str, Mapping[str, Tensor]],
        factor: Tensor,
        hyper: Mapping[str, Tensor],
    ) -> tuple[dict[str, Tensor], State]:
        matrices = {name: param for name, param in params.items() if "momentum_buffer" in state[name]}
        others = {name: param for name, param in params.items() if name not in matrices}
        new_params, new_state = self._matrices.update(matrices, grads, state, factor, hyper)
        if others:
            new_others, state_of_others = self._adamw.update(others, grads, state, factor, _of_adamw(hyper))
            new_params, new_state = new_params | new_others, new_state | state_of_others
        return {name: new_params[name] for name in params}, new_state

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return self._matrices.coefficients(shared, lr, hyper)

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return self._matrices.step(param, grad, slots, c)


class _BatchedMatrices(BatchedOptimizer):
    """`torch.optim.Muon` of parameters (R, out, ...), each run's flattened to a matrix (out, everything else)."""

    numbers = BatchedMuon.numbers

    def shared(self, zeros: Tensor) -> dict[str, Tensor]:
        return {}

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        return {"momentum_buffer": torch.zeros_like(param)}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        c = {"lr": lr, "momentum": hyper["momentum"], "new": 1 - hyper["momentum"]}
        return c | ({"shrink": 1 - lr * hyper["weight_decay"]} if "weight_decay" in self.active else {}), {}

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        momentum = torch.lerp(slots["momentum_buffer"], grad, c["new"])
        direction = torch.lerp(grad, momentum, c["momentum"]) if self.structure["nesterov"] else momentum
        matrices = direction.reshape(*param.shape[:2], -1)
        scale = self._scale(*matrices.shape[1:])
        update = orthogonalized(matrices, self.structure["ns_steps"]).reshape(param.shape).to(param.dtype)
        if "weight_decay" in self.active:
            param = param * c["shrink"]
        return torch.addcmul(param, update, c["lr"] * scale, value=-1), {"momentum_buffer": momentum}

    def _scale(self, rows: int, columns: int) -> float:
        if self.structure["adjust_lr_fn"] == "match_rms_adamw":
            return 0.2 * sqrt(max(rows, columns))
        return sqrt(max(1.0, rows / columns))


def _of_adamw(hyper: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix("adamw_"): value for key, value in hyper.items() if key.startswith("adamw_")}
