"""`hydra/launcher=ray`: the runs of a sweep as tasks on a Ray cluster."""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore

from expkit.sweeps.executors.base import Executor
from expkit.sweeps.executors.ray import RayCluster
from hydra_plugins.expkit_plugins.launcher import SweepLauncher


class RayLauncher(SweepLauncher):
    """Each task fuses what it is given, where that can be fused."""

    def __init__(
        self,
        address: str | None = None,
        cpus_per_worker: float = 1.0,
        gpus_per_worker: float = 0.0,
        max_in_flight: int | None = None,
    ) -> None:
        super().__init__()
        self._settings = (address, cpus_per_worker, gpus_per_worker, max_in_flight)

    def executor(self) -> Executor:
        return RayCluster(*self._settings)


@dataclass
class RayLauncherConf:
    """See `expkit.sweeps.executors.ray.RayCluster`."""

    _target_: str = "hydra_plugins.expkit_plugins.ray.RayLauncher"
    address: str | None = None
    cpus_per_worker: float = 1.0
    gpus_per_worker: float = 0.0
    max_in_flight: int | None = None


ConfigStore.instance().store(group="hydra/launcher", name="ray", node=RayLauncherConf, provider="expkit")
