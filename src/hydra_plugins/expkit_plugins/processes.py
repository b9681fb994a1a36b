"""`hydra/launcher=processes`: the runs of a sweep in processes of this machine, one for each core or GPU."""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore

from expkit.sweeps.executors.base import Executor
from expkit.sweeps.executors.processes import Processes
from hydra_plugins.expkit_plugins.launcher import SweepLauncher


class ProcessesLauncher(SweepLauncher):
    """Each process fuses what it is given, where that can be fused."""

    def __init__(self, n_jobs: int = -1, threads: int | None = None) -> None:
        super().__init__()
        self._settings = (n_jobs, threads)

    def executor(self) -> Executor:
        return Processes(*self._settings)


@dataclass
class ProcessesLauncherConf:
    """See `expkit.sweeps.executors.processes.Processes`."""

    _target_: str = "hydra_plugins.expkit_plugins.processes.ProcessesLauncher"
    n_jobs: int = -1
    threads: int | None = None


ConfigStore.instance().store(group="hydra/launcher", name="processes", node=ProcessesLauncherConf, provider="expkit")
