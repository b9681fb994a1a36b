"""The locks: everything that is needed is pinned, and everything but torch by its hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements-build.lock", "requirements.lock", "requirements-torch.lock")


def pinned(name: str) -> dict[str, tuple[Version, int]]:
    """The version of each package of a lock, and how many hashes it has."""
    found = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / name).read_text()):
        if match := re.match(r"([\w.-]+)==(\S+)", entry):
            found[canonicalize_name(match[1])] = (
                Version(match[2]),
                len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry)),
            )
    return found


@pytest.mark.parametrize("name", LOCKS[:2])
def test_every_package_has_its_hashes(name: str) -> None:
    packages = pinned(name)
    assert packages
    assert [package for package, (_, hashes) in packages.items() if hashes == 0] == []
    assert "torch" not in packages


def test_all_that_is_asked_for_is_pinned_in_a_version_that_will_do() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    asked += [each for extra in project["project"]["optional-dependencies"].values() for each in extra]
    locked = {package: version for name in LOCKS for package, (version, _) in pinned(name).items()}
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement


def test_the_locks_agree() -> None:
    build, others = pinned(LOCKS[0]), pinned(LOCKS[1])
    both = build.keys() & others.keys()
    assert both
    assert {package: build[package] for package in both} == {package: others[package] for package in both}
