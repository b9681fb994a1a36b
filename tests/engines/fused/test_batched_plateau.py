"""Runs that follow their metrics together against torch's scheduler, run by run."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from expkit.build import build
from expkit.engines.fused.not_fusable import NotFusable
from expkit.engines.fused.plateau import BatchedPlateau
from expkit.errors import ConfigError

CHOICES = {
    "mode": ["min", "max"],
    "threshold_mode": ["rel", "abs"],
    "patience": [0, 2],
    "cooldown": [0, 3],
    "min_lr": [0.0, 0.004],
}


def plateau(**changes):
    return {"_target_": "expkit.optim.plateau.ReduceLROnPlateau", "monitor": "test/loss", "threshold": 0.02, **changes}


def sgd(lr):
    return {"_target_": "torch.optim.SGD", "lr": lr}


@pytest.fixture
def runs():
    """All combinations, each with its own learning rate and factor: 32 runs."""
    combinations = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]
    schedulers = [plateau(**own, factor=0.3 + 0.01 * run) for run, own in enumerate(combinations)]
    return [sgd(0.1 / (1 + run)) for run in range(len(schedulers))], schedulers


@pytest.fixture
def metrics(runs):
    """(evaluation points, R): rises or falls to a plateau with noise, in sign too, and is nan once."""
    time = torch.arange(80, dtype=torch.float64).unsqueeze(1)
    direction = torch.tensor([1.0 if node["mode"] == "min" else -1.0 for node in runs[1]], dtype=torch.float64)
    noise = torch.randn(80, len(direction), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = direction * torch.exp(-time / 10) + 0.02 * noise
    values[17, 5] = torch.nan
    return values


def test_factors_are_torchs(runs, metrics):
    batched = BatchedPlateau(*runs)
    optimizers = [build(node, "optimizer", params=[nn.Parameter(torch.zeros(1))]) for node in runs[0]]
    schedules = [
        build(node, "scheduler", optimizer=optimizer) for node, optimizer in zip(runs[1], optimizers, strict=True)
    ]
    base = torch.tensor([node["lr"] for node in runs[0]], dtype=torch.float64)
    for row in metrics:
        for schedule, value in zip(schedules, row.tolist(), strict=True):
            schedule.step(value)
        expected = torch.tensor([optimizer.param_groups[0]["lr"] for optimizer in optimizers], dtype=torch.float64)
        torch.testing.assert_close(batched.step(row) * base, expected, rtol=1e-12, atol=0)
    movable = torch.tensor([node["min_lr"] for node in runs[1]]) < 0.4 * base
    assert int(movable.sum()) >= 20
    assert bool((batched.factor[movable] < 0.5).all())


def test_goes_on_from_a_saved_state_with_some_of_the_runs(runs, metrics):
    whole, resumed = BatchedPlateau(*runs), BatchedPlateau(*runs)
    rows = torch.tensor([30, 3, 4])
    for row in metrics[:40]:
        whole.step(row)
    resumed.load_state_dict(whole.state_dict())
    resumed.keep(rows)
    for row in metrics[40:]:
        assert torch.equal(whole.step(row)[rows], resumed.step(row[rows]))
    assert len(resumed.monitors) == 3


def test_runs_with_other_schedules_are_left_alone():
    batched = BatchedPlateau([sgd(0.1), sgd(0.0), sgd(0.2)], [plateau(patience=0), {}, plateau(monitor="val/loss")])
    assert batched.monitors == ["test/loss", None, "val/loss"]
    for _ in range(3):
        factor = batched.step(torch.tensor([1.0, torch.nan, 1.0]))
    assert factor.tolist() == pytest.approx([0.01, 1.0, 1.0])


def test_settings_that_are_refused():
    with pytest.raises(ConfigError, match="Factor should be"):
        BatchedPlateau([sgd(0.1)], [plateau(factor=2.0)])
    muon = {"_target_": "expkit.optim.muon.Muon", "lr": 0.02}
    with pytest.raises(NotFusable, match=r"scheduler\.min_lr"):
        BatchedPlateau([muon], [plateau(min_lr=1e-5)])
    assert BatchedPlateau([muon], [plateau()]).factor.tolist() == [1.0]
