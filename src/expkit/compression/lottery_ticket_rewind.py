"""Going back to the weights that a training started from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from expkit.callbacks.intervention import Intervention
from expkit.compression.initial import recall, remember
from expkit.compression.mask import masked
from expkit.compression.stage_steps import StageSteps

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class LotteryTicketRewind(Intervention):
    """Sets what pruning has left back to the weights at initialization (arXiv 1803.03635), with a fresh optimizer.

    All parameters and buffers go back, biases and norms too, and masks are those that pruning has decided on. Listed
    after a pruner and acting at the same steps, it makes the next winning ticket. Needs the transform `prunable` with
    `rewindable`. To go back to the weights of step k instead (arXiv 1903.01611), add `RememberWeights` at step k.

    Args:
        start, every, times: when: at step `start`, then every so many steps, so many times in all.
        at: these steps instead.
    """

    fresh_optimizer = True

    def __init__(
        self, start: int = 0, every: int | None = None, times: int | None = None, at: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.when = StageSteps(start, every, times, at)

    def steps(self, max_steps: int) -> Sequence[int]:
        return self.when.below(max_steps)

    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        for one in masked(task.model):
            one.buffers.mask.copy_(one.buffers.decided)
        recall(task.model)
        return {}


class RememberWeights(Intervention):
    """Makes the weights at a step those that rewinding goes back to; training goes on as if nothing had happened.

    Args:
        step: after which.
    """

    def __init__(self, step: int) -> None:
        super().__init__()
        self.when = StageSteps(step)

    def steps(self, max_steps: int) -> Sequence[int]:
        return self.when.below(max_steps)

    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        remember(task.model)
        return {}
