"""When a step is compiled, and what is remembered of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from expkit.engines import compiler
from expkit.engines.fused import blocks, pace, remembered_paces
from expkit.engines.fused.pace import TRIAL, Pace
from expkit.engines.fused.remembered_paces import Paces, recall, remember

SLOW = 0.01  # seconds that a plain step takes; a compiled one takes none


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(pace, "_now", lambda arguments: time.perf_counter())  # steps sleep here
    return tmp_path / "expkit" / "paces.json"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Instead of the compiler: its step does the same in no time. Holds the rows of each block made by it."""
    rows: list[int] = []

    def compile(step: Callable[..., Any], dynamic: bool) -> Callable[..., Any]:
        def quick(*arguments: Any) -> Any:
            if not rows:
                time.sleep(0.05)  # the compiler itself
            rows.append(len(arguments[-1]))
            return arguments[0] + 1 if len(arguments) == 1 else step(*arguments)

        return quick

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(compiler, "can_compile", lambda: True)
    return rows


def slow(values: Tensor) -> Tensor:
    time.sleep(SLOW)
    return values + 1


def train(own: Pace, steps: int, values: Tensor) -> Tensor:
    for made in range(steps):
        values = own.advance(steps - made)(values)
    return values


def test_a_short_training_is_not_compiled(compiled: list[int], cache: Path) -> None:
    assert train(Pace(slow, 0), 30, torch.zeros(4)).tolist() == [30.0] * 4
    assert not compiled
    assert not cache.exists()


def test_a_long_one_is_compiled_after_a_trial(compiled: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "WORTH", 20 * SLOW)
    assert train(Pace(slow, 0), 60, torch.zeros(4)).tolist() == [60.0] * 4
    assert len(compiled) == 60 - 1 - TRIAL


def test_one_of_many_operations_has_to_be_longer(compiled: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "WORTH", 20 * SLOW)
    monkeypatch.setattr(pace, "USUAL", 0.1)  # a slow step is one operation
    own = Pace(slow, 0)
    own.trial(torch.zeros(4))
    train(own, 60, torch.zeros(4))
    assert not compiled


def test_the_second_time_the_choice_is_made_at_once(compiled: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "WORTH", 20 * SLOW)
    train(Pace(slow, 0), 60, torch.zeros(4))
    monkeypatch.setattr(pace, "WORTH", 1e9)
    compiled.clear()
    train(Pace(slow, 0), 60, torch.zeros(4))
    assert len(compiled) == 60 - 1
    compiled.clear()
    train(Pace(slow, 0), 4, torch.zeros(4))  # compiling took as long as five steps
    assert not compiled
    train(Pace(slow, 0), 60, torch.zeros(5))  # another shape
    train(Pace(slow, 0, "another program"), 60, torch.zeros(4))
    assert not compiled


def test_what_compiling_makes_slower_goes_on_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def compile(step: Callable[..., Any], dynamic: bool) -> Callable[..., Any]:
        def slower(values: Tensor) -> Tensor:
            made.append(1)
            time.sleep(2 * SLOW)
            return values + 1

        return slower

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(compiler, "can_compile", lambda: True)
    monkeypatch.setattr(pace, "WORTH", 20 * SLOW)
    for _ in range(2):  # also the second time
        assert train(Pace(slow, 0), 60, torch.zeros(4)).tolist() == [60.0] * 4
        assert len(made) == 1 + TRIAL


def test_what_the_compiler_refuses_goes_on_without_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attempts: list[int] = []

    def compile(step: Callable[..., Any], dynamic: bool) -> Callable[..., Any]:
        def refused(*arguments: Any) -> Any:
            attempts.append(len(arguments[-1]))
            raise RuntimeError("no such operation\nand a long story")

        return refused

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(compiler, "can_compile", lambda: True)
    monkeypatch.setattr(pace, "WORTH", 0.0)
    assert train(Pace(lambda values: values + 1, 0), 40, torch.zeros(4)).tolist() == [40.0] * 4
    assert attempts == [4]
    assert caplog.messages == ["The step is not compiled: no such operation"]


def test_blocks_are_as_large_as_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "SHORTEST", 0)
    monkeypatch.setattr(pace, "cache_size", lambda: 3 * 2 * 100 * 8)  # of three runs, if a step makes two tensors
    sizes: list[int] = []

    def step(values: Tensor) -> Tensor:
        sizes.append(len(values))
        return values.double().exp().log()

    values = torch.rand(8, 100, dtype=torch.float64)
    own = Pace(step, 0)
    own.trial(values)
    result = own.advance(1)(values)
    assert sizes == [2, 3, *[3] * 3]  # a trial; a block for what it returns
    torch.testing.assert_close(result, values)
    own.advance(1)(result[:2].clone())  # few are left
    assert sizes[5:] == [2]


def test_a_block_that_is_compiled_serves_when_runs_leave(compiled: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "WORTH", 0.0)
    monkeypatch.setattr(blocks, "SHORTEST", 0)
    monkeypatch.setattr(pace, "cache_size", lambda: 4 * 4)
    own = Pace(lambda values: values + 1, 0)
    own.trial(torch.zeros(8))
    values = train(own, 20, torch.zeros(8))
    assert set(compiled) == {4}
    compiled.clear()
    assert own.advance(10)(values[:5].clone()).tolist() == [21.0] * 5
    assert compiled == [4, 4]


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"key": 3}', '{"key": {"at": 0}}', '{"key": null}'])
def test_a_broken_file_is_an_empty_one(cache: Path, content: str) -> None:
    cache.parent.mkdir()
    cache.write_text(content)
    assert recall("key") is None
    remember("key", Paces(2.0, 1.0, 5.0))
    assert recall("key") == Paces(2.0, 1.0, 5.0)


def test_old_measurements_are_forgotten(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember("key", Paces(2.0, 1.0, 5.0))
    later = time.time() + remembered_paces.FRESH + 1
    monkeypatch.setattr(remembered_paces.time, "time", lambda: later)
    assert recall("key") is None


def test_the_file_does_not_grow_for_ever(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered_paces, "KEPT", 3)
    for number in range(6):
        remember(str(number), Paces(2.0, 1.0, float(number)))
    assert set(json.loads(cache.read_text())) == {"3", "4", "5"}


def test_a_place_that_cannot_be_written_does_not_matter(cache: Path) -> None:
    cache.parent.write_text("a file where the folder should be")
    remember("key", Paces(2.0, 1.0, 5.0))
    assert recall("key") is None


def test_compiling_pays_from_as_many_steps_as_it_saves() -> None:
    paces = Paces(plain=0.03, compiled=0.01, compiling=2.0)
    assert not paces.worth_compiling(99)
    assert paces.worth_compiling(101)
    assert not Paces(plain=0.01, compiled=0.02, compiling=0.0).worth_compiling(10**9)
