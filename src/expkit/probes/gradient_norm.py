"""The norm of the training objective's gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import Split, TensorData
    from expkit.tasks.base import Task


class GradientNorm(Probe):
    """The Euclidean norm of the gradient of the mean training loss, at the weights that are evaluated.

    Metrics: `gradient_norm/global`, over all trainable parameters of the model; with `per_layer` also
    `gradient_norm/<layer>`, over the parameters of each submodule that has some of its own (those of the model itself
    count as a layer each). The squares of the layers add up to that of the global norm.

    The model is in evaluation mode, so dropout is off and batch normalization uses its running statistics.

    Args:
        examples: the gradient is that of the first so many training examples; null for all.
        per_layer: whether to measure every layer.
        chunk: examples per backward pass; limits memory, not the result.
    """

    def __init__(self, examples: int | None = 1024, per_layer: bool = False, chunk: int = 4096) -> None:
        if (examples is not None and examples < 1) or chunk < 1:
            raise ValueError(f"examples and chunk are at least 1, got {examples} and {chunk}")
        self.examples = examples
        self.per_layer = per_layer
        self.chunk = chunk

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        train = {column: values[: self.examples] for column, values in data.splits["train"].items()}
        squares = {name: gradient.double().square().sum() for name, gradient in self._gradient(task, train).items()}
        layers: dict[str, Tensor] = {}
        for name, square in squares.items():
            layer = name.rpartition(".")[0] or name
            layers[layer] = layers[layer] + square if layer in layers else square
        norms = {"global": sum(squares.values(), torch.zeros(())), **(layers if self.per_layer else {})}
        return {f"gradient_norm/{name}": float(square.sqrt()) for name, square in norms.items()}

    def _gradient(self, task: Task, split: Split) -> dict[str, Tensor]:
        """Of the mean loss over a split's examples, by parameter name."""
        named = {name: p for name, p in task.model.named_parameters() if p.requires_grad}
        n = len(split["input"])
        total = {name: torch.zeros_like(p) for name, p in named.items()}
        for start in range(0, n, self.chunk):
            part = {column: values[start : start + self.chunk] for column, values in split.items()}
            with torch.enable_grad():
                loss = task.objective(part)["loss"] * (len(part["input"]) / n)
                gradients = torch.autograd.grad(loss, list(named.values()), materialize_grads=True)
            for sum_of_parts, gradient in zip(total.values(), gradients, strict=True):
                sum_of_parts += gradient
        return total
