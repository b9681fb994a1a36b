"""`expkit replay`: the same bits of a real run; and from which step on of a record that was tampered with."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import polars
import pytest

from expkit.cli import main
from expkit.records.record import Record, written
from support import run_expkit, train

TINY = ["data=iris", "model=mlp", "model.width=8", "trainer.max_steps=8", "data.batch_size=16", "logger=none"]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where replays are made: it has to be empty afterwards."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(autouse=True)
def still_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever edits this repository meanwhile does not change what a run's record says of its code."""
    facts = {"commit": "a" * 40, "diff": "", "untracked": []}
    monkeypatch.setattr("expkit.records.environment.git", lambda folder: dict(facts))


def replay(which: str, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Any]:
    capsys.readouterr()
    status = main(["replay", which, "--json", *options])
    return status, json.loads(capsys.readouterr().out)


def tamper(record: Record, metric: str, step: int) -> None:
    """Changes the last bit of one recorded value, as if the run had written it so."""
    place = polars.col("step") == step
    metrics = record.metrics
    value = metrics.filter(place)[metric].item()
    other = polars.when(place).then(math.nextafter(value, math.inf)).otherwise(polars.col(metric)).alias(metric)
    metrics.with_columns(other).write_parquet(record.metrics_file)
    status = json.loads((record.folder / "status.json").read_text())
    (record.folder / "status.json").write_text(json.dumps({**status, "written": written(record.folder)}))


def test_a_real_run_is_identical_though_its_time_is_not(
    runs: Path, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = train(*TINY, "model.dropout=0.3", "callbacks=timing", "probes=gradient_norm")
    status, found = replay(printed["run_id"], capsys)
    assert status == 0
    assert found["verdict"] == "identical"
    assert found["first_step"] is None
    assert found["engines"] == ["lightning", "lightning"]
    assert found["steps"] == 6
    assert not list(scratch.iterdir())
    assert main(["replay", printed["run_id"]]) == 0
    assert capsys.readouterr().out.startswith("identical")


def test_one_changed_bit_is_found_where_it_is(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = train(*TINY)
    tamper(Record(Path(printed["path"])), "test/loss", step=3)
    status, found = replay(printed["run_id"], capsys)
    assert status == 1
    assert found["verdict"] == "differs"
    assert found["first_step"] == 3
    assert list(found["differing"]) == ["test/loss"]
    assert 0 < found["differing"]["test/loss"]["relative"] < 1e-15
    assert main(["replay", printed["run_id"]]) == 1
    text = capsys.readouterr().out
    assert "from step 3 on" in text
    assert "Packages, machine and code are those of the record" in text


def test_what_the_record_says_of_its_environment_may_explain_a_difference(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = Record(Path(train(*TINY)["path"]))
    tamper(record, "train/loss", step=0)
    path = record.folder / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "python": "3.0.1"}))
    status, found = replay(record.run_id, capsys)
    assert status == 1
    assert found["explanations"]["environment"]["python"]["first"] == "3.0.1"
    main(["replay", record.run_id])
    assert "3.0.1" in capsys.readouterr().out


def test_a_fused_run_agrees_with_the_other_engine_within_rounding(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _ = train("-m", *TINY, "seed=0,1", "hydra/launcher=fused")
    status, found = replay(first["run_id"], capsys)
    assert status == 0
    assert found["engines"] == ["fused", "lightning"]
    assert found["verdict"] in ("agrees", "identical")
    tamper(Record(Path(first["path"])), "train/loss", step=8)
    status, found = replay(first["run_id"], capsys, "--tolerance", "0")
    assert (status, found["verdict"]) == (1, "differs")


def test_the_fused_engine_replays_as_a_stack_of_one(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = train(*TINY)
    status, found = replay(printed["run_id"], capsys, "--engine", "fused")
    assert status == 0
    assert found["engines"] == ["lightning", "fused"]
    stubborn = train("data=iris", "model=linear", "optimizer=lbfgs", "trainer.max_steps=2", "logger=none")
    assert main(["replay", stubborn["run_id"], "--engine", "fused"]) == 1
    assert "cannot be fused" in capsys.readouterr().err


def test_the_scratch_folder_can_be_kept(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = train(*TINY)
    _, found = replay(printed["run_id"], capsys, "--keep")
    kept = Record(Path(found["path"]))
    assert kept.metrics.equals(Record(Path(printed["path"])).metrics)
    assert not kept.folder.is_relative_to(runs)


def test_only_a_run_that_came_to_its_end_is_replayed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = Record(Path(train(*TINY)["path"]))
    path = record.folder / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "status": "failed"}))
    assert main(["replay", record.run_id]) == 1
    assert "is failed" in capsys.readouterr().err


MODEL = """\
import torch


class Scaled(torch.nn.Module):
    def __init__(self, n_outputs: int):
        super().__init__()
        self.layer = torch.nn.Linear(4, n_outputs)

    def forward(self, x):
        return 1.0 * self.layer(x)
"""


@pytest.mark.slow
def test_code_that_has_changed_since_is_said_to_have(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.expkit]\ntrusted = ["lab"]\n')
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "scaled.yaml").write_text("_target_: lab.Scaled\nn_outputs: ${task.n_outputs}\n")
    (tmp_path / "lab.py").write_text(MODEL)
    overrides = ["model=scaled", "data=iris", "trainer.max_steps=2", "logger=none"]
    trained = run_expkit("train", *overrides, "--json", folder=tmp_path)
    run_id = json.loads(trained.stdout)["run_id"]
    (tmp_path / "lab.py").write_text(MODEL.replace("1.0 *", "2.0 *"))
    done = run_expkit("replay", run_id, folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "from step 0 on" in done.stdout
    assert "The source of a piece that the run uses has changed" in done.stdout
