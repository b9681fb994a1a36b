"""Pruning by how much the loss depends on a weight's being there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from expkit.compression.mask import Masked
from expkit.compression.pruner import Pruner

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class SnipPruner(Pruner):
    """Prunes weights by |w dL/dw|, the derivative of the training loss by their masks (SNIP, arXiv 1810.02340).

    The paper prunes once, at initialization (`start` 0), all layers competing (`scope` global).

    Args:
        examples: the loss is that of the first so many training examples; None for all.
        arguments: for when and how many, see `Pruner`.
    """

    def __init__(self, examples: int | None = 1024, **arguments: Any) -> None:
        super().__init__(**arguments)
        if examples is not None and examples < 1:
            raise ValueError(f"examples is at least 1, got {examples}")
        self.examples = examples

    def scores(self, weights: Sequence[Masked], task: Task, data: TensorData) -> Mapping[str, Tensor]:
        batch = {column: values[: self.examples] for column, values in data.splits["train"].items()}
        with torch.enable_grad():
            loss = task.objective(batch)["loss"]
            gradients = torch.autograd.grad(loss, [one.weight for one in weights])
        return {
            one.name: (one.weight * gradient).abs().detach() for one, gradient in zip(weights, gradients, strict=True)
        }
