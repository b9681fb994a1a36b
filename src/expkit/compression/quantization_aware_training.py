"""Training with quantizers in place, from a step on (arXiv 2106.08295, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from expkit.callbacks.intervention import Intervention
from expkit.compression.equalization import equalize
from expkit.compression.quantizable import quantizable_layers
from expkit.compression.quantization_range import RangeMethod
from expkit.compression.quantize import fold_norms, set_ranges
from expkit.compression.stage_steps import StageSteps
from expkit.errors import ConfigError

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class QuantizationAwareTraining(Intervention):
    """At a step, folds batch norms, sets the ranges of all quantizers and switches them on; the optimizer is fresh.

    Before it, the model is trained in floating point. Needs the transform `quantizable`, which says how many bits there
    are and whether scales are learned from then on.

    Args:
        start: the step.
        ranges: how ranges are set at first, `min_max` or `mse`.
        equalization: whether channels are equalized across layers first.
        examples: ranges are set by the first so many training examples.
    """

    fresh_optimizer = True

    def __init__(
        self, start: int, ranges: RangeMethod = "mse", equalization: bool = False, examples: int = 256
    ) -> None:
        super().__init__()
        if ranges not in ("min_max", "mse"):
            raise ValueError(f"ranges are set by min_max or mse; got '{ranges}'")
        self.when = StageSteps(start)
        self.ranges = ranges
        self.equalization = equalization
        self.examples = examples

    def steps(self, max_steps: int) -> Sequence[int]:
        return self.when.below(max_steps)

    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        if not any(True for _ in quantizable_layers(task.model)):
            raise ConfigError(
                f"{type(task.model).__name__} has no quantizers to switch on.", "Add the transform `quantizable`."
            )
        train = data.splits["train"]
        inputs = [train[column][: self.examples] for column in task.columns]
        fold_norms(task.model, inputs)
        if self.equalization:
            equalize(task.model, inputs)
        set_ranges(task.model, inputs, self.ranges)
        return {}
