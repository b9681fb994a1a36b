"""What all tests share: a folder of their own for records, quiet loggers, one thread, and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import Run, run_expkit

# Two test processes share two cores; torch's own threads would only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
# What was measured on this machine before decides what is compiled, and is not for tests to change.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="expkit-cache-")
os.environ.pop("EXPKIT_RUNS", None)


@pytest.fixture(autouse=True)
def own_path() -> Iterator[None]:
    """Building objects makes a project's folder importable; the next test's project is another."""
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty run store, which every command of the test uses."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("EXPKIT_RUNS", str(folder))
    monkeypatch.setenv("COLUMNS", "120")
    return folder


@pytest.fixture
def expkit(runs: Path, tmp_path: Path) -> Run:
    """Runs the command line in a process of its own, in an empty folder."""

    def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_expkit(*arguments, folder=tmp_path, **variables)

    return call
