"""The task's metrics on groups of examples that a column of the data tells apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class GroupedMetric(Probe):
    """`<split>/<metric>_<group>` for every group, e.g. `train/acc_flipped`: means over the group's examples.

    Args:
        column: of the split; its values tell the groups apart.
        groups: name of a group -> its value in the column. A group without examples is left out.
        metrics: which of the task's metrics.
        split: whose examples.
    """

    def __init__(self, column: str, groups: Mapping[str, int], metrics: list[str], split: str = "train") -> None:
        super().__init__()
        self.column = column
        self.groups = groups
        self.metrics = metrics
        self.split = split

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        split = data.splits[self.split]
        measured: dict[str, float] = {}
        for group, value in self.groups.items():
            members = split[self.column] == value
            if members.any():
                values = task.evaluate({name: column[members] for name, column in split.items()})
                measured |= {f"{self.split}/{metric}_{group}": values[metric] for metric in self.metrics}
        return measured
