"""From the jobs of a sweep to their outcomes: what is fused with what, where it is done, and done again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil

from expkit.outcome import Failure, Outcome
from expkit.sweeps.executors.base import Executor, Inline, WorkerLostError
from expkit.sweeps.grouping import group
from expkit.sweeps.work import Chunk, Job, NotFused, Worker

LARGEST = 1024
"""Runs in a stack; each holds its record's lock, which is an open file."""

LOSSES = 2
"""Workers that a chunk of several runs may lose before its runs are done one by one, and that a run by itself may."""


class TooManyFailuresError(Exception):
    """As many runs failed as the user allows."""


@dataclass
class Scheduler:
    """Has all jobs of a sweep done.

    Args:
        executor: where chunks of work are done.
        alone: where runs that are not fused are done; by default there, too.
        fuse: train runs that differ only in numbers as one program.
        worker: does a chunk.
        max_failures: give up once so many runs have failed.
        done: the other jobs of the sweep. One that is left of several trains as these did: in a stack, if of one.
        note: is told what could not be fused, and why, and of workers that were lost.
        failed: is told of a run that failed where no worker could tell.
    """

    executor: Executor
    worker: Worker
    note: Callable[[str], None]
    failed: Callable[[Job, Outcome], None]
    alone: Executor | None = None
    fuse: bool = True
    max_failures: int | None = None
    done: Sequence[Job] = ()
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    _losses: Counter[tuple[int, ...]] = field(default_factory=Counter)
    _reasons: Counter[str] = field(default_factory=Counter)

    def run(self, jobs: Sequence[Job]) -> dict[int, Outcome]:
        """The outcome of each job, by its number; those that were given up on have none.

        Raises:
            KeyboardInterrupt: a run was asked to stop, and the sweep with it.
        """
        waiting = self._planned(jobs)
        try:
            while waiting:
                again: list[Chunk] = []
                for executor, chunks in self._places(waiting):
                    results = executor.run(self.worker, chunks)
                    try:
                        for place, result in results:
                            again += self._settle(chunks[place], result, executor)
                            self._count_failures()
                    finally:
                        close = getattr(results, "close", None)  # a generator: what has begun is asked to stop
                        if close is not None:
                            close()
                waiting = again
        except TooManyFailuresError:
            self.note(f"{self.max_failures} runs have failed: the sweep stops here (sweep.max_failures).")
        finally:
            for reason, count in self._reasons.items():
                self.note(f"{count} runs were not fused: {reason}")
        return self.outcomes

    def _planned(self, jobs: Sequence[Job]) -> list[Chunk]:
        """Chunks of jobs, large ones first."""
        if not self.fuse:
            return [Chunk([job]) for job in jobs]
        chunks = [] if self.worker.force else self.worker.stacks.saved(jobs)
        taken = {job.number for chunk in chunks for job in chunk.jobs}
        jobs = [job for job in jobs if job.number not in taken]
        for one in group([job.composed.config for job in (*jobs, *self.done)]):
            if not (todo := [jobs[index] for index in one.indices if index < len(jobs)]):
                continue
            whole = bool(todo[0].composed.config.get("population"))  # members learn from each other
            size = len(todo) if whole else min(LARGEST, ceil(len(todo) / self.executor.workers))
            for start in range(0, len(todo), size):
                part = todo[start : start + size]
                chunks.append(Chunk.fused(part) if len(one.indices) > 1 else Chunk(part))
        return sorted(chunks, key=lambda chunk: -len(chunk.jobs))

    def _places(self, chunks: Sequence[Chunk]) -> list[tuple[Executor, list[Chunk]]]:
        if self.alone is None:
            return [(self.executor, list(chunks))]
        stacks = [chunk for chunk in chunks if chunk.stack]
        singles = [chunk for chunk in chunks if not chunk.stack]
        # Other processes take seconds to start: one run by itself is done where the stacks are.
        place = self.alone if len(singles) > 1 and self.alone.workers > 1 else self.executor
        return [(where, part) for where, part in ((self.executor, stacks), (place, singles)) if part]

    def _settle(
        self, chunk: Chunk, result: list[Outcome] | NotFused | WorkerLostError, executor: Executor
    ) -> list[Chunk]:
        """Takes what came of a chunk; returns what of it is to be done again."""
        if isinstance(result, NotFused):
            self._reasons[result.reason] += len(chunk.jobs)
            return [Chunk([job]) for job in chunk.jobs]
        if isinstance(result, WorkerLostError):
            return self._lost(chunk, result)
        stopped: list[Job] = []
        for job, outcome in zip(chunk.jobs, result, strict=True):
            if outcome.state == "interrupted":
                stopped.append(job)
            else:
                self.outcomes[job.number] = outcome
        if stopped and isinstance(executor, Inline):  # whoever stops a run of a sweep here wants the sweep to stop
            raise KeyboardInterrupt
        lost = Chunk(stopped, chunk.stack)
        return self._lost(lost, WorkerLostError("it was asked to stop")) if stopped else []

    def _lost(self, chunk: Chunk, how: WorkerLostError) -> list[Chunk]:
        key = tuple(job.number for job in chunk.jobs)
        self._losses[key] += 1
        what = f"#{key[0]}" if len(key) == 1 else f"{len(key)} runs from #{key[0]}"
        if self._losses[key] < LOSSES:
            self.note(f"A worker was lost with {what}, which are done again: {how}")
            return [chunk]
        if len(key) > 1:
            self.note(f"A worker was lost with {what} again; they are done one by one: {how}")
            return [Chunk([job]) for job in chunk.jobs]
        job = chunk.jobs[0]
        outcome = Outcome(None, Failure(f"the process that ran it was lost {LOSSES} times: {how}"))
        self.outcomes[job.number] = Outcome(None, outcome.failure, job.composed.overrides)
        self.failed(job, self.outcomes[job.number])
        return []

    def _count_failures(self) -> None:
        if self.max_failures is not None:
            failed = sum(outcome.failure is not None for outcome in self.outcomes.values())
            if failed >= self.max_failures:
                raise TooManyFailuresError
