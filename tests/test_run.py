"""A run from its configuration to its record: identity, caching, failures, reproducibility."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars
import pytest

from expkit import identity
from expkit.compose import compose
from expkit.records.record import Record
from support import Run, run_expkit, train, try_train
from tiny_project import forget

TINY = ["+experiment=grokking_xor", "scale=smoke", "logger=none"]


def record_of(printed: dict) -> Record:
    return Record(Path(printed["path"]))


def test_the_record_holds_everything(runs: Path) -> None:
    printed = train(*TINY)
    folder = runs / "grokking_xor" / printed["run_id"]
    assert printed["path"] == str(folder)
    assert {path.name for path in folder.iterdir()} >= {
        "config.yaml",
        "status.json",
        "metrics.parquet",
        "summary.json",
        "environment.json",
        "checkpoints",
    }
    record = Record(folder)
    assert record.config["data"]["dim"] == 500
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["packages"]["torch"].startswith("2.")
    assert {"git", "hardware", "command", "torch"} <= set(environment)
    metrics = record.metrics
    assert metrics["step"].to_list() == [0, 1, 2, 3, 5]
    assert metrics.columns[0] == "step"
    assert record.summary == metrics.row(-1, named=True) == printed["summary"]


def test_a_complete_run_is_not_run_again_unless_forced(runs: Path) -> None:
    first = train(*TINY)
    written = Record(Path(first["path"])).status["ended"], (Path(first["path"]) / "metrics.parquet").stat().st_mtime_ns
    again = train(*TINY)
    assert again == first
    assert written[1] == (Path(first["path"]) / "metrics.parquet").stat().st_mtime_ns
    forced = train(*TINY, "--force")
    assert written[1] != (Path(first["path"]) / "metrics.parquet").stat().st_mtime_ns
    assert forced["summary"] == first["summary"]


def test_the_same_config_gives_bit_identical_metrics(runs: Path, tmp_path: Path) -> None:
    overrides = ["model=resnet", "data=digits", "model.width=4", "trainer.max_steps=20", "logger=none"]
    first = record_of(train(*overrides)).metrics
    second = record_of(train(*overrides, f"paths.runs={tmp_path / 'elsewhere'}")).metrics
    assert first.equals(second)


def test_a_probe_or_another_evaluation_point_does_not_change_a_run(runs: Path) -> None:
    overrides = [
        "model=mlp",
        "model.dropout=0.5",
        "data=iris",
        "data.batch_size=16",
        "trainer.max_steps=20",
        "logger=none",
    ]
    plain = record_of(train(*overrides)).metrics
    probed = record_of(train(*overrides, "callbacks=gradient_norm", "trainer.eval_at=1")).metrics
    shared = probed.filter(polars.col("step").is_in(plain["step"].to_list())).select(plain.columns)
    assert shared.equals(plain)


def test_the_id_follows_numbers_and_not_where_results_go(runs: Path) -> None:
    from expkit.compose import compose
    from expkit.identity import run_id

    base = run_id(compose(TINY).config)
    assert run_id(compose([*TINY, "logger=csv", "tags=[a]", "name=other", "paths.runs=/x"]).config) == base
    different = {
        run_id(compose([*TINY, change]).config) for change in ("seed=1", "optimizer.lr=0.2", "data.noise_rate=0")
    }
    assert len(different | {base}) == 4


PIECE = """\
import torch


class Scaled(torch.nn.Module):
    def __init__(self, n_outputs: int, scale: float = 1.0):
        super().__init__()
        self.layer = torch.nn.Linear(4, n_outputs)
        self.scale = scale

    def forward(self, x):
        return self.layer(x) * self.scale
"""


def test_editing_the_models_code_makes_another_run_and_editing_a_comment_does_not(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.expkit]\ntrusted = ["lab"]\n')
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "scaled.yaml").write_text("_target_: lab.Scaled\nn_outputs: ${task.n_outputs}\n")

    def run_id(source: str) -> str:
        (tmp_path / "lab.py").write_text(source)
        return identity.run_id(compose(["model=scaled", "data=iris"]).config)

    with contextlib.chdir(tmp_path):
        forget()
        first = run_id(PIECE)
        assert run_id(PIECE.replace("    def forward", "    # the same thing\n    def forward")) == first
        assert run_id(PIECE.replace("* self.scale", "* self.scale * 2")) != first
    forget()


def test_a_piece_that_raises_is_recorded_with_its_traceback_and_reported_without(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.expkit]\ntrusted = ["lab"]\n')
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "scaled.yaml").write_text("_target_: lab.Scaled\nn_outputs: ${task.n_outputs}\n")
    (tmp_path / "lab.py").write_text(
        PIECE.replace(
            "return self", "if self.training:\n            raise ZeroDivisionError('on purpose')\n        return self"
        )
    )
    command = ["train", "model=scaled", "data=iris", "trainer.max_steps=2", "logger=none"]
    done = run_expkit(*command, folder=tmp_path)
    assert done.returncode == 1
    assert "ZeroDivisionError: on purpose" in done.stderr
    assert "lab.py:12" in done.stderr
    assert "Traceback" not in done.stderr
    (status,) = (tmp_path / "runs").glob("*/*/status.json")
    recorded = json.loads(status.read_text())
    assert recorded["status"] == "failed"
    assert "lab.py" in recorded["error"]["traceback"]
    assert "Traceback" in run_expkit(*command, "--debug", folder=tmp_path).stderr

    (tmp_path / "lab.py").write_text(PIECE)  # mended: it runs, under an id of its own
    assert run_expkit(*command, folder=tmp_path).returncode == 0


def test_a_diverging_run_says_so(runs: Path) -> None:
    printed, status = try_train("data=diabetes", "model=linear", "optimizer=sgd", "optimizer.lr=1e6", "logger=none")
    assert status == 1
    assert printed["status"] == "diverged"
    assert record_of(printed).metrics["step"].to_list()[-1] < 1000


def test_a_shape_that_does_not_fit_is_found_before_training(runs: Path) -> None:
    from expkit.cli import main

    status = main(["train", "model=cnn", "data=two_moons", "logger=none"])
    assert status == 2


def test_two_processes_asked_for_the_same_run_train_it_once(runs: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "expkit", "train", *TINY, "trainer.max_steps=300", "trainer.eval_at=1", "--json"]
    processes = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    first, second = (json.loads(out) for out, _ in outputs)
    assert first == second
    assert Record(Path(first["path"])).status["attempts"] == 1
    assert any("waiting" in error for _, error in outputs)


def test_a_wait_for_another_process_ends_with_its_run(runs: Path) -> None:
    printed = train(*TINY)
    record = Record(Path(printed["path"]))
    told: list[dict] = []
    with record.claim(waiting=told.append):
        assert record.is_claimed()
        waiter = threading.Thread(target=lambda: _claim_once(record, told))
        waiter.start()
        time.sleep(0.3)
        assert waiter.is_alive()
    waiter.join(timeout=5)
    assert not waiter.is_alive()
    assert len(told) == 1


def _claim_once(record: Record, told: list[dict]) -> None:
    with Record(record.folder).claim(waiting=told.append):
        pass


@pytest.mark.parametrize("damage", ["", "{", "null", '{"status": 3}'])
def test_a_damaged_record_is_listed_as_such_and_run_again(runs: Path, damage: str, expkit: Run) -> None:
    printed = train(*TINY)
    (Path(printed["path"]) / "status.json").write_text(damage)
    listed = json.loads(expkit("runs", "--json").stdout)
    assert listed[0]["status"] == "damaged"
    assert train(*TINY)["summary"] == printed["summary"]
