"""What is measured of every step's loss, and runs that go on when it is not finite: the same in both engines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from fits import Config, configs, engine, settings, trainings
from torch import Tensor

from expkit.engines.stopping import StopRequest
from expkit.probes.base import StepStatistic

DOUBLE = ["trainer.precision=64-true"]


class LossSummary(StepStatistic):
    def begin(self, loss: Tensor) -> dict[str, Tensor]:
        return {"sum": loss, "last": loss, "max": loss, "steps": torch.ones_like(loss)}

    def step(self, state: dict[str, Tensor], loss: Tensor) -> dict[str, Tensor]:
        highest = torch.maximum(state["max"], loss)
        return {"sum": state["sum"] + loss, "last": loss, "max": highest, "steps": state["steps"] + 1}

    def measure(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            "summary/mean": state["sum"] / state["steps"],
            "summary/last": state["last"],
            "summary/max": state["max"],
            "summary/steps": state["steps"],
        }


@dataclass
class Outcome:
    state: str
    rows: list[dict[str, Any]]


def alone(runs: list[Config], folder: Path) -> list[Outcome]:
    outcomes = []
    for config in runs:
        (training,) = trainings([config], folder)
        training.callbacks = [*training.callbacks, LossSummary()]
        outcomes.append(Outcome(settings(config).fit(training), training.log.rows))
    return outcomes


def as_one(runs: list[Config], folder: Path) -> list[Outcome]:
    own = trainings(runs, folder)
    for training in own:
        training.callbacks = [*training.callbacks, LossSummary()]
    states = engine(runs).prepare(own).run()
    return [Outcome(state, training.log.rows) for state, training in zip(states, own, strict=True)]


def assert_alike(expected: list[Outcome], measured: list[Outcome]) -> None:
    for one, other in zip(expected, measured, strict=True):
        assert other.state == one.state
        assert [row.keys() for row in other.rows] == [row.keys() for row in one.rows]
        for row, same in zip(other.rows, one.rows, strict=True):
            assert row == pytest.approx(same, rel=1e-10, nan_ok=True)


@pytest.mark.parametrize(
    "batches", [[], ["data.batch_size=20"], ["data.batch_size=20", "trainer.accumulate_grad_batches=3"]]
)
def test_statistics_of_every_step_are_the_same_in_both_engines(batches: list[str], tmp_path: Path) -> None:
    runs = configs(
        "data=wine", "model.width=6", "optimizer=momentum", "trainer.max_steps=13", *batches, *DOUBLE,
        sweep=["optimizer.lr=0.01", "optimizer.lr=0.5 seed=1"],
    )  # fmt: skip
    fused = as_one(runs, tmp_path / "fused")
    assert_alike(alone(runs, tmp_path / "alone"), fused)
    for outcome in fused:
        assert "summary/mean" not in outcome.rows[0]  # no step has been made
        assert [row["summary/steps"] for row in outcome.rows[1:]] == [row["step"] for row in outcome.rows[1:]]


def test_full_batches_show_the_loss_before_each_update(tmp_path: Path) -> None:
    runs = configs(
        "data=wine", "model.width=6", "trainer.max_steps=9", "trainer.eval_at=1", *DOUBLE, sweep=["seed=0", "seed=1"]
    )
    for outcome in as_one(runs, tmp_path):
        losses = [row["train/loss"] for row in outcome.rows]
        for step, row in enumerate(outcome.rows[1:], start=1):
            seen = losses[:step]
            assert row["summary/last"] == pytest.approx(seen[-1])
            assert row["summary/mean"] == pytest.approx(sum(seen) / step)
            assert row["summary/max"] == pytest.approx(max(seen))


def test_statistics_go_on_after_an_interruption(tmp_path: Path) -> None:
    (config,) = configs("data=wine", "model.width=6", "trainer.max_steps=20", *DOUBLE, sweep=["trainer.eval_at=5"])
    (whole,) = alone([config], tmp_path / "whole")
    (training,) = trainings([config], tmp_path / "parts")
    training.callbacks = [LossSummary()]
    training.stop = StopAt(8)
    assert settings(config).fit(training) == "interrupted"
    (again,) = trainings([config], tmp_path / "parts")
    again.callbacks, again.resume = [LossSummary()], training.checkpoint
    again.log.resume(8)
    assert settings(config).fit(again) == "complete"
    assert again.log.rows == whole.rows


class StopAt(StopRequest):
    """As if Ctrl-C came after so many looks at it, of which there is one at the start and one for each step."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def signal(self) -> Any:
        self.looks -= 1
        return "SIGINT" if self.looks < 0 else None

    @signal.setter
    def signal(self, value: Any) -> None:
        assert value is None


def test_a_run_may_go_on_when_its_loss_is_not_finite(tmp_path: Path) -> None:
    overrides = ["data=diabetes", "model=linear", "optimizer=sgd", "trainer.max_steps=60", *DOUBLE]
    sweep = ["optimizer.lr=0.01", "optimizer.lr=1e9", "optimizer.lr=0.02"]
    ends = as_one(configs(*overrides, sweep=sweep), tmp_path / "ends")
    assert [outcome.state for outcome in ends] == ["complete", "diverged", "complete"]
    runs = configs(*overrides, "trainer.allow_divergence=true", sweep=sweep)
    fused = as_one(runs, tmp_path / "fused")
    assert [outcome.state for outcome in fused] == ["complete"] * 3
    assert [outcome.rows[-1]["step"] for outcome in fused] == [60] * 3
    assert fused[1].rows[-1]["train/loss"] != fused[1].rows[-1]["train/loss"]
    assert fused[0].rows == ends[0].rows
    assert_alike(alone(runs, tmp_path / "alone"), fused)


def test_a_run_ends_where_it_is_pruned(tmp_path: Path) -> None:
    runs = configs(
        "data=wine", "model.width=6", "trainer.eval_at=5", "trainer.max_steps=20", sweep=["seed=0", "seed=1"]
    )
    (whole, _) = as_one(runs, tmp_path / "whole")
    own = trainings(runs, tmp_path)
    asked: list[tuple[int, float]] = []

    def prune(step: int, metrics: Any) -> bool:
        asked.append((step, metrics["test/acc"]))
        return step >= 10

    own[1].prune = prune
    ended: list[tuple[int, str, int]] = []
    fit = engine(runs).prepare(own)
    states = fit.run(ended=lambda run, state: ended.append((run, state, len(own[0].log.rows))))
    assert states == ["complete", "pruned"]
    assert ended == [(1, "pruned", 3), (0, "complete", 5)]  # told at once, while the other goes on
    assert asked == [(row["step"], row["test/acc"]) for row in own[1].log.rows]
    assert [step for step, _ in asked] == [0, 5, 10]
    assert [row["test/acc"] for row in own[0].log.rows] == [row["test/acc"] for row in whole.rows]
