"""When interventions act in a training, the same for every engine."""

from __future__ import annotations

from collections.abc import Sequence

import lightning.pytorch as lightning
import torch

from expkit.callbacks.intervention import Intervention
from expkit.data.base import TensorData
from expkit.seeding import derive
from expkit.tasks.base import Task


class Stages:
    """The interventions of a training: which of them act after which step."""

    def __init__(self, callbacks: Sequence[lightning.Callback], max_steps: int) -> None:
        self._acting: dict[int, list[Intervention]] = {}
        for callback in callbacks:
            if isinstance(callback, Intervention):
                for step in callback.steps(max_steps):
                    if step < max_steps:
                        self._acting.setdefault(step, []).append(callback)

    @property
    def points(self) -> frozenset[int]:
        """The steps at which one acts."""
        return frozenset(self._acting)

    @property
    def evaluated(self) -> frozenset[int]:
        """Those of them at which the model is evaluated before."""
        return frozenset(step for step, acting in self._acting.items() if not all(one.frequent for one in acting))

    def fresh_optimizer(self, step: int) -> bool:
        """Whether the optimizer starts anew after this step."""
        return any(one.fresh_optimizer for one in self._acting.get(step, ()))

    def act(self, task: Task, data: TensorData, seed: int, step: int) -> dict[str, float]:
        """Lets those act that do so after this step; called with gradients off, in evaluation mode."""
        metrics: dict[str, float] = {}
        for one in self._acting.get(step, ()):
            torch.manual_seed(derive(seed, f"{type(one).__name__}/act/{step}"))
            metrics |= one.act(task, data, step)
        return metrics
