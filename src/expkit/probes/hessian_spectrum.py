"""All eigenvalues of the Hessian of the training loss, at the end of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from expkit.analysis.gauss_newton import GaussNewton
from expkit.analysis.hessian import Curvature, Hessian
from expkit.errors import UserError
from expkit.probes.base import Probe
from expkit.probes.training_examples import first_examples

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class HessianSpectrum(Probe):
    """The exact spectrum of the Hessian of the mean training loss, measured once, after the last step.

    Metrics: `hessian_spectrum/max` and `hessian_spectrum/min`, the largest and the smallest eigenvalue, and
    `hessian_spectrum/near_zero`, the share of eigenvalues whose magnitude is below a hundredth of the largest one's.
    Arrays: `hessian_spectrum/eigenvalues`, (P,), in descending order; with `gauss_newton` also
    `hessian_spectrum/gauss_newton`, (P,), those of the Gauss-Newton part.

    Cost for P trainable parameters: the matrix, in an MLP about P^2 multiplications for each of `n_examples`, in other
    models P Hessian-vector products, each about four gradients over them (three times as long for 2,000 parameters);
    and 4/3 P^3 operations in double precision. The matrix has 8 P^2 bytes. On one core with 500 examples an MLP of
    2,000 parameters takes 0.8 s, one of 3,600 4 s.

    Args:
        n_examples: the loss is the mean over the first so many training examples; None for all.
        gauss_newton: whether to measure that part, too, for as much again.
        max_parameters: more than so many are refused, since cost grows as their cube.
        chunk: examples at a time; limits memory, not the result.

    Raises:
        UserError: the model has too many trainable parameters.
    """

    def __init__(
        self,
        n_examples: int | None = None,
        gauss_newton: bool = False,
        max_parameters: int = 8000,
        chunk: int = 4096,
    ) -> None:
        self.n_examples = n_examples
        self.gauss_newton = gauss_newton
        self.max_parameters = max_parameters
        self.chunk = chunk

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        split = first_examples(data, self.n_examples)
        matrix = Hessian(task, split, self.chunk)
        if matrix.size > self.max_parameters:
            raise UserError(
                f"probes.hessian_spectrum: the model has {matrix.size:,} trainable parameters, and its Hessian "
                f"{matrix.size**2:,} entries; probes.hessian_spectrum.max_parameters is {self.max_parameters:,}.",
                "Choose a smaller model, probes=[sharpness] for the largest eigenvalues, or raise max_parameters.",
            )
        values = _eigenvalues(matrix)
        found: dict[str, float | Tensor] = {
            "hessian_spectrum/max": float(values[0]),
            "hessian_spectrum/min": float(values[-1]),
            "hessian_spectrum/near_zero": float((values.abs() < 0.01 * values.abs().max()).double().mean()),
            "hessian_spectrum/eigenvalues": values,
        }
        if self.gauss_newton:
            found["hessian_spectrum/gauss_newton"] = _eigenvalues(GaussNewton(task, split, self.chunk))
        return found


def _eigenvalues(matrix: Curvature) -> Tensor:
    """All of them, in descending order, (size,), float64."""
    return torch.linalg.eigvalsh(matrix.matrix().double()).flip(0)
