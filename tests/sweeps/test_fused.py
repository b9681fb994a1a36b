"""Fused runs are the runs that they are one by one: the same ids, records and, within rounding, the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from expkit.compose import options
from expkit.records.record import Record
from support import Run, train, try_train

EXACT = 1e-10  # relative, in float64
DOUBLE = ["trainer.precision=64-true", "logger=none"]


def both(runs: Path, *overrides: str) -> tuple[list[Record], list[Record]]:
    """The records of a sweep one by one, and fused."""
    ways = [
        [
            Record(Path(run["path"]))
            for run in train("-m", *overrides, f"hydra/launcher={way}", f"paths.runs={runs / way}")
        ]
        for way in ("serial", "fused")
    ]
    return ways[0], ways[1]


def assert_equal(alone: list[Record], fused: list[Record], tolerance: float) -> None:
    assert [record.run_id for record in alone] == [record.run_id for record in fused]
    for one, other in zip(alone, fused, strict=True):
        assert one.state == other.state
        expected, measured = one.metrics, other.metrics
        assert measured.columns == expected.columns
        assert measured["step"].to_list() == expected["step"].to_list()
        for name in expected.columns:
            assert measured[name].to_list() == pytest.approx(expected[name].to_list(), rel=tolerance, abs=tolerance), (
                name
            )


def fused_for_real(capsys: pytest.CaptureFixture[str]) -> None:
    assert "not fused" not in capsys.readouterr().err


@pytest.mark.parametrize("optimizer", sorted(set(options("optimizer")) - {"lbfgs", "adafactor", "muon", "normuon"}))
def test_every_optimizer(runs: Path, optimizer: str, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["data=wine", "model=mlp", "model.width=8", f"optimizer={optimizer}", "seed=0,1", "trainer.max_steps=40"]
    lr = {"rprop": "0.01,0.02"}.get(optimizer, "0.003,0.01")
    # Of these two torch keeps a running product, or a learning rate, in float32 whatever the parameters are in.
    tolerance = {"nadam": 1e-8, "nadamw": 1e-8, "asgd": 1e-8}.get(optimizer, EXACT)
    assert_equal(*both(runs, *sweep, *DOUBLE, f"optimizer.lr={lr}"), tolerance)
    fused_for_real(capsys)


@pytest.mark.parametrize(
    "sweep",
    [
        pytest.param(["data=digits", "data.batch_size=32", "optimizer=momentum", "seed=0,1,2"], id="minibatches"),
        pytest.param(["data=wine", "optimizer=adamw", "optimizer.weight_decay=0,0.1", "seed=3,4"], id="weight decay"),
        pytest.param(["data=wine", "optimizer=sgd", "optimizer.momentum=0,0.9"], id="with and without momentum"),
        pytest.param(["data=wine", "scheduler=warmup_cosine", "optimizer.lr=0.01,0.02"], id="schedule"),
        pytest.param(
            ["data=wine", "scheduler=reduce_on_plateau", "scheduler.patience=0,1", "scheduler.threshold=0.5"],
            id="plateau schedule",
        ),
        pytest.param(["data=wine", "trainer.gradient_clip_val=0.1,1", "optimizer=sgd"], id="clipping"),
        pytest.param(
            ["data=wine", "data.batch_size=10", "trainer.accumulate_grad_batches=3", "seed=0,1"], id="accumulation"
        ),
        pytest.param(["data=wine", "model.norm=batchnorm", "data.batch_size=20", "seed=0,1"], id="batch norm"),
        pytest.param(
            ["data=mnist1d", "data.n_train=30", "data.batch_size=10", "model=gru", "seed=0,1"], id="recurrent"
        ),
        pytest.param(["data=wine", "model.init_scale=0.5,1,2"], id="initialization scale"),
        pytest.param(["data=two_moons", "data.noise=0.1,0.3"], id="noise of the data"),
        pytest.param(["data=wine", "task.label_smoothing=0.0,0.0"], id="equal runs"),
        pytest.param(
            ["data=wine", "callbacks=[learning_rate,gradient_norm]", "scheduler=cosine", "seed=0,1"], id="probes"
        ),
    ],
)
def test_what_runs_may_differ_in(runs: Path, sweep: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    sweep = [*sweep, "model.width=8", "trainer.max_steps=30", *DOUBLE]
    assert_equal(*both(runs, *sweep), EXACT)
    fused_for_real(capsys)


def test_the_first_experiment(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["+experiment=grokking_xor", "scale=smoke", "seed=0,1,2", "data.noise_rate=0.1,0.2", "logger=none"]
    assert_equal(*both(runs, *sweep), 1e-5)
    fused_for_real(capsys)


def test_a_run_that_diverges_leaves_the_others_alone(runs: Path, tmp_path: Path) -> None:
    sweep = ["-m", "data=diabetes", "model=linear", "optimizer=sgd", "optimizer.lr=0.01,1e9,0.02", *DOUBLE]
    sweep += ["trainer.max_steps=60"]
    ways = [try_train(*sweep, f"hydra/launcher={way}", f"paths.runs={runs / way}") for way in ("serial", "fused")]
    for printed, status in ways:
        assert status == 1
        assert [run["status"] for run in printed] == ["complete", "diverged", "complete"]
    for alone, fused in zip(ways[0][0], ways[1][0], strict=True):
        expected = {name: value for name, value in alone["summary"].items() if value is not None}
        measured = {name: value for name, value in fused["summary"].items() if value is not None}
        assert measured == pytest.approx(expected, rel=EXACT)


def test_early_stopping_is_each_runs_own(runs: Path) -> None:
    sweep = ["data=iris", "optimizer=sgd", "optimizer.lr=0,0.1", "callbacks=early_stopping", "trainer.eval_at=10"]
    sweep += ["callbacks.early_stopping.patience=3", "trainer.max_steps=100", *DOUBLE]
    alone, fused = both(runs, *sweep)
    assert_equal(alone, fused, EXACT)
    assert [record.summary["step"] for record in fused] == [30, 100]


def test_what_cannot_be_fused_runs_alone_and_the_reason_is_said(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = train(
        "-m", "data=wine", "optimizer=lbfgs", "seed=0,1", "trainer.max_steps=3", "hydra/launcher=fused", *DOUBLE
    )
    assert [run["status"] for run in printed] == ["complete", "complete"]
    said = capsys.readouterr().err
    assert "2 runs were not fused: optimizer" in said


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("callbacks=ema", "acts inside each step"),
        ("trainer.precision=bf16-mixed", "trainer.precision"),
    ],
)
def test_what_a_run_needs_the_lightning_engine_for(
    runs: Path, override: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = ["-m", "data=wine", "seed=0,1", "trainer.max_steps=5", "logger=none", override]
    fused = train(*sweep, "hydra/launcher=fused")
    said = capsys.readouterr().err
    assert "2 runs were not fused" in said
    assert reason in said
    alone = train(*sweep, "hydra/launcher=serial", f"paths.runs={runs / 'alone'}")
    assert [run["summary"] for run in fused] == [run["summary"] for run in alone]


def test_runs_of_different_structure_form_stacks_of_their_own(runs: Path) -> None:
    sweep = ["data=wine", "model.width=4,8", "optimizer=sgd,adam", "seed=0,1", "trainer.max_steps=10", *DOUBLE]
    assert_equal(*both(runs, *sweep), EXACT)


def test_complete_runs_are_not_run_again_whichever_way_they_were_run(runs: Path) -> None:
    sweep = ["-m", "data=wine", "seed=0,1,2", "trainer.max_steps=10", *DOUBLE]
    first = train(*sweep, "hydra/launcher=serial")
    more = train(*sweep, "seed=range(0,5)", "hydra/launcher=fused")
    assert more[:3] == first
    assert all(Record(Path(run["path"])).status["attempts"] == 1 for run in more)
    assert train(*sweep, "seed=range(0,5)", "hydra/launcher=serial") == more


def test_a_bad_value_fails_its_own_run_only(expkit: Run) -> None:
    done = expkit(
        "train", "-m", "data=wine", "model.width=8,wide", "seed=0,1", "trainer.max_steps=5", "logger=none",
        "hydra/launcher=fused", "--json",
    )  # fmt: skip
    assert done.returncode == 1
    printed: list[dict[str, Any]] = json.loads(done.stdout)
    assert [run["status"] for run in printed] == ["complete", "complete", "failed", "failed"]
    assert "model.width" in done.stderr


def test_the_checkpoint_of_a_fused_run_can_be_evaluated(expkit: Run, runs: Path) -> None:
    (run, _) = train("-m", "data=wine", "seed=0,1", "trainer.max_steps=20", "logger=none", "hydra/launcher=fused")
    again = json.loads(expkit("eval", run["run_id"], "--json").stdout)["metrics"]
    for name, value in again.items():
        assert value == pytest.approx(run["summary"][name], rel=1e-5)
