"""`hydra/launcher=auto`: what can be fused trains as one program in this process, the rest in several processes."""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore

from expkit.sweeps.executors.base import Executor, Inline
from expkit.sweeps.executors.processes import Processes
from hydra_plugins.expkit_plugins.launcher import SweepLauncher


class AutoLauncher(SweepLauncher):
    """A fused program uses all cores or the GPU by itself; runs that are not fused rarely do."""

    def __init__(self, n_jobs: int = -1, threads: int | None = None) -> None:
        super().__init__()
        self._settings = (n_jobs, threads)

    def executor(self) -> Executor:
        return Inline()

    def alone(self) -> Executor:
        return Processes(*self._settings)


@dataclass
class AutoLauncherConf:
    """See `expkit.sweeps.executors.processes.Processes`, which has the runs that are not fused."""

    _target_: str = "hydra_plugins.expkit_plugins.auto.AutoLauncher"
    n_jobs: int = -1
    threads: int | None = None


ConfigStore.instance().store(group="hydra/launcher", name="auto", node=AutoLauncherConf, provider="expkit")
