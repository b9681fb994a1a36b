"""Factors of whole stacks of runs against torch's own schedulers, stepped one by one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from expkit.build import build
from expkit.engines.fused import schedules
from expkit.engines.fused.not_fusable import NotFusable
from expkit.engines.fused.schedules import learning_rates
from expkit.errors import ConfigError

CONF = Path(__file__).parents[3] / "conf"
TORCHS = "torch.optim.lr_scheduler."
NAMES = sorted(path.stem for path in (CONF / "scheduler").glob("*.yaml"))


def sgd(lr):
    return {"_target_": "torch.optim.SGD", "lr": lr}


def scheduler(name, max_steps, lr, **changes):
    """conf/scheduler/<name>.yaml, resolved as in a run's configuration."""
    own = OmegaConf.merge(OmegaConf.load(CONF / "scheduler" / f"{name}.yaml"), changes)
    root = OmegaConf.create({"trainer": {"max_steps": max_steps}, "optimizer": {"lr": lr}, "scheduler": own})
    return OmegaConf.to_container(root, resolve=True)["scheduler"]


def by_torch(optimizer_node, scheduler_node, steps):
    """Learning rates of every group at every update."""
    optimizer = build(optimizer_node, "optimizer", params=[nn.Parameter(torch.zeros(1))])
    schedule = build(scheduler_node, "scheduler", optimizer=optimizer) if scheduler_node else None
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if schedule is not None:
            schedule.step()
    return torch.tensor(found, dtype=torch.float64)


def check(optimizers, nodes, max_steps):
    factors = learning_rates(optimizers, nodes, max_steps)
    assert factors.dtype == torch.float64
    for run, (optimizer, node, steps) in enumerate(zip(optimizers, nodes, max_steps, strict=True)):
        expected = by_torch(optimizer, node, steps)
        column = factors[:, run].expand(max(max_steps)) if len(factors) == 1 else factors[:, run]
        torch.testing.assert_close(column[:steps] * optimizer["lr"], expected, rtol=1e-12, atol=0)
        assert bool((column[steps:] == column[steps - 1]).all())
    return factors


STEPPED = [name for name in NAMES if name != "reduce_on_plateau"]


@pytest.mark.parametrize("name", STEPPED)
def test_learning_rates_are_torchs(name):
    rates, steps = [0.3, 1e-3, 0.07, 1e-3], [60, 60, 60, 35]
    changes = {"step": {"step_size": 7}, "warm_restarts": {"T_0": 9}}.get(name, {})
    nodes = [scheduler(name, own, lr, **changes) for lr, own in zip(rates, steps, strict=True)]
    check([sgd(lr) for lr in rates], nodes, steps)


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": TORCHS + "CosineAnnealingLR", "T_max": 30},
        {"_target_": TORCHS + "CosineAnnealingLR", "T_max": 50, "eta_min": 1e-4},
        {"_target_": TORCHS + "CosineAnnealingWarmRestarts", "T_0": 10, "eta_min": 1e-3},
        {"_target_": TORCHS + "OneCycleLR", "max_lr": 0.5, "total_steps": 50, "cycle_momentum": False},
        {"_target_": TORCHS + "CyclicLR", "base_lr": 0.01, "max_lr": 0.5, "step_size_up": 8, "cycle_momentum": False},
        {"_target_": TORCHS + "MultiStepLR", "milestones": [5, 20], "gamma": 0.3},
        {"_target_": TORCHS + "LinearLR", "total_iters": 20},
    ],
    ids=lambda node: f"{node['_target_'].rpartition('.')[2]} {len(node)}",
)
def test_one_node_for_several_learning_rates(node):
    """Also where learning rates are given in absolute terms, so that factors differ between runs."""
    rates = [0.2, 0.01, 3e-3, 0.2]
    check([sgd(lr) for lr in rates], [node] * 4, [50] * 4)


def test_different_schedules_side_by_side():
    nodes = [
        {},
        scheduler("cosine", 30, 0.1),
        scheduler("exponential", 30, 0.1, gamma=0.9),
        scheduler("cosine", 20, 1.0),
    ]
    check([sgd(lr) for lr in (0.5, 0.1, 0.1, 1.0)], nodes, [25, 30, 30, 20])


