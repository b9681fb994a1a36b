"""`hydra/sweeper=pbt`: a population whose members copy each other's weights and numbers while they train as one."""

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class PBTSweeper(Sweeper):
    """Launches the members of one population (arXiv 1711.09846), each with numbers drawn from the space.

    Args: as conf/hydra/sweeper/pbt.yaml says.
    """

    def __init__(self, members: int = 16, params: Any = None, **settings: Any) -> None:
        self.members = members
        self.params: dict[str, Any] = _plain(params) or {}
        self.settings = {key: _plain(value) for key, value in settings.items()}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        from expkit.population.initial import initial

        assert self.hydra_context is not None
        assert self.launcher is not None
        parser = OverridesParser.create(self.hydra_context.config_loader)
        written = [f"{key}={value}" for key, value in self.params.items()]
        overrides = {
            o.get_key_element(): o for o in parser.parse_overrides([*written, *arguments])
        }  # the last one wins
        space = [_interval(override) for override in overrides.values() if override.is_sweep_override()]
        fixed = [override.input_line or "" for override in overrides.values() if not override.is_sweep_override()]
        jobs = initial(self.members, space, fixed, self.settings)
        define = getattr(self.task_function, "define", None)
        if define is not None:
            define(jobs)
        returned = self.launcher.launch(jobs, initial_job_idx=0)
        show = getattr(self.task_function, "say", None)
        if show is not None:
            from expkit.views.population import described

            show(described([job.return_value for job in returned], self.settings))
        return [returned]


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def _interval(override: Override) -> tuple[str, float, float, str]:
    """The range of a number: see `expkit.population.initial.Range`.

    Raises:
        ConfigError: it is not a range of the optimizer's numbers.
    """
    from expkit.errors import ConfigError

    value, key = override.value(), override.get_key_element()
    if not isinstance(value, IntervalSweep) or not key.startswith("optimizer."):
        raise ConfigError(
            f"'{override.input_line}': members of a population differ in numbers of the optimizer.",
            "Write them as optimizer.lr=interval(a,b), or tag(log,interval(a,b)) for many magnitudes.",
        )
    return key, float(value.start or 0.0), float(value.end or 0.0), "log" if "log" in value.tags else "linear"
