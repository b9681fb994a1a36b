"""Measures the sharpness at initialization and makes it the unit of the loss."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor

from expkit.analysis.gauss_newton import GaussNewton
from expkit.analysis.largest_eigenvalues import largest_eigenvalues
from expkit.callbacks.intervention import Intervention
from expkit.errors import UserError
from expkit.tasks.unit_sharpness import UnitSharpnessRegression

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class UnitSharpness(Intervention):
    r"""Before the first step, sets the `sharpness` of a `UnitSharpnessRegression` to the top eigenvalue at this point.

    That of the Gauss-Newton matrix of the mean loss over all training examples, which for the mean squared error of one
    output is 2 / n times the largest eigenvalue of the tangent kernel. It is the Hessian of the linearized model, for
    which a learning rate above 2 / sharpness makes gradient descent diverge.

    Cost: about 10 to 30 products, of four gradients each. Runs on the same data that start alike, as those of a sweep
    of learning rates, are measured once where they are trained as one program. Metric, at step 0:
    `unit_sharpness/sharpness`.

    Args:
        tolerance: of the eigenvector's residual, relative to its eigenvalue, whose own error is about its square.
    """

    def __init__(self, tolerance: float = 1e-3) -> None:
        super().__init__()
        self.tolerance = tolerance

    def steps(self, max_steps: int) -> Collection[int]:
        return [0]

    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        if not isinstance(task, UnitSharpnessRegression):
            raise UserError(
                f"callbacks.unit_sharpness needs a task whose loss has a unit, not {type(task).__name__}.",
                "Use it with task=unit_sharpness_regression.",
            )
        sharpness = self._measured(task, data)
        if not (math.isfinite(sharpness) and sharpness > 0):
            raise UserError(f"callbacks.unit_sharpness: the initial sharpness is {sharpness}, which is no unit.")
        task.sharpness.fill_(sharpness)
        return {"unit_sharpness/sharpness": sharpness}

    def _measured(self, task: UnitSharpnessRegression, data: TensorData) -> float:
        weights = torch.cat([values.flatten() for values in task.model.state_dict().values()])
        known = _known.get(task)
        if known and known.data() is data and known.tolerance == self.tolerance and torch.equal(known.weights, weights):
            return known.sharpness
        matrix = GaussNewton(task, data.splits["train"])
        sharpness = float(largest_eigenvalues(matrix, tolerance=self.tolerance)[0])
        _known[task] = _Known(ref(data), self.tolerance, weights, sharpness)
        return sharpness


@dataclass(frozen=True)
class _Known:
    """What was measured of a task last, and where."""

    data: ref[TensorData]
    tolerance: float
    weights: Tensor
    sharpness: float


_known: WeakKeyDictionary[UnitSharpnessRegression, _Known] = WeakKeyDictionary()
