"""Sweeps as a user sees them: stopped and taken up again, with runs that fail, recorded as folders or as one table."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars
import pytest

from expkit.records.record import Record
from expkit.records.store import Store
from expkit.sweeps.results import results
from expkit.sweeps.sweep import Sweep, find
from support import Run, train, try_train

SMALL = ["data=two_moons", "data.n_train=64", "data.n_test=64", "model=mlp", "model.width=4", "trainer.max_steps=20"]
QUIET = ["logger=none"]


def only_sweep(runs: Path) -> Sweep:
    return find(Store(runs), "")


def attempts(runs: Path) -> dict[str, int]:
    return {record.run_id: record.status["attempts"] for record in Store(runs)}


def test_one_raises_one_diverges_one_has_a_bad_value(expkit: Run, tmp_path: Path) -> None:
    project = tmp_path / "own.py"
    project.write_text(
        "from expkit.models.mlp import MLP\n\n\n"
        "class Fragile(MLP):\n"
        "    def __init__(self, input_shape: list[int], n_outputs: int, width: int = 4, limit: float = 1.0) -> None:\n"
        "        if limit < 0:\n"
        "            raise RuntimeError('the limit is below zero')\n"
        "        super().__init__(input_shape, n_outputs, width=width)\n"
    )
    (tmp_path / "pyproject.toml").write_text('[tool.expkit]\ntrusted = ["own"]\n')
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "fragile.yaml").write_text(
        "_target_: own.Fragile\ninput_shape: ${data.spec.shape}\nn_outputs: ${task.n_outputs}\nwidth: 4\nlimit: 1.0\n"
    )
    command = ["train", "-m", "data=diabetes", "model=fragile", "trainer.max_steps=40", "optimizer=sgd", *QUIET]
    done = expkit(*command, "model.limit=1.0,-1.0", "optimizer.lr=0.001,1e12,abc", "hydra/launcher=serial")
    assert done.returncode == 1
    assert "2 failed" not in done.stdout
    table = done.stdout[done.stdout.index("Not complete") :]
    assert "the loss is not finite any more" in table
    assert "the limit is below zero" in table
    assert "optimizer.lr: has to be a number, but is 'abc'" in table
    assert "6 runs: 4 failed, 1 complete, 1 diverged" in done.stdout
    assert "own.py:7" in done.stderr  # where it happened, said when it happened
    assert "Traceback" not in done.stdout + done.stderr


def test_a_complete_sweep_is_not_run_again(runs: Path) -> None:
    sweep = ["-m", *SMALL, *QUIET, "seed=0,1", "optimizer.lr=0.1,0.01"]
    first, again = train(*sweep), train(*sweep)
    assert first == again
    assert set(attempts(runs).values()) == {1}
    assert [sorted(only_sweep(runs).entries), only_sweep(runs).info["state"]] == [[0, 1, 2, 3], "complete"]


def test_only_what_failed_is_run_again(runs: Path) -> None:
    sweep = ["-m", *SMALL, *QUIET, "seed=0,1,2"]
    first = train(*sweep)
    broken = Record(Path(first[1]["path"]))
    (broken.folder / "status.json").write_text("{")
    (broken.folder / "metrics.parquet").unlink()
    for run, before in zip(train(*sweep), first, strict=True):
        assert (run["run_id"], run["status"]) == (before["run_id"], "complete")
        assert run["summary"] == pytest.approx(before["summary"], rel=1e-5)
    assert attempts(runs) == {run["run_id"]: 1 for run in first}


DROPOUT = [*SMALL, *QUIET, "model.dropout=0.3", "trainer.precision=64-true", "hydra/launcher=fused", "seed=0,1,2"]


def without_status(record: Record) -> None:
    """As when the disk is full: its weights are saved, and that it has ended is not."""
    (record.folder / "metrics.parquet").unlink()
    status = json.loads((record.folder / "status.json").read_text())
    (record.folder / "status.json").write_text(json.dumps({**status, "status": "interrupted", "written": None}))
    assert record.state == "interrupted"


@pytest.mark.parametrize("lose", [lambda record: shutil.rmtree(record.folder), without_status])
def test_what_is_left_of_a_stack_trains_as_the_stack_did(runs: Path, lose: Callable[[Record], None]) -> None:
    first = train("-m", *DROPOUT)
    expected = Record(Path(first[1]["path"])).metrics
    lose(Record(Path(first[1]["path"])))
    (_, again, _) = train("-m", *DROPOUT)
    # Trained by itself it would drop out others.
    assert Record(Path(again["path"])).metrics.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-8)


@contextmanager
def in_use(record: Record, seconds: float) -> Iterator[None]:
    """A run that another process has for a while."""
    claimed = threading.Event()

    def hold() -> None:
        with record.claim(waiting=lambda status: None):
            claimed.set()
            time.sleep(seconds)

    holder = threading.Thread(target=hold)
    holder.start()
    assert claimed.wait(10)
    yield
    holder.join()


def test_a_run_that_another_process_is_ending_is_waited_for(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = [Record(Path(run["path"])) for run in train("-m", *DROPOUT, f"paths.runs={runs / 'whole'}")]
    held = Store(runs / "held").record(expected[1].experiment, expected[1].run_id)
    with in_use(held, 1.0):
        found = [Record(Path(run["path"])) for run in train("-m", *DROPOUT, f"paths.runs={runs / 'held'}")]
    assert "waiting for it" in capsys.readouterr().err
    assert all(one.metrics.equals(other.metrics) for one, other in zip(found, expected, strict=True))


def test_a_stack_that_is_stopped_leaves_what_was_to_be_done_after_it(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from expkit import run_fused

    monkeypatch.setattr(run_fused, "ENDING", 0.0)
    (first, held, _) = train("-m", *DROPOUT, f"paths.runs={runs / 'whole'}")
    begin = Record.begin

    def stopped_at_once(record: Record, *args: Any) -> None:
        begin(record, *args)
        if record.run_id == first["run_id"]:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Record, "begin", stopped_at_once)
    with in_use(Store(runs / "stopped").record(held["experiment"], held["run_id"]), 3.0):
        assert try_train("-m", *DROPOUT, f"paths.runs={runs / 'stopped'}")[1] == 130
    states = {record.run_id: record.state for record in Store(runs / "stopped")}
    assert held["run_id"] not in states
    assert set(states.values()) == {"interrupted"}


def test_max_failures_and_resume(expkit: Run, tmp_path: Path) -> None:
    bad = ["optimizer.lr=" + ",".join(["-1"] * 4 + ["0.1"])]
    stopped = expkit("train", "-m", *SMALL, *QUIET, *bad, "sweep.max_failures=2", "hydra/launcher=serial")
    assert stopped.returncode == 1
    assert "2 runs have failed: the sweep stops here" in stopped.stderr
    assert "5 runs: 3 not run, 2 failed" in stopped.stdout
    again = expkit("resume", "two_moons", "sweep.max_failures=null")
    assert "5 runs: 4 failed, 1 complete" in again.stdout
    refused = expkit("resume", "two_moons", "seed=3")
    assert refused.returncode == 2
    assert "A sweep is resumed as it is" in refused.stderr


def test_retries(expkit: Run, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.expkit]\ntrusted = ["own"]\n')
    (tmp_path / "own.py").write_text(
        "from pathlib import Path\n\nfrom lightning.pytorch import Callback\n\n\n"
        "class FailsAtFirst(Callback):\n"
        "    def on_train_start(self, trainer, pl_module):\n"
        "        if not Path('tried').exists():\n"
        "            Path('tried').touch()\n"
        "            raise OSError('the disk was away')\n"
    )
    (tmp_path / "conf" / "callbacks").mkdir(parents=True)
    (tmp_path / "conf" / "callbacks" / "fails.yaml").write_text("fails:\n  _target_: own.FailsAtFirst\n")
    command = ["train", "-m", *SMALL, *QUIET, "callbacks=fails", "seed=0,1", "hydra/launcher=serial"]
    done = expkit(*command, "sweep.retries=1")
    assert done.returncode == 0, done.stderr
    assert "is tried again (1 left): OSError: the disk was away" in done.stderr
    assert "2 runs: 2 complete" in done.stdout


@pytest.mark.slow
def test_killed_midway_it_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Two stacks in two processes, killed when some runs are done, some are not: nothing is lost or done twice."""
    sweep = ["-m", "+experiment=grokking_xor", "data.dim=100", "data.n_train=20", "data.n_test=30", "model.width=10"]
    sweep += ["trainer.max_steps=300", "trainer.checkpoint_steps=20", "seed=range(0,64)", "callbacks=none", *QUIET]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(*sweep, f"paths.runs={whole}")
    command = [sys.executable, "-m", "expkit", "train", *sweep, f"paths.runs={killed}", "hydra/launcher=serial"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: sum(record.state == "complete" for record in Store(killed)) >= 2, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done_before = {record.run_id for record in Store(killed) if record.state == "complete"}
    assert 2 <= len(done_before) < 64
    fused = subprocess.Popen(
        [*command[:-1], "hydra/launcher=fused"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    wait_until(lambda: any((killed / ".sweeps").glob("*/stacks/*")), fused)
    os.killpg(fused.pid, signal.SIGKILL)
    fused.wait()
    finished = train(*sweep, f"paths.runs={killed}")
    assert len(finished) == 64
    assert all(Record(Path(run["path"])).status["attempts"] == 1 for run in finished if run["run_id"] in done_before)
    for run in finished:
        expected = Record(whole / "grokking_xor" / run["run_id"]).metrics
        measured = Record(Path(run["path"])).metrics
        assert measured["step"].to_list() == expected["step"].to_list()
        for name in expected.columns:
            assert measured[name].to_list() == pytest.approx(expected[name].to_list(), rel=2e-3, abs=1e-4), name


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_named_sweep_is_extended_not_changed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = ["-m", *SMALL, *QUIET, "sweep.name=widths"]
    train(*named, "model.width=2,3")
    train(*named, "model.width=4,3,2")
    assert "extended by 1 run to 3" in capsys.readouterr().err
    sweep = Sweep(runs / ".sweeps" / "widths")
    widths = [next(o for o in sweep.entries[n].overrides if "width" in o) for n in range(3)]
    assert widths == ["model.width=2", "model.width=3", "model.width=4"]
    assert try_train(*named, "model.width=4,5") == (None, 2)
    assert "not named by this command, such as model.width=2" in capsys.readouterr().err
    assert set(attempts(runs).values()) == {1}


def test_the_sweeps_and_their_runs_are_listed(expkit: Run) -> None:
    expkit("train", "-m", *SMALL, *QUIET, "seed=0,1", "optimizer.lr=0.1,abc")
    listed = json.loads(expkit("sweeps", "--json").stdout)
    assert [(one["status"], one["runs"], one["counts"]) for one in listed] == [
        ("failed", 4, {"failed": 2, "complete": 2})
    ]
    one = json.loads(expkit("sweeps", "two_moons", "--json").stdout)
    assert [(job["seed"], job["optimizer.lr"], job["state"]) for job in one["jobs"]] == [
        (0, "0.1", "complete"), (0, "abc", "failed"), (1, "0.1", "complete"), (1, "abc", "failed"),
    ]  # fmt: skip
    expkit("train", *SMALL, *QUIET, "seed=7")
    of_sweep = json.loads(expkit("runs", "--sweep", "two_moons", "--json").stdout)
    assert {run["run_id"] for run in of_sweep} == {job["run"].split("/")[1] for job in one["jobs"] if job["run"]}
    assert len(json.loads(expkit("runs", "--json").stdout)) == 3
    assert expkit("sweeps", "nothing").returncode == 1


def test_a_dense_sweep_has_the_numbers_of_its_runs(runs: Path) -> None:
    sweep = [
        *SMALL,
        *QUIET,
        "callbacks=none",
        "trainer.precision=64-true",
        "seed=0,1",
        "optimizer.lr=logspace(-3,-1,4)",
    ]
    rows = train("-m", *sweep, "sweep.dense=true", f"paths.runs={runs / 'rows'}")
    folders = train("-m", *sweep, f"paths.runs={runs / 'folders'}")
    assert [run["run_id"] for run in rows] == [run["run_id"] for run in folders]
    for row, folder in zip(rows, folders, strict=True):
        assert row["status"] == folder["status"] == "complete"
        assert row["summary"] == pytest.approx(folder["summary"], rel=1e-10)
    tables = [results(only_sweep(runs / name)) for name in ("rows", "folders")]
    assert tables[0]["optimizer.lr"].to_list() == tables[1]["optimizer.lr"].to_list()
    assert tables[0]["test/loss"].to_list() == pytest.approx(tables[1]["test/loss"].to_list(), rel=1e-10)
    assert not list((runs / "rows").glob("*/*/status.json"))


def test_a_dense_sweep_goes_on_with_the_parts_it_lacks(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from expkit.sweeps import dense

    monkeypatch.setattr(dense, "LARGEST", 3)
    sweep = ["-m", *SMALL, *QUIET, "callbacks=none", "sweep.dense=true", "seed=range(0,8)"]
    first = train(*sweep)
    folder = only_sweep(runs).folder / "columns"
    files = {path: path.stat().st_mtime_ns for path in sorted(folder.glob("*.parquet"))}
    assert len(files) == 3
    lost = next(iter(files))
    lost.unlink()
    assert train(*sweep) == first
    kept = {path: path.stat().st_mtime_ns for path in files if path != lost}
    assert kept == {path: time for path, time in files.items() if path != lost}
    assert polars.read_parquet(lost)["number"].to_list() == [0, 1, 2]


def test_a_dense_sweep_says_what_it_cannot_do(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["-m", *SMALL, *QUIET, "sweep.dense=true", "seed=0,1"]
    assert try_train(*sweep, "callbacks=ema")[1] == 1
    assert "set sweep.dense=false" in capsys.readouterr().err


def test_of_many_runs_wandb_gets_one(runs: Path) -> None:
    train("-m", *SMALL, "seed=0,1,2", "sweep.wandb_runs=2")
    assert not list(runs.glob("two_moons-mlp/*/wandb"))
    assert len(list(only_sweep(runs).folder.glob("wandb/offline-run-*/*.wandb"))) == 1
    train("-m", *SMALL, "seed=3,4", "sweep.wandb_runs=2")
    assert len(list(runs.glob("two_moons-mlp/*/wandb/offline-run-*/*.wandb"))) == 2
