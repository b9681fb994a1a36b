"""How well each task of a sequence is done, whichever is being trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expkit.errors import UserError
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class TaskAccuracy(Probe):
    """`task_accuracy/<k>` for each task k, and `task_accuracy/mean`: the accuracy on the split's examples of each task.

    Args:
        split: whose examples have a column 'task' (see `expkit.data.task_sequence`).
        metric: of the task, another than accuracy.
    """

    def __init__(self, split: str = "test", metric: str = "acc") -> None:
        self.split = split
        self.metric = metric

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        split = data.splits[self.split]
        if "task" not in split:
            raise UserError("The data have no tasks to tell apart.", "Choose data such as permuted_tasks.")
        values = [
            task.evaluate({column: own[split["task"] == number] for column, own in split.items()})[self.metric]
            for number in range(int(split["task"].max()) + 1)
        ]
        return {
            **{f"task_accuracy/{number}": value for number, value in enumerate(values)},
            "task_accuracy/mean": sum(values) / len(values),
        }
