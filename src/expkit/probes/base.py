"""The base of every probe."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import lightning.pytorch as lightning

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class Probe(lightning.Callback):
    """Measures something at each evaluation point, with the model in evaluation mode.

    What it draws from torch's global generators and does to gradients leaves the run as it was.
    """

    @abstractmethod
    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        """Quantities by name, `<probe>/<quantity>`; called with gradients off (use `torch.enable_grad` for them)."""
