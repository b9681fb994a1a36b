"""A W&B run of one training, written by another process.

Nothing of W&B happens in the training's own process: a thread that imports it beside torch delays torch by as long as
it takes, for both hold Python's lock, and its exit hooks could keep a training from ending. So a session only puts
messages into a queue; `wandb_writer`, one process for all sessions of this one, does the work. This module imports
neither torch nor lightning, so that W&B starts while they are still being imported.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import logging
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

HEADER = struct.Struct(">IQ")
"""Before each message to the writer: the number of its session, and the length of what follows."""

Status = Literal["finished", "failed", "interrupted"]

_log = logging.getLogger(__name__)


class WandbSession:
    """Tells W&B about one run, and never stands in the way of its training.

    Every method returns at once, but for `wait` and `finish`, which have a time limit. What goes wrong with W&B is told
    once, by `warn`, and is never raised.

    Args:
        folder: the run's record; W&B's files go to `folder/wandb`.
        run_id: W&B's id of the run, so that a run that is taken up again goes on there.
        name: what W&B displays.
        config: the resolved configuration.
        project, entity, group, job_type, tags, notes: as W&B uses the words.
        mode: 'auto' is online if there is a login and W&B's server answers, else offline, and heeds what W&B's own
            settings (`WANDB_MODE`) say; 'online' warns where it has to be offline; 'disabled' does nothing.
        resume: go on with the run of this id, instead of writing it anew.
        warn: is told, at most once, what went wrong; is called from another thread.
        note: is told where the run goes; is called from another thread.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        project: str | None = "expkit",
        entity: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        tags: Sequence[str] = (),
        notes: str | None = None,
        mode: Literal["auto", "online", "offline", "disabled"] = "auto",
        resume: bool = False,
        warn: Callable[[str], None] = _log.warning,
        note: Callable[[str], None] = _log.info,
    ) -> None:
        self.run_id = run_id
        self.project = project
        self.url: str | None = None  # the run's page, once it is online
        self._warn = warn
        self._note = note
        self._warned = False
        self._ready = threading.Event()
        self._done = threading.Event()
        self._active = mode != "disabled" and not (mode == "auto" and os.environ.get("WANDB_MODE") == "disabled")
        if not self._active:
            self._end()
            return
        options = {
            "dir": str(folder),
            "id": run_id,
            "name": name,
            "config": dict(config or {}),
            "project": project,
            "entity": entity,
            "group": group,
            "job_type": job_type,
            "tags": [str(tag)[:64] for tag in tags] or None,  # W&B refuses longer ones
            "notes": notes,
            "mode": mode,
            "resume": resume,
            "argv": sys.argv,
            "pid": os.getpid(),
        }
        try:
            self._writer = _shared_writer()
            self._number = self._writer.open(self)
        except OSError as error:
            self._give_up(f"W&B is left out: its process does not start: {error}")
            return
        self._send("open", options)

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Adds `metrics`, by name, at an optimizer step. Values are numbers, or whatever `wandb.log` takes."""
        self._send("log", {name: _plain(value) for name, value in metrics.items()}, step)

    def figure(self, name: str, path: Path) -> None:
        """Adds an image file as `figures/<name>`."""
        self._send("figure", name, str(Path(path).absolute()))

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Adds a table of numbers and texts."""
        self._send("table", name, list(columns), [list(row) for row in rows])

    def summary(self, values: Mapping[str, Any]) -> None:
        """Sets final values, by name; by default a metric's final value is its last one."""
        self._send("summary", {name: _plain(value) for name, value in values.items()})

    def wait(self, timeout: float = 30.0) -> bool:
        """Waits until the run has begun in W&B. False if it has not, after `timeout` seconds or at all."""
        self._ready.wait(timeout)
        return self._ready.is_set() and self._active

    def finish(self, status: Status = "finished", timeout: float = 20.0) -> None:
        """Ends the run in W&B; gives W&B up after `timeout` seconds."""
        if not self._active:
            return
        self._send("finish", status)
        if not self._done.wait(timeout):
            self._give_up(
                f"W&B did not finish within {timeout:g} s and is left. `expkit sync` uploads what it has kept."
            )
            self._writer.kill()
        self._active = False

    def _send(self, kind: str, *contents: Any) -> None:
        if not self._active:
            return
        try:
            self._writer.send(self._number, kind, contents)
        except Exception as error:  # something that cannot be pickled: this message is lost, the run goes on
            self._warn_once(f"W&B is not told of this: {error}")

    def _hear(self, kind: str, contents: dict[str, Any]) -> None:
        """What the writer says; runs in the thread that listens to it."""
        if kind == "begun":
            self.url = contents["url"]
            self._ready.set()
        elif kind == "note":
            self._note(contents["text"])
        elif kind == "warning":
            self._warn_once(contents["text"])
        elif kind == "left out":
            self._give_up(contents["text"])
        elif kind == "finished":
            self._end()

    def _give_up(self, text: str) -> None:
        self._active = False
        self._warn_once(text)
        self._end()

    def _end(self) -> None:
        self._ready.set()
        self._done.set()

    def _warn_once(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(text)


class _Writer:
    """The process that writes to W&B, a thread that feeds it, and one that listens to it."""

    def __init__(self) -> None:
        # A service that belongs to the process which started this one would end with it.
        environment = {key: value for key, value in os.environ.items() if key != "WANDB_SERVICE"}
        environment.setdefault("WANDB_ERROR_REPORTING", "false")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "expkit.loggers.wandb_writer"],  # -P: a folder `wandb` here is not the package
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment,
            start_new_session=True,  # Ctrl-C is for this process to answer
        )
        self._numbers = itertools.count()
        self._sessions: dict[int, WandbSession] = {}
        self._queue: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.alive = True
        threading.Thread(target=self._feed, name="wandb-feed", daemon=True).start()
        threading.Thread(target=self._listen, name="wandb-listen", daemon=True).start()

    def open(self, session: WandbSession) -> int:
        number = next(self._numbers)
        self._sessions[number] = session
        if not self.alive:  # ended just now, and has told those it knew
            raise OSError("it has ended")
        return number

    def send(self, number: int, kind: str, contents: tuple[Any, ...]) -> None:
        message = pickle.dumps((kind, contents), protocol=5)
        self._queue.put(HEADER.pack(number, len(message)) + message)

    def kill(self) -> None:
        """Ends the process and those it has started, whatever they do."""
        import psutil

        self.alive = False
        try:
            children = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.Error:
            children = []
        self._process.kill()
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        self._process.wait()

    def finish_sessions(self) -> None:
        """At the end of this process: whoever has not been finished was interrupted."""
        deadline = time.monotonic() + 5
        for session in list(self._sessions.values()):
            session.finish("interrupted", timeout=max(0.1, deadline - time.monotonic()))

    def forget(self) -> None:
        """In a forked process the writer is the parent's: it must end with the parent."""
        for session in self._sessions.values():
            session._active = False
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _feed(self) -> None:
        assert self._process.stdin is not None
        pipe = self._process.stdin.fileno()
        try:
            while True:
                message = memoryview(self._queue.get())
                while message:
                    message = message[os.write(pipe, message) :]
        except OSError:
            return  # the process is gone; who listens to it says so

    def _listen(self) -> None:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        text = b""
        # Not a buffered file: at the interpreter's end one that a thread still reads is a fatal error.
        while received := os.read(pipe, 65536):
            *lines, text = (text + received).split(b"\n")
            for line in lines:
                self._hear(line)
        self.alive = False
        for session in list(self._sessions.values()):
            if session._active:
                session._give_up("W&B is left out: the process that writes to it has ended unexpectedly.")

    def _hear(self, line: bytes) -> None:
        try:
            number, kind, contents = json.loads(line)
            session = self._sessions.get(number)
            if kind in ("finished", "left out"):
                self._sessions.pop(number, None)
            if session is not None:
                session._hear(kind, contents)
        except Exception:  # `warn` is the caller's and may raise; the other sessions must be heard all the same
            _log.debug("A message about W&B was lost.", exc_info=True)


_writer: _Writer | None = None
_starting = threading.Lock()


def _shared_writer() -> _Writer:
    """The writer of this process. Its first run takes a second to begin, those after it some milliseconds."""
    global _writer
    with _starting:
        if _writer is None or not _writer.alive:
            _writer = _Writer()
        return _writer


def _at_exit() -> None:
    if _writer is not None:
        _writer.finish_sessions()


def _after_fork() -> None:
    global _writer, _starting
    _starting = threading.Lock()
    if _writer is not None:
        _writer.forget()
        _writer = None


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _plain(value: Any) -> Any:
    """A tensor or array of one number as that number."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value
