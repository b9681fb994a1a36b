"""How much of a model is zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class Sparsity(Probe):
    """Share of zeros among the weights of linear and convolutional layers, masks applied.

    Metrics: `sparsity/global`, over all layers; with `per_layer` also `sparsity/<layer>`. Costs a look at each weight.

    Args:
        per_layer: whether each layer has a metric of its own.
    """

    def __init__(self, per_layer: bool = False) -> None:
        super().__init__()
        self.per_layer = per_layer

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        weights = {
            name: layer.weight
            for name, layer in task.model.named_modules()
            if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d)
        }
        zeros = {name: int((weight == 0).sum()) for name, weight in weights.items()}
        sizes = {name: weight.numel() for name, weight in weights.items()}
        measured = {"sparsity/global": sum(zeros.values()) / max(sum(sizes.values()), 1)}
        if self.per_layer:
            measured |= {f"sparsity/{name}": zeros[name] / sizes[name] for name in weights}
        return measured
