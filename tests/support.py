"""The command line, for tests: in a process of its own, or in this one without its start-up time."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., subprocess.CompletedProcess[str]]


def run_expkit(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`expkit ARGUMENTS` in a folder, with further environment variables."""
    command = [sys.executable, "-m", "expkit", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def train(*arguments: str) -> Any:
    """`expkit train --json ARGUMENTS` in this process: the printed object (a list for -m), which must be complete."""
    printed, status = try_train(*arguments)
    assert status == 0, printed
    return printed


def try_train(*arguments: str) -> tuple[Any, int]:
    """The same, whatever comes of it: what was printed, and the exit status."""
    from expkit.cli import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = main(["train", "--json", *arguments])
    try:
        return (json.loads(out.getvalue()) if out.getvalue() else None), status
    except ValueError:
        raise AssertionError(f"not JSON: {out.getvalue()}") from None
