"""One chunk of a sweep's work, wherever it is done: runs that train as one program, or a run by itself."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expkit.compose import Composed
from expkit.engines.fused.data_sets import DataSets
from expkit.engines.observer import Observer
from expkit.errors import UserError
from expkit.outcome import Failure, Outcome
from expkit.records.files import read_json, write_json
from expkit.records.record import Record
from expkit.storage_error import FULL, storage_error
from expkit.sweeps.events import EventWriter

PROGRESS_EVERY = 0.5  # seconds


@dataclass(frozen=True)
class Job:
    """One run of a sweep, composed and checked."""

    number: int
    composed: Composed


@dataclass(frozen=True)
class Chunk:
    """Jobs that one worker does.

    Args:
        jobs: that train as one program, or one that trains by itself.
        stack: the name of that program's checkpoint, which a sweep that is taken up again finds it by.
    """

    jobs: list[Job]
    stack: str | None = None

    @classmethod
    def fused(cls, jobs: list[Job]) -> Chunk:
        numbers = " ".join(str(job.number) for job in jobs)
        return cls(jobs, hashlib.blake2b(numbers.encode(), digest_size=6).hexdigest())


@dataclass(frozen=True)
class NotFused:
    """A chunk that cannot train as one program: nothing of it was begun."""

    reason: str


@dataclass(frozen=True)
class Stacks:
    """Which stacks of a sweep have begun, each with its checkpoint, in a folder of the sweep."""

    folder: Path

    def begin(self, chunk: Chunk) -> Path:
        """Notes what the stack is of; returns where it is saved."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / f"{chunk.stack}.json", {"numbers": [job.number for job in chunk.jobs]})
        return self.folder / f"{chunk.stack}.ckpt"

    def end(self, chunk: Chunk) -> None:
        self._remove(str(chunk.stack))

    def saved(self, jobs: Sequence[Job]) -> list[Chunk]:
        """The chunks that were saved on the way, with those of their jobs that are among these."""
        left = {job.number: job for job in jobs}
        chunks = []
        for path in sorted(self.folder.glob("*.json")):
            numbers = (read_json(path) or {}).get("numbers", [])
            own = [left.pop(number) for number in numbers if number in left] if _is_saved(path) else []
            if own:
                chunks.append(Chunk(own, path.stem))
            else:
                self._remove(path.stem)
        return chunks

    def _remove(self, stack: str) -> None:
        for file in self.folder.glob(f"{stack}*"):
            file.unlink(missing_ok=True)


def _is_saved(path: Path) -> bool:
    return any(path.parent.glob(f"{path.stem}*.ckpt"))


@dataclass(frozen=True)
class Worker:
    """Does chunks; can be sent to another process.

    Args:
        events: folder that what happens is told in.
        stacks: where stacks are saved.
        force: run again what is complete.
        retries: how often a run that failed is tried again.
        debug: an error of a run is raised.
    """

    events: Path
    stacks: Stacks
    force: bool = False
    retries: int = 0
    debug: bool = False
    _data_sets: DataSets = field(default_factory=DataSets, init=False, repr=False, compare=False)

    def __call__(self, chunk: Chunk) -> list[Outcome] | NotFused:
        events = EventWriter(self.events)
        progress = Progress(events, chunk.jobs[0].number, len(chunk.jobs))
        try:
            if chunk.stack is None:
                return [self._alone(chunk.jobs[0], events, progress)]
            return self._fused(chunk, events, progress)
        finally:
            progress.over()
            events.close()

    def _fused(self, chunk: Chunk, events: EventWriter, progress: Progress) -> list[Outcome] | NotFused:
        from expkit.engines.fused.not_fusable import NotFusable
        from expkit.run_fused import run_fused

        jobs = chunk.jobs
        observers = [JobObserver(events, job, progress) for job in jobs]
        checkpoint = self.stacks.begin(chunk)
        try:
            records = run_fused([job.composed for job in jobs], observers, self.force, checkpoint, self._data_sets)
        except NotFusable as error:
            self.stacks.end(chunk)
            return NotFused(f"{error.key}: {error.reason}")
        except Exception as error:
            if self.debug:
                raise
            _stop_if_full(error)
            self.stacks.end(chunk)
            # A run's own mistake looks like everybody's from here: each is tried by itself.
            return NotFused(f"the program of all fails: {Failure.of(error).message}")
        if not any(checkpoint.parent.glob(f"{checkpoint.stem}*.ckpt")):  # all have ended; halves have files, too
            self.stacks.end(chunk)
        return [
            self._alone(job, events, progress) if record is None else Outcome(record, None, job.composed.overrides)
            for job, record in zip(jobs, records, strict=True)
        ]

    def _alone(self, job: Job, events: EventWriter, progress: Progress) -> Outcome:
        from expkit.run import run

        for left in range(self.retries, -1, -1):
            observer = JobObserver(events, job, progress)
            try:
                return Outcome(run(job.composed, observer, self.force), None, job.composed.overrides)
            except Exception as error:
                if self.debug:
                    raise
                _stop_if_full(error)
                outcome = Outcome(observer.record, Failure.of(error), job.composed.overrides)
                if isinstance(error, UserError) or not left:
                    break
                first = outcome.message.splitlines()[0]
                events.write("note", text=f"#{job.number} failed and is tried again ({left} left): {first}")
        observer.failed(outcome)
        return outcome


def _stop_if_full(error: Exception) -> None:
    """Ends the sweep where the disk is full: no other run would fare better."""
    if (full := storage_error(error, FULL)) is not None:
        raise full from error


class JobObserver(Observer):
    """Tells in a sweep's events what becomes of one run."""

    record: Record | None = None

    def __init__(self, events: EventWriter, job: Job, progress: Progress) -> None:
        self._events = events
        self._number = job.number
        self._progress = progress
        self._began = time.monotonic()

    def waiting(self, status: dict[str, Any]) -> None:
        self.warn(f"this run is being run by process {status.get('pid')}; waiting for it")

    def cached(self, record: Record) -> None:
        self.record = record
        self._tell(record.state, record, cached=True)

    def begun(self, record: Record, composed: Composed) -> None:
        self.record = record
        self._tell("running", record)

    def started(self, step: int, max_steps: int) -> None:
        self._progress.max_steps = max_steps

    def advanced(self, step: int) -> None:
        self._progress.at(step)

    def finished(self, record: Record) -> None:
        self._tell(record.state, record, seconds=round(time.monotonic() - self._began, 3))

    def failed(self, outcome: Outcome) -> None:
        self._tell("failed", outcome.record, error=outcome.message)

    def warn(self, message: str) -> None:
        self._events.write("note", text=f"#{self._number}: {message}")

    def _tell(self, state: str, record: Record | None, **fields: Any) -> None:
        run = f"{record.experiment}/{record.run_id}" if record else None
        self._events.write("run", number=self._number, state=state, run=run, **fields)


class Progress:
    """How far a chunk is, told every now and then."""

    def __init__(self, events: EventWriter, key: int, runs: int) -> None:
        self._events, self._key, self._runs = events, key, runs
        self.max_steps = 1
        self._told = time.monotonic()

    def at(self, step: int) -> None:
        self.at_fraction(step / max(self.max_steps, 1))

    def at_fraction(self, fraction: float) -> None:
        now = time.monotonic()
        if now - self._told > PROGRESS_EVERY:
            self._told = now
            self._tell(fraction)

    def over(self) -> None:
        self._tell(None)

    def _tell(self, fraction: float | None) -> None:
        self._events.write("progress", chunk=self._key, runs=self._runs, fraction=fraction)
