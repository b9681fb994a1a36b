"""Hydra's own conformance tests of launchers."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import IntegrationTestSuite, LauncherTestSuite
from hydra.version import _UNSPECIFIED_, VersionBase

from hydra_plugins.expkit_plugins.fused import FusedLauncher


@pytest.fixture(autouse=True)
def unspecified_version_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suites expect a process in which nobody has told Hydra which version to behave as."""
    monkeypatch.setattr(VersionBase.instance(), "version_base", _UNSPECIFIED_)


def test_hydra_finds_the_launcher() -> None:
    assert FusedLauncher.__name__ in [launcher.__name__ for launcher in Plugins.instance().discover(Launcher)]


@pytest.mark.parametrize(("launcher_name", "overrides"), [("fused", [])])
class TestFusedLauncher(LauncherTestSuite):
    """What a launcher does with jobs."""


OVERRIDES: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [(OVERRIDES, ["-m", "hydra/launcher=fused"])],
)
class TestFusedLauncherIntegration(IntegrationTestSuite):
    """What an application sees of it."""
