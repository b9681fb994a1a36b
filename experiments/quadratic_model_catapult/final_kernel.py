"""The largest eigenvalue of the tangent kernel at the end of training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from expkit.analysis.empirical_ntk import task_ntk
from expkit.analysis.kernel import spectrum
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class FinalKernel(Probe):
    """2 / n times that eigenvalue, on all training examples, once: the shared probe `ntk` takes it at every evaluation.

    That is the sharpness of the linearized mean squared error, in the unit of `unit_sharpness/sharpness`.

    Metric, in the last row: `final_kernel/sharpness`.
    """

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        train = data.splits["train"]
        kernel = task_ntk(task, train, outputs="trace", dtype=torch.float32)
        top = float(spectrum(kernel)[0]) if bool(kernel.isfinite().all()) else math.inf
        return {"final_kernel/sharpness": 2 / len(kernel) * top}