def test_constant_learning_rates_take_one_row():
    plateau = scheduler("reduce_on_plateau", 10, 0.1)
    factors = learning_rates([sgd(0.1), sgd(0.2), sgd(0.0)], [{}, plateau, {}], [10, 20, 20])
    assert torch.equal(factors, torch.ones(1, 3, dtype=torch.float64))


def test_a_sweep_over_learning_rates_steps_a_scheduler_twice(monkeypatch):
    """Not once for each of a thousand runs, although each has a node of its own."""
    built = []
    monkeypatch.setattr(schedules, "build", lambda *args, **kwargs: built.append(args) or build(*args, **kwargs))
    rates = [0.001 * 1.01**run for run in range(1000)]
    nodes = [scheduler("one_cycle", 40, 0.1) | {"max_lr": lr} for lr in rates]
    factors = learning_rates([sgd(lr) for lr in rates], nodes, [40] * 1000)
    assert len(built) == 2
    for run in (0, 500, 999):
        torch.testing.assert_close(
            factors[:, run] * rates[run], by_torch(sgd(rates[run]), nodes[run], 40), rtol=1e-12, atol=0
        )


def test_a_learning_rate_of_zero_stays():
    factors = learning_rates([sgd(0.0), sgd(0.1)], [scheduler("cosine", 10, 0.1)] * 2, [10, 10])
    assert bool(factors.isfinite().all())
    with pytest.raises(NotFusable, match=r"optimizer\.lr"):
        learning_rates([sgd(0.0)], [scheduler("one_cycle", 10, 0.1)], [10])


def muon(lr=0.02, adamw_lr=3e-4):
    return {"_target_": "expkit.optim.muon.Muon", "lr": lr, "adamw_lr": adamw_lr}


def test_both_learning_rates_of_muon_have_the_factor():
    node = scheduler("warmup_cosine", 40, 0.1)
    factors = learning_rates([muon(), muon(lr=0.1)], [node, node], [40, 40])
    model = nn.ModuleDict({"hidden": nn.Linear(3, 3)})
    optimizer = build(muon(), "optimizer", params=model.named_parameters())
    schedule = build(node, "scheduler", optimizer=optimizer)
    for row in factors:
        lr, adamw_lr = (group["lr"] for group in optimizer.param_groups)
        assert lr == pytest.approx(0.02 * float(row[0]), rel=1e-12)
        assert adamw_lr == pytest.approx(3e-4 * float(row[1]), rel=1e-12)
        optimizer.step()
        schedule.step()


def test_one_rate_for_both_groups_of_muon_is_no_factor():
    with pytest.raises(NotFusable, match="out of proportion"):
        learning_rates([muon()], [scheduler("one_cycle", 40, 0.02)], [40])


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": TORCHS + "OneCycleLR", "max_lr": 0.5, "total_steps": 50},
        {"_target_": TORCHS + "CyclicLR", "base_lr": 0.01, "max_lr": 0.5, "step_size_up": 8},
    ],
)
def test_schedules_of_momentum_are_not_fusable(node):
    with pytest.raises(NotFusable, match="momentum"):
        learning_rates([sgd(0.1)], [node], [50])


def test_torchs_plateau_does_not_say_what_it_follows():
    with pytest.raises(NotFusable, match="follows a metric"):
        learning_rates([sgd(0.1)], [{"_target_": TORCHS + "ReduceLROnPlateau"}], [50])


def test_a_schedule_that_is_too_short_or_wrong_is_the_users_to_mend():
    with pytest.raises(ConfigError, match="ends before the run's 50 steps"):
        learning_rates([sgd(0.1)], [scheduler("one_cycle", 20, 0.1)], [50])
    with pytest.raises(ConfigError, match="final_fraction"):
        learning_rates([sgd(0.1)], [scheduler("cosine", 20, 0.1, final_fraction=2.0)], [20])
