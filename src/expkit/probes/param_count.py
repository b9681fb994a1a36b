"""How many parameters a model has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torch import Tensor

from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class ParamCount(Probe):
    """`param_count/total`: the numbers that training may change, counted once at the end.

    Args:
        leave_out: a regular expression; parameters whose name it is found in do not count, such as 'embedding'.
    """

    def __init__(self, leave_out: str | None = None) -> None:
        super().__init__()
        self.leave_out = leave_out

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        counted = [
            parameter.numel()
            for name, parameter in task.model.named_parameters()
            if parameter.requires_grad and not (self.leave_out and re.search(self.leave_out, name))
        ]
        return {"param_count/total": float(sum(counted))}
