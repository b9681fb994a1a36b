"""How claims read runs: by arm, key, step and metric, with those that failed counted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import polars
import pytest
import torch

from expkit.errors import UserError
from expkit.records.arrays import write_arrays
from expkit.records.record import Record
from expkit.studies.runs import NotMeasuredError, Runs

NAN = math.nan


def runs(states: dict[str, str] | None = None, lenient: bool = False) -> Runs:
    """Two arms by two seeds, at steps 0 and 5: test/acc is (1 + seed) / 10, 0.5 more in arm b, plus step / 100."""
    rows: list[dict[str, Any]] = []
    history: list[dict[str, Any]] = []
    for arm, lr in (("a", 0.1), ("b", 0.2)):
        for seed in (0, 1):
            run = f"{arm}{seed}"
            state = (states or {}).get(run, "complete")
            rows.append({"run": run, "arm": arm, "unit": f"seed={seed}", "state": state, "seed": seed, "lr": lr})
            if state == "failed":
                continue
            for step in (0, 5):
                value = 0.1 + seed / 10 + 0.5 * (arm == "b") + step / 100
                history.append({"run": run, "step": step, "test/acc": value, "late": None if step == 0 else 1.0})
    return Runs(polars.DataFrame(rows), polars.DataFrame(history, infer_schema_length=None), lenient=lenient)


def test_a_step_and_the_end() -> None:
    assert runs().at(step=0)["test/acc"].values == pytest.approx((0.1, 0.2, 0.6, 0.7))
    assert runs().last()["test/acc"].values == pytest.approx((0.15, 0.25, 0.65, 0.75))
    assert runs()["test/acc"].values == runs().last()["test/acc"].values
    assert runs()["lr"].values == (0.1, 0.1, 0.2, 0.2)


def test_arms_and_keys() -> None:
    assert runs().arm("b").at(step=0)["test/acc"].name == "test/acc at step 0 (arm b)"
    assert runs().arm("b").at(step=0)["test/acc"].values == pytest.approx((0.6, 0.7))
    assert runs().where({"lr": 0.2}, seed=1).at(step=0)["test/acc"].values == pytest.approx((0.7,))
    assert runs().where(polars.col("lr") < 0.15).arms == ["a"]
    assert [(value, own.arms) for value, own in runs().by("lr").items()] == [(0.1, ["a"]), (0.2, ["b"])]
    (difference,) = {round(v, 6) for v in (runs().arm("b")["test/acc"] - runs().arm("a")["test/acc"]).values}
    assert difference == 0.5


def test_seeds_of_all_arms_count_once() -> None:
    own = runs().at(step=0)["test/acc"]
    assert (own.n, own.expected) == (2, 2)
    assert own.mean == pytest.approx(0.4)


def test_a_curve_has_a_line_for_each_run() -> None:
    curve = runs().arm("a").curve("test/acc")
    assert [steps.tolist() for steps, _ in curve.lines] == [[0, 5], [0, 5]]
    assert [values.tolist() for _, values in curve.lines] == [pytest.approx([0.1, 0.15]), pytest.approx([0.2, 0.25])]
    assert [steps.tolist() for steps, _ in runs().curve("late").lines] == [[5]] * 4


def test_a_seed_that_lacks_a_run_is_left_out_and_counted() -> None:
    """Else the mean over both arms would be of seed 0 in both and seed 1 in one."""
    own = runs({"a1": "failed"}).last()["test/acc"]
    assert own.values == pytest.approx((0.15, 0.65))
    assert (own.n, own.expected) == (1, 2)
    assert runs({"a1": "failed"}).arm("b").last()["test/acc"].n == 2


def test_what_a_run_that_ended_lacks_is_not_left_out() -> None:
    """A training that diverged before it could be measured is no reason to look at the others only."""
    diverged = runs({"a1": "diverged"})
    diverged.history = diverged.history.filter(~((polars.col("run") == "a1") & (polars.col("step") == 5)))
    values = diverged.at(step=5)["test/acc"].values
    assert [math.isnan(value) for value in values] == [False, True, False, False]
    assert (diverged.at(step=5)["test/acc"] >= 0).state == "undecided"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda r: r.last()["tset/acc"], "Did you mean 'test/acc'?"),
        (lambda r: r.at(step=3)["test/acc"], "It was measured at: 0, 5."),
        (lambda r: r.at(step=0)["late"], "It was measured at: 5."),
        (lambda r: r.curve("train/acc"), "No run of the study has logged 'train/acc'."),
        (lambda r: r.arm("c"), "The study has no arm 'c'."),
        (lambda r: r.where(lr=3), "The study has no runs with lr=3"),
        (lambda r: r.where(width=3), "no key 'width'"),
        (lambda r: r["arm"], "'arm' is not a number."),
    ],
)
def test_what_is_not_there_is_a_mistake_of_the_study(ask: Any, message: str) -> None:
    with pytest.raises(UserError) as refused:
        ask(runs())
    assert message in str(refused.value)


def test_in_a_changed_configuration_it_is_not_finite() -> None:
    changed = runs(lenient=True)
    assert all(map(math.isnan, changed.last()["tset/acc"].values))
    assert all(map(math.isnan, changed.at(step=3)["test/acc"].values))
    assert changed.curve("train/acc").band()[0].tolist() == []
    with pytest.raises(NotMeasuredError):
        runs().at(step=3)["test/acc"]


def test_numbers_made_of_all_that_a_run_kept(tmp_path: Path) -> None:
    own = runs()
    for number, run in enumerate(["a0", "a1", "b0", "b1"]):
        (tmp_path / run).mkdir()
        write_arrays(tmp_path / run, {"probe/spectrum": torch.arange(3) + number})
    own.records = {run: Record(tmp_path / run) for run in ("a0", "a1", "b0", "b1")}
    assert own.each("sum", lambda run: run.arrays["probe/spectrum"].sum()).values == (3, 6, 9, 12)
    assert own.arm("b").arrays("probe/spectrum").tolist() == [[2, 3, 4], [3, 4, 5]]
    rises = own.each("rise", lambda run: run.line("test/acc")[1][-1] - run.line("test/acc")[1][0])
    assert rises.values == pytest.approx((0.05,) * 4)
    assert own.arm("a").each("lr", lambda run: run.keys["lr"]).values == (0.1, 0.1)
    with pytest.raises(NotMeasuredError, match="no array 'probe/spectrun'"):
        own.arrays("probe/spectrun")


def test_a_run_that_diverged_has_no_number_where_it_kept_nothing(tmp_path: Path) -> None:
    diverged = runs({"a1": "diverged"})
    (tmp_path / "kept").mkdir()
    write_arrays(tmp_path / "kept", {"spectrum": torch.ones(2)})
    diverged.records = {run: Record(tmp_path / "kept") for run in ("a0", "b0", "b1")}
    values = diverged.each("sum", lambda run: run.arrays["spectrum"].sum()).values
    assert [math.isnan(value) for value in values] == [False, True, False, False]
    with pytest.raises(KeyError):
        runs().each("sum", lambda run: run.arrays["spectrum"].sum())
