"""The spine: one run, from its configuration to its record. Readable top to bottom.

Importing this module imports nothing heavy; torch is loaded once a run is known to be needed.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.build import build, factory
from expkit.compose import Composed
from expkit.engines.observer import Observer
from expkit.engines.stopping import StopRequest
from expkit.errors import UserError
from expkit.freed_memory import keep_freed_memory
from expkit.identity import run_id
from expkit.records.checkpoint import read_checkpoint
from expkit.records.environment import environment
from expkit.records.foreign import FORGED, is_forged
from expkit.records.metrics import MetricLog
from expkit.records.record import FINISHED, Record
from expkit.records.store import Store
from expkit.run_loggers import RunLoggers
from expkit.sweeps.pruning import reporter

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from expkit.data.base import TensorData
    from expkit.engines.training import Training


def run(composed: Composed, observer: Observer | None = None, force: bool = False) -> Record:
    """Runs what was composed, unless that is done already; takes up an interrupted run where it was saved.

    Returns:
        The record, whose state is 'complete', 'interrupted', 'diverged' or 'pruned'.

    Raises:
        UserError, or whatever the pieces raise; the record then says 'failed' and has the traceback.
    """
    observer = observer or Observer()
    config = composed.config
    if config.get("population"):
        raise UserError(
            "This run is a member of a population: its members train together, as one program.",
            "Start them by hydra/sweeper=pbt, with hydra/launcher=fused (or auto).",
        )
    record = Store(config["paths"]["runs"]).record(composed.name, run_id(config))
    if (
        record.is_finished and not force and not is_forged(record, config)
    ):  # before it is claimed, which takes a folder that can be written
        observer.cached(record)
        return record
    with record.claim(waiting=observer.waiting):
        if force:
            record.clear()
        elif is_forged(record, config):
            observer.warn(FORGED)
            record.clear()
        if record.state in FINISHED:
            observer.cached(record)
            return record
        tell_damage(record, observer)
        record.begin(config, composed.overrides, composed.choices)
        observer.begun(record, composed)
        log = MetricLog(record.metrics_file)
        loggers = RunLoggers(config, record, observer.warn)
        state = "failed"
        try:
            with StopRequest() as stop:
                facts = _in_background(environment)
                load_torch()
                training = prepare(config, record, log, observer.warn)
                training.observer, training.stop = observer, stop
                training.loggers = loggers.for_lightning()
                training.prune = reporter(config)
                record.write_environment({**facts.result(), "torch": torch_facts(), "engine": engine_name(config)})
                engine = build(config["trainer"], "trainer")
                state = engine.fit(training)
        except BaseException as error:
            state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            record.finish(state, log.last, error)
            raise
        else:
            record.finish(state, log.last)
        finally:
            loggers.finish(state, log.last)
        observer.finished(record)
    return record


def load_torch() -> None:
    """Imports what a training needs, with the garbage collector off, if that has not been done.

    Importing makes a million objects that stay. Looking through them for garbage again and again, and once more at the
    end of the process, takes a third of the time that importing torch and Lightning takes in all. To freeze them again
    before a later training would keep the garbage of earlier ones for ever.
    """
    if "expkit.engines.lightning" in sys.modules:
        return
    if "OMP_WAIT_POLICY" not in os.environ:
        # Threads of GNU's OpenMP wait for the next step in a loop, for many milliseconds. Where another process wants
        # the core, a step then takes ten to a hundred times as long; after this many turns the thread sleeps instead.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    keep_freed_memory()
    gc.disable()
    try:
        import expkit.engines.lightning  # noqa: F401
    finally:
        gc.freeze()
        gc.enable()


def prepare(
    config: Mapping[str, Any], record: Record, log: MetricLog, warn: Callable[[str], None] = logging.warning
) -> Training:
    """Builds everything that a training needs, from checked configuration, and makes sure that it fits together."""
    from expkit.engines.training import Training

    data: TensorData = build(config["data"], "data")
    data.setup()
    task = prepare_task(config)
    task.check(data.splits["train"])
    return Training(
        task=task,
        data=data,
        seed=config["seed"],
        log=log,
        folder=record.folder,
        callbacks=build_callbacks(config),
        resume=_resume(record, log, warn),
        rank_command=(sys.executable, "-m", "expkit.rank", str(record.folder)),
    )


def build_callbacks(config: Mapping[str, Any]) -> list[Callback]:
    """The callbacks and probes of one run, which keep what they have seen of it."""
    return [
        build(node, f"{group}.{name}")
        for group in ("callbacks", "probes")
        for name, node in (config[group] or {}).items()
    ]


def prepare_task(config: Mapping[str, Any]) -> Any:
    """The task with its model at initialization, after all transforms; a `Computation` where nothing is trained."""
    from expkit.seeding import stream
    from expkit.tasks.computation import Computation

    with stream(config["seed"], "initialization"):
        model = build(config["model"], "model") if config["model"] else None
        for name, node in (config.get("transforms") or {}).items():
            model = build(node, f"transforms.{name}", model=model)
        task = build(config["task"], "task", model=model)
    if isinstance(task, Computation):
        return task
    task.optimizer_factory = factory(config["optimizer"], "optimizer", "params")
    if config["scheduler"]:
        task.scheduler_factory = factory(config["scheduler"], "scheduler", "optimizer")
    return task


def tell_damage(record: Record, observer: Observer) -> None:
    """Says so where a record that is about to be written anew was there, but not whole."""
    if (record.folder / "status.json").exists() and record.state == "damaged":
        observer.warn(f"{record.status['error']['message']}; the run is done again")


def can_go_on(record: Record) -> bool:
    """Whether there is a checkpoint to go on from; a fused run leaves one, too, but of its weights at the end alone."""
    try:
        return record.checkpoint.exists() and "optimizer_states" in read_checkpoint(record.checkpoint)
    except UserError:
        return False


def _resume(record: Record, log: MetricLog, warn: Callable[[str], None]) -> Path | None:
    """The checkpoint of an interrupted run, with the metrics up to it taken up; None to start from the beginning."""
    if not record.checkpoint.exists():
        return None
    try:
        saved = read_checkpoint(record.checkpoint)
    except UserError as error:
        warn(f"{error.message} The run starts from the beginning.")
        return None
    if "optimizer_states" not in saved:  # the weights at the end of a fused run, whose record was damaged since
        return None
    if not log.resume(saved["global_step"]):
        warn(f"The metrics in {record.metrics_file} are missing or damaged. The run starts from the beginning.")
        return None
    return record.checkpoint


def _in_background(function: Any) -> Future[Any]:
    pool = ThreadPoolExecutor(max_workers=1)
    future = pool.submit(function)
    pool.shutdown(wait=False)
    return future


def engine_name(config: Mapping[str, Any]) -> str:
    """What carries out a run that is run by itself, such as 'lightning': the module of its engine."""
    return str(config["trainer"]["_target_"]).rpartition(".")[0].rpartition(".")[2]


def torch_facts() -> dict[str, Any]:
    import torch

    return {
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
    }
