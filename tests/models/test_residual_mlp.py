"""Residual networks against matrices by hand, and the growth of their stream against theory."""

import pytest
import torch
from torch.nn import functional as F

from expkit.models.residual_mlp import ResidualMLP


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_blocks_of_one_matrix_by_hand():
    model = ResidualMLP([2, 3], 4, width=5, depth=2, branch_scale=3.0, depth_exponent=1.0)
    x = torch.randn(7, 2, 3)
    h = F.linear(x.flatten(1), model.lift.weight, model.lift.bias)
    for branch in model.blocks:
        h = h + 1.5 * (h.clamp(min=0) @ branch[-1].weight.T + branch[-1].bias)
    assert torch.allclose(model(x), h @ model.readout.weight.T + model.readout.bias, atol=1e-6)
    assert sum(p.numel() for p in model.parameters()) == 7 * 5 + 2 * 6 * 5 + 6 * 4


def test_blocks_with_hidden_units_and_norms_by_hand():
    model = ResidualMLP([3], 2, width=4, depth=1, hidden_width=9, activation="tanh", norm="layernorm", bias=False)
    x = torch.randn(6, 3)
    h = x @ model.lift.weight.T
    inner = torch.tanh(F.layer_norm(h, [4]) @ model.blocks[0][1].weight.T)
    h = h + inner @ model.blocks[0][3].weight.T
    assert torch.allclose(model(x), F.layer_norm(h, [4]) @ model.readout.weight.T, atol=1e-6)


@pytest.mark.parametrize("hidden_width", [None, 6])
def test_with_zero_initialization_it_starts_linear(hidden_width):
    model = ResidualMLP([3], 2, width=8, depth=4, hidden_width=hidden_width, zero_init=True, bias=False)
    x = torch.randn(5, 3)
    assert torch.allclose(model(x), x @ (model.readout.weight @ model.lift.weight).T, atol=1e-6)
    model(x).sum().backward()
    assert all(branch[-1].weight.grad.abs().sum() > 0 for branch in model.blocks)


@pytest.mark.parametrize("depth", [4, 16, 64])
def test_the_stream_grows_as_theory_says(depth):
    """E h'^2 = E h^2 + s^2 E relu(h)^2 = (1 + s^2 / 2) E h^2 for weights of variance 1 / width."""
    for exponent, s in ((0.5, depth**-0.5), (0.0, 1.0)):
        if exponent == 0.0 and depth > 4:
            continue
        model = ResidualMLP([50], 200, width=400, depth=depth, depth_exponent=exponent, init="lecun", bias=False)
        with torch.no_grad():
            outputs = model(torch.randn(100, 50))
        assert float(outputs.square().mean()) == pytest.approx((1 + s**2 / 2) ** depth, rel=0.15)


def test_tokens_are_embedded():
    model = ResidualMLP([5], 3, vocab=11, width=8, depth=1)
    assert model(torch.randint(11, (4, 5))).shape == (4, 3)


def test_a_negative_depth_is_an_error():
    with pytest.raises(ValueError, match="depth"):
        ResidualMLP([3], 2, depth=-1)
