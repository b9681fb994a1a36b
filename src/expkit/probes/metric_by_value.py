"""The task's metrics for each value of a column: of each length, of each class, of each domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from expkit.data.base import Split
from expkit.errors import UserError
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class MetricByValue(Probe):
    """Mean of metrics over the examples that have a value in a column, for all its values, at the end of the run.

    The metrics are those of the objective on each example by itself, so a metric that is a ratio (the share of correct
    tokens) is averaged over examples, each counting alike.

    Arrays of the record: `<column>/<split>` (values,), in ascending order, and `<column>/<split>_<metric>` (values,).
    Number: `<column>/<split>_<metric>_mean`, over values, each counting alike.

    Args:
        column: of whole numbers.
        metrics: of the task.
        splits: whose examples.
        chunk: examples that are evaluated at once; how many does not matter to the result.
    """

    def __init__(
        self, column: str, metrics: Sequence[str] = ("acc",), splits: Sequence[str] = ("test",), chunk: int = 1024
    ) -> None:
        super().__init__()
        self.column = column
        self.metrics = tuple(metrics)
        self.splits = tuple(splits)
        self.chunk = chunk

    @torch.no_grad()
    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        kept: dict[str, float | Tensor] = {}
        for name in self.splits:
            split = data.splits.get(name, {})
            if self.column not in split:
                raise UserError(
                    f"The split '{name}' has no column '{self.column}' to tell examples apart by.",
                    f"It has: {', '.join(split) or 'nothing'}.",
                )
            values, member = split[self.column].unique(return_inverse=True)
            kept[f"{self.column}/{name}"] = values
            for metric, each in self._of_each(task, split).items():
                totals = torch.zeros(len(values), dtype=torch.float64, device=each.device)
                means = totals.index_add(0, member, each.double()) / member.bincount()
                kept[f"{self.column}/{name}_{metric}"] = means
                kept[f"{self.column}/{name}_{metric}_mean"] = float(means.mean())
        return kept

    def _of_each(self, task: Task, split: Split) -> dict[str, Tensor]:
        """Metrics of every example, (n,) each."""

        def one(example: Split) -> dict[str, Tensor]:
            found = task.objective({column: value.unsqueeze(0) for column, value in example.items()})
            return {metric: found[metric] for metric in self.metrics}

        parts = [
            torch.func.vmap(one)({column: values[start : start + self.chunk] for column, values in split.items()})
            for start in range(0, len(split["input"]), self.chunk)
        ]
        return {metric: torch.cat([part[metric] for part in parts]) for metric in self.metrics}
