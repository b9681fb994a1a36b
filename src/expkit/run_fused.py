"""The spine for runs that differ only in numbers: from their configurations to their records, trained as one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.build import build
from expkit.compose import Composed
from expkit.engines.fused.data_sets import DataSets
from expkit.engines.observer import Observer
from expkit.engines.stopping import StopRequest
from expkit.errors import UserError
from expkit.identity import run_ids
from expkit.records.environment import environment
from expkit.records.files import allow_open_files
from expkit.records.foreign import FORGED, is_forged
from expkit.records.metrics import MetricLog
from expkit.records.record import FINISHED, Record
from expkit.records.store import Store
from expkit.run import build_callbacks, can_go_on, load_torch, tell_damage, torch_facts
from expkit.run_loggers import RunLoggers
from expkit.sweeps.executors.processes import ENDING
from expkit.sweeps.pruning import reporter

if TYPE_CHECKING:
    from expkit.engines.fused.engine import Fit
    from expkit.engines.fused.population import Population
    from expkit.engines.training import Training


def run_fused(
    composed: Sequence[Composed],
    observers: Sequence[Observer],
    force: bool,
    checkpoint: Path | None = None,
    data_sets: DataSets | None = None,
) -> list[Record | None]:
    """Runs all of them that are not done and not in another process's hands.

    Args:
        composed: the runs, of one structure.
        observers: of each.
        force: run again what is done.
        checkpoint: the file that they are saved to together, as often as the trainer's settings say, and taken up from.
        data_sets: of other runs, which these may have in common with them.

    Returns:
        The record of each that is done now; None for one that has to be run by itself: another process has it, or it
        has a checkpoint to go on from.

    Raises:
        NotFusable: they differ in more than numbers, or need what the fused engine does not do. Nothing was started.
        KeyboardInterrupt: it was asked to stop, and there are some to be run by themselves.
    """
    records: list[Record | None] = [None] * len(composed)
    allow_open_files(len(composed) + 256)  # a claim is one
    with ExitStack() as claims:
        waiting: list[int] = []
        ids = run_ids([one.config for one in composed])
        patience = time.monotonic() + ENDING
        for number, (one, own_id, observer) in enumerate(zip(composed, ids, observers, strict=True)):
            record = Store(one.config["paths"]["runs"]).record(one.name, own_id)
            if not _claimed(record, claims, observer, patience):
                continue
            if force:
                record.clear()
            elif is_forged(record, one.config):
                observer.warn(FORGED)
                record.clear()
            if record.state in FINISHED and not one.config.get("population"):
                observer.cached(record)
                records[number] = record
            elif one.config.get("population") or record.state == "damaged" or not can_go_on(record):
                tell_damage(record, observer)
                records[number] = record
                waiting.append(number)
        if waiting:
            with StopRequest() as stop:
                load_torch()
                members = [_Member(composed[n], own, observers[n]) for n in waiting if (own := records[n])]
                _train(members, stop, checkpoint, data_sets or DataSets())
            if stop.signal is not None and None in records:
                raise KeyboardInterrupt
    return records


SHOWN_EVERY = 0.2
"""Seconds between two writes of a run's metrics, for each run of a stack: a write takes some milliseconds."""


@dataclass(frozen=True)
class _Member:
    """One run of a stack."""

    composed: Composed
    record: Record
    observer: Observer


def _train(members: Sequence[_Member], stop: StopRequest, checkpoint: Path | None, data_sets: DataSets) -> None:
    """Trains all as one, or in parts where that takes more memory than there is."""
    if _population_node(members) is None:
        fitting = _that_fit(members, data_sets)
        if fitting < len(members):
            for start in range(0, len(members), fitting):
                if stop.signal is None:
                    _train_or_halve(members[start : start + fitting], stop, _part(checkpoint, str(start)), data_sets)
            return
    _train_or_halve(members, stop, checkpoint, data_sets)


def _that_fit(members: Sequence[_Member], data_sets: DataSets) -> int:
    """How many of them fit in memory at once, by what two of them take."""
    from expkit.engines.fused.builds import stacked
    from expkit.engines.fused.memory import runs_that_fit

    if len(members) < 3:
        return len(members)
    return runs_that_fit(stacked([member.composed.config for member in members[:2]], data_sets))


def _part(checkpoint: Path | None, name: str) -> Path | None:
    return checkpoint and checkpoint.with_stem(f"{checkpoint.stem}{name}")


