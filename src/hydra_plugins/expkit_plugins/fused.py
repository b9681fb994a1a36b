"""`hydra/launcher=fused`: runs that differ only in numbers train as one program, the rest one after the other."""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore

from expkit.sweeps.executors.base import Executor, Inline
from hydra_plugins.expkit_plugins.launcher import SweepLauncher


class FusedLauncher(SweepLauncher):
    """Everything in this process."""

    def executor(self) -> Executor:
        return Inline()


@dataclass
class FusedLauncherConf:
    """No settings."""

    _target_: str = "hydra_plugins.expkit_plugins.fused.FusedLauncher"


# Other Hydra applications find the launcher here; expkit's own configs have it as a file.
ConfigStore.instance().store(group="hydra/launcher", name="fused", node=FusedLauncherConf, provider="expkit")
