"""What becomes of jobs whose workers are lost, whose program cannot be fused, or who fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from expkit.compose import Composed
from expkit.outcome import Failure, Outcome
from expkit.records.record import Record
from expkit.sweeps.executors.base import Executor, Inline, WorkerLostError
from expkit.sweeps.scheduler import Scheduler
from expkit.sweeps.work import Chunk, Job, NotFused, Stacks, Worker


class Scripted(Executor):
    """Answers chunks as `answer` says, and remembers what it was asked to do."""

    def __init__(self, answer: Callable[[tuple[int, ...]], Any], workers: int = 2) -> None:
        self.asked: list[tuple[int, ...]] = []
        self.answer = answer
        self.closed = False
        self._workers = workers

    @property
    def workers(self) -> int:
        return self._workers

    def run(self, work: Any, chunks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        try:
            for place, chunk in reversed(list(enumerate(chunks))):
                numbers = tuple(job.number for job in chunk.jobs)
                self.asked.append(numbers)
                yield place, self.answer(numbers)
        finally:
            self.closed = True


def jobs(*seeds: int, width: int = 8) -> list[Job]:
    return [Job(seed, Composed({"seed": seed, "model": {"width": width}}, [f"seed={seed}"])) for seed in seeds]


def outcomes(numbers: Sequence[int], state: str, folder: Path) -> list[Outcome]:
    made = []
    for number in numbers:
        record = Record(folder / "e" / str(number))
        record.folder.mkdir(parents=True, exist_ok=True)
        (record.folder / "status.json").write_text(f'{{"status": "{state}"}}')
        made.append(Outcome(record))
    return made


def schedule(executor: Executor, **settings: Any) -> tuple[Scheduler, list[str]]:
    notes: list[str] = []
    failed = settings.pop("failed", lambda job, outcome: None)
    nowhere = Worker(Path("nowhere"), Stacks(Path("nowhere")))
    return Scheduler(executor, worker=nowhere, note=notes.append, failed=failed, **settings), notes


def test_stacks_are_spread_over_the_workers(tmp_path: Path) -> None:
    executor = Scripted(lambda numbers: outcomes(numbers, "complete", tmp_path), workers=3)
    scheduler, _ = schedule(executor)
    done = scheduler.run([*jobs(*range(10)), *jobs(10, 11, width=9)])
    assert sorted(done) == list(range(12))
    assert sorted(map(len, executor.asked)) == [1, 1, 2, 4, 4]


def test_without_fusing_each_run_is_a_chunk(tmp_path: Path) -> None:
    executor = Scripted(lambda numbers: outcomes(numbers, "complete", tmp_path))
    schedule(executor, fuse=False)[0].run(jobs(0, 1, 2))
    assert sorted(executor.asked) == [(0,), (1,), (2,)]


def test_a_lost_worker_costs_nothing(tmp_path: Path) -> None:
    lost = iter([True, False])

    def answer(numbers: tuple[int, ...]) -> Any:
        if 0 in numbers and next(lost):
            return WorkerLostError("killed")
        return outcomes(numbers, "complete", tmp_path)

    executor = Scripted(answer)
    scheduler, notes = schedule(executor)
    assert sorted(scheduler.run(jobs(0, 1, 2, 3))) == [0, 1, 2, 3]
    assert sorted(executor.asked) == [(0, 1), (0, 1), (2, 3)]  # what others had done is not done again
    assert "2 runs from #0" in notes[0]


def test_the_run_that_kills_its_worker_is_found(tmp_path: Path) -> None:
    told = []

    def answer(numbers: tuple[int, ...]) -> Any:
        return WorkerLostError("killed") if 2 in numbers else outcomes(numbers, "complete", tmp_path)

    scheduler, _ = schedule(Scripted(answer, workers=1), failed=lambda job, outcome: told.append(job.number))
    done = scheduler.run(jobs(0, 1, 2, 3))
    assert [done[n].state for n in range(4)] == ["complete", "complete", "failed", "complete"]
    assert "was lost 2 times: killed" in done[2].message
    assert told == [2]


def test_what_is_not_fused_goes_elsewhere_one_by_one(tmp_path: Path) -> None:
    here = Scripted(lambda numbers: NotFused("model: it draws") if len(numbers) > 1 else None, workers=1)
    elsewhere = Scripted(lambda numbers: outcomes(numbers, "complete", tmp_path))
    scheduler, notes = schedule(here, alone=elsewhere)
    assert sorted(scheduler.run(jobs(0, 1, 2))) == [0, 1, 2]
    assert here.asked == [(0, 1, 2)]
    assert sorted(elsewhere.asked) == [(0,), (1,), (2,)]
    assert notes == ["3 runs were not fused: model: it draws"]


def test_too_many_failures_end_the_sweep(tmp_path: Path) -> None:
    executor = Scripted(lambda numbers: [Outcome(None, Failure("broken")) for _ in numbers], workers=1)
    scheduler, notes = schedule(executor, fuse=False, max_failures=2)
    done = scheduler.run(jobs(*range(10)))
    assert len(executor.asked) == len(done) == 2
    assert executor.closed
    assert "sweep.max_failures" in notes[0]


def test_stacks_that_were_saved_are_taken_up_as_they_were(tmp_path: Path) -> None:
    executor = Scripted(lambda numbers: outcomes(numbers, "complete", tmp_path / "runs"), workers=3)
    scheduler, _ = schedule(executor)
    scheduler.worker = Worker(tmp_path, Stacks(tmp_path / "stacks"))
    saved, unsaved = Chunk.fused(jobs(0, 1, 2, 3, 4)), Chunk.fused(jobs(5, 6))
    scheduler.worker.stacks.begin(saved).touch()
    scheduler.worker.stacks.begin(unsaved)
    scheduler.run(jobs(1, 2, 3, 4, 5, 6, 7))  # 0 has ended since
    assert (1, 2, 3, 4) in executor.asked
    assert sorted(n for numbers in executor.asked for n in numbers) == list(range(1, 8))
    assert [path.stem for path in (tmp_path / "stacks").glob("*.json")] == [saved.stack]


def test_a_run_that_is_stopped_here_stops_the_sweep(tmp_path: Path) -> None:
    scheduler, _ = schedule(Inline(), fuse=False)
    scheduler.worker = lambda chunk: outcomes([job.number for job in chunk.jobs], "interrupted", tmp_path)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        scheduler.run(jobs(0, 1))


def test_a_run_that_is_stopped_elsewhere_goes_on(tmp_path: Path) -> None:
    states = iter(["interrupted", "complete"])
    executor = Scripted(lambda numbers: outcomes(numbers, next(states), tmp_path), workers=2)
    scheduler, _ = schedule(executor)
    assert [outcome.state for outcome in scheduler.run(jobs(0)).values()] == ["complete"]


def test_chunks_are_plain_data() -> None:
    import pickle

    chunk = Chunk(jobs(0, 1))
    assert pickle.loads(pickle.dumps(chunk)) == chunk
