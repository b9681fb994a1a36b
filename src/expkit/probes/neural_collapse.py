"""Neural collapse of a classifier's last layers during training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from expkit.analysis.neural_collapse import class_means, neural_collapse
from expkit.errors import ConfigError
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class NeuralCollapse(Probe):
    """How near the features of the last layers, and the map from them to the logits, are to neural collapse.

    Features are what a linear layer is given. For the last one, W is its weight matrix; where several linear layers
    follow each other at the end of a network, W of an earlier one is the product of all weights from it on
    (arXiv 2301.00437). Biases are left out.

    Metrics, for each quantity of `expkit.analysis.neural_collapse.neural_collapse`:
        `neural_collapse/<quantity>`: of the last linear layer.
        `neural_collapse/<quantity>_<j>`: of the j-th linear layer from the end, for j = 2 ... `layers`.

    Arrays, at the end: `neural_collapse/weights_gram` and `neural_collapse/means_gram`, (layers, K, K), the Gram
    matrices W W^T and M^T M, from the last layer backwards.

    One forward pass over the split, and a singular value decomposition of a (features, classes) matrix.

    Args:
        layers: how many linear layers, from the end.
        split: whose examples.
    """

    def __init__(self, layers: int = 1, split: str = "train") -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers is a number of linear layers, got {layers}")
        self.layers = layers
        self.split = split

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        labels = data.splits[self.split]["target"]
        return {
            f"neural_collapse/{name}{f'_{place}' if place > 1 else ''}": value.item()
            for place, (features, weights) in enumerate(self._tail(task, data), start=1)
            for name, value in neural_collapse(features, labels, weights).items()
        }

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        labels = data.splits[self.split]["target"]
        tail = self._tail(task, data)
        means = [class_means(features, labels, len(weights)) for features, weights in tail]
        return {
            "neural_collapse/weights_gram": torch.stack([weights @ weights.T for _, weights in tail]),
            "neural_collapse/means_gram": torch.stack([mean @ mean.T for mean in means]),
        }

    def _tail(self, task: Task, data: TensorData) -> list[tuple[Tensor, Tensor]]:
        """Features (n, d) and the map from them to the logits (K, d), from the last linear layer backwards."""
        called: list[tuple[Tensor, Tensor]] = []

        def note(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            called.append((arguments[0].flatten(0, -2), layer.weight))  # type: ignore[arg-type]

        hooks = [layer.register_forward_pre_hook(note) for layer in task.modules() if isinstance(layer, nn.Linear)]
        try:
            task.output(data.splits[self.split])
        finally:
            for hook in hooks:
                hook.remove()
        if len(called) < self.layers:
            raise ConfigError(
                f"probes.neural_collapse looks at {self.layers} linear layers; {type(task.model).__name__} has "
                f"{len(called)}.",
                "Choose a model that ends with a linear layer, such as mlp or cnn, or fewer layers.",
            )
        tail: list[tuple[Tensor, Tensor]] = []
        for features, weights in called[: -self.layers - 1 : -1]:
            tail.append((features.double(), (tail[-1][1] @ weights.double()) if tail else weights.double()))
        return tail
