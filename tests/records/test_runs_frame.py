"""`from expkit.records import runs, history`: records as frames."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import polars
import pytest
import yaml

from expkit.errors import UserError
from expkit.records import history, runs
from expkit.records.files import write_json
from expkit.records.sealed import write_sealed
from expkit.records.selecting import DamagedRecordWarning
from record_files import write_curve, write_record
from support import Run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    for number in range(6):
        experiment = "mlp" if number < 4 else "cnn"
        config = {
            "seed": number,
            "optimizer": {"lr": 10.0**-number, "betas": [0.9, 0.999]},
            "n": [1, 2.5, "full"][number % 3],
        }
        summary = {"step": number, "test/acc": number / 10, "test/loss": None if number == 2 else 1}
        started = f"2026-01-0{number + 1}T00:00:00+00:00"
        folder = write_record(root, f"{experiment}/{number:x}a{number:010x}", "complete", config, summary, started)
        write_curve(
            folder, step=[0, number + 1], test_acc=[0.0, number / 10], **({"train_loss": [1.0, None]} if number else {})
        )
    sweep = root / ".sweeps" / "mine-12"
    sweep.mkdir(parents=True)
    write_json(sweep / "sweep.json", {"state": "complete"})
    jobs = [f'{{"number": {n}, "run": "mlp/{n:x}a{n:010x}", "overrides": ["seed={n}"]}}' for n in (1, 3)]
    (sweep / "jobs.jsonl").write_text("\n".join(jobs) + "\n")
    return root


def seeds(frame: polars.DataFrame) -> list[int]:
    return sorted(frame["seed"])


def test_one_row_a_run_newest_first(store: Path) -> None:
    frame = runs(root=store)
    assert frame["seed"].to_list() == [5, 4, 3, 2, 1, 0]
    assert frame.columns[:7] == ["run_id", "experiment", "state", "started", "seconds", "path", "step"]
    assert frame["optimizer.lr"].to_list() == [10.0**-number for number in range(5, -1, -1)]
    assert frame["optimizer.betas"][0] == "[0.9, 0.999]"
    assert frame["n"].to_list() == ["full", "2.5", "1", "full", "2.5", "1"]
    assert frame["test/loss"].to_list() == [1.0, 1.0, 1.0, None, 1.0, 1.0]
    assert [Path(path).is_dir() for path in frame["path"]] == [True] * 6


def test_what_can_be_named(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPKIT_RUNS", str(store))
    assert seeds(runs("mlp")) == [0, 1, 2, 3]
    assert seeds(runs("3a0000000003")) == [3]
    assert seeds(runs("3a", "cnn")) == [3, 4, 5]
    assert seeds(runs("mine")) == [1, 3]
    assert seeds(runs("mine-12", "mlp", "1a")) == [0, 1, 2, 3]
    assert seeds(runs("mlp/2a0000000002")) == [2]
    monkeypatch.setenv("EXPKIT_RUNS", str(tmp_path / "elsewhere"))
    assert seeds(runs(str(store / "cnn" / "4a0000000004"))) == [4]
    assert seeds(runs(str(store / "cnn"))) == [4, 5]
    assert seeds(runs(str(store / ".sweeps" / "mine-12"))) == [1, 3]
    assert seeds(runs(str(store))) == [0, 1, 2, 3, 4, 5]
    assert seeds(runs("mlp", root=store, where="optimizer.lr<0.5 and seed!=2")) == [1, 3]


def test_what_is_not_there_is_answered_with_the_closest(store: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'mlp'"):
        runs("mpl", root=store)
    write_record(store, "cnn/3b0000000000")
    with pytest.raises(UserError, match="beginning of 2 runs"):
        runs("3", root=store)


def test_damaged_records_are_reported_and_left_out(store: Path) -> None:
    (store / "mlp" / "0a0000000000" / "status.json").write_text("{")
    (store / "mlp" / "1a0000000001" / "status.json").write_bytes(b"\xff\xfe\x00")
    with pytest.warns(DamagedRecordWarning, match="2 damaged records are left out: .*0a0000000000"):
        frame = runs(root=store)
    assert seeds(frame) == [2, 3, 4, 5]


def test_history_is_the_metrics_of_the_runs(store: Path) -> None:
    frame = runs("mlp", root=store)
    found = history(frame)
    assert found.columns[:2] == ["run_id", "step"]
    assert len(found) == 8
    own = found.filter(polars.col("run_id") == "3a0000000003").sort("step")
    assert own.select("step", "test/acc", "train/loss").rows() == [(0, 0.0, 1.0), (4, 0.3, None)]
    assert history("3a", root=store, metrics=["test/acc"]).columns == ["run_id", "step", "test/acc"]
    with pytest.raises(UserError, match="Did you mean 'test/acc'"):
        history(frame, metrics=["test/ac"])
    (store / "mlp" / "3a0000000003" / "metrics.parquet").write_bytes(b"PAR1")
    assert len(history(frame)) == 6


def test_rows_of_dense_sweeps_are_runs_as_well(store: Path) -> None:
    sweep = store / ".sweeps" / "map-1"
    (sweep / "columns").mkdir(parents=True)
    write_json(sweep / "sweep.json", {"state": "complete", "started": "2027-01-01T00:00:00+00:00"})
    common = {"seed": 7, "optimizer": {"lr": 0.5}, "model": {"width": 8}}
    (sweep / "columns" / "config.yaml").write_text(yaml.safe_dump(common))
    for start in (0, 2):
        columns = {
            "number": [start, start + 1],
            "run": [f"map/{start}0", f"map/{start}1"],
            "optimizer.lr": [start / 10, start / 10 + 0.1],
            "state": ["complete", "diverged"],
            "step": [3, 3],
            "test/acc": [0.5, float("nan")],
        }
        write_sealed(polars.DataFrame(columns), sweep / "columns" / f"{start:07}.parquet")
    frame = runs("map-1", root=store)
    assert frame["run_id"].to_list() == ["00", "01", "20", "21"]
    assert frame["optimizer.lr"].to_list() == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert frame["model.width"].to_list() == [8] * 4
    assert len(runs(root=store)) == 10
    assert len(runs(root=store, where="model.width==8 and test/acc>0.1")) == 2
    whole = (sweep / "columns" / "0000002.parquet").read_bytes()
    flipped = bytes([*whole[:40], whole[40] ^ 1, *whole[41:]])
    for number, damaged in enumerate((flipped, b"")):
        (sweep / "columns" / "0000002.parquet").write_bytes(damaged)
        with pytest.warns(DamagedRecordWarning, match=r"0000002\.parquet"):
            assert len(runs("map-1", root=store)) == 2, number


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, expkit.records; sys.exit(bool({'polars', 'torch', 'yaml', 'sqlite3'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_runs_on_the_command_line(store: Path, expkit: Run, runs: Path) -> None:
    done = expkit("runs", "--runs", str(store), "--where", "seed>=3", "--limit", "2")
    assert "5a0000000005" in done.stdout
    assert "2 of 3 runs" in done.stdout
    wrong = expkit("runs", "--runs", str(store), "--where", "lr>3")
    assert (wrong.returncode, "Did you mean 'optimizer.lr'" in wrong.stderr) == (2, True)
    (store / "mlp" / "0a0000000000" / "config.yaml").write_text("seed: [")
    assert "damaged" not in expkit("runs", "--runs", str(store)).stdout  # status.json is what is looked at
    rebuilt = expkit("runs", "--runs", str(store), "--rebuild", "--status", "damaged")
    assert "6 records" in rebuilt.stderr
    assert "config.yaml is not readable" in rebuilt.stderr
    assert "0a0000000000" in rebuilt.stdout


def test_an_empty_store_has_an_empty_frame(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = runs(root=tmp_path / "nothing", where="seed<5")
    assert len(frame) == 0
    assert {"run_id", "state", "path"} <= set(frame.columns)
