"""What happens in a sweep, as lines in files: each process that works on it appends to one, anybody reads them all.

Files, and not a queue or a socket, because they work alike in this process, in others, on other machines that share
the folder, and for someone who looks at the sweep from another terminal.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Event = Mapping[str, Any]

POLL = 0.1  # seconds between two looks at the files


class EventWriter:
    """Appends events to this process's own file.

    An event is a mapping with a 'kind': 'run' (a run changed its state), 'progress' (of runs that train), 'note'.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Opened for each sweep anew: a line that was cut off when a process was killed stays in a file of its own.
        name = f"{time.time_ns()}-{socket.gethostname()}-{os.getpid()}.jsonl"
        self._file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, kind: str, **fields: Any) -> None:
        line = json.dumps({"kind": kind, "time": round(time.time(), 3), **fields}, default=str)
        os.write(self._file, f"{line}\n".encode())

    def close(self) -> None:
        os.close(self._file)


class EventReader:
    """Reads whole lines that have been added since the last look."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}

    def skip(self) -> None:
        """Forgets all that has been written so far."""
        for path in self._folder.glob("*.jsonl"):
            self._read[path] = path.stat().st_size

    def new(self) -> Iterator[Event]:
        for path in sorted(self._folder.glob("*.jsonl")):
            begun = self._read.get(path, 0)
            try:
                if path.stat().st_size == begun:
                    continue
                with path.open("rb") as file:
                    file.seek(begun)
                    added = file.read()
            except OSError:
                continue  # on a network file system it may be there a moment later
            whole = added[: added.rfind(b"\n") + 1]
            self._read[path] = begun + len(whole)
            for line in whole.splitlines():
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if isinstance(event, dict):
                    yield event


class Following:
    """As a context, hands every new event to a function, from a thread; at the end, those that are left."""

    def __init__(self, folder: Path, heard: Callable[[Event], None]) -> None:
        self._reader = EventReader(folder)
        self._reader.skip()
        self._heard = heard
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._follow, name="sweep-events", daemon=True)

    def __enter__(self) -> Following:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.catch_up()

    def catch_up(self) -> None:
        """Hands over what has been written up to now."""
        with self._lock:
            for event in self._reader.new():
                self._heard(event)

    def _follow(self) -> None:
        while not self._over.wait(POLL):
            self.catch_up()
