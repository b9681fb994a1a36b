"""The energy of the paper against its definition, and its maxima against a search."""

import math
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

sys.path.append(str(Path(__file__).parents[1]))
from experiments.li2_grokking_scaling.energy import energy, stationarity


def by_definition(weights, p):
    """1/2 |Y~^T sigma(X w)|^2 / p with all pairs written out."""
    a, b = torch.cartesian_prod(torch.arange(p), torch.arange(p)).T
    pairs = torch.cat([F.one_hot(a, p), F.one_hot(b, p)], 1).double()
    label = F.one_hot((a + b) % p, p).double()
    label = label - label.mean(1, keepdim=True)
    unit = weights / weights.norm(dim=1, keepdim=True)
    return (label.T @ (pairs @ unit.T).square()).square().sum(0) / 2 / p


def wave(p, frequency, phase):
    return torch.cos(2 * math.pi * frequency * torch.arange(p) / p + phase).double()


@pytest.mark.parametrize("p", [7, 8, 13])
def test_the_closed_form_is_the_definition(p):
    torch.manual_seed(0)
    weights = torch.randn(20, 2 * p, dtype=torch.float64)
    torch.testing.assert_close(energy(weights, p), by_definition(weights, p))


def test_a_wave_of_one_frequency_has_a_quarter_and_is_stationary():
    weights = torch.stack([torch.cat([wave(11, k, 0.3 * k), wave(11, k, 1.0)]) for k in range(1, 6)])
    torch.testing.assert_close(energy(3 * weights, 11), torch.full((5,), 0.25, dtype=torch.float64))
    torch.testing.assert_close(stationarity(weights, 11), torch.ones(5, dtype=torch.float64))


def test_gradient_ascent_finds_nothing_above_a_quarter_and_ends_in_single_waves():
    torch.manual_seed(0)
    p, w = 7, torch.randn(40, 14, dtype=torch.float64)
    assert stationarity(w, p).mean() < 0.9
    for _ in range(1500):
        w = w.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(energy(w, p).sum(), w)
        w = w + 0.3 * gradient
        w = w / w.norm(dim=1, keepdim=True)
    w = w.detach()
    value = energy(w, p)
    assert (value <= 0.25 + 1e-9).all()
    assert (value > 0.2499).double().mean() > 0.9
    assert (stationarity(w, p) > 0.999).double().mean() > 0.9
