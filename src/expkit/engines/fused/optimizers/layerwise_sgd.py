"""R runs of `expkit.optim.layerwise_sgd.LayerwiseSGD`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from expkit.engines.fused.optimizers.base import BatchedOptimizer, State
from expkit.optim.layerwise_sgd import output_layer


class BatchedLayerwiseSGD(BatchedOptimizer):
    """`expkit.optim.layerwise_sgd.LayerwiseSGD`: which parameters are the output layer is decided by the same rule.

    A schedule's factor scales both learning rates.
    """

    numbers: ClassVar[Mapping[str, tuple[str, ...]]] = {"lr": ("lr",), "lr_output": ("lr_output",)}

    def update(
        self,
        params: Mapping[str, Tensor],
        grads: Mapping[str, Tensor],
        state: Mapping[str, Mapping[str, Tensor]],
        factor: Tensor,
        hyper: Mapping[str, Tensor],
    ) -> tuple[dict[str, Tensor], State]:
        output = output_layer(list(params))
        new_params: dict[str, Tensor] = {}
        new_state: State = {}
        for is_output, rate in [(False, hyper["lr"]), (True, hyper["lr_output"])]:
            layer = {name: param for name, param in params.items() if (name in output) == is_output}
            own_params, own_state = super().update(layer, grads, state, factor, {**hyper, "lr": rate})
            new_params, new_state = new_params | own_params, new_state | own_state
        return {name: new_params[name] for name in params}, new_state

    def shared(self, zeros: Tensor) -> dict[str, Tensor]:
        return {}

    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return {"lr": lr}, {}

    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return torch.addcmul(param, grad, c["lr"], value=-1), {}
