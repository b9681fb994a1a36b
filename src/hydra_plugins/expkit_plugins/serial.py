"""`hydra/launcher=serial`: one run after the other, in this process."""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore

from expkit.sweeps.executors.base import Executor, Inline
from hydra_plugins.expkit_plugins.launcher import SweepLauncher


class SerialLauncher(SweepLauncher):
    """Every run by itself, in this process."""

    fuse = False

    def executor(self) -> Executor:
        return Inline()


@dataclass
class SerialLauncherConf:
    """No settings."""

    _target_: str = "hydra_plugins.expkit_plugins.serial.SerialLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="serial", node=SerialLauncherConf, provider="expkit")
