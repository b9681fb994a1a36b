"""What all batched optimizers share: R optimizers of one kind as one pure function of stacked tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

State = dict[str, dict[str, Tensor]]
"""Parameter name -> slot -> (R, ...); under `SHARED` what all parameters of a run have in common, (R,) each."""

SHARED = ""


class BatchedOptimizer(ABC):
    """R optimizers that differ in numbers only, over parameters stacked on a leading axis of size R.

    An update is computed in two parts: `coefficients`, a few numbers per run, in the precision of `hyper` (float64, as
    Python computes them for torch's optimizers), and `step`, elementwise over a parameter, in the parameter's
    precision. Numbers that are zero in all runs are known when the optimizer is made, and their work is left out.

    Args:
        hyper: the numbers that runs may differ in, (R,) each; `lr` is the learning rate before any schedule.
        structure: the arguments that all runs share.
    """

    numbers: ClassVar[Mapping[str, tuple[str, ...]]]
    """Argument of torch's optimizer -> its keys in `hyper`: one, or one per element of a pair."""

    def __init__(self, hyper: dict[str, Tensor], structure: Mapping[str, Any]) -> None:
        self.hyper = hyper
        self.structure = dict(structure)
        self.active = {name for name, values in hyper.items() if bool((values != 0).any())}

    def init(self, params: Mapping[str, Tensor]) -> State:
        """The state before the first update. Every tensor in it has a leading axis of size R."""
        first = next(iter(params.values()))
        shared = self.shared(first.new_zeros(len(first), dtype=self.hyper["lr"].dtype))
        return {name: self.slots(param) for name, param in params.items()} | ({SHARED: shared} if shared else {})

    def update(
        self,
        params: Mapping[str, Tensor],
        grads: Mapping[str, Tensor],
        state: Mapping[str, Mapping[str, Tensor]],
        factor: Tensor,
        hyper: Mapping[str, Tensor],
    ) -> tuple[dict[str, Tensor], State]:
        """One update of every run. Pure: returns new tensors and changes none.

        Args:
            params, grads: of each parameter, (R, ...).
            state: from `init` or the last update.
            factor: (R,), the learning rate of this update over `hyper["lr"]`, such as a row of `learning_rates`.
            hyper: `self.hyper`, or its tensors on another device. An argument so that compiled code need not be
                compiled again for other numbers; those that are zero in all runs have to stay so.

        Returns:
            New parameters and new state.
        """
        lr = hyper["lr"] * factor
        coefficients, shared = self.coefficients(state.get(SHARED, {}), lr, hyper)
        in_dtype: dict[torch.dtype, dict[str, Tensor]] = {}
        new_params: dict[str, Tensor] = {}
        new_state: State = {SHARED: shared} if shared else {}
        for name, param in params.items():
            grad = -grads[name] if self.structure.get("maximize") else grads[name]
            if param.dtype not in in_dtype:
                in_dtype[param.dtype] = {key: _stored(value, param.dtype) for key, value in coefficients.items()}
            shape = (-1, *[1] * (param.ndim - 1))
            c = {key: value.view(shape) for key, value in in_dtype[param.dtype].items()}
            new_params[name], new_state[name] = self.step(param, grad, state[name], c)
        return new_params, new_state

    @abstractmethod
    def coefficients(
        self, shared: Mapping[str, Tensor], lr: Tensor, hyper: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What `step` needs of each run, and the new shared state; (R,) each."""

    @abstractmethod
    def step(
        self, param: Tensor, grad: Tensor, slots: Mapping[str, Tensor], c: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The new parameter and its new slots. `c` holds the coefficients, (R, 1, ..., 1) each."""

    def slots(self, param: Tensor) -> dict[str, Tensor]:
        """What is kept for a parameter before the first update."""
        return {}

    def shared(self, zeros: Tensor) -> dict[str, Tensor]:
        """What is kept per run before the first update, made from zeros of shape (R,)."""
        return {"step": zeros}


def _stored(coefficient: Tensor, dtype: torch.dtype) -> Tensor:
    """A coefficient in a parameter's precision, as memory.

    The compiler would rather compute it anew for every element of every parameter, powers in float64 included, which
    takes several times as long as the update itself. It stores what is seen through strides.
    """
    value = coefficient if coefficient.dtype == torch.bool else coefficient.to(dtype)
    return value.contiguous().as_strided(value.shape, (1,))
