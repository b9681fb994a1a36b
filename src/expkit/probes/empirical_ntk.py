"""The neural tangent kernel during training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from expkit.analysis.empirical_ntk import task_ntk
from expkit.analysis.kernel import drift, spectrum, target_alignment
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import Split, TensorData
    from expkit.tasks.base import Task


class EmpiricalNTK(Probe):
    r"""Measures the tangent kernel Theta(x, x') = <df(x)/dtheta, df(x')/dtheta> of the model on the first examples.

    Metrics:
        `ntk/top_eigenvalue`: the largest eigenvalue of the kernel. With L = 1/(2n) |f - y|^2 gradient descent on these
            n examples is stable, to first order, up to the learning rate 2 n / that.
        `ntk/trace`: the sum of all eigenvalues.
        `ntk/alignment`: <K, Y Y^T> / (|K| |Y Y^T|) with the targets Y (arXiv 1203.0550, without centering): one-hot
            vectors for classes, -1 and 1 for a task with a single output. None where targets are per position.
        `ntk/centered_alignment`: the same, of both kernels with their means taken away.
        `ntk/drift`: |K - K_0| / |K_0| from the kernel at the first evaluation, step 0, in Frobenius norms. That kernel
            is part of the probe's state, so it survives an interruption.

    Arrays at the end: `ntk/spectrum` and `ntk/initial_spectrum`, the eigenvalues in descending order.

    Everything is computed in the precision that is asked for, float64 by default. For the cost see
    `expkit.analysis.empirical_ntk`; it grows with the number of outputs.

    Args:
        n_examples: the first so many of the split; null for all.
        split: whose examples are looked at.
        outputs: 'trace' for \sum_a Theta(x, x')_{aa}, (n, n); 'full' for (n k, n k) over all pairs of outputs.
        precision: of all computations.
    """

    def __init__(
        self,
        n_examples: int | None = 64,
        split: str = "train",
        outputs: Literal["trace", "full"] = "trace",
        precision: Literal["float32", "float64"] = "float64",
    ) -> None:
        super().__init__()
        if n_examples is not None and n_examples < 1:
            raise ValueError(f"n_examples is at least 1, got {n_examples}")
        self.n_examples = n_examples
        self.split = split
        self.outputs: Literal["trace", "full"] = outputs
        self.dtype = {"float32": torch.float32, "float64": torch.float64}[precision]
        self.initial: Tensor | None = None

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        examples = self._examples(data)
        kernel = task_ntk(task, examples, outputs=self.outputs, dtype=self.dtype)
        if self.initial is None:
            self.initial = kernel
        eigenvalues = spectrum(kernel)
        metrics = {"ntk/top_eigenvalue": float(eigenvalues[0]), "ntk/trace": float(kernel.trace())}
        if (targets := target_vectors(examples, task.n_outputs)) is not None:
            metrics["ntk/alignment"] = target_alignment(kernel, targets)
            metrics["ntk/centered_alignment"] = target_alignment(kernel, targets, centered=True)
        return metrics | {"ntk/drift": drift(kernel, self.initial.to(kernel.device))}

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        kernel = task_ntk(task, self._examples(data), outputs=self.outputs, dtype=self.dtype)
        found: dict[str, float | Tensor] = {"ntk/spectrum": spectrum(kernel)}
        return found if self.initial is None else {**found, "ntk/initial_spectrum": spectrum(self.initial)}

    def state_dict(self) -> dict[str, Any]:
        return {"initial": self.initial}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.initial = state_dict["initial"]

    def _examples(self, data: TensorData) -> Split:
        return {column: values[: self.n_examples] for column, values in data.splits[self.split].items()}


def target_vectors(examples: Split, n_outputs: int) -> Tensor | None:
    """The targets as (n, k) numbers: one-hot for classes, -1 and 1 for a single output; None if they are none such."""
    target = examples.get("target")
    if target is None or (target.is_floating_point() and target.ndim > 2):
        return None
    if target.is_floating_point():
        return target.reshape(len(target), -1)
    if target.ndim > 1:
        return None
    if n_outputs == 1:
        return (2 * target - 1).unsqueeze(1).double()
    return F.one_hot(target, n_outputs).double()
