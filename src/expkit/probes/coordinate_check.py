"""How large the activations of each layer are, and how far training has moved them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class CoordinateCheck(Probe):
    r"""The root mean square of a layer's outputs h, and of h_t - h_0, over examples and units (arXiv 2203.03466).

    Against the width, at a fixed step, exponents of both tell the parametrization: where it is muP both are 0, where
    features are fixed in the limit the second is negative, and where one is positive training diverges with width.

    Metrics: for each layer `coordinate_check/<layer>_size` and `coordinate_check/<layer>`, the change since the first
    evaluation, step 0. The activations there are part of the probe's state, so they survive an interruption.

    Args:
        layers: names of modules whose outputs are looked at; null for all linear and convolutional layers. A layer that
            is called more than once counts with its last call.
        n_examples: the first so many training examples.
    """

    def __init__(self, layers: Sequence[str] | None = None, n_examples: int = 64) -> None:
        super().__init__()
        if n_examples < 1:
            raise ValueError(f"n_examples is at least 1, got {n_examples}")
        self.layers = None if layers is None else list(layers)
        self.n_examples = n_examples
        self.initial: dict[str, Tensor] = {}

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        outputs = self._outputs(task, data)
        self.initial = self.initial or outputs
        metrics: dict[str, float] = {}
        for name, values in outputs.items():
            metrics[f"coordinate_check/{name}"] = _rms(values - self.initial[name].to(values))
            metrics[f"coordinate_check/{name}_size"] = _rms(values)
        return metrics

    def state_dict(self) -> dict[str, Any]:
        return {"initial": self.initial}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.initial = state_dict["initial"]

    def _outputs(self, task: Task, data: TensorData) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        with ExitStack() as hooks:
            for name, layer in task.model.named_modules():
                if (self.layers is None and isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d)) or (
                    self.layers is not None and name in self.layers
                ):

                    def note(_: nn.Module, __: Any, output: Tensor, name: str = name) -> None:
                        found[name] = output.detach().clone()

                    hooks.callback(layer.register_forward_hook(note).remove)
            task.output({column: values[: self.n_examples] for column, values in data.splits["train"].items()})
        if missing := set(self.layers or ()) - set(found):
            known = ", ".join(name for name, _ in task.model.named_modules() if name)
            raise ValueError(f"no module {', '.join(sorted(missing))} was called; there are: {known}")
        return found


def _rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())
