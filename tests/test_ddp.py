"""Several processes that train one run: on the CPU, over gloo. The first one is the test's own process."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from expkit.engines import ranks
from expkit.engines.lightning import _Keeper
from expkit.records.record import Record
from support import Run, train, try_train

DDP = ["trainer=ddp_cpu", "trainer.devices=2"]
DIGITS = [
    "data=digits",
    "data.batch_size=33",
    "trainer.max_steps=30",
    "trainer.eval_at=4",
    "trainer.checkpoint_steps=3",
]


def close(first: dict[str, float], second: dict[str, float]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert second[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Two runs of two processes each, without and with dropout, from one sweep; W&B is offline."""
    store = tmp_path_factory.mktemp("two") / "runs"
    return train("-m", *DIGITS, *DDP, "model.dropout=0.0,0.2", "--runs", str(store))


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ranks._Other]]:
    """The second processes that were started."""
    started: list[ranks._Other] = []

    class Noted(ranks._Other):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            started.append(self)

    monkeypatch.setattr(ranks, "_Other", Noted)
    yield started
    assert all(other.process.poll() is not None for other in started)


def at_step(number: int, act: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets something happen once in the first process, after a step."""
    original = _Keeper.on_train_batch_end

    def hook(self: _Keeper, trainer: Any, *arguments: Any) -> None:
        if trainer.global_step == number:
            act()
        original(self, trainer, *arguments)

    monkeypatch.setattr(_Keeper, "on_train_batch_end", hook)


def test_two_processes_agree_with_one(of_two: list[dict[str, Any]], runs: Path) -> None:
    alone, together = train(*DIGITS, "model.dropout=0.0", "logger=none"), of_two[0]
    assert together["run_id"] != alone["run_id"]
    for one, two in zip(
        *(Record(Path(r["path"])).metrics.iter_rows(named=True) for r in (alone, together)), strict=True
    ):
        close(one, two)
    weights = [
        torch.load(Record(Path(r["path"])).checkpoint, weights_only=True)["state_dict"] for r in (alone, together)
    ]
    for name, tensor in weights[0].items():
        assert torch.allclose(tensor, weights[1][name], rtol=1e-4, atol=1e-6), name


def test_each_run_of_a_sweep_has_one_record_and_one_wandb_run(of_two: list[dict[str, Any]]) -> None:
    folders = [Path(run["path"]) for run in of_two]
    assert [run["status"] for run in of_two] == ["complete", "complete"]
    assert sorted(folders[0].parent.iterdir()) == sorted(folders)
    for folder in folders:
        assert len(list(folder.glob("wandb/offline-run-*"))) == 1
        assert Record(folder).metrics["step"].to_list() == [0, 4, 8, 12, 16, 20, 24, 28, 30]


def test_a_stopped_and_a_killed_run_resume_bit_for_bit(
    of_two: list[dict[str, Any]],
    second: list[ranks._Other],
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    command = [*DIGITS, *DDP, "model.dropout=0.2", "logger=none"]

    with monkeypatch.context() as patch:
        at_step(8, lambda: signal.raise_signal(signal.SIGTERM), patch)
        printed, status = try_train(*command)
    assert (printed["status"], status, second[0].process.returncode) == ("interrupted", 130, 0)
    record = Record(Path(printed["path"]))
    assert torch.load(record.checkpoint, weights_only=True)["global_step"] == 8

    with monkeypatch.context() as patch:
        at_step(17, lambda: second[-1].process.send_signal(signal.SIGKILL), patch)
        printed, status = try_train(*command)
    assert (printed["status"], status) == ("failed", 1)
    message = "Process 1 of this training was ended by SIGKILL, as the system does when memory runs out."
    assert printed["error"].startswith(message)
    assert torch.load(record.checkpoint, weights_only=True)["global_step"] >= 15

    assert train(*command)["status"] == "complete"
    said = capfd.readouterr()
    assert f"error: {message}\n  The same command goes on" in said.err
    assert "Traceback" not in said.err + said.out
    assert record.status["attempts"] == 3
    assert record.metrics.equals(Record(Path(of_two[1]["path"])).metrics)
    assert not [name for name in (*os.environ,) if name in ("LOCAL_RANK", "MASTER_PORT", "WORLD_SIZE")]


def test_a_process_that_fails_takes_its_run_down_with_its_own_words_and_not_the_sweep(
    expkit: Run, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.expkit]\ntrusted = ["lab"]\n')
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "dying.yaml").write_text(
        "_target_: lab.Dying\nn_outputs: ${task.n_outputs}\nat: a\n"
    )
    (tmp_path / "lab.py").write_text(
        "import os, torch\n"
        "class Dying(torch.nn.Module):\n"
        "    def __init__(self, n_outputs: int, at: str):\n"
        "        super().__init__()\n"
        "        self.layer, self.at = torch.nn.Linear(4, n_outputs), at\n"
        "        if at == 'start' and os.environ.get('LOCAL_RANK') == '1':\n"
        "            raise ValueError('no weights\\non this machine')\n"
        "    def forward(self, x):\n"
        "        if self.training and self.at == 'step' and os.environ.get('LOCAL_RANK') == '1':\n"
        "            os._exit(7)\n"
        "        return self.layer(x)\n"
    )
    command = ["train", "-m", "model=dying", "data=iris", "logger=none", *DDP, "hydra/launcher=serial", "--json"]
    done = expkit(*command, "model.at=start,step")
    printed = json.loads(done.stdout)
    assert (done.returncode, [run["status"] for run in printed]) == (1, ["failed", "failed"])
    said = "Process 1 of this training ended with status 1: model (lab.Dying): no weights on this machine."
    assert said in printed[0]["error"]
    assert "Process 1 of this training ended with status 7." in printed[1]["error"]
    kept = json.loads((Path(printed[0]["path"]) / "status.json").read_text())["error"]["traceback"]
    assert "In process 1:" in kept
    assert "lab.py" in kept
    assert "Traceback" not in done.stderr
