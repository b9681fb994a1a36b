"""Regression with kernels against scikit-learn and against features."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from expkit.analysis.kernel_ridge import kernel_ridge


@pytest.fixture
def problem():
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=draw, dtype=torch.float64) for shape in ((12, 4), (5, 4), (12, 2))]


def test_agrees_with_sklearn(problem):
    x, other, y = problem
    kernel = (x @ x.T + 1) ** 2
    cross = (other @ x.T + 1) ** 2
    reference = KernelRidge(alpha=0.3 * float(kernel.trace()) / 12, kernel="precomputed").fit(kernel.numpy(), y.numpy())
    found = kernel_ridge(kernel, y, cross, ridge=0.3)
    np.testing.assert_allclose(found.numpy(), reference.predict(cross.numpy()), rtol=1e-9)


def test_without_ridge_it_is_least_squares_of_least_norm(problem):
    """In four features a kernel on twelve examples is singular: ordinary least squares."""
    x, other, y = problem
    weights = torch.linalg.lstsq(x, y[:, 0]).solution
    torch.testing.assert_close(kernel_ridge(x @ x.T, y[:, 0], other @ x.T), other @ weights)
    wide = torch.randn(12, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(kernel_ridge(wide @ wide.T, y, wide @ wide.T), y)  # fits


def test_a_negative_ridge_is_refused(problem):
    x, other, y = problem
    with pytest.raises(ValueError, match="ridge"):
        kernel_ridge(x @ x.T, y, other @ x.T, ridge=-1.0)
