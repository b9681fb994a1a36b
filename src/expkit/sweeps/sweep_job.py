"""What Hydra's sweepers and launchers are given to call: the runs of one sweep, one by one or many at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit import compose
from expkit.compose import Composed
from expkit.errors import ConfigError, UserError
from expkit.identity import run_ids
from expkit.outcome import Failure, Outcome
from expkit.records.foreign import is_forged
from expkit.records.record import FINISHED
from expkit.records.store import Store
from expkit.run_loggers import WANDB
from expkit.sweeps.executors.base import Executor, Inline
from expkit.sweeps.jobs import Composer
from expkit.sweeps.sweep import FOLDER, Entry, Sweep, defining, sweep_id, varied
from expkit.views import text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from omegaconf import DictConfig

    from expkit.sweeps.events import Following
    from expkit.sweeps.work import Job
    from expkit.views.sweep import SweepView

DENSE_OVER = 10_000
"""Sweeps of more runs than that are recorded as one table, unless the user says otherwise."""
LOOKED_AT = 100
"""Jobs with an error that are composed by themselves, to tell where it is."""


@dataclass(frozen=True)
class Flags:
    """What the command line says about all runs of a sweep."""

    force: bool = False
    debug: bool = False
    quiet: bool = False
    patience: float = 0.0  # seconds to wait for another process that works on the sweep


class SweepJob:
    """The task function of a sweep. Called for one run, it can be sent to another process.

    Args:
        given: the overrides of the command, as the user gave them.
        flags: of the command.
    """

    def __init__(self, given: Sequence[str], flags: Flags) -> None:
        self.flags = flags
        self.overrides = list(given)
        self.sweep: Sweep | None = None
        self.expected: int | None = None  # runs in all, where the sweeper knows
        self.outcomes: dict[int, Outcome] = {}
        self.composed: list[tuple[list[str], Composed | ConfigError]] = []  # each run's overrides, and what they make
        self._given = {override.lstrip("+~").partition("=")[0] for override in given}
        self._shared = set(compose.expand(given))  # what the whole sweep has in common, with what a scale stands for
        self._settings: Mapping[str, Any] = {}
        self._facts: dict[str, Any] = {}
        self._wandb: Mapping[str, Any] | None = None  # settings of W&B, where it is told of the sweep only
        self._view: SweepView | None = None
        self._following: Following | None = None
        self._open = ExitStack()

    @cached_property
    def _composer(self) -> Composer:
        return Composer()

    @property
    def sweep_folder(self) -> Path | None:
        """Where a sweeper may keep what it has to remember."""
        return self.sweep.folder if self.sweep else None

    def open(self, config: DictConfig) -> None:
        """Opens the sweep that Hydra composed; only one process can have it open.

        Raises:
            ConfigError, UserError: it cannot be opened.
        """
        from omegaconf import OmegaConf

        settings: Any = OmegaConf.to_container(config.sweep, resolve=True)
        compose.check_sweep(settings)
        choices = config.hydra.runtime.choices
        name = config.name or choices.get("experiment") or f"{choices['data']}-{choices['model']}"
        self._settings = settings
        self._facts = {
            "experiment": str(name),
            "overrides": self.overrides,
            "launcher": choices.get("hydra/launcher"),
            "sweeper": choices.get("hydra/sweeper"),
            "cwd": str(Path.cwd()),
        }
        self.sweep = Sweep(Path(config.paths.runs) / FOLDER / (settings["name"] or sweep_id(name, self.overrides)))
        self._open.enter_context(self.sweep.claim(self.flags.patience))

    def __enter__(self) -> SweepJob:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Closes the sweep, and writes down how it ended."""
        if self.sweep is not None and self._view is not None:
            states = [outcome.state for outcome in self.outcomes.values()]
            waiting = len(self.sweep.entries) - len(states)
            state = "failed" if error or any(state not in (*FINISHED, "pruned") for state in states) else "complete"
            if waiting > 0 or isinstance(error, KeyboardInterrupt):
                state = "interrupted"
            else:
                self._show(state)
            self.sweep.finish(state, counts={name: states.count(name) for name in dict.fromkeys(states)})
        self._open.close()

    def _show(self, state: str) -> None:
        """What is to be seen of the sweep as a whole, now that it has ended."""
        assert self.sweep is not None
        assert self._view is not None
        if self._wandb is not None:
            from expkit.sweeps.in_wandb import log_sweep

            log_sweep(self.sweep, self._wandb, state, self._settings["figure"], self._view.note)
        elif (self.sweep.folder / "columns").exists():
            from expkit.sweeps.figure import draw_sweep

            path = draw_sweep(self.sweep, self._settings["figure"])
            if path:
                self._view.say(f"picture: {text.short_path(path)}")

    def _begin(self) -> SweepView:
        """Runs are about to start."""
        if self._view is None:
            from expkit import views
            from expkit.sweeps.events import Following

            assert self.sweep is not None
            self.sweep.begin(**self._facts)
            self._view = views.many_runs(self.sweep.runs, self.flags.quiet)
            self._open.callback(self._view.close)
            self._following = self._open.enter_context(Following(self.sweep.events, self._view.hear))
        return self._view

    def define(self, jobs: Sequence[Sequence[str]]) -> None:
        """All jobs of the sweep, before the first of them is launched.

        Raises:
            ConfigError: Hydra cannot compose one of them (a value that is wrong fails its own job only), or the sweep
                that has this name is another one.
        """
        own = [self._own(overrides) for overrides in jobs]
        self.expected = len(own)
        wrong = [job for job in own if isinstance(self._composer.composed(job), ConfigError)]
        for overrides in wrong[:LOOKED_AT]:
            compose.load(overrides)
        assert self.sweep is not None
        changed = self.sweep.define([defining(job) for job in own], named=bool(self._settings["name"]))
        if changed:
            self._begin().note(f"{self.sweep.id}: {changed}.")

    def say(self, message: str) -> None:
        """Tells the user something, after what has happened so far, if the output is meant for a person."""
        view = self._begin()
        if self._following is not None:
            self._following.catch_up()
        view.say(message)

    def __call__(self, config: DictConfig) -> Outcome:
        """One run, from what Hydra composed for it: for launchers that know nothing of sweeps."""
        from hydra.core.hydra_config import HydraConfig

        from expkit.run import run
        from expkit.views.sweep import RunOfSweep

        hydra = HydraConfig.get()
        own = self._own(hydra.overrides.task)
        view = RunOfSweep(hydra.job.num, [o for o in own if o not in self._shared] or own, self.flags.quiet)
        try:
            record = run(compose.resolve(config, hydra.runtime.choices, own), view, self.flags.force)
            outcome = Outcome(record, None, own)
        except Exception as error:
            if self.flags.debug and not isinstance(error, UserError):
                raise
            outcome = Outcome(view.record, Failure.of(error), own)
            view.failed(outcome)
        if outcome.state == "interrupted":  # whoever stops a run of a sweep wants the sweep to stop
            raise KeyboardInterrupt
        self.outcomes[hydra.job.num] = outcome
        return outcome

    def __getstate__(self) -> dict[str, Any]:
        kept = {key: value for key, value in self.__dict__.items() if key != "_composer"}
        return {
            **kept,
            "sweep": None,
            "_view": None,
            "_following": None,
            "_open": ExitStack(),
            "outcomes": {},
            "composed": [],
        }

    def many(
        self,
        jobs: Sequence[Sequence[str]],
        first: int,
        executor: Executor | None = None,
        fuse: bool = True,
        alone: Executor | None = None,
    ) -> list[Outcome]:
        """Many runs at once.

        Args:
            jobs: the overrides of each.
            first: the number of the first, as Hydra counts; a sweep that is taken up again has its own numbers.
            executor: where they are done; by default here.
            fuse: train those that differ only in numbers as one program.
            alone: where runs are done that cannot be fused; by default where the others are.
        """
        assert self.sweep is not None
        view = self._begin()
        own = [self._own(overrides) for overrides in jobs]
        named = [tuple(defining(job)) for job in own]
        numbers = self.sweep.number(named)
        composed = [self._composer.composed(job) for job in own]
        differing = varied(own)
        view.add({n: "  ".join(_label(job, differing)) for n, job in zip(numbers, own, strict=True)})
        for number, job, one in zip(numbers, own, composed, strict=True):
            if isinstance(one, ConfigError):
                self.outcomes[number] = Outcome(None, Failure.of(one), job)
                self._fail(number, self.outcomes[number])
        ids = self._identified(numbers, composed)
        good = self._good(numbers, composed)
        if self._is_dense(len(jobs)):
            self._run_dense(good, ids, executor or Inline())
            return [self.outcomes.get(n) or Outcome(None, None, job) for n, job in zip(numbers, own, strict=True)]
        self.composed += zip(own, composed, strict=True)
        changed = self.sweep.add([Entry(n, job, ids.get(n)) for n, job in zip(numbers, named, strict=True)])
        if changed:
            view.note(f"{changed} runs have other code or settings than when the sweep was run before.")
        if todo := self._not_cached(good, ids):
            doing = {job.number for job in todo}
            self._run(todo, [job for job in good if job.number not in doing], executor or Inline(), fuse, alone)
        return [self.outcomes.get(n) or Outcome(None, None, job) for n, job in zip(numbers, own, strict=True)]

    def _run(
        self, jobs: Sequence[Job], done: Sequence[Job], executor: Executor, fuse: bool, alone: Executor | None
    ) -> None:
        from expkit.sweeps.scheduler import Scheduler
        from expkit.sweeps.work import Stacks, Worker

        assert self.sweep is not None
        assert self._view is not None
        worker = Worker(
            self.sweep.events,
            Stacks(self.sweep.folder / "stacks"),
            self.flags.force,
            int(self._settings["retries"]),
            self.flags.debug,
        )
        scheduler = Scheduler(
            executor,
            worker,
            note=self._view.note,
            failed=lambda job, outcome: self._fail(job.number, outcome),
            alone=alone,
            fuse=fuse,
            max_failures=self._settings["max_failures"],
            done=done,
            outcomes=self.outcomes,
        )
        scheduler.run(jobs)

    def _is_dense(self, runs: int) -> bool:
        dense = self._settings["dense"]
        return bool(dense) if dense is not None else max(self.expected or 0, runs) > DENSE_OVER

    def _run_dense(self, jobs: Sequence[Job], runs: Mapping[int, str], executor: Executor) -> None:
        from expkit.sweeps.dense import row_records, run_dense

        assert self.sweep is not None
        assert self._view is not None
        before = {} if self.flags.force else row_records(self.sweep)
        self._view.cached(sum(f"{row.experiment}/{row.run_id}" == runs.get(n) for n, row in before.items()))
        run_dense(self.sweep, jobs, runs, executor, self._view.note, self.flags.force)
        for number, row in row_records(self.sweep).items():
            self.outcomes[number] = Outcome(row, None, list(row.overrides))

    def _good(self, numbers: Sequence[int], composed: Sequence[Composed | ConfigError]) -> list[Job]:
        """The jobs that can be run, with their loggers as they are in a sweep."""
        from expkit.sweeps.work import Job

        assert self.sweep is not None
        each = max(self.expected or 0, len(numbers)) <= self._settings["wandb_runs"]
        loggers: dict[int, dict[str, Any]] = {}  # by the id of what it is made from: jobs share it
        jobs = []
        for number, one in zip(numbers, composed, strict=True):
            if isinstance(one, Composed):
                given = one.config["logger"] or {}
                if id(given) not in loggers:
                    loggers[id(given)] = _loggers(given, one.name, self.sweep.id, each)
                    if not each:
                        self._wandb = next((n for n in given.values() if n.get("_target_") == WANDB), self._wandb)
                config = {**one.config, "logger": loggers[id(given)]}
                jobs.append(Job(number, replace(one, config=config)))
        return jobs

    def _identified(self, numbers: Sequence[int], composed: Sequence[Composed | ConfigError]) -> dict[int, str]:
        good = [(number, one) for number, one in zip(numbers, composed, strict=True) if isinstance(one, Composed)]
        ids = run_ids([one.config for _, one in good])
        return {number: f"{one.name}/{own}" for (number, one), own in zip(good, ids, strict=True)}

    def _not_cached(self, jobs: Sequence[Job], ids: Mapping[int, str]) -> list[Job]:
        """The jobs whose runs are not done yet; of a population, all if one is not."""
        assert self._view is not None
        todo = []
        for job in jobs:
            experiment, _, own = ids[job.number].rpartition("/")
            record = Store(job.composed.config["paths"]["runs"]).record(experiment, own)
            if not self.flags.force and record.is_finished and not is_forged(record, job.composed.config):
                self.outcomes[job.number] = Outcome(record, None, job.composed.overrides)
            else:
                todo.append(job)
        if todo and jobs[0].composed.config.get("population"):
            todo = list(jobs)
        self._view.cached(len(jobs) - len(todo))
        return todo

    def _fail(self, number: int, outcome: Outcome) -> None:
        assert self._view is not None
        self._view.hear({"kind": "run", "number": number, "state": "failed", "error": outcome.message})

    def _own(self, overrides: Sequence[str]) -> list[str]:
        """A job's overrides without those that a scale stands for, unless they were given as well."""
        return [o for o in overrides if o.partition("=")[0] in self._given or o not in self._shared]


def _label(job: Sequence[str], differing: Collection[str]) -> list[str]:
    """What tells a job from the others."""
    return [o for o in job if o in differing and not o.startswith("sweep.trial.")] or list(job)


def _loggers(given: Mapping[str, Any], name: str, sweep: str, each: bool) -> dict[str, Any]:
    """A run's loggers within a sweep: W&B shows its runs together, or, where they are too many, the sweep alone."""
    loggers = {}
    for key, node in given.items():
        if node.get("_target_") != WANDB:
            loggers[key] = node
        elif each:
            loggers[key] = {**node, "group": sweep if node.get("group") in (None, name) else node["group"]}
    return loggers