def _train_or_halve(
    members: Sequence[_Member], stop: StopRequest, checkpoint: Path | None, data_sets: DataSets
) -> None:
    """Trains all as one, or by halves where that has taken more memory than there is."""
    from expkit.engines.fused.memory import OutOfMemory

    try:
        _train_at_once(members, stop, checkpoint, data_sets)
        return
    except OutOfMemory as error:
        left = [member for member in members if member.record.state not in (*FINISHED, "pruned")]
        if len(left) == 1 or _population_node(members) is not None:
            raise error.__cause__ or error from None
    # Here, where the error and with it what the stack held is gone.
    for name, half in (("a", left[: len(left) // 2]), ("b", left[len(left) // 2 :])):
        if stop.signal is None:
            _train_or_halve(half, stop, _part(checkpoint, name), data_sets)


def _train_at_once(members: Sequence[_Member], stop: StopRequest, checkpoint: Path | None, data_sets: DataSets) -> None:
    from expkit.engines.fused.engine import FusedEngine

    configs = [member.composed.config for member in members]
    trainings = _trainings(members, data_sets)
    engine = FusedEngine(
        build(configs[0]["trainer"], "trainer"),
        optimizers=[config["optimizer"] for config in configs],
        schedulers=[config["scheduler"] for config in configs],
        clip=[config["trainer"]["gradient_clip_val"] for config in configs],
    )
    # What cannot be fused says so here, before anything is recorded.
    fit = engine.prepare(trainings, checkpoint, _population(members))
    facts = {**environment(), "torch": torch_facts(), "engine": "fused"}
    loggers = []
    for member, training in zip(members, trainings, strict=True):
        member.record.begin(member.composed.config, member.composed.overrides, member.composed.choices)
        member.record.write_environment(facts)
        member.observer.begun(member.record, member.composed)
        loggers.append(RunLoggers(member.composed.config, member.record, member.observer.warn))
        training.observer, training.stop, training.loggers = member.observer, stop, loggers[-1].for_lightning()
        training.prune = reporter(member.composed.config)
    _record(members, trainings, loggers, fit)


def _population_node(members: Sequence[_Member]) -> Mapping[str, Any] | None:
    return members[0].composed.config.get("population") or None


def _population(members: Sequence[_Member]) -> Population | None:
    """What the runs learn from each other by, if they do."""
    node = _population_node(members)
    if node is None:
        return None
    if len(members) != node["members"]:
        raise UserError(
            f"{len(members)} of the {node['members']} members of a population are here; they train together.",
            "Another process may have the others: see `expkit sweeps`.",
        )
    population: Population = build(node, "population")
    return population


def _trainings(members: Sequence[_Member], data_sets: DataSets) -> list[Training]:
    """What `expkit.run.prepare` makes of each, with what several runs share made once."""
    from expkit.engines.fused.builds import build_all
    from expkit.engines.training import Training

    configs = [member.composed.config for member in members]
    builds = build_all(configs, data_sets)
    return [
        Training(
            task=task,
            data=data,
            seed=config["seed"],
            log=MetricLog(member.record.metrics_file, interval=max(2.0, SHOWN_EVERY * len(members))),
            folder=member.record.folder,
            callbacks=build_callbacks(config),
        )
        for config, member, task, data in zip(configs, members, builds.tasks, builds.data, strict=True)
    ]


def _record(members: Sequence[_Member], trainings: Sequence[Training], loggers: Sequence[RunLoggers], fit: Fit) -> None:
    """Trains, and writes down how each run ended, as soon as it has and whatever happens."""
    going = set(range(len(members)))

    def ended(number: int, state: str, problem: BaseException | None = None) -> None:
        going.discard(number)
        last = trainings[number].log.last
        members[number].record.finish(state, last, problem)
        loggers[number].finish(state, last)

    try:
        states = fit.run(ended)
    except BaseException as error:
        for number in sorted(going):
            ended(number, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed", error)
        raise
    for number in sorted(going):
        ended(number, states[number])
    for member in members:
        member.observer.finished(member.record)


def _claimed(record: Record, claims: ExitStack, observer: Observer, until: float) -> bool:
    """Whether the run is this process's now; one that is ending is waited for, and what it saves is gone on from."""
    told = False
    while True:
        try:
            claims.enter_context(record.claim(waiting=_busy))
            return True
        except _BusyError:
            if time.monotonic() > until:
                return False
        if not told:
            observer.waiting(record.status)
            told = True
        time.sleep(0.1)


class _BusyError(Exception):
    """Another process has the run."""


def _busy(status: dict[str, Any]) -> None:
    raise _BusyError
