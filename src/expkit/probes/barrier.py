"""The loss on the straight way from earlier weights to the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from expkit.analysis.loss_function import LossFunction
from expkit.analysis.weight_interpolation import barrier, losses_between
from expkit.probes.base import Probe
from expkit.probes.training_examples import first_examples
from expkit.transforms.snapshots import snapshot

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class Barrier(Probe):
    """The training loss along the line from a snapshot to the weights at the end, measured once, after the last step.

    Snapshots are made by the transform `snapshots`, and taken by the intervention `take_snapshot`; one that is never
    taken is the initialization.

    Metrics, for each snapshot: `barrier/<name>`, the height of the barrier (how far the loss rises above the straight
    line between its values at both ends, see `expkit.analysis.weight_interpolation`), and `barrier/<name>_distance`,
    the Euclidean distance of the weights. Array: `barrier/<name>_losses`, (points,), at evenly spaced points.

    Cost: `points` evaluations of the training loss per snapshot.

    Args:
        names: of the snapshots.
        points: on each line, ends included.
        n_examples: the loss is the mean over the first so many training examples; None for all.
    """

    def __init__(self, names: Sequence[str] = ("before",), points: int = 25, n_examples: int | None = None) -> None:
        self.names = names
        self.points = points
        self.n_examples = n_examples

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        loss = LossFunction(task, first_examples(data, self.n_examples))
        end = loss.point
        found: dict[str, float | Tensor] = {}
        for name in self.names:
            start = snapshot(task.model, name)
            shares, losses = losses_between(loss, start, end, self.points)
            found |= {
                f"barrier/{name}": barrier(shares, losses),
                f"barrier/{name}_distance": float((end - start).norm()),
                f"barrier/{name}_losses": losses,
            }
        return found
