"""What differs between runs: against hand-made frames, and against git's own count of a diff."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import polars
import pytest

from expkit.commands.diff import changed_files
from expkit.records.differences import (
    code_differences,
    compare_metrics,
    config_differences,
    environment_differences,
    result_differences,
)
from expkit.records.metrics import frame


def metrics(**changes: float) -> polars.DataFrame:
    values = {"a0": 1.0, "a2": 2.0, "b0": 1e-9, "b2": math.nan, **changes}
    rows = [{"step": step, "a": values[f"a{step}"], "b": values[f"b{step}"], "time/ms": 1.0} for step in (0, 2)]
    return frame([{name: value for name, value in row.items() if value is not None} for row in rows])


def test_the_same_bits_are_identical_whatever_was_timed() -> None:
    comparison = compare_metrics(metrics(), metrics().with_columns(polars.lit(7.0).alias("time/ms")))
    assert comparison.identical
    assert (comparison.steps, comparison.metrics, comparison.first_step) == (2, 2, None)


def test_the_last_bit_of_one_value_counts_and_is_located() -> None:
    comparison = compare_metrics(metrics(), metrics(a2=math.nextafter(2.0, 3.0)))
    assert list(comparison.differing) == ["a"]
    found = comparison.differing["a"]
    assert (found.first_step, found.at_step, comparison.first_step) == (2, 2, 2)
    assert found.largest == 2**-51
    assert found.relative == 2**-51 / math.nextafter(2.0, 3.0)
    assert comparison.within(1e-12)


def test_negative_zero_is_another_value_than_zero() -> None:
    comparison = compare_metrics(metrics(a0=0.0), metrics(a0=-0.0))
    assert not comparison.identical
    assert comparison.differing["a"].largest == 0
    assert comparison.within(0)


@pytest.mark.parametrize("changed", [{"b2": 3.0}, {"b2": None}, {"b2": math.inf}])
def test_what_is_missing_or_not_finite_is_infinitely_far_away(changed: dict) -> None:
    comparison = compare_metrics(metrics(), metrics(**changed))
    assert comparison.differing["b"].first_step == 2
    assert not comparison.within(1e9)
    assert comparison.as_json()["differing"]["b"]["largest"] is None


def test_missing_steps_and_metrics_are_differences() -> None:
    assert compare_metrics(metrics(), metrics().head(1)).first_step == 2
    assert list(compare_metrics(metrics(), metrics().drop("b")).differing) == ["b"]


@pytest.mark.parametrize(("a", "b", "tolerance"), [(1000.0, 1001.0, 1 / 1001), (1e-9, 3e-9, 2e-9), (-0.5, 0.25, 0.75)])
def test_the_tolerance_is_relative_above_one_and_absolute_below(a: float, b: float, tolerance: float) -> None:
    comparison = compare_metrics(metrics(a0=a), metrics(a0=b))
    assert comparison.within(tolerance * 1.0000001)
    assert not comparison.within(tolerance * 0.9999999)


def test_configurations_differ_by_dotted_key() -> None:
    first = {"seed": 0, "optimizer": {"lr": 1.0, "betas": [0.9, 0.99]}, "paths": {"runs": "a"}, "scheduler": {}}
    second = {"seed": 0, "optimizer": {"lr": 1, "betas": [0.9, 0.9]}, "paths": {"runs": "b"}, "scheduler": {"step": 3}}
    assert config_differences(first, second) == {
        "optimizer.lr": {"first": 1.0, "second": 1},
        "optimizer.betas": {"first": [0.9, 0.99], "second": [0.9, 0.9]},
        "scheduler": {"first": {}},
        "scheduler.step": {"second": 3},
    }
    assert config_differences(first, first) == {}


def test_environments_differ_in_packages_and_machine_and_code_apart() -> None:
    first = {"packages": {"Torch_x": "1", "numpy": "2"}, "hardware": {"cpu": "A"}, "git": {"commit": "1", "diff": ""}}
    second = {"packages": {"torch-x": "1"}, "hardware": {"cpu": "B"}, "folder": "/x", "git": None}
    assert environment_differences(first, second) == {
        "packages.numpy": {"first": "2"},
        "hardware.cpu": {"first": "A", "second": "B"},
    }
    assert code_differences(first, second) == {"commit": {"first": "1"}, "diff": {"first": ""}}


def test_results_are_side_by_side_with_their_change() -> None:
    assert result_differences({"step": 3, "test/acc": 0.5}, {"test/acc": 0.75, "test/loss": None}) == {
        "step": {"first": 3},
        "test/acc": {"first": 0.5, "second": 0.75, "change": 0.25},
        "test/loss": {"second": None},
    }


def test_changed_files_are_counted_as_git_counts_them(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@y", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    git("init", "--quiet")
    for name in ("plain.py", "signs.md", "gone.txt"):
        (tmp_path / name).write_text("one\ntwo\nthree\n")
    git("add", ".")
    git("commit", "--quiet", "-m", "x")
    (tmp_path / "plain.py").write_text("one\n2\n3\nfour\n")
    (tmp_path / "signs.md").write_text("-- two\n++ three\none\n")  # lines that look like a diff's own
    (tmp_path / "gone.txt").unlink()
    counted = [line.split("\t") for line in git("diff", "HEAD", "--numstat").splitlines()]
    assert sorted(changed_files(git("diff", "HEAD"))) == sorted(f"{name} +{a} -{r}" for a, r, name in counted)
