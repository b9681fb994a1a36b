"""The base of everything that changes a model between two steps, such as pruning, rewinding, and turns of tasks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar

import lightning.pytorch as lightning

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class Intervention(lightning.Callback):
    """Acts on the model at some steps, which divide a training into stages.

    At each of these steps the model is evaluated first (but see `frequent`); then the intervention changes parameters
    and buffers in place.
    What a later stage needs of an earlier one (masks, anchors, weights to go back to) lies in buffers of the task or of
    its model, which checkpoints have and which the fused engine keeps for each of its runs; the intervention itself
    keeps nothing. The structure stays as it was built: no tensor is added, removed or given another shape.

    What it draws comes from torch's global generator, which stands where the run's seed and the step have put it.
    """

    fresh_optimizer: ClassVar[bool] = False
    """Whether the optimizer forgets its momenta after each intervention."""

    frequent: ClassVar[bool] = False
    """Acts too often for the model to be evaluated each time: it is at the evaluation points of the trainer alone."""

    @abstractmethod
    def steps(self, max_steps: int) -> Collection[int]:
        """The steps after which it acts, 0 for before the first; those from `max_steps` on are left out."""

    @abstractmethod
    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        """Changes the model; called with gradients off, in evaluation mode.

        Returns:
            Numbers that are recorded with the metrics of this step, if there are any, by name.
        """
