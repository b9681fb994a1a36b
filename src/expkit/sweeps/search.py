"""An Optuna study that a sweep works through in batches, and that can be killed at any instant and taken up again."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from expkit.errors import ConfigError, UserError, did_you_mean
from expkit.identity import NOT_HASHED
from expkit.sweeps.pruning import SEARCH, STUDY, build_pruner, forget, open_storage
from expkit.sweeps.search_space import SearchSpace

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as Asked

FILE = "optuna.db"
RUN = "run"  # a trial's attribute: its run's id
FALLBACK_TRIALS = 64

SAMPLERS = {
    "tpe": "TPESampler",
    "cmaes": "CmaEsSampler",
    "random": "RandomSampler",
    "grid": "GridSampler",
    "nsgaii": "NSGAIISampler",
}
"""The class in `optuna.samplers`, by the name in `hydra.sweeper.sampler`."""


@dataclass(frozen=True)
class Settings:
    """How to search; as in conf/hydra/sweeper/optuna.yaml."""

    monitor: list[str]
    direction: list[str]
    sampler: str = "tpe"
    sampler_options: dict[str, Any] = field(default_factory=dict)
    seed: int | None = 0
    pruner: str = "none"
    pruner_options: dict[str, Any] = field(default_factory=dict)
    at: str = "last"

    def check(self) -> None:
        """
        Raises:
            ConfigError: it cannot be searched like this.
        """
        for direction in self.direction:
            if direction not in ("minimize", "maximize"):
                raise ConfigError(f"hydra.sweeper.direction={direction}: it is minimize or maximize.")
        if self.monitor and len(self.monitor) != len(self.direction):
            raise ConfigError(
                f"hydra.sweeper.monitor names {len(self.monitor)} metrics, and hydra.sweeper.direction "
                f"has {len(self.direction)}: each metric has a direction of its own."
            )
        if self.at not in ("last", "best"):
            raise ConfigError(f"hydra.sweeper.at={self.at}: it is last or best.")
        if self.sampler not in SAMPLERS:
            raise ConfigError(
                f"hydra.sweeper.sampler={self.sampler}: there is no such sampler.", did_you_mean(self.sampler, SAMPLERS)
            )
        if self.sampler == "cmaes" and len(self.direction) > 1:
            raise ConfigError("CMA-ES has one metric to improve.", "Of several: hydra.sweeper.sampler=nsgaii, or tpe.")
        if self.sampler == "cmaes" and importlib.util.find_spec("cmaes") is None:
            raise UserError("The package cmaes is not installed.", "pip install 'expkit[optuna]'")
        if self.pruner != "none" and len(self.direction) > 1:
            raise ConfigError(
                f"hydra.sweeper.pruner={self.pruner}: with several metrics no trial is bad before its end, so none can "
                "be stopped early.",
                "Take hydra.sweeper.pruner=none, or one metric.",
            )
        build_pruner(self.pruner, self.pruner_options)


@dataclass(frozen=True)
class Trial:
    """One point of the search space that is to be run."""

    number: int
    overrides: list[str]


class Search:
    """The study in a sweep's folder.

    What is proposed depends on the sampler's seed, the number of the trial and the trials that are finished, and on
    nothing that is lost with a process: a search that was killed goes on as it would have gone.

    Args:
        folder: of the sweep; one process at a time may search in it.
        settings: checked.
        space: what is searched.
        n_trials: when the search is done; by default 64, and every point of a grid.
        batch: trials that are proposed without knowing of each other's results.

    Raises:
        ConfigError: the folder has a study of something else.
    """

    def __init__(
        self, folder: Path, settings: Settings, space: SearchSpace, n_trials: int | None = None, batch: int = 16
    ) -> None:
        self.settings = settings
        self.space = space
        self.batch = batch
        self.file = folder.absolute() / FILE
        self._grid = (
            {key: parameter.values() for key, parameter in space.parameters.items()}
            if settings.sampler == "grid"
            else None
        )
        points = None if self._grid is None else math.prod(map(len, self._grid.values()))
        self.n_trials = min(n for n in (n_trials or points or FALLBACK_TRIALS, points) if n is not None)
        self._sampler(0)  # says what it does not take before anything is written
        forget()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._storage = open_storage(self.file)
        self.study = self._open()

    def __iter__(self) -> Iterator[list[Trial]]:
        """Batches of trials, until enough are finished; every one has to be told before the next."""
        while batch := self._next():
            yield batch

    def complete(self, trial: Trial, values: Sequence[float], run: str | None = None) -> None:
        """The trial has these values.

        One that is not a number (a run that diverged) counts as the worst possible. Optuna's own answer to it, a
        failed trial, is not seen by samplers: of 48 trials with TPE for a learning rate between 1e-5 and 1e3, on a toy
        problem that diverges above 0.3, 28 diverged, against 16 (mean of 12 seeds).
        """
        worst = {"minimize": math.inf, "maximize": -math.inf}
        told = [
            worst[direction] if math.isnan(value) else float(value)
            for direction, value in zip(self.settings.direction, values, strict=True)
        ]
        self._tell(trial, "COMPLETE", told, run)

    def diverge(self, trial: Trial, run: str | None = None) -> None:
        """The trial's training has diverged."""
        self.complete(trial, [math.nan] * len(self.settings.direction), run)

    def prune(self, trial: Trial, run: str | None = None) -> None:
        """The trial was stopped early; its last intermediate value is known."""
        self._tell(trial, "PRUNED", None, run)

    def fail(self, trial: Trial, run: str | None = None) -> None:
        """Nothing is known of the trial."""
        self._tell(trial, "FAIL", None, run)

    def report(self, trial: Trial, values: Mapping[int, float]) -> None:
        """Adds the intermediate values, by step, of a trial that has told none: its run was complete before."""
        frozen = self.study.get_trials(deepcopy=False)[trial.number]
        if not frozen.intermediate_values:
            for step, value in values.items():
                self._storage.set_trial_intermediate_value(frozen._trial_id, step, value)

    @property
    def best(self) -> list[FrozenTrial]:
        """The best trial, or with several metrics the Pareto front by the first; none if none has a finite value."""
        if not _in_state(self.study, ["COMPLETE"]):
            return []
        best = [self.study.best_trial] if len(self.settings.direction) == 1 else self.study.best_trials
        return sorted(
            (trial for trial in best if all(map(math.isfinite, trial.values))), key=lambda trial: tuple(trial.values)
        )

    def overrides(self, trial: FrozenTrial) -> list[str]:
        return self.space.overrides(trial.params)

    @property
    def counts(self) -> dict[str, int]:
        """How many trials ended how."""
        words = {"COMPLETE": "complete", "PRUNED": "stopped early", "FAIL": "failed"}
        counts = {word: len(_in_state(self.study, [state])) for state, word in words.items()}
        return {word: count for word, count in counts.items() if count}

    def _next(self) -> list[Trial]:
        """Trials that a killed process has left first; then new ones, as far as the batch that it was at went."""
        from optuna.trial import Trial as Asked

        trials = self.study.get_trials(deepcopy=False)
        left = [trial for trial in trials if not trial.state.is_finished()]
        room = self.n_trials - (len(trials) - len(left))
        count = len(trials)
        batch: list[Trial] = []
        for trial in left[: max(room, 0)]:
            self.study.sampler = self._sampler(trial.number)
            batch.append(self._proposed(Asked(self.study, trial._trial_id)))
        while len(batch) < min(room, self.batch) and (not batch or count % self.batch):
            self.study.sampler = self._sampler(count)
            batch.append(self._proposed(self.study.ask()))
            count += 1
        return batch

    def _proposed(self, trial: Asked) -> Trial:
        values = {key: _suggest(trial, key, own) for key, own in self.space.distributions.items()}
        return Trial(trial.number, self.space.overrides(values))

    def _tell(self, trial: Trial, state: str, values: list[float] | None, run: str | None) -> None:
        from optuna.trial import TrialState

        if run is not None:
            frozen = self.study.get_trials(deepcopy=False)[trial.number]
            self._storage.set_trial_user_attr(frozen._trial_id, RUN, run)
        self.study.tell(trial.number, values, TrialState[state])

    def _open(self) -> Study:
        """The study of the folder, or a new one in place of one in which nothing was finished."""
        import optuna

        study = self._load()
        before = study.user_attrs.get(SEARCH)
        if before is not None and before != self._described():
            if any(trial.state.is_finished() for trial in study.get_trials(deepcopy=False)):
                raise self._other(before)
            optuna.delete_study(study_name=STUDY, storage=self._storage)
            study = self._load()
        study.set_user_attr(SEARCH, self._described())
        return study

    def _load(self) -> Study:
        import optuna
        from optuna.study import StudyDirection

        return optuna.create_study(
            study_name=STUDY,
            storage=self._storage,
            directions=[StudyDirection[direction.upper()] for direction in self.settings.direction],
            pruner=build_pruner(self.settings.pruner, self.settings.pruner_options),
            load_if_exists=True,
        )

    def _described(self) -> dict[str, Any]:
        """What makes it this study: another search space, or another base of all trials, is another study."""
        from optuna.distributions import distribution_to_json

        space = {key: json.loads(distribution_to_json(own)) for key, own in self.space.distributions.items()}
        ignored = (*NOT_HASHED, "hydra", "sweep")
        fixed = [o for o in self.space.fixed if re.split(r"[.=@/]", o.lstrip("+~"))[0] not in ignored]
        described: dict[str, Any] = json.loads(
            json.dumps({**asdict(self.settings), "search space": space, "overrides of all trials": sorted(fixed)})
        )
        return described

    def _other(self, before: Mapping[str, Any]) -> ConfigError:
        now = self._described()
        lines = [
            f"  {key}: {_short(before.get(key))} there, {_short(now.get(key))} here"
            for key in {**before, **now}
            if before.get(key) != now.get(key)
        ]
        return ConfigError(
            "\n".join([f"{self.file} has trials of another search:", *lines]),
            "Go on with the search as it was, or give this one another sweep.name, or delete that file.",
        )

    def _sampler(self, number: int) -> BaseSampler:
        """The sampler for one trial.

        Raises:
            ConfigError: it does not take its options.
        """
        from numpy.random import SeedSequence
        from optuna import samplers

        own = self.settings
        options = dict(own.sampler_options)
        if own.sampler == "grid":
            options |= {"search_space": self._grid, "seed": own.seed}
        else:
            options["seed"] = None if own.seed is None else int(SeedSequence([own.seed, number]).generate_state(1)[0])
        if own.sampler == "tpe":
            options = {"constant_liar": True, **options}  # trials of a batch keep away from each other
        kind = _Grid() if own.sampler == "grid" else getattr(samplers, SAMPLERS[own.sampler])
        try:
            sampler: BaseSampler = kind(**options)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"hydra.sweeper.sampler_options: optuna.samplers.{SAMPLERS[own.sampler]} does not take them: {error}."
            ) from error
        return sampler


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Makes this process the only one that searches in a folder.

    Raises:
        ConfigError: another one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f".{FILE}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(
            f"Another process is at this search ({folder.absolute() / FILE}).",
            "Wait for it, or give this search another folder (hydra.sweep.dir=DIR).",
        ) from error
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="optuna")  # of arguments that are experimental, among others
        try:
            yield
        finally:
            lock.release()


def _in_state(study: Study, states: Sequence[str]) -> list[FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in states]


def _suggest(trial: Asked, key: str, own: BaseDistribution) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(own, CategoricalDistribution):
        return trial.suggest_categorical(key, own.choices)
    if isinstance(own, IntDistribution):
        return trial.suggest_int(key, own.low, own.high, step=own.step, log=own.log)
    assert isinstance(own, FloatDistribution)
    return trial.suggest_float(key, own.low, own.high, step=own.step, log=own.log)


def _short(value: Any) -> str:
    """Of a search space only the ends or choices of each key."""
    if not isinstance(value, dict):
        return str(value)
    parts = {
        key: own["attributes"] if isinstance(own, dict) and "attributes" in own else own for key, own in value.items()
    }
    return json.dumps(parts)


def _Grid() -> Any:
    from optuna.samplers import GridSampler

    class Grid(GridSampler):
        """Optuna's stops the study after the last point, which only a study that calls the objective itself can do."""

        def after_trial(self, *arguments: Any) -> None:
            pass

    return Grid
