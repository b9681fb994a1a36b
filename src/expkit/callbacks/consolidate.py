"""Tells a task that anchors its weights when what it has trained on has been learned."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from expkit.callbacks.intervention import Intervention
from expkit.data.task_sequence import TaskSequence
from expkit.errors import UserError

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class Consolidate(Intervention):
    """Consolidates (`AnchoredClassification.consolidate`) after each task of a sequence (`TaskSequence`).

    Args:
        every: steps of a task.
    """

    def __init__(self, every: int) -> None:
        if every < 1:
            raise ValueError(f"a task has at least one step, got every={every}")
        self.every = every

    def steps(self, max_steps: int) -> Collection[int]:
        return range(self.every, max_steps, self.every)

    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        consolidate = getattr(task, "consolidate", None)
        if consolidate is None:
            raise UserError(f"{type(task).__name__} anchors nothing.", "Use task=anchored_classification.")
        if not isinstance(data, TaskSequence) or data.steps_per_task != self.every:
            raise UserError(
                f"callbacks.consolidate.every={self.every} is not the number of steps of a task"
                + (f", which is {data.steps_per_task}." if isinstance(data, TaskSequence) else ": data have no tasks."),
                "Choose data such as permuted_tasks, and set callbacks.consolidate.every to what a task takes.",
            )
        train = data.splits["train"]
        learned = train["task"] == step // self.every - 1
        consolidate({column: values[learned] for column, values in train.items()})
        return {}
