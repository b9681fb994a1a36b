"""The command line, for tests: in a process of its own, or in this one without its start-up time."""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import multiprocessing.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Run = Callable[..., subprocess.CompletedProcess[str]]


PROCESSES = multiprocessing.get_context("forkserver")
"""Starts processes as copies of one that has imported torch and Lightning, which takes seconds each time."""
PROCESSES.set_forkserver_preload(["expkit.engines.lightning"])
multiprocessing.util.get_temp_dir()  # for its socket: now, because tests may say that temporary files lie elsewhere


def run_expkit(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`expkit ARGUMENTS` in a process of its own, in a folder, with further environment variables."""
    environment = {**os.environ, **variables}
    if any(name.startswith("PYTHON") for name in variables):  # which Python reads when it starts
        command = [sys.executable, "-m", "expkit", *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    with tempfile.TemporaryDirectory() as own:
        said = [Path(own) / "out", Path(own) / "err"]
        process = PROCESSES.Process(target=_be_expkit, args=(arguments, folder, environment, said))
        process.start()
        process.join(300)
        if process.is_alive():
            process.kill()
            raise TimeoutError(f"expkit {' '.join(arguments)}")
        assert process.exitcode is not None
        return subprocess.CompletedProcess(arguments, process.exitcode, *(path.read_text() for path in said))


def _be_expkit(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], said: Sequence[Path]) -> None:
    for stream, path in zip((sys.stdout, sys.stderr), said, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream.fileno())
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, str(folder))  # as `python -m` does
    sys.argv = ["expkit", *arguments]
    from expkit.cli import main

    status = main()
    atexit._run_exitfuncs()  # a copy ends without them
    sys.exit(status)


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
