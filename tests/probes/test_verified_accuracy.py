"""Verified accuracy where the truth is known: of a linear classifier, and between proof and attack otherwise."""

import pytest
import torch
from torch import nn

from expkit.data.gaussian_mixture import GaussianMixture
from expkit.errors import UserError
from expkit.probes.verified_accuracy import VerifiedAccuracy
from expkit.tasks.supervised import Classification

EPS = 0.3


@pytest.fixture
def data():
    data = GaussianMixture(3, 2, 4.0, 10, 60, {"shape": [2], "classes": 3})
    data.setup()
    return data


def test_a_linear_classifier_is_verified_exactly(data):
    """Over a box the least margin is <w, x> + b - eps |w|_1; a wide identity-like ReLU layer keeps the map linear."""
    torch.manual_seed(0)
    linear = nn.Linear(2, 3)
    with torch.no_grad():
        linear.weight.copy_(data.means)
        linear.bias.copy_(-data.means.square().sum(1) / 2)
    shift = nn.Linear(2, 2)
    shift.load_state_dict({"weight": torch.eye(2), "bias": torch.full((2,), 50.0)})
    back = nn.Linear(2, 3)
    back.load_state_dict({"weight": linear.weight.data, "bias": linear.bias.data - 50 * linear.weight.data.sum(1)})
    task = Classification(nn.Sequential(shift, nn.ReLU(), back), 3)
    found = VerifiedAccuracy(EPS, examples=60, max_domains=3).conclude(task, data)

    x, y = data.splits["test"]["input"], data.splits["test"]["target"]
    weight = linear.weight[y][:, None] - linear.weight
    margin = (weight * x[:, None]).sum(-1) + (linear.bias[y][:, None] - linear.bias) - EPS * weight.abs().sum(-1)
    robust = (margin + torch.where(torch.arange(3) == y[:, None], 1.0, 0.0) > 0).all(1).double().mean()
    assert 0.1 < robust < 0.9
    assert found["verified/crown"] == pytest.approx(float(robust))
    assert found["verified/attacked"] == pytest.approx(float(robust))
    assert found["verified/clean"] == pytest.approx(float((linear(x).argmax(1) == y).double().mean()))
    assert found["verified/violations"] == 0
    assert found["verified/open"] == 0


def test_proofs_stay_below_the_attack_and_branching_adds_to_them(data):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 12), nn.Tanh(), nn.Linear(12, 12), nn.Tanh(), nn.Linear(12, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    x, y = data.splits["test"]["input"], data.splits["test"]["target"]
    with torch.enable_grad():
        for _ in range(60):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    probe = VerifiedAccuracy(0.5, ["shortcut/optimized", "random/midpoint"], examples=60, max_domains=40)
    found = probe.conclude(Classification(model, 3), data)
    best = found["verified/shortcut_optimized"]
    assert (
        found["verified/ibp"]
        <= found["verified/crown"]
        <= best
        <= found["verified/attacked"]
        <= found["verified/clean"]
    )
    assert found["verified/violations"] == 0
    assert found["verified/instances_shortcut_optimized"] > 0
    assert len(found["domains/of_random_midpoint"]) == found["verified/open"] > 0


def test_a_strategy_without_points_is_refused():
    with pytest.raises(UserError, match="shortcut"):
        VerifiedAccuracy(0.1, ["shortcut"])
