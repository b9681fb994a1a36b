"""`expkit` as processes of its own, as many as a campaign wants to break."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

QUIET = {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", "WANDB_SILENT": "true", "COLUMNS": "120", "TERM": "dumb"}


class Shell:
    """Starts commands.

    Args:
        folder: that they run in; what they print goes to a file for each, below `said`.
        warm: each is a fork of one process that has loaded torch, which spares it some four seconds; else a new
            interpreter, as when a user types the command.
    """

    def __init__(self, folder: Path, warm: bool) -> None:
        self.folder, self.warm = folder, warm
        self._count = 0
        self._origin: subprocess.Popen[str] | None = None

    def __enter__(self) -> Shell:
        (self.folder / "said").mkdir(parents=True, exist_ok=True)
        if self.warm:
            self._origin = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("origin.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, **QUIET},
            )
            assert self._ask() == {"ready": True}
        return self

    def __exit__(self, *_: object) -> None:
        if self._origin is not None:
            assert self._origin.stdin is not None
            self._origin.stdin.close()
            self._origin.wait()

    def start(self, *arguments: str, prepare: str = "", **variables: str) -> Command:
        """Starts `expkit ARGUMENTS`.

        Args:
            prepare: Python to be run in the process before; what it does there is the fault.
            variables: of the environment, in addition.
        """
        self._count += 1
        said = self.folder / "said" / str(self._count)
        if not self.warm:
            with said.with_suffix(".out").open("w") as out, said.with_suffix(".err").open("w") as err:
                code = f"{prepare}\nimport sys; from expkit.cli import main; sys.argv[0] = 'expkit'; sys.exit(main())"
                begin = ["-c", code] if prepare else ["-m", "expkit"]
                process = subprocess.Popen(
                    [sys.executable, *begin, *arguments],
                    cwd=self.folder,
                    env={**os.environ, **QUIET, **variables},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    process_group=0,
                )
            return Command(self, process.pid, said, process)
        asked = {"arguments": arguments, "folder": str(self.folder), "said": str(said), "variables": variables}
        return Command(self, self._ask({**asked, "prepare": prepare})["pid"], said)

    def run(self, *arguments: str, prepare: str = "", timeout: float = 120, **variables: str) -> Command:
        """Starts a command and waits for its end."""
        command = self.start(*arguments, prepare=prepare, **variables)
        command.wait(timeout)
        return command

    def _ask(self, question: Mapping[str, Any] | None = None) -> Any:
        assert self._origin is not None
        assert self._origin.stdin is not None
        assert self._origin.stdout is not None
        if question is not None:
            self._origin.stdin.write(json.dumps(question) + "\n")
            self._origin.stdin.flush()
        return json.loads(self._origin.stdout.readline())


class Command:
    """One process of `expkit`, the first of a process group."""

    def __init__(self, shell: Shell, pid: int, said: Path, process: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self.status: int | None = None
        self._shell, self._said, self._process = shell, said, process

    def poll(self) -> int | None:
        """The exit status, once there is one; negative for a signal."""
        if self.status is None:
            self.status = self._process.poll() if self._process else self._shell._ask({"poll": self.pid})["status"]
        return self.status

    def wait(self, timeout: float) -> int | None:
        """The same, after that many seconds at most; one that takes longer is killed, and has the status None."""
        if not self.ends_within(timeout):
            os.killpg(self.pid, signal.SIGKILL)
        return self.status

    def ends_within(self, seconds: float) -> bool:
        """Whether it ends by itself in that time."""
        end = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < end:
            time.sleep(min(0.005, max(0.0, end - time.monotonic())))
        return self.status is not None

    def kill(self, number: signal.Signals) -> None:
        """Sends a signal to this process alone; one that has ended does not mind."""
        if self.poll() is None:
            os.kill(self.pid, number)

    @property
    def out(self) -> str:
        return self._read(".out")

    @property
    def err(self) -> str:
        return self._read(".err")

    def _read(self, suffix: str) -> str:
        path = self._said.with_suffix(suffix)
        return path.read_text(errors="replace") if path.exists() else ""  # killed before it could open it

    @property
    def printed(self) -> Any:
        """What it printed as JSON; None where it did not."""
        try:
            return json.loads(self.out)
        except ValueError:
            return None
