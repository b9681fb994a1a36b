"""The learning rate as a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class LearningRate(Probe):
    """At each evaluation point, the learning rate that the next step will be made with.

    Metrics: `lr`; for several parameter groups `lr/<group>`, a group being called by its `name` if it has one, else by
    its number (from 0).
    """

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        groups = [group for optimizer in task.trainer.optimizers for group in optimizer.param_groups]
        if len(groups) == 1:
            return {"lr": float(groups[0]["lr"])}
        return {f"lr/{group.get('name', number)}": float(group["lr"]) for number, group in enumerate(groups)}
