"""`hydra/sweeper=optuna`: trials that Optuna proposes, in batches that the launcher runs at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class OptunaSweeper(Sweeper):
    """Searches for the overrides with the best metric.

    The study is a file `optuna.db` in the sweep's folder: the same command again goes on with it.

    Args: as conf/hydra/sweeper/optuna.yaml says.
    """

    def __init__(
        self,
        n_trials: int | None = None,
        batch: int = 16,
        monitor: Any = None,
        direction: Any = "minimize",
        at: str = "last",
        sampler: str = "tpe",
        sampler_options: Any = None,
        seed: int | None = 0,
        pruner: str = "none",
        pruner_options: Any = None,
        params: Any = None,
    ) -> None:
        self.n_trials = n_trials
        self.batch = batch
        self.params = _plain(params) or {}
        self.settings: dict[str, Any] = {
            "monitor": _listed(monitor),
            "direction": _listed(direction),
            "at": at,
            "sampler": sampler,
            "sampler_options": _plain(sampler_options) or {},
            "seed": seed,
            "pruner": pruner,
            "pruner_options": _plain(pruner_options) or {},
        }

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        assert self.hydra_context is not None
        _require_optuna()
        from expkit.sweeps.search import Search, Settings, claim
        from expkit.sweeps.search_space import search_space
        from expkit.sweeps.trial_results import is_decided

        settings = Settings(**self.settings)
        settings.check()
        self._check_task()
        space = search_space(self.params, arguments, self.hydra_context.config_loader)
        with claim(self.folder):
            search = Search(self.folder, settings, space, self.n_trials, self.batch)
            returned: list[Sequence[JobReturn]] = []
            for batch in search:
                jobs = self._run(search, batch)
                returned.append(jobs)
                if not all(is_decided(job.return_value) for job in jobs):  # the sweep has been given up
                    break
            self._conclude(search)
        return returned

    @property
    def folder(self) -> Path:
        """The sweep's."""
        return Path(getattr(self.task_function, "sweep_folder", None) or self._composed.hydra.sweep.dir)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Refuses what Hydra cannot compose. Of expkit's runs, one with a value that is wrong fails by itself."""
        if not self._trains:
            super().validate_batch_is_legal(batch)
            return
        from expkit.compose import load
        from expkit.errors import ConfigError
        from expkit.sweeps.jobs import compose_jobs

        for job, composed in zip(batch, compose_jobs([], batch), strict=True):
            if isinstance(composed, ConfigError):
                load(job)

    def _run(self, search: Any, batch: Sequence[Any]) -> list[JobReturn]:
        """Runs a batch, and tells the study of every trial, before whatever went wrong is raised."""
        from expkit.sweeps.trial_results import tell

        assert self.launcher is not None
        jobs = {trial.number: [*trial.overrides, *self._reporting(search, trial.number)] for trial in batch}
        self.validate_batch_is_legal(list(jobs.values()))
        returned: list[JobReturn] = []
        for _, run in groupby(enumerate(jobs), lambda place: place[1] - place[0]):  # numbers without a gap
            numbers = [number for _, number in run]
            returned += self.launcher.launch([jobs[number] for number in numbers], initial_job_idx=numbers[0])
        problem: Exception | None = None
        for trial, job in zip(batch, returned, strict=True):
            try:
                value = job.return_value
            except Exception as error:  # of a task function that is not expkit's
                search.fail(trial)
                problem = problem or error
                continue
            tell(search, trial, value)
        if problem is not None:
            raise problem
        return returned

    @property
    def _trains(self) -> bool:
        """Whether the task function is expkit's."""
        return hasattr(self.task_function, "many")

    def _reporting(self, search: Any, number: int) -> list[str]:
        """The overrides that tell trials with the same values apart, and by which a training asks whether to stop."""
        from hydra.core.override_parser.types import Quote, QuotedString

        if OmegaConf.select(self._composed, "sweep.trial") is None:
            return []
        overrides = [f"sweep.trial.number={number}"]
        if search.settings.pruner != "none":
            for key, value in (("storage", str(search.file)), ("monitor", search.settings.monitor[0])):
                overrides.append(f"sweep.trial.{key}={QuotedString(value, Quote.single).with_quotes()}")
        return overrides

    @property
    def _composed(self) -> DictConfig:
        assert self.config is not None
        return self.config

    def _check_task(self) -> None:
        """
        Raises:
            ConfigError: the task function is not one that can be searched like this.
        """
        from expkit.errors import ConfigError

        if self._trains and not self.settings["monitor"]:
            raise ConfigError("A search needs a metric to improve.", "For instance hydra.sweeper.monitor=test/loss.")
        if self.settings["pruner"] != "none" and OmegaConf.select(self._composed, "sweep.trial") is None:
            raise ConfigError(
                f"hydra.sweeper.pruner={self.settings['pruner']}: this application's runs do not ask whether to stop."
            )

    def _conclude(self, search: Any) -> None:
        """Writes the best down, as Hydra's own sweepers do, and shows it where that is not in the way."""
        from expkit.views.search import results, show

        OmegaConf.save(OmegaConf.create(results(search)), self.folder / "optimization_results.yaml")
        if not getattr(getattr(self.task_function, "flags", None), "quiet", False):
            show(search)


def _require_optuna() -> None:
    from importlib.util import find_spec

    from expkit.errors import UserError

    if find_spec("optuna") is None:
        raise UserError("hydra/sweeper=optuna needs Optuna, which is not installed.", "pip install 'expkit[optuna]'")


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _listed(value: Any) -> list[str]:
    value = _plain(value)
    return [] if value is None else value if isinstance(value, list) else [value]


@dataclass
class OptunaSweeperConf:
    """What each key means is said in expkit's conf/hydra/sweeper/optuna.yaml."""

    _target_: str = "hydra_plugins.expkit_plugins.optuna.OptunaSweeper"
    n_trials: int | None = None
    batch: int = 16
    monitor: Any = None
    direction: Any = "minimize"
    at: str = "last"
    sampler: str = "tpe"
    sampler_options: dict[str, Any] = field(default_factory=dict)
    seed: int | None = 0
    pruner: str = "none"
    pruner_options: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)


# Other Hydra applications find the sweeper here; expkit's own configs have it as a file.
ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=OptunaSweeperConf, provider="expkit")
