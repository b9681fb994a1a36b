"""How far a classifier's probabilities are from frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from expkit.analysis.class_probabilities import class_logits, split_of
from expkit.metrics.calibration import brier_score, classwise_error, negative_log_likelihood, top_label_error
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class Calibration(Probe):
    """Calibration errors and proper scores of any classifier; see `expkit.metrics.calibration` for their formulas.

    Metrics, for each split: `<split>/ece` (expected calibration error of the most probable class),
    `<split>/ece_classwise` (mean over classes), `<split>/nll` (nats, without label smoothing) and `<split>/brier`.
    Positions of the target -100 do not count. It costs one evaluation of the splits.

    Args:
        splits: whose examples.
        bins: of the calibration errors.
        binning: 'width', bins of equal width; 'mass', bins with equally many examples (adaptive).
    """

    def __init__(
        self, splits: Sequence[str] = ("test",), bins: int = 15, binning: Literal["width", "mass"] = "width"
    ) -> None:
        super().__init__()
        if bins < 1:
            raise ValueError(f"bins is at least 1, got {bins}")
        self.splits = tuple(splits)
        self.bins = bins
        self.binning: Literal["width", "mass"] = binning

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        measured: dict[str, float] = {}
        for name in self.splits:
            split = split_of(data, name, "probes.calibration")
            target = split["target"].flatten()
            counted = target != -100
            log_probabilities = class_logits(task, split).double().log_softmax(-1).flatten(0, -2)[counted]
            probabilities, target = log_probabilities.exp(), target[counted]
            values = {
                "ece": top_label_error(probabilities, target, self.bins, self.binning),
                "ece_classwise": classwise_error(probabilities, target, self.bins, self.binning),
                "nll": negative_log_likelihood(log_probabilities, target),
                "brier": brier_score(probabilities, target),
            }
            measured |= {f"{name}/{quantity}": value.item() for quantity, value in values.items()}
        return measured
