"""What a network could do if its features stayed as they are at initialization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional as F

from expkit.analysis.empirical_ntk import task_ntk
from expkit.analysis.kernel_ridge import kernel_ridge
from expkit.errors import UserError
from expkit.probes.base import Probe
from expkit.probes.empirical_ntk import target_vectors

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class NTKRegression(Probe):
    r"""Kernel ridge regression of the targets with the network's tangent kernel at initialization.

    It is fitted on all training examples, and for every ridge evaluated on the test split; the best there is reported,
    which flatters it as a baseline. Of several outputs the mean of their kernels is used for all of them: in the limit
    of infinite width they are equal and do not mix.

    Metrics, at the first evaluation only:
        `ntk_regression/test_mse`: mean squared error, of the best ridge; targets are vectors as for the probe `ntk`.
        `ntk_regression/test_acc`: of a classification, the best ridge's share of correct predictions.
        `ntk_regression/ridge`: the ridge with the least test_mse.

    Cost: `expkit.analysis.empirical_ntk` on all training and test examples, and an eigendecomposition, n^3.

    Args:
        ridges: in units of the kernel's mean eigenvalue.
        precision: of the kernel; the regression is in float64.

    Raises:
        UserError: the targets are no vectors and no classes.
    """

    def __init__(
        self,
        ridges: Sequence[float] = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
        precision: Literal["float32", "float64"] = "float32",
    ) -> None:
        super().__init__()
        if not ridges:
            raise ValueError("there is at least one ridge")
        self.ridges = list(ridges)
        self.dtype = {"float32": torch.float32, "float64": torch.float64}[precision]
        self.done = False

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        if self.done:
            return {}
        self.done = True
        train, test = data.splits["train"], data.splits["test"]
        targets = [target_vectors(split, task.n_outputs) for split in (train, test)]
        if targets[0] is None or targets[1] is None:
            raise UserError("The probe ntk_regression needs a target per example: classes, or a vector.")
        kernel = task_ntk(task, train, outputs="trace", dtype=self.dtype) / task.n_outputs
        cross = task_ntk(task, test, train, outputs="trace", dtype=self.dtype) / task.n_outputs
        fits = {ridge: kernel_ridge(kernel, targets[0], cross, ridge) for ridge in self.ridges}
        errors = {ridge: float(F.mse_loss(fit, targets[1].double())) for ridge, fit in fits.items()}
        best = min(errors, key=errors.__getitem__)
        metrics = {"ntk_regression/test_mse": errors[best], "ntk_regression/ridge": best}
        if not test["target"].is_floating_point():
            shares = [float((_classes(fit) == test["target"]).double().mean()) for fit in fits.values()]
            metrics["ntk_regression/test_acc"] = max(shares)
        return metrics

    def state_dict(self) -> dict[str, bool]:
        return {"done": self.done}

    def load_state_dict(self, state_dict: dict[str, bool]) -> None:
        self.done = state_dict["done"]


def _classes(fit: torch.Tensor) -> torch.Tensor:
    return (fit[:, 0] > 0).long() if fit.shape[1] == 1 else fit.argmax(1)
