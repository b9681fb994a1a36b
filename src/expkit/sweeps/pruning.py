"""Stopping a search's bad trials early: the pruner of a study, and what a training asks at its evaluation points."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.errors import ConfigError, UserError, did_you_mean

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.storages import RDBStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

STUDY = "study"  # its name in the database
SEARCH = "search"  # the study's attribute that says what is searched, and how
BUSY_SECONDS = 120  # other processes of the search write to the database, too

PRUNERS = {
    "none": "NopPruner",
    "median": "MedianPruner",
    "asha": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
}
"""The class in `optuna.pruners`, by the name in `hydra.sweeper.pruner`."""


def reporter(config: Mapping[str, Any]) -> Callable[[int, Mapping[str, float]], bool] | None:
    """What a training asks at its evaluation points whether to stop; None for one that is no trial of a search."""
    trial = (config.get("sweep") or {}).get("trial") or {}
    return TrialReporter(**trial) if trial.get("storage") else None


class TrialReporter:
    """Tells the study a trial's intermediate values, and says whether the trial is to be stopped.

    The value at step 0 is that of the initialization; it is not told, for trials are not to be judged by it.

    Args:
        storage: the study's SQLite file.
        number: of the trial.
        monitor: the metric that the search is about.

    Raises:
        UserError: there is no such study or trial.
    """

    def __init__(self, storage: str, number: int, monitor: str) -> None:
        self.number = number
        self.monitor = monitor
        self._board = _board(str(storage), os.getpid())
        self._open = not self._board.trial(number).state.is_finished()

    def __call__(self, step: int, metrics: Mapping[str, float]) -> bool:
        """
        Args:
            step: of the training; ascending.
            metrics: measured at this step.

        Raises:
            ConfigError: the metric is not among them.
        """
        if self.monitor not in metrics:
            raise no_such_metric(self.monitor, metrics)
        if step == 0 or not self._open:  # a finished trial's run that is run again is nobody's trial
            return False
        return self._board.report(self.number, step, metrics[self.monitor])


class _Board:
    """A study as this process's trials see it.

    Optuna's own `Trial.should_prune` reads all unfinished trials anew for every one that asks, so that the time of an
    evaluation of R runs grows with R squared. Here they are read once for each evaluation, and then only the trial
    that has changed.
    """

    def __init__(self, path: str) -> None:
        from optuna.samplers import RandomSampler
        from optuna.study import Study

        board = self

        class Seen(Study):
            """What pruners look at."""

            def get_trials(self, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
                return [trial for trial in board.trials.values() if states is None or trial.state in states]

        if not Path(path).exists():
            raise UserError(
                f"sweep.trial.storage={path}: there is no such file.", "hydra/sweeper=optuna sets this key."
            )
        self.storage = open_storage(Path(path), check=False)
        self.study: Study = Seen(STUDY, self.storage, sampler=RandomSampler())
        settings = self.study.user_attrs[SEARCH]
        self.study.pruner = build_pruner(settings["pruner"], settings["pruner_options"])
        self.trials: dict[int, FrozenTrial] = {}
        self._reported: set[int] = set()

    def trial(self, number: int) -> FrozenTrial:
        if number not in self.trials:
            self._read()
        if number not in self.trials:
            raise UserError(
                f"sweep.trial.number={number}: the search has no such trial.", "hydra/sweeper=optuna sets this key."
            )
        return self.trials[number]

    def report(self, number: int, step: int, value: float) -> bool:
        """Tells the value, and asks the pruner."""
        if number in self._reported:  # it reports again, so this is another evaluation
            self._read()
        self._reported.add(number)
        trial = self.trial(number)
        if step not in trial.intermediate_values:  # a run that is taken up again makes some steps again
            self.storage.set_trial_intermediate_value(trial._trial_id, step, value)
        prunes = self.study.pruner.prune(self.study, self._refresh(trial))
        self._refresh(trial)  # successive halving keeps the rungs that a trial has reached in the trial
        return prunes

    def _read(self) -> None:
        trials = self.storage.get_all_trials(self.study._study_id, deepcopy=False)
        self.trials = {trial.number: trial for trial in trials}
        self._reported.clear()

    def _refresh(self, trial: FrozenTrial) -> FrozenTrial:
        self.trials[trial.number] = self.storage.get_trial(trial._trial_id)
        return self.trials[trial.number]


@lru_cache(maxsize=1)
def _board(path: str, process: int) -> _Board:
    return _Board(path)


def forget() -> None:
    """A study that was read before is read anew."""
    _board.cache_clear()


def open_storage(path: Path, check: bool = True) -> RDBStorage:
    """The database of a study.

    Args:
        path: of the file.
        check: whether it is made if it is missing, and made sure to be of a version that this Optuna reads; takes half
            a second.
    """
    from optuna import logging
    from optuna.storages import RDBStorage
    from sqlalchemy import event

    logging.set_verbosity(logging.ERROR)
    storage = RDBStorage(
        f"sqlite:///{path}",
        engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}},
        skip_compatibility_check=not check,
        skip_table_creation=not check,
    )
    event.listen(storage.engine, "connect", _do_not_wait_for_the_disk)
    storage.engine.dispose()  # the connection that is open already
    return storage


def _do_not_wait_for_the_disk(connection: Any, record: Any) -> None:
    """A killed process loses nothing by this. A power cut can, but then a search from the start proposes the same
    trials, whose runs are recorded; and a trial costs a dozen commits, which otherwise take 0.1 s.
    """
    connection.execute("PRAGMA synchronous=OFF")


def build_pruner(name: str, options: Mapping[str, Any]) -> BasePruner:
    """
    Raises:
        ConfigError: there is no such pruner, or it takes no such options.
    """
    from optuna import pruners

    if name not in PRUNERS:
        raise ConfigError(f"hydra.sweeper.pruner={name}: there is no such pruner.", did_you_mean(name, PRUNERS))
    try:
        pruner: BasePruner = getattr(pruners, PRUNERS[name])(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"hydra.sweeper.pruner_options: optuna.pruners.{PRUNERS[name]} does not take them: {error}."
        ) from error
    return pruner


def no_such_metric(monitor: str, metrics: Iterable[str]) -> ConfigError:
    known = [name for name in metrics if name != "step"]
    return ConfigError(f"hydra.sweeper.monitor={monitor}: there is no such metric.", did_you_mean(monitor, known))
