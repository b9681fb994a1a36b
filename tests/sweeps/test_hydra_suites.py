"""Hydra's own conformance tests of launchers."""

from __future__ import annotations

from typing import Any

import pytest
from hydra import compose, initialize_config_module
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import IntegrationTestSuite, LauncherTestSuite
from hydra.version import _UNSPECIFIED_, VersionBase

from expkit.sweeps.executors.base import Executor


@pytest.fixture(autouse=True)
def unspecified_version_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suites expect a process in which nobody has told Hydra which version to behave as."""
    monkeypatch.setattr(VersionBase.instance(), "version_base", _UNSPECIFIED_)


def test_hydra_finds_the_launchers() -> None:
    found = {launcher.__name__ for launcher in Plugins.instance().discover(Launcher)}
    kinds = ("Serial", "Fused", "Auto", "Processes", "Slurm", "Ray")
    assert {f"{kind}Launcher" for kind in kinds} <= found
    assert "SweepLauncher" not in found, "it cannot be used by itself"


@pytest.mark.parametrize(
    ("launcher_name", "overrides"),
    [("fused", []), ("auto", []), ("processes", ["hydra.launcher.n_jobs=2"])],
)
class TestLaunchers(LauncherTestSuite):
    """What a launcher does with jobs."""


class TakesMany:
    """A task function that takes all jobs at once, and tells what it was given."""

    def many(
        self, jobs: list[list[str]], first: int, executor: Executor, fuse: bool, alone: Executor | None
    ) -> list[tuple[Any, ...]]:
        kinds = type(executor).__name__, fuse, type(alone).__name__
        return [(*kinds, job, number) for number, job in enumerate(jobs, start=first)]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("serial", ("Inline", False, "NoneType")),
        ("fused", ("Inline", True, "NoneType")),
        ("auto", ("Inline", True, "Processes")),
        ("processes", ("Processes", True, "NoneType")),
        ("slurm", ("Slurm", True, "NoneType")),
        ("ray", ("RayCluster", True, "NoneType")),
    ],
)
def test_a_task_that_takes_many_gets_all_jobs_with_what_the_launcher_stands_for(
    name: str, kinds: tuple[Any, ...]
) -> None:
    with initialize_config_module("hydra.test_utils.configs", version_base=None):
        config = compose("compose", overrides=[f"hydra/launcher={name}", "hydra.sweep.dir=x"], return_hydra_config=True)
        task: Any = TakesMany()
        context: Any = None
        launcher = Plugins.instance().instantiate_launcher(context, task, config)
        returns = launcher.launch([["a=1"], ["a=2"]], 3)
    assert [job.return_value for job in returns] == [(*kinds, ["a=1"], 3), (*kinds, ["a=2"], 4)]
    assert [job.overrides for job in returns] == [["a=1"], ["a=2"]]


OVERRIDES: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [
        (OVERRIDES, ["-m", "hydra/launcher=fused"]),
        (OVERRIDES, ["-m", "hydra/launcher=auto"]),
        (OVERRIDES, ["-m", "hydra/launcher=processes", "hydra.launcher.n_jobs=1"]),
    ],
)
class TestLaunchersIntegration(IntegrationTestSuite):
    """What an application sees of it."""
