"""The chunks of a sweep in processes of this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, Pipe, wait
from queue import SimpleQueue
from typing import Any

from expkit.errors import ConfigError
from expkit.sweeps.executors.base import Chunk, Executor, Result, WorkerLostError
from expkit.sweeps.executors.calling import STOPPED, answer, cores, pack, result, thread_limits

SAVE_SECONDS = 10.0  # for what has begun to stop by itself
END_SECONDS = 3.0  # after that, for it to end at once
ENDING = SAVE_SECONDS + END_SECONDS + 2.0  # until a worker is gone that has lost its parent
LOOK_SECONDS = 1.0  # between two looks for workers that went without a word


class Processes(Executor):
    """One process for each CPU core or, where there are any, for each GPU.

    Each is started by itself and has a pipe of its own, so one that is lost is replaced and no other notices.
    A worker whose parent is gone stops its work as after Ctrl-C, and ends.

    Args:
        n_jobs: processes; -1 is one per GPU, or per core if there is none, and -2 is one less.
        threads: of each process, in torch, numpy and polars; None divides the cores among the processes, unless the
            environment has OMP_NUM_THREADS and the like.

    Raises:
        ConfigError: a number that makes no sense.
    """

    def __init__(self, n_jobs: int = -1, threads: int | None = None) -> None:
        if n_jobs == 0 or (threads is not None and threads < 1):
            raise ConfigError(
                f"{n_jobs} processes of {threads or 'any number of'} threads cannot work.",
                "hydra.launcher.n_jobs is a number of processes, or -1 for one per GPU or core; "
                "hydra.launcher.threads is at least 1, or null.",
            )
        self.n_jobs = n_jobs
        self.threads = threads

    @property
    def workers(self) -> int:
        return self.n_jobs if self.n_jobs > 0 else max(1, (len(gpus()) or cores()) + 1 + self.n_jobs)

    def run(
        self, work: Callable[[Chunk], Result], chunks: Sequence[Chunk]
    ) -> Iterator[tuple[int, Result | WorkerLostError]]:
        waiting = deque(range(len(chunks)))
        workers = [_Worker(environment) for environment in self._environments(len(chunks))]
        try:
            for worker in workers:
                place = waiting.popleft()
                worker.begin(place, pack(work, chunks[place]))
            while working := [worker for worker in workers if worker.place is not None]:
                answered = wait([worker.pipe for worker in working], timeout=LOOK_SECONDS)
                for worker in working:
                    if worker.pipe in answered or worker.has_ended:
                        done, came = worker.take()
                        if waiting:
                            place = waiting.popleft()
                            worker.begin(place, pack(work, chunks[place]))
                        yield done, came
        finally:
            _stop(workers)

    def _environments(self, chunks: int) -> Iterator[dict[str, str]]:
        """The variables of each worker, for as many as there is work for."""
        devices, count = gpus(), self.workers
        if self.threads is None:
            limits = thread_limits(max(1, cores() // count), os.environ)
        else:
            limits = thread_limits(self.threads)
        for slot in range(min(count, chunks)):
            device = {"CUDA_VISIBLE_DEVICES": devices[slot % len(devices)]} if devices else {}
            yield {**os.environ, **limits, **device}


def gpus() -> list[str]:
    """The GPUs that this process sees, as CUDA_VISIBLE_DEVICES names them; found without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        # As CUDA reads it: what comes after the first that is none does not count.
        end = next((place for place, name in enumerate(names) if not name or name.startswith("-")), len(names))
        return names[:end]
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    try:
        listed = subprocess.run([command, "-L"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    count = sum(line.startswith("GPU ") for line in listed.stdout.splitlines()) if listed.returncode == 0 else 0
    return [str(number) for number in range(count)]


class _Worker:
    """A process that makes one call after another; another takes its place when it is lost."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.place: int | None = None  # of the chunk that it works on
        self.process: subprocess.Popen[bytes] | None = None
        self.pipe: Connection[bytes, bytes]
        self._environment = environment

    @property
    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def begin(self, place: int, call: bytes) -> None:
        if self.has_ended:
            self._start()
        self.place = place
        with contextlib.suppress(OSError):  # lost just now: `take` will tell
            self.pipe.send_bytes(call)

    def take(self) -> tuple[int, Any]:
        """The place of its chunk, with what came of it; raises what the work raised."""
        assert self.process is not None
        assert self.place is not None
        place, self.place = self.place, None
        try:
            packed = self.pipe.recv_bytes() if self.pipe.poll() else None
        except (EOFError, OSError):
            packed = None
        if packed is not None:
            return place, result(packed, f"process {self.process.pid}")
        self.pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(END_SECONDS)
        self.kill()
        return place, WorkerLostError(f"process {self.process.pid} {_ended(self.process.returncode)}")

    def kill(self) -> None:
        """Ends it, and asks what it has started to end, too."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.kill()
        self.process.wait()

    def _start(self) -> None:
        # Not multiprocessing: it would import the user's main script again, and its daemons may not have children.
        self.pipe, theirs = Pipe()
        path, arguments, number = list(sys.path), list(sys.argv), theirs.fileno()
        code = (
            f"import sys; sys.path[:] = {path!r}; sys.argv[:] = {arguments!r}; "
            f"from {__name__} import serve; serve({number})"
        )
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                env=self._environment,
                pass_fds=[number],
                process_group=0,  # Ctrl-C is for the parent, which tells the workers, once
            )


def _ended(status: int) -> str:
    if status == -signal.SIGKILL:
        return "was killed (SIGKILL): by somebody, or for want of memory"
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _stop(workers: Sequence[_Worker]) -> None:
    """Lets go of the workers: those without work end at once, the others are on their last seconds."""
    started = [worker for worker in workers if worker.process is not None]
    for worker in started:
        worker.pipe.close()
    until = time.monotonic() + SAVE_SECONDS + 2 * END_SECONDS
    try:
        for worker in started:
            assert worker.process is not None
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.0, until - time.monotonic()))
    finally:  # also after another Ctrl-C
        for worker in started:
            if not worker.has_ended:
                worker.kill()


def serve(number: int) -> None:
    """What a worker does: makes the calls that come through a pipe, until its other end is closed.

    Args:
        number: the pipe's file descriptor.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.set_inheritable(number, False)
    pipe: Connection[bytes, bytes] = Connection(number)
    calls: SimpleQueue[bytes | None] = SimpleQueue()
    working, alone = threading.Event(), threading.Event()
    threading.Thread(target=_listen, args=(pipe, calls, working, alone), daemon=True).start()
    while (call := calls.get()) is not None:
        working.set()
        if alone.is_set():
            return
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            packed = answer(call)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        except KeyboardInterrupt:
            packed = STOPPED
        working.clear()
        with contextlib.suppress(OSError):  # the parent is gone
            pipe.send_bytes(packed)


def _listen(
    pipe: Connection[bytes, bytes], calls: SimpleQueue[bytes | None], working: threading.Event, alone: threading.Event
) -> None:
    """Takes calls while there is a parent; without one, has the work stopped and the process ended."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            calls.put(pipe.recv_bytes())
    alone.set()
    calls.put(None)
    if working.is_set():
        os.killpg(0, signal.SIGINT)
        time.sleep(SAVE_SECONDS)
        os.killpg(0, signal.SIGTERM)
        time.sleep(END_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)
