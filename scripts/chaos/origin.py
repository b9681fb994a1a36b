"""The process that warm commands are forks of: it has loaded what every training loads, and has done nothing yet.

Reads a question a line: a command to start, or the process whose exit status is asked for; answers with a line each.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from importlib import import_module
from typing import Any


def serve() -> int:
    """In a child, returns the exit status of its command; here, at the end of the questions, 0."""
    load()
    answer({"ready": True})
    for line in sys.stdin:
        question = json.loads(line)
        if "poll" in question:
            answer({"status": ended(question["poll"])})
            continue
        pid = os.fork()
        if pid == 0:
            return child(question)
        with contextlib.suppress(OSError):  # so that a signal to the group finds it, whoever comes first
            os.setpgid(pid, pid)
        answer({"pid": pid})
    return 0


def load() -> None:
    from expkit.run import load_torch

    load_torch()
    for module in ("expkit.engines.fused.engine", "expkit.sweeps.multirun", "polars"):  # whose threads start later
        import_module(module)
    from expkit.compose import loader

    loader()


def child(question: dict[str, Any]) -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the command line is there to answer it
    os.setpgid(0, 0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, ending in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{question['said']}.{ending}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.update(question["variables"])
    os.chdir(question["folder"])
    sys.argv = ["expkit", *question["arguments"]]
    exec(question["prepare"], {"__name__": "prepare"})
    from expkit.cli import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return main()


def ended(pid: int) -> int | None:
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def answer(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    sys.exit(serve())
