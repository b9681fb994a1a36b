"""Gives a task's target network the weights that have been learned, every so many steps."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from expkit.callbacks.intervention import Intervention
from expkit.errors import UserError

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class UpdateTarget(Intervention):
    """Calls the task's `update_target` (see `FittedQ`); between two calls the objective stays the same.

    Args:
        every: steps.
    """

    frequent = True

    def __init__(self, every: int) -> None:
        if every < 1:
            raise ValueError(f"every is a number of steps, at least 1; got {every}")
        self.every = every

    def steps(self, max_steps: int) -> Collection[int]:
        return range(self.every, max_steps, self.every)

    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        update = getattr(task, "update_target", None)
        if update is None:
            raise UserError(f"{type(task).__name__} has no target network.", "Use task=fitted_q.")
        update()
        return {}
