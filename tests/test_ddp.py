"""Several processes that train one run: on the CPU, over gloo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from expkit.records.record import Record
from support import Run

DDP = ["trainer=ddp_cpu", "trainer.devices=2"]
XOR = ["+experiment=grokking_xor", "scale=smoke", "trainer.max_steps=20"]


def close(first: dict[str, float], second: dict[str, float]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert second[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_two_processes_agree_with_one_and_leave_one_record_and_one_wandb_run(expkit: Run, runs: Path) -> None:
    alone = json.loads(expkit("train", *XOR, "logger=none", "--json").stdout)
    done = expkit("train", *XOR, *DDP, "--json")
    assert done.returncode == 0, done.stderr
    together = json.loads(done.stdout)
    assert together["run_id"] != alone["run_id"]
    close(alone["summary"], together["summary"])
    assert len(list((runs / "grokking_xor").iterdir())) == 2
    folder = Path(together["path"])
    assert len(list(folder.glob("wandb/offline-run-*"))) == 1
    weights = [
        torch.load(Record(Path(r["path"])).checkpoint, weights_only=True)["state_dict"] for r in (alone, together)
    ]
    for name, tensor in weights[0].items():
        assert torch.allclose(tensor, weights[1][name], rtol=1e-4, atol=1e-7), name


def test_an_uneven_share_of_the_batch_still_gives_the_gradient_of_the_whole(expkit: Run) -> None:
    overrides = ["data=iris", "data.batch_size=33", "trainer.max_steps=15", "model.norm=none", "logger=none", "--json"]
    alone = json.loads(expkit("train", *overrides).stdout)
    together = json.loads(expkit("train", *overrides, *DDP).stdout)
    close(alone["summary"], together["summary"])


def test_inside_a_multirun_each_run_starts_its_own_processes(expkit: Run, runs: Path) -> None:
    done = expkit("train", "-m", *XOR, *DDP, "seed=0,1", "logger=none", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert [run["status"] for run in printed] == ["complete", "complete"]
    assert len({run["run_id"] for run in printed}) == 2
    assert len(list((runs / "grokking_xor").iterdir())) == 2
    alone = json.loads(expkit("train", "-m", *XOR, "seed=0,1", "logger=none", "--json").stdout)
    for one, two in zip(alone, printed, strict=True):
        close(one["summary"], two["summary"])


def test_processes_that_torchrun_has_started_train_one_run(tmp_path: Path, runs: Path) -> None:
    overrides = [*XOR, *DDP, "logger=none", "--json"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, "-m", "expkit", "train", *overrides], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)  # one object: only the first process prints
    assert printed["status"] == "complete"
    again = subprocess.run(
        [*torchrun, "-m", "expkit", "train", *overrides], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert json.loads(again.stdout) == printed
    assert len(list((runs / "grokking_xor").iterdir())) == 1


def test_a_signal_to_the_first_process_stops_all_and_the_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    overrides = ["data=digits", "model.dropout=0.2", "trainer.max_steps=400", "trainer.eval_at=50", "logger=none", *DDP]
    overrides += ["trainer.checkpoint_steps=20"]

    def start(folder: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "expkit", "train", *overrides, "--json", "--runs", str(tmp_path / folder)]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    process = start("reference")
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    reference = Record(Path(json.loads(out)["path"]))

    process = start("stopped")
    deadline = time.monotonic() + 60
    while not list((tmp_path / "stopped").glob("*/*/checkpoints/last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, error = process.communicate(timeout=60)
    assert process.returncode in (0, 130), error
    assert "Traceback" not in error
    process = start("stopped")
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert Record(Path(json.loads(out)["path"])).metrics.equals(reference.metrics)


def test_a_process_that_dies_takes_the_run_down_and_does_not_hang_it(expkit: Run, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.expkit]\ntrusted = ["lab"]\n')
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "dying.yaml").write_text("_target_: lab.Dying\nn_outputs: ${task.n_outputs}\n")
    (tmp_path / "lab.py").write_text(
        "import os, torch\n"
        "class Dying(torch.nn.Module):\n"
        "    def __init__(self, n_outputs: int):\n"
        "        super().__init__()\n"
        "        self.layer = torch.nn.Linear(4, n_outputs)\n"
        "    def forward(self, x):\n"
        "        if self.training and os.environ.get('LOCAL_RANK') == '1':\n"
        "            os._exit(7)\n"
        "        return self.layer(x)\n"
    )
    began = time.monotonic()
    done = expkit("train", "model=dying", "data=iris", "logger=none", *DDP, "--json")
    assert done.returncode == 1
    assert time.monotonic() - began < 60
    assert "Process 1 of this training ended with status 7" in done.stderr
    assert "Traceback" not in done.stderr
