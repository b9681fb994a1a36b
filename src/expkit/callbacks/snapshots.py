"""Weights that are remembered at a step, and weights that are gone back to."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar

from expkit.callbacks.intervention import Intervention
from expkit.transforms import snapshots

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class TakeSnapshot(Intervention):
    """Remembers the trainable parameters of one step, in the buffer that the transform `snapshots` has made.

    It changes nothing that is trained. Where several interventions act at a step, it remembers what those before it in
    the list have left.

    Args:
        name: of the snapshot.
        step: after which it is taken; 0 for before the first.
    """

    def __init__(self, name: str = "before", step: int = 0) -> None:
        if step < 0:
            raise ValueError(f"step is at least 0, got {step}")
        self.name = name
        self.step = step

    def steps(self, max_steps: int) -> Collection[int]:
        return [self.step]

    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        snapshots.take(task.model, self.name)
        return {}


class RestoreSnapshot(Intervention):
    """Puts the trainable parameters back to a snapshot, by default the initialization, with a fresh optimizer.

    Args:
        name: of the snapshot.
        step: after which it acts; 0 for before the first.
    """

    fresh_optimizer: ClassVar[bool] = True

    def __init__(self, name: str = "initialization", step: int = 0) -> None:
        if step < 0:
            raise ValueError(f"step is at least 0, got {step}")
        self.name = name
        self.step = step

    def steps(self, max_steps: int) -> Collection[int]:
        return [self.step]

    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        snapshots.restore(task.model, self.name)
        return {}
