"""The bases of every probe: what looks at the model at evaluation points, and what looks at the loss of every step."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import lightning.pytorch as lightning
from torch import Tensor

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class Probe(lightning.Callback):
    """Measures something at each evaluation point, with the model in evaluation mode.

    What it draws from torch's global generators and does to gradients leaves the run as it was.
    """

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        """Quantities by name, `<probe>/<quantity>`; called with gradients off (use `torch.enable_grad` for them)."""
        return {}

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        """What is measured once, when a run is complete: for what takes long, and for what is no number.

        Returns:
            By name, `<probe>/<quantity>`: numbers, which are recorded with the last metrics, and tensors of any shape,
            which the record keeps as arrays (`arrays.npz`).
        """
        return {}


class StepStatistic(lightning.Callback):
    """Measures something of the training loss at every step: its mean, its largest value, whether it ever rose.

    The loss of a step is the mean over its batches, at the weights before the update. What is measured appears at the
    evaluation points after the first step.

    The methods are pure and treat each run by itself: the loss has shape () for one run, and (R,) for R runs that are
    trained as one. What is measured has the same shape; the state has it too, or further axes behind it. A statistic
    keeps nothing itself, decides nothing by a number (`torch.where` instead of `if`), and leaves numbers where they are
    (no `.item()`).
    """

    @abstractmethod
    def begin(self, loss: Tensor) -> dict[str, Tensor]:
        """The state after the first step."""

    @abstractmethod
    def step(self, state: dict[str, Tensor], loss: Tensor) -> dict[str, Tensor]:
        """The state after another step."""

    @abstractmethod
    def measure(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Quantities by name, `<probe>/<quantity>`."""
