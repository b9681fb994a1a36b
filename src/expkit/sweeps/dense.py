"""Sweeps of so many small runs that a folder for each would take longer than the runs: one table, a row a run.

`columns/<number of the first>.parquet` in the sweep's folder holds some thousands of runs: 'number', 'run' (as
`<experiment>/<run id>`), the numbers that runs differ in, 'state', 'step', and the metrics at the end. It is written
when they are done; a sweep that is taken up again trains those that have no file. What the runs have in common is in
`config.yaml` beside the files, the configuration of the first run.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit import yaml_files
from expkit.engines.fused.data_sets import DataSets
from expkit.engines.stopping import StopRequest
from expkit.errors import UserError
from expkit.memory_error import is_out_of_memory
from expkit.records.files import replacing, write_text
from expkit.records.row import Row
from expkit.records.sealed import read_sealed, write_sealed
from expkit.run import build_callbacks, load_torch
from expkit.sweeps.events import EventWriter
from expkit.sweeps.executors.base import Executor, WorkerLostError
from expkit.sweeps.grouping import group
from expkit.sweeps.sweep import Sweep
from expkit.sweeps.work import Job, Progress

if TYPE_CHECKING:
    import polars

    from expkit.engines.fused.stacked_training import StackedTraining

LARGEST = 4096
"""Runs in a file."""
TRIES = 3


@dataclass(frozen=True)
class DenseChunk:
    """Runs of one file; 'values' has a number for each of them, by key."""

    jobs: list[Job]
    runs: list[str]
    values: dict[str, list[Any]]


@dataclass(frozen=True)
class DenseWorker:
    """Trains a chunk and writes its file; can be sent to another process.

    Args:
        folder: of the files.
        events: folder that what happens is told in.
    """

    folder: Path
    events: Path

    def __call__(self, chunk: DenseChunk) -> bool:
        """Whether it was finished, and not stopped."""
        import polars

        events = EventWriter(self.events)
        progress = Progress(events, chunk.jobs[0].number, len(chunk.jobs))
        try:
            with StopRequest() as stop:
                load_torch()
                metrics = train_columns([job.composed.config for job in chunk.jobs], stop, progress.at_fraction)
            if metrics is None:
                return False
            losses = [values for name, values in metrics.items() if name.endswith("/loss")]
            fine = chunk.jobs[0].composed.config["trainer"].get("allow_divergence")
            finite = [fine or all(map(math.isfinite, own)) for own in zip(*losses, strict=True)]
            frame = polars.DataFrame(
                {
                    "number": [job.number for job in chunk.jobs],
                    "run": chunk.runs,
                    **chunk.values,
                    "state": ["complete" if is_finite else "diverged" for is_finite in finite],
                    **metrics,
                }
            )
            with replacing(self.folder / f"{chunk.jobs[0].number:07}.parquet") as aside:
                write_sealed(frame, aside)
            events.write("rows", numbers=frame["number"].to_list(), states=frame["state"].to_list())
        finally:
            progress.over()
            events.close()
        return True


def run_dense(
    sweep: Sweep,
    jobs: Sequence[Job],
    runs: Mapping[int, str],
    executor: Executor,
    note: Callable[[str], None],
    force: bool,
) -> None:
    """Trains what has no row yet.

    Args:
        sweep: whose table it is.
        jobs: all of them.
        runs: of each job, by number, as `<experiment>/<run id>`.
        executor: where stacks are trained.
        note: is told of workers that were lost.
        force: train again what has a row.

    Raises:
        UserError: the runs differ in more than numbers.
        KeyboardInterrupt: it was stopped.
    """
    folder = sweep.folder / "columns"
    folder.mkdir(parents=True, exist_ok=True)
    if force:
        for path in folder.glob("*.parquet"):
            path.unlink()
    chunks = _missing(folder, jobs, runs)
    if not chunks:
        return
    write_text(folder / "config.yaml", yaml_files.written(jobs[0].composed.config))
    for _ in range(TRIES):
        lost = []
        results = executor.run(DenseWorker(folder, sweep.events), chunks)
        for place, result in results:
            if isinstance(result, WorkerLostError):
                note(f"A worker was lost with {len(chunks[place].jobs)} runs, which are done again: {result}")
                lost.append(chunks[place])
            elif not result:
                raise KeyboardInterrupt
        if not lost:
            return
        chunks = lost
    raise UserError(f"{len(chunks)} stacks of runs were lost with their workers {TRIES} times.")


def rows(sweep: Sweep) -> polars.DataFrame | None:
    """The table of a sweep that is recorded so, by number; None of any other."""
    import polars

    tables = [_whole(path) for path in sorted((sweep.folder / "columns").glob("*.parquet"))]
    parts = [part for part in tables if part is not None]
    return polars.concat(parts, how="diagonal_relaxed").sort("number") if parts else None


def row_records(sweep: Sweep) -> dict[int, Row]:
    """The rows as records, by number."""
    frame = rows(sweep)
    if frame is None:
        return {}
    metrics = [name for name in frame.columns if "/" in name or name == "step"]
    swept = [name for name in frame.columns if name not in (*metrics, "number", "run", "state")]
    return {
        row["number"]: Row(
            sweep.folder,
            row["run"],
            row["state"],
            summary={name: row[name] for name in metrics},
            overrides=[f"{name}={row[name]}" for name in swept],
        )
        for row in frame.iter_rows(named=True)
    }


def _whole(path: Path) -> polars.DataFrame | None:
    """A file of the table; None where there is none, or a damaged one, whose runs are as good as not done."""
    try:
        return read_sealed(path)
    except FileNotFoundError:
        return None
    except UserError as error:
        warnings.warn(f"{error.message} Its runs count as not done. {error.hint}", stacklevel=2)
        return None


def _missing(folder: Path, jobs: Sequence[Job], runs: Mapping[int, str]) -> list[DenseChunk]:
    """The stacks that have no file with just these runs."""
    chunks = []
    groups = group([job.composed.config for job in jobs])
    names = {key for one in groups for key in one.varying}
    for one in groups:
        if len(groups) > 1 and len(one.indices) == 1:
            raise UserError(
                f"Run #{jobs[one.indices[0]].number} differs from the others in more than numbers.",
                "A sweep that is recorded as one table trains as one program: set sweep.dense=false.",
            )
        values = {
            key: one.varying.get(key) or [_at(jobs[index].composed.config, key) for index in one.indices]
            for key in sorted(names)
        }
        for start in range(0, len(one.indices), LARGEST):
            part = one.indices[start : start + LARGEST]
            own = {key: column[start : start + LARGEST] for key, column in values.items()}
            chunk = DenseChunk([jobs[index] for index in part], [runs[jobs[index].number] for index in part], own)
            path = folder / f"{chunk.jobs[0].number:07}.parquet"
            there = _whole(path)
            if there is None or there["run"].to_list() != chunk.runs:
                chunks.append(chunk)
    return chunks


def _at(config: Mapping[str, Any], key: str) -> Any:
    """The value of a key such as 'optimizer.betas[0]'."""
    node: Any = config
    for part in key.replace("[", ".").replace("]", "").split("."):
        node = node[int(part)] if isinstance(node, list) else node[part]
    return node


def train_columns(
    configs: Sequence[Mapping[str, Any]], stop: StopRequest, progress: Callable[[float], None]
) -> dict[str, list[float]] | None:
    """Trains runs that differ only in numbers, and records nothing.

    Args:
        configs: resolved and checked, one for each run.
        stop: asked before every step.
        progress: is told how much is done, from 0 to 1.

    Returns:
        The metrics at the end, by name, a value for each run; None if it was stopped.

    Raises:
        UserError: they differ in more than numbers.
    """
    from expkit.engines.fused.memory import runs_that_fit

    size, data_sets = len(configs), DataSets()
    if size > 1:  # how many fit is measured on two of them
        size = min(size, runs_that_fit(_stacked(configs[:2], data_sets)))
    metrics: dict[str, list[float]] = {}
    done = 0
    while done < len(configs):
        try:
            part = _train_stack(configs, range(done, min(done + size, len(configs))), stop, progress, data_sets)
        except Exception as error:
            if not is_out_of_memory(error) or size == 1:
                raise
            size = max(1, size // 2)
            continue
        if part is None:
            return None
        metrics = {name: [*metrics.get(name, []), *values] for name, values in part.items()}
        done += len(part["step"])
    return metrics


def _train_stack(
    configs: Sequence[Mapping[str, Any]],
    places: range,
    stop: StopRequest,
    progress: Callable[[float], None],
    data_sets: DataSets,
) -> dict[str, list[float]] | None:
    """The same for some of them, at once."""
    from expkit.seeding import undisturbed

    with undisturbed():
        training = _stacked(configs[places.start : places.stop], data_sets)
        while training.step < training.max_steps:
            if stop.signal is not None:
                return None
            training.advance()
            progress((places.start + len(places) * training.step / training.max_steps) / len(configs))
        metrics = {name: values.tolist() for name, values in training.evaluate().items()}
    return {"step": [training.step] * len(places), **metrics}


def _stacked(configs: Sequence[Mapping[str, Any]], data_sets: DataSets) -> StackedTraining:
    from expkit.engines.fused.builds import stacked
    from expkit.engines.fused.not_fusable import NotFusable
    from expkit.probes.base import StepStatistic

    others = [type(one).__name__ for one in build_callbacks(configs[0]) if not isinstance(one, StepStatistic)]
    if others:
        raise UserError(
            f"{', '.join(others)} act on each run, which a sweep that is recorded as one table cannot do.",
            "Leave them out, as in callbacks=none, or set sweep.dense=false.",
        )
    try:
        return stacked(configs, data_sets)
    except NotFusable as error:
        raise UserError(
            f"{error.key}: {error.reason}.",
            "A sweep that is recorded as one table trains as one program: set sweep.dense=false.",
        ) from error
