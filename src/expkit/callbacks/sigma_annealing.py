"""Makes learned delays sharp in the course of training."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from expkit.callbacks.intervention import Intervention
from expkit.errors import UserError
from expkit.models.dcls_delay import DCLSDelay

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class SigmaAnnealing(Intervention):
    """Sets `sigma` of all `DCLSDelay` layers to start (end / start)^(step / until) (arXiv 2306.17670, section 3.3).

    From step 0 to `until`, every so many steps. Logs `sigma`, in time steps, where the model is evaluated.

    Args:
        start, end: in time steps.
        until: the step at which `end` is reached.
        every: steps, a divisor of `until`.
    """

    frequent = True

    def __init__(self, start: float, end: float, until: int, every: int) -> None:
        if start <= 0 or end <= 0 or every < 1 or until < 1 or until % every:
            raise ValueError(
                f"start and end are positive, and every divides until; got {start}, {end}, {every} and {until}"
            )
        self.start, self.end, self.until, self.every = start, end, until, every

    def steps(self, max_steps: int) -> Collection[int]:
        return range(0, self.until + 1, self.every)

    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        layers = [module for module in task.modules() if isinstance(module, DCLSDelay)]
        if not layers:
            raise UserError(
                f"{type(task.model).__name__} has no learned delays.", "Use model=snn model.delays=learned."
            )
        sigma = self.start * (self.end / self.start) ** (step / self.until)
        for layer in layers:
            layer.sigma.fill_(sigma)
        return {"sigma": sigma}
