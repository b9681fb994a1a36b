"""What expkit's launchers share: the runs of a sweep go to an executor."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, log, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from expkit.sweeps.executors.base import Executor, Inline, WorkerLostError


class SweepLauncher(BasicLauncher):
    """Hands all jobs at once to a task function that can take them, and each by itself to one that cannot.

    The former has `many(jobs, first, executor, fuse, alone)`: `executor` is where work is done, `fuse` whether runs may
    train as one program, and `alone` where those go that do not (None: to `executor`, too).
    """

    fuse = True

    @abstractmethod
    def executor(self) -> Executor:
        """Where work is done."""

    def alone(self) -> Executor | None:
        """Where runs go that cannot be fused, if elsewhere."""
        return None

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        executor = self.executor()
        many = getattr(self.task_function, "many", None)
        if many is None:
            if isinstance(executor, Inline):
                return super().launch(job_overrides, initial_job_idx)
            return self._launch_each(executor, job_overrides, initial_job_idx)
        jobs = [list(overrides) for overrides in job_overrides]
        outcomes = many(jobs, initial_job_idx, executor=executor, fuse=self.fuse, alone=self.alone())
        return [
            JobReturn(overrides=overrides, status=JobStatus.COMPLETED, _return_value=outcome)
            for overrides, outcome in zip(jobs, outcomes, strict=True)
        ]

    def _launch_each(self, executor: Executor, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        """What Hydra's own launcher does, with the jobs in the executor's workers."""
        assert self.hydra_context is not None
        assert self.config is not None
        assert self.task_function is not None
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        log.info(f"Launching {len(job_overrides)} jobs, {executor.workers} at a time")
        configs = []
        for number, overrides in enumerate(job_overrides, start=first):
            log.info(f"\t#{number} : {' '.join(filter_overrides(overrides))}")
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.id = number
                config.hydra.job.num = number
            configs.append(config)
        job = HydraJob(self.hydra_context, self.task_function, Singleton.get_state())
        returns: dict[int, JobReturn] = {}
        for place, came in executor.run(job, configs):
            if isinstance(came, WorkerLostError):
                lost = JobReturn(overrides=list(job_overrides[place]), cfg=configs[place], status=JobStatus.FAILED)
                lost.return_value = came
                returns[place] = lost
            else:
                returns[place] = came
        return [returns[place] for place in range(len(configs))]


@dataclass(frozen=True)
class HydraJob:
    """Runs one job of any Hydra application, from its composed configuration; can be sent to another process."""

    hydra_context: HydraContext
    task_function: TaskFunction
    singletons: Any

    def __call__(self, config: DictConfig) -> JobReturn:
        setup_globals()
        Singleton.set_state(self.singletons)
        HydraConfig.instance().set_config(config)
        return run_job(
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
