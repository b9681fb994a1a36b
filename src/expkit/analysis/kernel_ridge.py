"""Regression with a kernel."""

from __future__ import annotations

import torch
from torch import Tensor


def kernel_ridge(kernel: Tensor, targets: Tensor, cross: Tensor, ridge: float = 0.0) -> Tensor:
    r"""K(x, X) (K + lambda I)^{-1} y with lambda = ridge * tr(K) / n, a share of the mean eigenvalue.

    With ridge 0 it is the interpolant of least norm, where K is singular by its pseudo-inverse: the limit of gradient
    descent from zero with K as its tangent kernel. It is the posterior mean of a Gaussian process with covariance K and
    noise of variance lambda.

    Args:
        kernel: K on the training examples, (n, n), symmetric and positive semidefinite.
        targets: y, (n, ...).
        cross: K(x, X), (m, n).
        ridge: see above, at least 0.

    Returns:
        (m, ...), in float64.

    Raises:
        ValueError: the ridge is negative.
    """
    if ridge < 0:
        raise ValueError(f"ridge is at least 0, got {ridge}")
    eigenvalues, vectors = torch.linalg.eigh(kernel.double())
    size = eigenvalues.clamp_min(0) + ridge * eigenvalues.mean()
    inverse = torch.where(size > len(size) * 1e-15 * eigenvalues[-1], 1 / size, 0.0)
    y = targets.double()
    return (cross.double() @ (vectors @ (inverse.unsqueeze(1) * (vectors.T @ y.reshape(len(y), -1))))).reshape(
        -1, *y.shape[1:]
    )
