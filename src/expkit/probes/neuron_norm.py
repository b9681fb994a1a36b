"""How evenly the neurons of a layer take part in an update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from expkit.optim.muon import NOT_HIDDEN, is_hidden_matrix
from expkit.probes.base import Probe
from expkit.transforms.snapshots import snapshot

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class NeuronNorm(Probe):
    """Norms of the rows, and condition, of what was added to each hidden matrix since a snapshot, measured at the end.

    With the snapshot of the step before the last one (`callbacks=[take_snapshot]`) that is the last update. A row
    belongs to a neuron. A kernel is the matrix (out, in * height * width); matrices are hidden by the rule of
    `expkit.optim.muon.Muon`, whatever the optimizer is.

    Metrics: `neuron_norm/cv`, the standard deviation of a matrix's row norms over their mean (arXiv 2510.05491), mean
    over matrices; `neuron_norm/condition`, the largest singular value over the smallest, geometric mean over matrices.
    Array: `neuron_norm/cv_of_matrices`, (matrices,), in the order of the model's parameters. NaN for a matrix that was
    not changed.

    Args:
        name: of the snapshot.
        exclude: patterns of parts of names that are no hidden matrices.
    """

    def __init__(self, name: str = "before", exclude: Sequence[str] = NOT_HIDDEN) -> None:
        self.name = name
        self.exclude = exclude

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        trained = [(name, p) for name, p in task.model.named_parameters() if p.requires_grad]
        parts = snapshot(task.model, self.name).split([p.numel() for _, p in trained])
        updates = [
            (p.detach() - before.view_as(p)).flatten(1)
            for (name, p), before in zip(trained, parts, strict=True)
            if is_hidden_matrix(name, p, kernels=True, exclude=self.exclude)
        ]
        spread = torch.stack([variation(update) for update in updates])
        conditions = torch.stack([condition(update) for update in updates])
        return {
            "neuron_norm/cv": float(spread.mean()),
            "neuron_norm/condition": float(conditions.log().mean().exp()),
            "neuron_norm/cv_of_matrices": spread,
        }


def variation(update: Tensor) -> Tensor:
    """Standard deviation of the row norms over their mean."""
    norms = update.norm(dim=1)
    return norms.std(correction=0) / norms.mean()


def condition(update: Tensor) -> Tensor:
    """Largest singular value over the smallest."""
    values = torch.linalg.svdvals(update)
    return values[0] / values[-1]
