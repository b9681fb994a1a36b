"""Schedules against closed forms, and against those of torch that say the same in other words."""

import io
import math
from pathlib import Path

import hydra
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from expkit.optim.linear_warmup import LinearWarmup
from expkit.optim.warmup_cosine import WarmupCosine

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture
def optimizer():
    return torch.optim.SGD([{"params": [nn.Parameter(torch.ones(1))], "lr": lr} for lr in (0.1, 0.4)], lr=0.1)


def rates(optimizer, schedule, steps):
    """The first group's learning rate at each of so many updates, the first one included."""
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_cosine_at_start_middle_and_end(optimizer, from_yaml):
    schedule = from_yaml("scheduler", "cosine", optimizer, max_steps=100, final_fraction=0.2)
    found = rates(optimizer, schedule, 120)
    assert found[0] == 0.1
    assert found[50] == pytest.approx(0.06, rel=1e-12)  # half way between 0.1 and 0.02
    assert found[100:] == pytest.approx([0.02] * 20, rel=1e-12)  # and stays there


def test_cosine_is_torchs_cosine_annealing(optimizer):
    ours = rates(optimizer, WarmupCosine(optimizer, max_steps=30, final_fraction=0.1), 30)
    other = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)
    theirs = rates(other, lr_scheduler.CosineAnnealingLR(other, T_max=30, eta_min=0.01), 30)
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_warmup_cosine_is_torchs_linear_then_cosine(optimizer, from_yaml):
    schedule = from_yaml("scheduler", "warmup_cosine", optimizer, max_steps=50, warmup_steps=0.2)
    ours = rates(optimizer, schedule, 50)
    other = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)
    parts = [
        lr_scheduler.LinearLR(other, start_factor=0.1, total_iters=9),
        lr_scheduler.CosineAnnealingLR(other, T_max=40),
    ]
    theirs = rates(other, lr_scheduler.SequentialLR(other, parts, milestones=[10]), 50)
    assert ours == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("warmup_steps", [4, 4.0, 0.2])
def test_linear_warmup_in_steps_or_as_a_share(optimizer, from_yaml, warmup_steps):
    schedule = from_yaml("scheduler", "linear_warmup", optimizer, max_steps=20, warmup_steps=warmup_steps)
    assert rates(optimizer, schedule, 6) == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1], rel=1e-12)


def test_groups_keep_their_ratio(optimizer):
    schedule = WarmupCosine(optimizer, max_steps=20, warmup_steps=5, final_fraction=0.1)
    for _ in range(25):
        assert optimizer.param_groups[1]["lr"] == pytest.approx(4 * optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        schedule.step()


def test_without_warmup_the_first_update_is_made_at_the_full_rate(optimizer):
    assert rates(optimizer, LinearWarmup(optimizer, max_steps=10, warmup_steps=0), 2) == [0.1, 0.1]


@pytest.mark.parametrize("wrong", [-1, 1.5])
def test_a_number_of_steps_is_whole_or_a_share(optimizer, wrong):
    with pytest.raises(ValueError, match="share of max_steps"):
        LinearWarmup(optimizer, max_steps=10, warmup_steps=wrong)
    with pytest.raises(ValueError, match="final_fraction"):
        WarmupCosine(optimizer, max_steps=10, final_fraction=wrong)


def test_polynomial_is_a_straight_line_to_zero(optimizer, from_yaml):
    found = rates(optimizer, from_yaml("scheduler", "polynomial", optimizer, max_steps=10), 11)
    assert found == pytest.approx([0.1 * (1 - step / 10) for step in range(11)], abs=1e-12)


def test_step_drops_tenfold(optimizer, from_yaml):
    found = rates(optimizer, from_yaml("scheduler", "step", optimizer, step_size=3), 9)
    assert found == pytest.approx([0.1] * 3 + [0.01] * 3 + [0.001] * 3)


def test_exponential(optimizer, from_yaml):
    found = rates(optimizer, from_yaml("scheduler", "exponential", optimizer, gamma=0.9), 8)
    assert found == pytest.approx([0.1 * 0.9**step for step in range(8)])


def test_one_cycle_peaks_at_the_optimizers_rate(optimizer, from_yaml):
    found = rates(optimizer, from_yaml("scheduler", "one_cycle", optimizer, max_steps=100, lr=0.5), 100)
    peak = 29  # the last of the first 30 % of the updates
    rise = [0.5 - 0.48 / 2 * (1 + math.cos(math.pi * step / peak)) for step in range(peak + 1)]
    assert found[: peak + 1] == pytest.approx(rise, rel=1e-9)
    assert max(found) == found[peak] == pytest.approx(0.5)
    assert found[-1] == pytest.approx(0.5 / 25 / 1e4)


def test_one_cycle_leaves_the_momentum_as_the_optimizer_says(optimizer, from_yaml):
    rates(optimizer, from_yaml("scheduler", "one_cycle", optimizer), 50)
    assert {group["momentum"] for group in optimizer.param_groups} == {0}


def test_warm_restarts_begin_again_after_100_and_200_more_steps(optimizer, from_yaml):
    found = rates(optimizer, from_yaml("scheduler", "warm_restarts", optimizer), 301)
    assert found[0] == found[100] == found[300] == 0.1
    assert found[50] == found[200] == pytest.approx(0.05)
    assert max(found[99], found[299]) < 1e-4


def test_plateau_reduces_after_its_patience_and_says_what_it_watches(optimizer, from_yaml):
    schedule = from_yaml("scheduler", "reduce_on_plateau", optimizer, monitor="test/acc", mode="max", patience=2)
    assert isinstance(schedule, lr_scheduler.ReduceLROnPlateau)
    assert schedule.monitor == "test/acc"
    found = []
    for accuracy in (0.5, 0.6, 0.6, 0.55, 0.6, 0.7):
        schedule.step(torch.tensor(accuracy))
        found.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.01, 0.01])


def test_resumed_schedule_is_the_same_to_the_bit(scheduler_name, from_yaml, problem, same_problem):
    """Half way through, also under an optimizer that has a momentum for the schedule to take along."""

    def start(which):
        optimizer = from_yaml("optimizer", "momentum", which.model.named_parameters())
        options = {"patience": 1} if scheduler_name == "reduce_on_plateau" else {}
        schedule = from_yaml("scheduler", scheduler_name, optimizer, max_steps=10, **options)
        return optimizer, schedule, lambda: schedule.step(0.5) if "patience" in options else schedule.step()

    optimizer, schedule, advance = start(problem)
    problem.train(optimizer, 10, advance)

    optimizer_1, schedule_1, advance_1 = start(same_problem)
    same_problem.train(optimizer_1, 5, advance_1)
    file = io.BytesIO()
    torch.save({"optimizer": optimizer_1.state_dict(), "schedule": schedule_1.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)

    optimizer_2, schedule_2, advance_2 = start(same_problem)
    optimizer_2.load_state_dict(saved["optimizer"])
    schedule_2.load_state_dict(saved["schedule"])
    same_problem.train(optimizer_2, 5, advance_2)

    assert torch.equal(problem.model.weight, same_problem.model.weight)
    assert schedule_2.get_last_lr() == schedule.get_last_lr()


def test_none_composes_to_nothing():
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose(overrides=["+scheduler=none"])
    assert config == {"scheduler": {}}
