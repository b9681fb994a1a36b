"""What is said of kernels, against feature space and closed forms."""

import pytest
import torch

from expkit.analysis.kernel import alignment, center, drift, spectrum, target_alignment


@pytest.fixture
def features():
    torch.manual_seed(0)
    return torch.randn(20, 4, dtype=torch.float64) + 3


def test_centering_takes_the_mean_of_features_away(features):
    own = features - features.mean(0)
    torch.testing.assert_close(center(features @ features.T), own @ own.T)


def test_centered_alignment_is_linear_cka(features):
    """In feature space: |X^T Y|^2 / (|X^T X| |Y^T Y|) of centered features (arXiv 1905.00414, eq. 3 and 4)."""
    other = torch.randn(20, 3, dtype=torch.float64)
    x, y = features - features.mean(0), other - other.mean(0)
    expected = (x.T @ y).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())
    found = alignment(features @ features.T, other @ other.T, centered=True)
    assert found == pytest.approx(float(expected))
    assert alignment(features @ features.T, 7 * features @ features.T) == pytest.approx(1)


def test_alignment_with_a_target_that_is_an_eigenvector():
    """y^T K y / (|K| |y|^2) = lambda / sqrt(sum lambda^2)."""
    values = torch.tensor([3.0, 2.0, 1.0])
    vectors = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0]
    kernel = vectors @ torch.diag(values) @ vectors.T
    for value, vector in zip(values, vectors.T, strict=True):
        assert target_alignment(kernel, vector) == pytest.approx(float(value / values.norm()), rel=1e-5)


def test_target_alignment_of_a_kernel_over_outputs_is_a_quadratic_form():
    draw = torch.Generator().manual_seed(0)
    y = torch.randn(5, 2, generator=draw, dtype=torch.float64)
    a = torch.randn(10, 10, generator=draw, dtype=torch.float64)
    kernel = a @ a.T
    expected = y.flatten() @ kernel @ y.flatten() / (kernel.norm() * y.norm() ** 2)
    assert target_alignment(kernel, y) == pytest.approx(float(expected))


def test_spectrum_descends_to_squared_singular_values(features):
    singular = torch.linalg.svdvals(features)
    found = spectrum(features @ features.T)
    torch.testing.assert_close(found[:4], singular**2)
    assert found[4:].abs().max() < 1e-10


def test_drift_is_a_relative_change():
    kernel = torch.eye(3)
    assert drift(1.5 * kernel, kernel) == pytest.approx(0.5)
