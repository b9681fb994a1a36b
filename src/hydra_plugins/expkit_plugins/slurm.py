"""`hydra/launcher=slurm`: the runs of a sweep as tasks of a Slurm array."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from expkit.sweeps.executors.base import Executor
from expkit.sweeps.executors.slurm import Slurm
from hydra_plugins.expkit_plugins.launcher import SweepLauncher


class SlurmLauncher(SweepLauncher):
    """Each task fuses what it is given, where that can be fused."""

    def __init__(self, additional_parameters: Any = None, **settings: Any) -> None:
        super().__init__()
        # Hydra gives mappings as its own kind, which submitit does not take.
        additional = OmegaConf.to_container(OmegaConf.create(additional_parameters or {}), resolve=True)
        self._settings = {**settings, "additional_parameters": additional}

    def executor(self) -> Executor:
        return Slurm(**self._settings)


@dataclass
class SlurmLauncherConf:
    """See `expkit.sweeps.executors.slurm.Slurm`."""

    _target_: str = "hydra_plugins.expkit_plugins.slurm.SlurmLauncher"
    folder: str = "${hydra.sweep.dir}/slurm/%j"
    cluster: str = "slurm"
    partition: str | None = None
    timeout_min: int = 60
    cpus_per_task: int = 1
    mem_gb: float | None = None
    gpus_per_node: int = 0
    max_parallel: int = 64
    additional_parameters: dict[str, Any] = field(default_factory=dict)


ConfigStore.instance().store(group="hydra/launcher", name="slurm", node=SlurmLauncherConf, provider="expkit")
