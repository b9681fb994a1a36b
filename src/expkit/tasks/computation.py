"""The base of everything that is computed without training: retrieval, kernels, solvers, verification."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from expkit.data.base import Split, TensorData


class Computation(nn.Module):
    """Computes metrics from data, and from a model at initialization where it has one (trainer=compute).

    Args:
        model: a module at initialization, or None.

    Attributes:
        n_outputs: of the model, where it asks for `${task.n_outputs}`.
        rows: how many rows of metrics `compute` yields, for the progress that is shown.
    """

    rows: int = 1

    def __init__(self, model: nn.Module | None = None) -> None:
        super().__init__()
        self.model = model

    @abstractmethod
    def compute(self, data: TensorData) -> Iterator[Mapping[str, float | Tensor]]:
        """Yields one row after another: numbers by name, `<what>/<quantity>`, and tensors, which are kept as arrays.

        Rows are steps 0, 1, 2, ... of the record. Called with gradients off; what is drawn from torch's global
        generator depends on the run's seed alone.
        """

    def check(self, split: Split) -> None:
        """Raises ConfigError where the data do not fit; the base accepts all."""
