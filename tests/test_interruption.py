"""Runs that are stopped, politely or not, and go on where they were."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from expkit.records.record import Record
from support import train, try_train

# Everything that a resumed run could get wrong: dropout, batch order, running statistics, momentum, schedule, averages.
RUN = [
    "model=mlp",
    "model.norm=batchnorm",
    "model.dropout=0.3",
    "data=digits",
    "data.batch_size=32",
    "optimizer=adamw",
    "scheduler=warmup_cosine",
    "callbacks=ema",
    "trainer.max_steps=600",
    "trainer.eval_at=7",
    "trainer.checkpoint_steps=9",
    "logger=none",
]


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "expkit", "train", *RUN, "--json", "--runs", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder.parent)


def the_record(folder: Path) -> Record:
    (found,) = folder.glob("*/*/config.yaml")
    return Record(found.parent)


def assert_equal(first: Record, second: Record) -> None:
    assert first.metrics.equals(second.metrics)
    assert first.summary == second.summary
    states = [torch.load(record.checkpoint, weights_only=True) for record in (first, second)]
    for part in ("state_dict", "current_model_state"):
        for name, tensor in states[0][part].items():
            assert torch.equal(tensor, states[1][part][name]), (part, name)
    assert str(states[0]["optimizer_states"]) == str(states[1]["optimizer_states"])


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, float]:
    """The run as it is when left alone, and the seconds that its process takes."""
    folder = tmp_path_factory.mktemp("reference") / "runs"
    began = time.monotonic()
    process = start(folder)
    assert process.wait(timeout=120) == 0, process.communicate()
    return the_record(folder), time.monotonic() - began


def test_kills_at_any_instant_do_not_change_how_a_run_ends(uninterrupted: tuple[Record, float], tmp_path: Path) -> None:
    reference, seconds = uninterrupted
    instants = random.Random(os.getpid())  # different ones each time: any has to do
    for _ in range(2):
        process = start(tmp_path / "runs")
        time.sleep(instants.uniform(0.3 * seconds, 0.9 * seconds))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if list((tmp_path / "runs").glob("*/*/config.yaml")):
            record = the_record(tmp_path / "runs")
            assert record.state in ("interrupted", "complete", "damaged")
            if record.metrics_file.exists():
                assert record.metrics["step"].is_sorted()
    process = start(tmp_path / "runs")
    assert process.wait(timeout=120) == 0, process.communicate()
    assert_equal(the_record(tmp_path / "runs"), reference)
    assert not list((tmp_path / "runs").rglob("*.tmp"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_with_a_checkpoint_and_the_same_command_goes_on(
    uninterrupted: tuple[Record, float], tmp_path: Path, number: signal.Signals
) -> None:
    reference, _ = uninterrupted
    process = start(tmp_path / "runs")
    deadline = time.monotonic() + 60
    while not list((tmp_path / "runs").glob("*/*/checkpoints/last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130, (out, error)
    assert "Traceback" not in error
    record = the_record(tmp_path / "runs")
    assert record.state == "interrupted"
    saved = torch.load(record.checkpoint, weights_only=True)["global_step"]
    assert 0 < saved < 600
    process = start(tmp_path / "runs")
    assert process.wait(timeout=120) == 0, process.communicate()
    assert record.status["attempts"] == 2
    assert_equal(record, reference)


def test_a_signal_while_torch_is_loading_ends_the_run_as_interrupted(tmp_path: Path) -> None:
    process = start(tmp_path / "runs")
    deadline = time.monotonic() + 30
    while not list((tmp_path / "runs").glob("*/*/status.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert the_record(tmp_path / "runs").state == "interrupted"


def test_a_run_resumes_under_the_same_schedule_with_accumulated_gradients(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from expkit.engines.lightning import _Keeper

    overrides = ["model=linear", "data=wine", "data.batch_size=10", "trainer.accumulate_grad_batches=3"]
    overrides += ["trainer.max_steps=30", "trainer.eval_at=4", "logger=none"]
    reference = Record(Path(train(*overrides)["path"]))

    original = _Keeper.on_train_batch_end

    def stop_at_seven(self: _Keeper, trainer, *arguments) -> None:  # type: ignore[no-untyped-def]
        if trainer.global_step == 7:
            self.training.stop.signal = signal.SIGTERM
        original(self, trainer, *arguments)

    elsewhere = f"paths.runs={tmp_path / 'elsewhere'}"
    monkeypatch.setattr(_Keeper, "on_train_batch_end", stop_at_seven)
    printed, status = try_train(*overrides, elsewhere)
    assert (printed["status"], status) == ("interrupted", 130)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    resumed = Record(Path(train(*overrides, elsewhere)["path"]))
    assert resumed.status["attempts"] == 2
    assert resumed.metrics.equals(reference.metrics)
