"""Processes that something else has started, as on several machines: two groups of them, which meet on loopback."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from expkit import rank
from expkit.cli import main
from expkit.errors import UserError
from expkit.records.record import Record
from support import train, try_train

XOR = ["+experiment=grokking_xor", "scale=smoke", "trainer.max_steps=5", "logger=none"]
EXPKIT = [sys.executable, "-m", "expkit"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return train(*XOR, "--runs", str(tmp_path_factory.mktemp("alone")))["summary"]


@pytest.fixture
def port() -> int:
    return free(range(20_000, 30_000))


def free(ports: range) -> int:
    for number in random.Random(os.getpid()).sample(ports, 50):
        with socket.socket() as listener:
            if listener.connect_ex(("127.0.0.1", number)):
                return number
    raise AssertionError("no port is free")


def start(command: list[str], **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def close(first: dict[str, float], second: dict[str, float]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert second[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def one_record(runs: Path, printed: dict[str, Any]) -> bool:
    return list((runs / "grokking_xor").iterdir()) == [Path(printed["path"])]


def test_torchrun_on_two_nodes(alone: dict[str, float], runs: Path, port: int) -> None:
    meeting = ["--nnodes=2", "--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={port}"]
    command = ["train", *XOR, "trainer=ddp_cpu", "trainer.devices=1", "trainer.num_nodes=2"]
    nodes = [
        start(
            [sys.executable, "-m", "torch.distributed.run", *meeting, f"--node-rank={rank}", "-m", "expkit", *command]
        )
        for rank in range(2)
    ]
    (out, error), (other_out, _) = (node.communicate(timeout=300) for node in nodes)
    assert [node.returncode for node in nodes] == [0, 0], error
    assert out.count("train/loss") == 2  # the head of one table, and the summary below it
    assert other_out == ""
    (again, status) = try_train(*command[1:])
    assert (status, again["status"]) == (0, "complete")  # done already: nothing is started
    close(alone, again["summary"])
    assert one_record(runs, again)


def test_two_nodes_of_two_processes_by_variables(
    alone: dict[str, float], runs: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", *XOR, "trainer=ddp_cpu", "trainer.devices=2", "trainer.num_nodes=2"]
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(port))
    other = start([*EXPKIT, *command], NODE_RANK="1")
    monkeypatch.setenv("NODE_RANK", "0")
    printed = train(*command[1:])
    assert (other.wait(timeout=300), *other.communicate()) == (0, "", "")
    close(alone, printed["summary"])
    assert one_record(runs, printed)


def test_two_tasks_of_slurm(alone: dict[str, float], runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["train", *XOR, "trainer=ddp_cpu", "trainer.devices=1", "trainer.num_nodes=2"]
    job = 430_000 + free(range(15_000, 25_000)) - 15_000  # Lightning makes the port of the job's number
    step = {
        "JOB_ID": str(job),
        "STEP_ID": "0",
        "NTASKS": "2",
        "NTASKS_PER_NODE": "1",
        "STEP_NUM_TASKS": "2",
        "NNODES": "2",
        "LOCALID": "0",
    }
    for name, value in {**step, "NODELIST": "127.0.0.1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    for name in ("MASTER_ADDR", "MASTER_PORT"):  # Lightning sets them; gone again after the test
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    other = start([*EXPKIT, *command], SLURM_PROCID="1", SLURM_NODEID="1")
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NODEID", "0")
    printed = train(*command[1:])
    assert (other.wait(timeout=300), *other.communicate()) == (0, "", "")
    close(alone, printed["summary"])
    assert one_record(runs, printed)


def test_the_others_leave_a_run_that_is_done_alone_and_say_nothing(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    train(*XOR)
    monkeypatch.setenv("RANK", "1")
    assert main(["train", *XOR]) == 0
    assert capfd.readouterr() == ("", "")


def test_the_others_wait_for_the_attempt_that_they_belong_to(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier one that was killed says 'running' as well."""
    record = Record(runs / "some" / "run")
    record.folder.mkdir(parents=True)

    def waits_until_begun() -> bool:
        begin = threading.Timer(0.5, lambda: record.begin({}, []))
        begin.start()
        since = time.monotonic()
        found = rank._is_begun(record, force=False)
        begin.join()
        return found and time.monotonic() - since > 0.4

    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "before")
    record.begin({}, [])
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "now")
    assert waits_until_begun()
    record.finish("complete", {"step": 5})
    assert not rank._is_begun(record, force=False)
    (record.folder / "summary.json").write_text("{}")  # the first process sees that, and does the run again
    assert waits_until_begun()
    record.finish("failed", {}, ValueError("no data"))
    monkeypatch.setattr(rank, "PATIENCE", 0.1)
    with pytest.raises(UserError, match="did not come to train: no data"):
        rank._is_begun(record, force=False)


def test_a_sweep_is_none_of_several_processes(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert try_train("-m", *XOR, "seed=0,1") == (None, 2)
    assert not runs.exists() or not json.dumps([str(path) for path in runs.glob("*/*")]).count("grokking")
