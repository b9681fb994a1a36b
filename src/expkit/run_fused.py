"""The spine for runs that differ only in numbers: from their configurations to their records, trained as one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from expkit.build import build
from expkit.compose import Composed
from expkit.engines.observer import Observer
from expkit.engines.stopping import StopRequest
from expkit.identity import run_ids
from expkit.records.environment import environment
from expkit.records.metrics import MetricLog
from expkit.records.record import FINISHED, Record
from expkit.records.store import Store
from expkit.run import load_torch, prepare, torch_facts
from expkit.run_loggers import RunLoggers

if TYPE_CHECKING:
    from expkit.engines.lightning import Training


def run_fused(composed: Sequence[Composed], observers: Sequence[Observer], force: bool) -> list[Record | None]:
    """Runs all of them that are not done and not in another process's hands.

    Returns:
        The record of each that is done now; None for one that has to be run by itself: another process has it, or it
        has a checkpoint to go on from.

    Raises:
        NotFusable: they differ in more than numbers, or need what the fused engine does not do. Nothing was started.
    """
    records: list[Record | None] = [None] * len(composed)
    with ExitStack() as claims:
        waiting: list[int] = []
        ids = run_ids([one.config for one in composed])
        for number, (one, own_id, observer) in enumerate(zip(composed, ids, observers, strict=True)):
            record = Store(one.config["paths"]["runs"]).record(one.name, own_id)
            if not _claimed(record, claims):
                continue
            if force:
                record.clear()
            if record.state in FINISHED:
                observer.cached(record)
                records[number] = record
            elif not record.checkpoint.exists():
                records[number] = record
                waiting.append(number)
        if waiting:
            _train([composed[n] for n in waiting], [records[n] for n in waiting], [observers[n] for n in waiting])  # type: ignore[misc]
    return records


def _train(composed: Sequence[Composed], records: Sequence[Record], observers: Sequence[Observer]) -> None:
    with StopRequest() as stop:
        load_torch()
        from expkit.engines.fused.engine import FusedEngine

        configs = [one.config for one in composed]
        trainings = [
            prepare(config, record, MetricLog(record.metrics_file))
            for config, record in zip(configs, records, strict=True)
        ]
        engine = FusedEngine(
            build(configs[0]["trainer"], "trainer"),
            optimizers=[config["optimizer"] for config in configs],
            schedulers=[config["scheduler"] for config in configs],
            clip=[config["trainer"]["gradient_clip_val"] for config in configs],
        )
        fit = engine.prepare(trainings)  # what cannot be fused says so here, before anything is recorded
        facts = {**environment(), "torch": torch_facts()}
        loggers = []
        for one, record, training, observer in zip(composed, records, trainings, observers, strict=True):
            record.begin(one.config, one.overrides)
            record.write_environment(facts)
            observer.begun(record, one)
            loggers.append(RunLoggers(one.config, record, observer.warn))
            training.observer, training.stop, training.loggers = observer, stop, loggers[-1].for_lightning()
        _record(trainings, records, loggers, fit)
        for record, observer in zip(records, observers, strict=True):
            observer.finished(record)


def _record(trainings: Sequence[Training], records: Sequence[Record], loggers: Sequence[RunLoggers], fit: Any) -> None:
    """Trains, and writes down how each run ended, whatever happens."""
    states: Sequence[str] = ["failed"] * len(trainings)
    problem: BaseException | None = None
    try:
        states = fit.run()
    except BaseException as error:
        problem = error
        if isinstance(error, KeyboardInterrupt):
            states = ["interrupted"] * len(trainings)
        raise
    finally:
        for training, record, own, state in zip(trainings, records, loggers, states, strict=True):
            record.finish(state, training.log.last, problem)
            own.finish(state, training.log.last)


def _claimed(record: Record, claims: ExitStack) -> bool:
    try:
        claims.enter_context(record.claim(waiting=_busy))
    except _BusyError:
        return False
    return True


class _BusyError(Exception):
    """Another process has the run."""


def _busy(status: dict[str, Any]) -> None:
    raise _BusyError
