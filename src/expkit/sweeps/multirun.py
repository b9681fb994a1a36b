"""Many runs from one command line, by Hydra's sweeper and launcher."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from expkit import launch
from expkit.compose import ROOT_CONFIG, composing, expand, explained, loader
from expkit.errors import ConfigError
from expkit.outcome import Outcome
from expkit.sweeps.spaces import spelled_out

if TYPE_CHECKING:
    from expkit.sweeps.sweep_job import SweepJob


def multirun(overrides: Sequence[str], job: SweepJob) -> list[Outcome]:
    """Runs every combination that the overrides name, or whatever the chosen sweeper makes of them.

    Raises:
        ConfigError: the sweep cannot be composed.
        KeyboardInterrupt: it was stopped.
    """
    from hydra._internal.callbacks import Callbacks
    from hydra._internal.hydra import Hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins
    from hydra.types import HydraContext, RunMode
    from omegaconf import OmegaConf

    if launch.all_are_started() or not launch.is_first():
        raise ConfigError(
            "A sweep starts the processes of its runs itself, and cannot be one of several processes.",
            "Leave out torchrun or srun (hydra/launcher=slurm gives the runs to Slurm), or leave out -m.",
        )
    GlobalHydra.instance().clear()
    hydra = Hydra("expkit", loader())
    GlobalHydra.instance().initialize(hydra)
    try:
        with explained(overrides), job:  # what follows is Hydra's own `multirun`; the job has a look at the config
            with composing(overrides):
                config = hydra.compose_config(
                    ROOT_CONFIG, spelled_out(expand(overrides)), RunMode.MULTIRUN, with_log_configuration=False
                )
            job.open(config)
            callbacks = Callbacks(config)
            callbacks.on_multirun_start(config=config, config_name=ROOT_CONFIG)
            sweeper = Plugins.instance().instantiate_sweeper(
                config=config,
                hydra_context=HydraContext(config_loader=hydra.config_loader, callbacks=callbacks),
                task_function=job,
            )
            arguments: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
            returned = sweeper.sweep(arguments=arguments)
            callbacks.on_multirun_end(config=config, config_name=ROOT_CONFIG)
    finally:
        GlobalHydra.instance().clear()
    return [job_return.return_value for job_return in _flat(returned)]


def _flat(returned: Any) -> Iterable[Any]:
    """Sweepers return the jobs of each batch as a list of their own."""
    for item in returned or ():
        if isinstance(item, list | tuple):
            yield from _flat(item)
        else:
            yield item
