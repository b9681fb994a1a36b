"""`hydra/launcher=fused`: runs that differ only in numbers train as one program, the rest one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus


class FusedLauncher(BasicLauncher):
    """Hands all jobs at once to a task function that can take them (it has `many`); others get Hydra's own launcher."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        many = getattr(self.task_function, "many", None)
        if many is None:
            return super().launch(job_overrides, initial_job_idx)
        outcomes = many([list(overrides) for overrides in job_overrides], initial_job_idx)
        return [
            JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED, _return_value=outcome)
            for overrides, outcome in zip(job_overrides, outcomes, strict=True)
        ]


@dataclass
class FusedLauncherConf:
    """No settings yet."""

    _target_: str = "hydra_plugins.expkit_plugins.fused.FusedLauncher"


# Other Hydra applications find the launcher here; expkit's own configs have it as a file.
ConfigStore.instance().store(group="hydra/launcher", name="fused", node=FusedLauncherConf, provider="expkit")
