"""The largest eigenvalues of a curvature matrix that is known by its products with vectors."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from expkit.analysis.hessian import Curvature

SMALL = 32
"""Matrices up to this size are made and diagonalized: a Lanczos basis would have about as many vectors."""


def largest_eigenvalues(matrix: Curvature, k: int = 1, tolerance: float = 1e-3, restarts: int = 100) -> Tensor:
    """The k algebraically largest eigenvalues, in descending order, shape (k,), float64, on the CPU.

    Implicitly restarted Lanczos iteration (ARPACK, through SciPy), which begins with a Gaussian vector from torch's
    global generator. For k = 1 it takes about 10 to 30 products. A value that has not converged is NaN, and so are all
    where a product is not finite.

    Args:
        matrix: a Hessian or Gauss-Newton matrix.
        k: how many.
        tolerance: of an eigenvector's residual relative to its eigenvalue; the eigenvalue's own error is far smaller.
        restarts: after which it gives up.

    Raises:
        ValueError: the matrix has fewer than k rows.
    """
    if not 1 <= k <= matrix.size:
        raise ValueError(f"there are {matrix.size} eigenvalues, so k is from 1 to that; got {k}")
    start = torch.randn(matrix.size).to(matrix.point)
    first = matrix.product(start)
    if not bool(first.isfinite().all()):
        return torch.full((k,), math.nan, dtype=torch.float64)
    if not bool(first.any()):  # no random vector is orthogonal to all rows but those of a zero matrix
        return torch.zeros(k, dtype=torch.float64)
    if matrix.size <= max(SMALL, 2 * k + 8):
        return torch.linalg.eigvalsh(matrix.matrix().double().cpu()).flip(0)[:k]
    return _lanczos(matrix, start, k, tolerance, restarts)


def _lanczos(matrix: Curvature, start: Tensor, k: int, tolerance: float, restarts: int) -> Tensor:
    import numpy as np
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    def product(vector: np.ndarray) -> np.ndarray:
        return matrix.product(torch.from_numpy(vector.ravel()).to(matrix.point)).double().cpu().numpy()

    operator = LinearOperator((matrix.size, matrix.size), matvec=product, dtype=np.float64)
    try:
        found = eigsh(
            operator,
            k=k,
            which="LA",
            ncv=2 * k + 8,  # SciPy's 20 at least are more than a single eigenvalue that stands out needs
            v0=start.double().cpu().numpy(),
            tol=tolerance,
            maxiter=restarts,
            return_eigenvectors=False,
        )
    except ArpackNoConvergence as error:
        found = error.eigenvalues
    values = torch.full((k,), math.nan, dtype=torch.float64)
    values[: len(found)] = torch.from_numpy(np.sort(found)[::-1].copy())
    return values
