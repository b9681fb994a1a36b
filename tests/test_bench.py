"""The benchmark: its arithmetic, that its two sides do the same work, and that its table comes out."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch

from support import train

BENCH = Path(__file__).parents[1] / "scripts" / "bench"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a module of the benchmark, whose short names must not stay with other tests."""
    monkeypatch.syspath_prepend(str(BENCH))
    for path in BENCH.glob("*.py"):
        monkeypatch.setitem(sys.modules, path.stem, None)
        monkeypatch.delitem(sys.modules, path.stem)
    return import_module


def test_ratios_and_differences_are_taken_within_a_round(load: Callable[[str], ModuleType]) -> None:
    # A machine that slows down fivefold: medians over all rounds of each side would give other numbers.
    a, b = iter([9.0, 2.0, 30.0, 12.0]), iter([1.0, 1.0, 10.0, 5.0])
    times = load("side_by_side").SideBySide({"a": lambda: next(a), "b": lambda: next(b)}, repeats=3)
    ratio, difference = times.ratio("a / b", "a", "b", goal=2.3), times.difference("a - b", "a", "b", goal=7.0)
    assert (ratio.value, ratio.values, ratio.met) == (2.4, [2.0, 3.0, 2.4], False)  # the first round does not count
    assert (difference.value, difference.values, difference.met) == (7.0, [1.0, 20.0, 7.0], True)
    assert ratio.sides == {"a": 12.0, "b": 5.0}


def test_sides_take_turns(load: Callable[[str], ModuleType]) -> None:
    order: list[str] = []

    def timed(name: str) -> float:
        order.append(name)
        return 1.0

    load("side_by_side").SideBySide({"a": lambda: timed("a"), "b": lambda: timed("b")}, repeats=2)
    assert order == ["a", "b"] * 3


def test_a_command_that_fails_is_not_timed(load: Callable[[str], ModuleType], tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="exit status 3, not 0"):
        load("side_by_side").timed_command(sys.executable, "-c", "raise SystemExit(3)", folder=tmp_path)


def test_the_bare_script_is_the_same_training(load: Callable[[str], ModuleType], runs: Path) -> None:
    recorded = train("+experiment=grokking_xor", "trainer.max_steps=2", "logger=none")["summary"]
    assert load("bare_loop").train(2) == pytest.approx(recorded, rel=1e-4, abs=1e-6)


def test_every_side_of_the_step_makes_the_same_steps(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = load("step")
    new_network, models = step.network, []

    def network() -> torch.nn.Module:
        models.append(new_network())
        return models[-1]

    monkeypatch.setattr(step, "network", network)
    began = time.perf_counter()
    rows = step.rows(repeats=1, steps=20, skipped=10)
    taken = time.perf_counter() - began
    initial, (first, *others) = new_network(), models
    assert len(others) == 7  # four sides, twice each
    assert not torch.allclose(first.hidden, initial.hidden)
    for other in others:
        torch.testing.assert_close(other.hidden, first.hidden)
    sides = {name: seconds for row in rows for name, seconds in row.sides.items()}
    assert len(sides) == 4
    assert 0 < 10 * sum(sides.values()) < taken  # seconds are those of one step


def test_every_measurement_has_its_module(load: Callable[[str], ModuleType]) -> None:
    for name in load("run").MEASUREMENTS:
        measurement = load(name)
        assert measurement.QUICK < measurement.REPEATS
        assert callable(measurement.rows)


def test_the_table_and_the_file(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    command = [sys.executable, str(BENCH / "run.py"), "--quick", "--only", "refusal", "--json", str(file)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    results = json.loads(file.read_text())
    assert [row["goal"] for row in results["rows"]] == [1.0, None]
    for row in results["rows"]:
        assert row["lowest"] <= row["median"] <= row["highest"]
        (line,) = (line for line in printed.splitlines() if line.startswith(f"{row['what']}  "))
        assert f"{row['median']:.3f} s" in line or f"{row['median']:.2f} x" in line
    assert f"torch {results['machine']['torch']}" in printed.splitlines()[-1]


@pytest.mark.slow
def test_sweeps_are_measured_every_way(tmp_path: Path) -> None:
    results = tmp_path / "speed.json"
    command = [sys.executable, str(BENCH / "sweep_speed.py"), "--quick", "--only", "fractal", "--json", str(results)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (problem,) = json.loads(results.read_text())["problems"]
    assert len(problem["microseconds"]) == 6
    assert all(value > 0 for value in problem["microseconds"].values())
    assert all(row["lowest"] <= row["median"] <= row["highest"] for row in problem["rows"])
    assert "fused engine / bare kernel" in done.stdout


def test_the_bare_kernel_of_the_benchmark_computes_what_the_engine_does(load: Callable[[str], ModuleType]) -> None:
    problems = load("sweep_problems")
    problem = problems.PROBLEMS["fractal"](runs=3, steps=4)
    kernel, engine = problems.Kernel(problem, 3), problem.stack(3)
    for _ in range(4):
        kernel.advance()
        engine.advance()
    weights = list(kernel.parameters.values())
    for own, other in zip(engine.stack.parameters.values(), weights, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-6)
