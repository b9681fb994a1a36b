"""What all tests share: a folder of their own for records, quiet loggers, one thread, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Two test processes share two cores; torch's own threads would only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ.pop("EXPKIT_RUNS", None)

Run = Callable[..., subprocess.CompletedProcess[str]]


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
        return subprocess.run(
            [sys.executable, "-m", "expkit", *arguments],
            cwd=tmp_path,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return call


def train(*overrides: str, **options: Any) -> dict[str, Any]:
    """`expkit train --json` in this process, without its start-up time; returns the printed object."""
    import contextlib
    import io

    from expkit.cli import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = main(["train", "--json", *overrides, *options.get("flags", [])])
    printed = json.loads(out.getvalue()) if out.getvalue() else {}
    return {**printed, "exit": status} if isinstance(printed, dict) else {"runs": printed, "exit": status}
