"""A stack that is stopped or killed goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from fits import Config, configs, engine, trainings

from expkit.engines.fused.stack_checkpoint import StackCheckpoint
from expkit.engines.observer import Observer

Rows = list[list[dict[str, Any]]]


class Killed(BaseException):
    """What no `except Exception` stops."""


class EndAt(Observer):
    """Ends the process's work at an evaluation point, by doing something to it."""

    def __init__(self, step: int, action: Any) -> None:
        self.step, self.action = step, action

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        if step == self.step:
            self.action()


def runs() -> list[Config]:
    """Stacks with everything that has a state: momentum, plateaus, running statistics, dropout, early stopping."""
    return configs(
        "data=wine", "model.width=6", "model.norm=batchnorm", "model.dropout=0.2", "data.batch_size=20",
        "optimizer=momentum", "scheduler=reduce_on_plateau", "scheduler.patience=0", "callbacks=early_stopping",
        "callbacks.early_stopping.patience=2",
        "trainer.eval_at=4", "trainer.max_steps=40", "trainer.checkpoint_steps=6",
        sweep=["optimizer.lr=0.0", "optimizer.lr=0.05", "optimizer.lr=0.1 seed=1", "optimizer.lr=0.2 seed=2"],
    )  # fmt: skip


def whole(folder: Path) -> tuple[list[str], Rows]:
    own = trainings(runs(), folder)
    return list(engine(runs()).prepare(own).run()), [training.log.rows for training in own]


def part(folder: Path, observer: Observer | None = None, order: slice = slice(None)) -> tuple[list[str], Rows, int]:
    """Trains the stack, from its checkpoint if there is one; how runs ended, their metrics, and where it began."""
    chosen = runs()[order]
    own = trainings(chosen, folder)
    own[-1].observer = observer or Observer()
    fit = engine(chosen).prepare(own, checkpoint=folder / "stack.ckpt")
    began: list[int] = []
    own[1].observer.started = lambda step, steps: began.append(step)
    states = fit.run()
    return list(states), [training.log.rows for training in own], began[0]


def kill() -> None:
    raise Killed


def test_a_killed_stack_ends_as_one_that_was_not(tmp_path: Path) -> None:
    states, expected = whole(tmp_path / "whole")
    assert expected[0][-1]["step"] < 28  # one of them stops early
    folder = tmp_path / "parts"
    with pytest.raises(Killed):
        part(folder, EndAt(28, kill))
    assert (folder / "stack.ckpt").exists()
    again, rows, began = part(folder)
    assert began == 24
    assert again == states
    assert rows == expected
    assert not (folder / "stack.ckpt").exists()


def test_runs_that_have_ended_by_then_need_not_come_again(tmp_path: Path) -> None:
    _, expected = whole(tmp_path / "whole")
    folder = tmp_path / "parts"
    with pytest.raises(Killed):
        part(folder, EndAt(28, kill))
    states, rows, began = part(folder, order=slice(1, None))  # the first one is on record
    assert began == 24
    assert states == ["complete"] * 3
    assert rows == expected[1:]


def test_an_interrupted_stack_is_saved_where_it_is(tmp_path: Path) -> None:
    states, expected = whole(tmp_path / "whole")
    folder = tmp_path / "parts"
    own = trainings(runs(), folder)

    def stop() -> None:
        own[0].stop.signal = signal.SIGINT

    own[-1].observer = EndAt(32, stop)
    interrupted = engine(runs()).prepare(own, checkpoint=folder / "stack.ckpt").run()
    assert interrupted == ["complete", "interrupted", "interrupted", "interrupted"]
    again, rows, began = part(folder)
    assert began == 32
    assert again == states
    assert rows == expected


def test_a_checkpoint_of_other_runs_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        part(tmp_path, EndAt(28, kill), order=slice(0, 3))
    states, _, began = part(tmp_path)
    assert began == 0
    assert states == ["complete"] * 4


@pytest.mark.parametrize(("recorded", "steps_left"), [(0, 20), (1, 4), (2, 4), (3, 0)])
def test_a_stack_that_is_killed_while_runs_end_goes_on_there(tmp_path: Path, recorded: int, steps_left: int) -> None:
    _, expected = whole(tmp_path / "whole")  # one ends at step 20, two at 36, one at 40
    folder = tmp_path / "parts"
    on_record: list[int] = []

    def record_some(number: int, state: str) -> None:
        if len(on_record) == recorded:
            raise Killed
        on_record.append(number)

    with pytest.raises(Killed):
        engine(runs()).prepare(trainings(runs(), folder), checkpoint=folder / "stack.ckpt").run(record_some)
    left = [number for number in range(4) if number not in on_record]
    chosen = [runs()[number] for number in left]
    own = trainings(chosen, folder)
    fit = engine(chosen).prepare(own, checkpoint=folder / "stack.ckpt")
    advance, steps = fit.core.advance, []
    fit.core.advance = lambda: steps.append(advance())  # type: ignore[method-assign]
    fit.run()
    assert len(steps) == steps_left
    assert [training.log.rows for training in own] == [expected[number] for number in left]


def test_a_damaged_checkpoint_is_as_good_as_none(tmp_path: Path) -> None:
    _, expected = whole(tmp_path / "whole")
    folder = tmp_path / "parts"
    with pytest.raises(Killed):
        part(folder, EndAt(28, kill))
    saved = bytearray((folder / "stack.ckpt").read_bytes())
    saved[len(saved) // 2] ^= 1
    (folder / "stack.ckpt").write_bytes(saved)
    _, rows, began = part(folder)
    assert began == 0
    assert rows == expected


def test_a_stack_whose_metrics_are_lost_begins_anew(tmp_path: Path) -> None:
    _, expected = whole(tmp_path / "whole")
    folder = tmp_path / "parts"
    with pytest.raises(Killed):
        part(folder, EndAt(28, kill))
    next(folder.glob("seed1*/metrics.parquet")).unlink()
    _, rows, began = part(folder)
    assert began == 0
    assert rows == expected


@pytest.mark.slow
def test_a_stack_survives_a_signal_that_cannot_be_caught(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    script = (
        "import os, signal, torch; from pathlib import Path; torch.set_num_threads(1)\n"
        "from test_stack_checkpoint import EndAt, part\n"
        f"part(Path({str(folder)!r}), EndAt(20, lambda: os.kill(os.getpid(), signal.SIGKILL)))\n"
    )
    path = ":".join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}, timeout=120)
    assert done.returncode == -signal.SIGKILL
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected = whole(tmp_path / "whole")
        states, rows, began = part(folder)
    finally:
        torch.set_num_threads(threads)
    assert began == 18
    assert (states, rows) == expected


def test_it_is_due_by_steps_and_by_the_clock(tmp_path: Path) -> None:
    by_steps, by_clock = StackCheckpoint(tmp_path / "a", steps=5), StackCheckpoint(tmp_path / "b", seconds=0.0)
    assert [step for step in range(1, 12) if by_steps.due(step)] == [5, 10]
    assert by_clock.due(1)
    by_clock.save({"runs": ["a"], "ended": {}})
    assert by_clock.load(["a"]) == {"runs": ["a"], "ended": {}}
    assert by_clock.load(["a", "b"]) is None


def test_only_tensors_and_plain_values_are_in_the_file(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        part(tmp_path, EndAt(28, kill))
    saved: Mapping[str, Any] = torch.load(tmp_path / "stack.ckpt", weights_only=True)
    assert saved["stack"]["step"] == 24
    assert len(saved["runs"]) == 3
    assert [state for state, _ in saved["ended"].values()] == ["complete"]
