"""The trace of the Hessian of the training loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expkit.analysis.hessian import Hessian
from expkit.analysis.hutchinson import trace
from expkit.probes.base import Probe
from expkit.probes.training_examples import first_examples

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class HessianTrace(Probe):
    """Hutchinson's estimate of the trace of the Hessian of the mean training loss.

    Metrics: `hessian_trace/mean` and `hessian_trace/standard_error`, which falls as 1 / sqrt(samples).

    Cost at each evaluation point: `samples` Hessian-vector products, each about four gradients over `n_examples`,
    made together in blocks.

    Args:
        n_examples: the loss is the mean over the first so many training examples; None for all.
        samples: random vectors, at least 2.
        chunk: examples at a time; limits memory, not the result.
    """

    def __init__(self, n_examples: int | None = 1024, samples: int = 32, chunk: int = 4096) -> None:
        if samples < 2:
            raise ValueError(f"samples is at least 2, since the error is estimated from their scatter; got {samples}")
        self.n_examples = n_examples
        self.samples = samples
        self.chunk = chunk

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        matrix = Hessian(task, first_examples(data, self.n_examples), self.chunk)
        mean, error = trace(matrix, self.samples)
        return {"hessian_trace/mean": mean, "hessian_trace/standard_error": error}
