"""What hostile input may come to: something valid, or one error that expkit has words for. All else is a fault."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from expkit.errors import UserError

FORBIDDEN = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.putenv", "subprocess.Popen"),
    *("socket.connect", "socket.bind", "urllib.Request", "webbrowser.open", "ctypes.dlopen", "shutil.rmtree"),
    *("pty.spawn", "os.remove", "os.rename", "os.symlink", "os.link", "os.chmod"),
)
"""What Python tells of to an audit hook, and what no configuration may bring about."""
TRACEBACK = "Traceback (most"
MEMORY = 700 * 2**20  # bytes by which the process may grow


class Hang(BaseException):
    """Something took longer than it may."""


class Broke(BaseException):
    """Something was done that must not be; raised before it is done."""


class Watch:
    """Judges attempts; whatever they do to files outside some folders, to processes and to sockets counts as harm.

    Args:
        seconds: that an attempt may take.
        folders: where files may be written and removed.
        may: events of FORBIDDEN that are part of what is tried.
        module: of expkit, which may be run as a program.
    """

    def __init__(
        self, seconds: int = 20, folders: tuple[Path, ...] = (), may: tuple[str, ...] = (), module: str | None = None
    ) -> None:
        self.tried = self.valid = self.refused = 0
        self.broken: list[str] = []
        self.messages: dict[str, str] = {}  # the first of each kind of message
        self._seconds = seconds
        self._folders = tuple(str(folder.resolve()) for folder in folders)
        self._may = may
        self._module = module
        self._armed = False
        self._harm: list[str] = []

    def attempt(self, what: str, act: Callable[[], Any], seconds: int | None = None) -> Any:
        """Carries out one attempt; gives what came of it, an error included.

        Args:
            what: was tried, for messages.
            act: does it.
            seconds: that it may take, if not as many as the others.
        """
        self.tried += 1
        before, self._harm = dict(os.environ), []
        memory = _forget_largest_memory()
        try:
            with _limited(seconds or self._seconds), self._listening():
                found = act()
        except UserError as error:
            found = error
            self._judge(what, error)
        except (Exception, Hang, Broke, SystemExit) as error:
            found = error
            self.broken.append(f"{shown(what)}: {type(error).__name__}: {shown(str(error))}")
        else:
            self.valid += 1
        if self._harm:
            self.broken.append(f"{shown(what)}: {self._harm[0]}")
        if os.environ != before:
            self.broken.append(f"{shown(what)}: the environment is another")
            os.environ.clear()
            os.environ.update(before)
        if (grown := _largest_memory() - memory) > MEMORY:
            self.broken.append(f"{shown(what)}: the process grew by {grown / 2**20:,.0f} MiB")
        return found

    @contextmanager
    def _listening(self) -> Iterator[None]:
        self._armed = True
        _ears.append(self)
        try:
            yield
        finally:
            _ears.remove(self)

    def _judge(self, what: str, error: UserError) -> None:
        self.refused += 1
        text = str(error)
        self.messages.setdefault(text.split(":")[0][:40], text)
        is_traceback = TRACEBACK in text and TRACEBACK not in what  # which hypothesis finds here, and tries
        if not error.message.strip() or is_traceback or len(text) > 20_000:
            self.broken.append(f"{shown(what)}: the message is {shown(text)}")

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._armed:
            return
        if event == "open" and isinstance(arguments[0], str | bytes) and _writes(*arguments[1:3]):
            self._check_path(event, arguments[0])
        elif event in ("os.remove", "os.rename", "os.chmod", "shutil.rmtree") and event not in self._may:
            self._check_path(event, arguments[0], arguments[-1])
        elif event == "subprocess.Popen" and list(arguments[1][:4]) == [sys.executable, "-P", "-m", self._module]:
            pass
        elif event in FORBIDDEN and event not in self._may:
            self._report(f"{event} {shown(repr(arguments))}")

    def _check_path(self, event: str, path: Any, folder: Any = None) -> None:
        """
        Args:
            folder: the descriptor of the folder that a path is relative to, if any.
        """
        place = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if isinstance(folder, int) and folder >= 0:
            place = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), place)
        place = os.path.realpath(place)
        if place.endswith(".pyc") or "__pycache__" in place or place == os.devnull:
            return
        if not any(place == folder or place.startswith(f"{folder}/") for folder in self._folders):
            self._report(f"{event} {place}")

    def _report(self, harm: str) -> None:
        self._armed = False
        self._harm.append(harm)
        raise Broke(harm)


_ears: list[Watch] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    for watch in _ears:
        watch.hear(event, arguments)


sys.addaudithook(_hear)  # for good: Python never forgets one


def shown(text: str, width: int = 160) -> str:
    """Text that can be printed anywhere."""
    plain = text.encode("unicode_escape").decode()
    return plain if len(plain) <= width else f"{plain[: width - 20]}... ({len(text):,} in all)"


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _largest_memory() -> int:
    """The most memory in bytes that the process has had since it was last forgotten; 0 where Linux does not say it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0


def _forget_largest_memory() -> int:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _largest_memory()


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def ring(number: int, frame: Any) -> None:
        raise Hang(f"it took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
