"""Stacks and memory: how many runs fit, and what happens when more were tried."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fits import configs, fit, stacked

from expkit.compose import compose
from expkit.engines.fused.memory import OutOfMemory, recognized_out_of_memory, runs_that_fit
from expkit.engines.fused.stacked_training import StackedTraining
from expkit.engines.observer import Observer
from expkit.memory_error import is_out_of_memory
from expkit.records.record import Record
from expkit.run import load_torch
from expkit.run_fused import run_fused

TOO_MUCH = 2**50


def failing_allocation() -> None:
    torch.empty(TOO_MUCH, dtype=torch.uint8)


def failing_list() -> None:
    bytearray(2**62)


@pytest.mark.parametrize("allocate", [failing_allocation, failing_list])
def test_allocators_that_have_nothing_left_are_recognized(allocate: Callable[[], None]) -> None:
    with pytest.raises(OutOfMemory, match="7 runs at once") as caught, recognized_out_of_memory(7):
        allocate()
    assert is_out_of_memory(caught.value.__cause__)  # type: ignore[arg-type]


def test_the_garbage_of_an_earlier_training_is_not_kept() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.own = self

    load_torch()
    left = weakref.ref(Cycle())
    load_torch()
    gc.collect()
    assert left() is None


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="must match the size"), recognized_out_of_memory(1):
        torch.ones(2) + torch.ones(3)


SCRIPT = """
import resource, torch
from expkit.engines.fused.memory import runs_that_fit
from expkit.memory_error import is_out_of_memory
from fits import configs, stacked
torch.set_num_threads(1)
FREE = 256 * 2**20
runs = configs("data=two_moons", "model.width=64", "data.seed=0", "trainer.max_steps=3", sweep=["seed=0", "seed=1"])
n = runs_that_fit(stacked(runs), FREE)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + FREE, held + FREE))
def train(size):
    training = stacked((runs * size)[:size])
    training.advance()
    training.evaluate()
train(n)
try:
    train(60 * n)
except Exception as error:
    print(n, is_out_of_memory(error))
"""


@pytest.mark.slow
def test_as_many_runs_as_are_said_to_fit_do() -> None:
    path = ":".join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    n, recognized = done.stdout.split()
    assert int(n) > 4
    assert recognized == "True"


def test_what_a_run_needs_grows_with_what_it_holds() -> None:
    free = 10**10
    overrides = ["data=wine", "optimizer=sgd", "trainer.max_steps=2", "model.depth=1"]

    def fitting(*more: str) -> int:
        return runs_that_fit(stacked(configs(*overrides, *more, sweep=["seed=0", "seed=1"])), free)

    # Of a model this wide the weights matter, of which a step makes a handful of copies: 4 bytes x 14 x width.
    wide = fitting("model.width=20000")
    assert 1 <= wide < free / (4 * 14 * 20000)
    assert fitting("model.width=10000") == pytest.approx(2 * wide, rel=0.3)
    assert fitting("model.width=20000", "optimizer=adam") < wide
    assert runs_that_fit(stacked(configs(*overrides, sweep=["seed=0"])), free=1) == 1


def limited(monkeypatch: pytest.MonkeyPatch, largest: int) -> list[int]:
    """Stacks of more runs than that do not fit any more; returns the sizes that were tried."""
    advance, tried = StackedTraining.advance, []

    def advance_or_fail(self: StackedTraining) -> None:
        if self.step == 0:
            tried.append(self.size)
        if self.size > largest:
            failing_allocation()
        advance(self)

    monkeypatch.setattr(StackedTraining, "advance", advance_or_fail)
    return tried


def test_a_fit_says_that_it_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, largest=1)
    fitted = fit(configs("data=wine", "model.width=4", sweep=["seed=0", "seed=1"]), tmp_path)
    with pytest.raises(OutOfMemory, match="2 runs"):
        fitted.run()


def test_a_stack_that_does_not_fit_is_trained_in_halves(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = limited(monkeypatch, largest=2)
    records = train(runs, seeds=5)
    assert [record.state for record in records] == ["complete"] * 5
    assert tried == [5, 2, 3, 1, 2]
    monkeypatch.undo()
    for record, other in zip(records, train(runs / "at once", seeds=5), strict=True):
        assert record.metrics["step"].to_list() == other.metrics["step"].to_list()
        assert record.summary["test/loss"] == pytest.approx(other.summary["test/loss"], rel=1e-4)


def test_a_run_that_does_not_fit_alone_fails_plainly(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = limited(monkeypatch, largest=0)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        train(runs, seeds=2)
    assert tried == [2, 1]


def train(folder: Path, seeds: int) -> list[Record]:
    overrides = ["data=wine", "model.width=4", "trainer.max_steps=10", "logger=none", f"paths.runs='{folder}'"]
    composed = [compose([*overrides, f"seed={seed}"]) for seed in range(seeds)]
    records = run_fused(composed, [Observer()] * seeds, force=False)
    return [record for record in records if record is not None]
