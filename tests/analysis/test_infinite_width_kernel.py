"""Kernels of infinite width against published closed forms, sampled expectations, and wide networks."""

import math

import pytest
import torch

from expkit.analysis.empirical_ntk import empirical_ntk
from expkit.analysis.infinite_width_kernel import CLOSED_FORMS, infinite_width_kernel, quadrature
from expkit.models.mlp import MLP
from expkit.transforms.ntk_parametrization import ntk_parametrization


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(5, 3, dtype=torch.float64)


def test_one_hidden_relu_layer_is_the_arc_cosine_kernel(x):
    """Cho and Saul 2009, eq. 3: k_n = |x|^n |y|^n J_n / pi = 2 E over weights N(0, I), of step^n-th power."""
    norm = x.norm(dim=1)
    angle = (x @ x.T / torch.outer(norm, norm)).clamp(-1, 1).acos()
    j0, j1 = math.pi - angle, angle.sin() + (math.pi - angle) * angle.cos()
    k0, k1 = j0 / math.pi, torch.outer(norm, norm) * j1 / math.pi
    found = infinite_width_kernel(x, depth=1, weight_std=2**0.5)
    torch.testing.assert_close(found.nngp, 2 * k1 / 3)  # sigma_w^2 E, inputs scaled by 2 / d
    torch.testing.assert_close(found.ntk, 2 * k1 / 3 + (2 / 3) * (x @ x.T) * k0)


def test_deep_relu_kernel_on_the_sphere():
    """In the normalization of arXiv 1806.07572's follow-ups: kappa_1 iterated, Theta by its recursion, by hand."""
    angles = torch.linspace(0, math.pi, 7, dtype=torch.float64)
    circle = torch.stack([angles.cos(), angles.sin()], 1)
    rho, theta = [math.cos(a) for a in angles.tolist()], None
    theta = list(rho)
    for _ in range(3):
        new = [
            (math.sqrt(1 - r * r) + (math.pi - math.acos(r)) * r) / math.pi for r in (min(1, max(-1, r)) for r in rho)
        ]
        slope = [(math.pi - math.acos(min(1, max(-1, r)))) / math.pi for r in rho]
        theta, rho = [k + t * s for k, t, s in zip(new, theta, slope, strict=True)], new
    found = infinite_width_kernel(2**0.5 * circle[:1], circle * 2**0.5, depth=3, weight_std=2**0.5)
    torch.testing.assert_close(found.nngp[0] / 2, torch.tensor(rho, dtype=torch.float64))
    torch.testing.assert_close(found.ntk[0] / 2, torch.tensor(theta, dtype=torch.float64))


@pytest.mark.parametrize(("activation", "tolerance"), [("erf", 1e-10), ("identity", 1e-10), ("relu", 0.02)])
def test_quadrature_agrees_with_closed_forms(activation, tolerance):
    p, q = torch.tensor([1.0, 0.3, 1.5], dtype=torch.float64), torch.tensor([1.0, 0.5, 0.8], dtype=torch.float64)
    c = torch.tensor([1.0, 0.1, -0.7], dtype=torch.float64)
    for found, expected in zip(quadrature(activation)(p, q, c), CLOSED_FORMS[activation](p, q, c), strict=True):
        torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)


def test_quadrature_of_tanh_agrees_with_sampling():
    draw = torch.Generator().manual_seed(0)
    u, z = torch.randn(2, 2_000_000, generator=draw, dtype=torch.float64)
    v = 0.6 * u + 0.8 * z
    value, derivative = quadrature("tanh")(*(torch.tensor(t, dtype=torch.float64) for t in (1.0, 1.0, 0.6)))
    assert float(value) == pytest.approx(float((u.tanh() * v.tanh()).mean()), abs=1e-3)
    slope = (1 - u.tanh().square()) * (1 - v.tanh().square())
    assert float(derivative) == pytest.approx(float(slope.mean()), abs=1e-3)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_wide_networks_approach_it(x, activation):
    expected = infinite_width_kernel(x, depth=2, activation=activation, weight_std=1.3, bias_std=0.4)
    kernels, outputs = [], []
    for seed in range(8):
        torch.manual_seed(seed)
        model = MLP([3], 64, width=512, depth=2, activation=activation).double()
        ntk_parametrization(model, weight_std=1.3, bias_std=0.4)
        with torch.no_grad():
            outputs.append(model(x))
        kernels.append(empirical_ntk(model, x, outputs="trace") / 64)
    outputs = torch.cat(outputs, 1)
    scale = expected.ntk.abs().max()
    torch.testing.assert_close(torch.stack(kernels).mean(0) / scale, expected.ntk / scale, atol=0.02, rtol=0)
    torch.testing.assert_close(outputs @ outputs.T / 512, expected.nngp, atol=0.25 * float(expected.nngp.max()), rtol=0)


def test_depth_zero_is_a_linear_model_and_others_are_columns(x):
    found = infinite_width_kernel(x, x[:2], depth=0, weight_std=2.0, bias_std=0.5)
    torch.testing.assert_close(found.ntk, 4 * (x @ x[:2].T) / 3 + 0.25)
    both = infinite_width_kernel(x, depth=2, activation="gelu")
    torch.testing.assert_close(infinite_width_kernel(x, x[:2], depth=2, activation="gelu").ntk, both.ntk[:, :2])


def test_an_unknown_activation_is_refused(x):
    with pytest.raises(ValueError, match="relux"):
        infinite_width_kernel(x, activation="relux")
