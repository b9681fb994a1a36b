"""The sharpness of the training loss: the largest eigenvalues of its Hessian."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expkit.analysis.gauss_newton import GaussNewton
from expkit.analysis.hessian import Hessian
from expkit.analysis.largest_eigenvalues import largest_eigenvalues
from expkit.probes.base import Probe
from expkit.probes.training_examples import first_examples

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class Sharpness(Probe):
    """lambda_1 >= lambda_2 >= ... of the Hessian of the mean training loss, at the weights that are evaluated.

    Gradient descent with learning rate eta is stable on a quadratic loss up to lambda_1 = 2 / eta. Where a parametriza-
    tion puts factors in front of weights, the Hessian is that in the trainable parameters, which the optimizer moves.

    Metrics: `sharpness/lambda_1`, ..., `sharpness/lambda_<k>`; with `gauss_newton` also `sharpness/gauss_newton`, the
    largest eigenvalue of the Gauss-Newton part. A value is NaN where the iteration has not converged.

    Cost at each evaluation point: about 10 to 30 Hessian-vector products for k = 1, each about four gradients over
    `n_examples`; the memory of two gradients. Twice that with `gauss_newton`.

    Args:
        n_examples: the loss is the mean over the first so many training examples; None for all.
        k: how many eigenvalues.
        gauss_newton: whether to measure that part, too.
        tolerance: see `expkit.analysis.largest_eigenvalues`.
        chunk: examples at a time; limits memory, not the result.
    """

    def __init__(
        self,
        n_examples: int | None = 1024,
        k: int = 1,
        gauss_newton: bool = False,
        tolerance: float = 1e-3,
        chunk: int = 4096,
    ) -> None:
        if k < 1:
            raise ValueError(f"k is a number of eigenvalues, at least 1; got {k}")
        self.n_examples = n_examples
        self.k = k
        self.gauss_newton = gauss_newton
        self.tolerance = tolerance
        self.chunk = chunk

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        split = first_examples(data, self.n_examples)
        values = largest_eigenvalues(Hessian(task, split, self.chunk), self.k, self.tolerance).tolist()
        metrics = {f"sharpness/lambda_{number}": value for number, value in enumerate(values, start=1)}
        if self.gauss_newton:
            part = largest_eigenvalues(GaussNewton(task, split, self.chunk), 1, self.tolerance)
            metrics["sharpness/gauss_newton"] = float(part)
        return metrics
