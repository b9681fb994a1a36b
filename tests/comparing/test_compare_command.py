"""`expkit compare` on a real sweep of two optimizers, as a user types it."""

from __future__ import annotations

import contextlib
import gc
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from scipy import stats

from expkit.cli import main
from expkit.records.store import Store
from support import Run, train

SWEEP = ["-m", "data=wine", "model=linear", "optimizer=sgd,adam", "optimizer.lr=0.01", "seed=range(0,5)"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sweep") / "runs"
    train(*SWEEP, "trainer.max_steps=20", "logger=none", "sweep.name=two", f"paths.runs={root}")
    return root


def compare(root: Path, *arguments: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["compare", "--runs", str(root), *arguments]) == 0
    return out.getvalue()


def final(root: Path, metric: str) -> dict[str, np.ndarray]:
    """The last values by optimizer, in order of the seeds, from the records' own files."""
    found: dict[str, dict[int, float]] = {}
    for record in Store(root):
        own = found.setdefault(record.config["optimizer"]["_target_"].rpartition(".")[2].lower(), {})
        own[record.config["seed"]] = record.metrics.sort("step")[metric][-1]
    return {name: np.array([own[seed] for seed in sorted(own)]) for name, own in found.items()}


def test_its_numbers_are_those_of_the_records(sweep: Path) -> None:
    found: dict[str, Any] = json.loads(compare(sweep, "two", "--metric", "test/loss", "--json"))
    values = final(sweep, "test/loss")
    assert found["runs"] == 10
    assert {group["label"] for group in found["groups"]} == {"sgd", "adam"}
    assert "seed" not in found["differing"]
    labels = {group["group"]: group["label"] for group in found["groups"]}
    best, other = found["metrics"][0]["groups"]
    assert values[labels[best["group"]]].mean() < values[labels[other["group"]]].mean()
    for group in (best, other):
        own = values[labels[group["group"]]]
        assert group["final"]["mean"] == pytest.approx(own.mean())
        assert group["final"]["interval"] == pytest.approx(stats.t.interval(0.95, 4, own.mean(), stats.sem(own)))
        assert group["best"]["mean"] <= group["final"]["mean"]
    expected = stats.ttest_rel(values["sgd"], values["adam"])
    assert other["p"] == pytest.approx(expected.pvalue)
    assert ("significantly" in found["metrics"][0]["conclusion"]) == (expected.pvalue < 0.05)


def test_a_step_is_that_of_the_curves(sweep: Path) -> None:
    found = json.loads(compare(sweep, "--step", "5", "--metric", "train/acc", "--json"))
    frames = [record.metrics.filter(polars.col("step") == 5)["train/acc"][0] for record in Store(sweep)]
    groups = found["metrics"][0]["groups"]
    assert np.mean([group["step"]["mean"] for group in groups]) == pytest.approx(np.mean(frames))
    assert found["metrics"][0]["compared_at"] == 5


@pytest.mark.parametrize("width", [80, 100, 160])
def test_it_fits_the_terminal(sweep: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    printed = compare(sweep, "two")
    assert max(map(len, printed.splitlines())) <= width
    for word in (
        "10 runs of wine-linear in 2 groups",
        "what differs",
        "optimizer",
        "test/acc",
        "test/loss",
        "final",
        "± ",
    ):
        assert word in printed
    assert any(block in printed for block in "▁▂▃▅▆▇█")
    assert ("├" in printed) == (width >= 100)


def test_a_terminal_without_utf8_gets_plain_characters(sweep: Path, expkit: Run) -> None:
    done = expkit("compare", "two", "--runs", str(sweep), PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "+-" in done.stdout


def test_tables_are_written(sweep: Path, tmp_path: Path) -> None:
    compare(sweep, "--csv", str(tmp_path / "t.csv"), "--parquet", str(tmp_path / "t.parquet"))
    table = polars.read_parquet(tmp_path / "t.parquet")
    assert polars.read_csv(tmp_path / "t.csv").shape == table.shape
    assert set(table["metric"]) == {"test/acc", "test/loss"}
    row = table.row(
        by_predicate=(polars.col("metric") == "test/loss") & (polars.col("optimizer.name") == "adam"), named=True
    )
    assert row["final"] == pytest.approx(final(sweep, "test/loss")["adam"].mean())
    assert compare(sweep, "--csv", "-").splitlines()[0].startswith("metric,")


@pytest.mark.parametrize(
    "arguments",
    [
        ["two"],
        ["two", "--group-by", "seed"],
        ["--group-by", "seed,optimizer"],
        ["--group-by", "seed,optimizer,data.n_train"],
    ],
    ids=["curves", "five curves", "map", "parallel"],
)
def test_pictures(sweep: Path, tmp_path: Path, arguments: list[str]) -> None:
    from matplotlib.image import imread

    compare(sweep, *arguments, "--plot", str(tmp_path / "p.png"))
    picture = imread(tmp_path / "p.png")[..., :3]
    assert picture.shape[0] > 300
    assert (picture.min(axis=2) < 0.95).mean() > 0.01  # something is drawn
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


def test_mistakes_are_answered(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, word in [
        (["tvo"], "There is no run, experiment, sweep or folder 'tvo'"),
        (["--metric", "test/ac"], "Did you mean 'test/acc'"),
        (["--group-by", "optimiser"], "Did you mean"),
        (["--where", "seed>100"], "no complete runs"),
        (["--plot", str(tmp_path / "x.txt")], "not the name of a picture"),
        (["--csv", str(tmp_path / "no" / "x.csv")], "cannot be written"),
        (["--sort", "zzz"], "cannot be ordered"),
    ]:
        assert main(["compare", "--runs", str(sweep), *arguments]) in (1, 2)
        assert word in capsys.readouterr().err


def test_garbage_of_before_is_not_kept(sweep: Path) -> None:
    """As in a notebook, or a long process that trains and compares in turn."""
    compare(sweep)
    frozen = gc.get_freeze_count()
    compare(sweep)
    assert gc.get_freeze_count() == frozen
    assert gc.isenabled()
