"""The processes of a training on several devices.

Lightning would start those of one machine by running the command line again, which inside a sweep means the whole
sweep. Here each is started with the one run it belongs to, and Lightning finds them as it finds those of torchrun.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from lightning.fabric.plugins.environments import LightningEnvironment

from expkit import launch
from expkit.engines.parent import PARENT, PIPE, READY, tell_parent
from expkit.errors import ConfigError, UserError

GOES_ON = "The same command goes on where the training was saved last."


@contextmanager
def all_ranks(count: int, nodes: int, command: Sequence[str], share_cores: bool) -> Iterator[None]:
    """Inside, all processes of the training are there, or will be found.

    Where nothing else has started those of this machine, this one, process 0 of them, starts the others.

    Args:
        count: number of processes on each machine.
        nodes: number of machines.
        command: starts one of the others; it learns its number from the variable LOCAL_RANK.
        share_cores: divide the CPU cores among the processes, rather than give all to each.

    Raises:
        UserError: a process is gone.
    """
    with _own_group():
        if launch.all_are_started():
            tell_parent(READY)
            with _explaining_loss(()):
                yield
        else:
            with _started(count, nodes, command, share_cores) as others, _explaining_loss(others):
                yield


def lightning_environment() -> LightningEnvironment | None:
    """Keeps Lightning from taking a job of Slurm, within which a training is by itself, for what has started it."""
    if torch.distributed.is_torchelastic_launched() or launch.started_by_slurm():
        return None
    return LightningEnvironment() if "LOCAL_RANK" in os.environ or "SLURM_NTASKS" in os.environ else None


class _Other:
    """Another process on this machine: it says through a pipe when it is ready to train, and what went wrong."""

    def __init__(self, rank: int, command: Sequence[str], variables: dict[str, str]) -> None:
        self.rank = rank
        self._said = b""
        self._pipe, its_end = os.pipe()
        os.set_blocking(self._pipe, False)
        own = {"LOCAL_RANK": str(rank), PIPE: str(its_end), PARENT: str(os.getpid())}
        self.process = subprocess.Popen(
            list(command),
            env={**os.environ, **variables, **own},
            pass_fds=[its_end],
            start_new_session=True,  # Ctrl-C is for the first process, which stops all of them at the same step
        )
        os.close(its_end)

    def is_ready(self, seconds: float = 0.0) -> bool:
        """Whether it is about to train; waits so long for an answer."""
        if not self._said:
            select.select([self._pipe], [], [], seconds)
        return self.said.startswith(READY)

    @property
    def said(self) -> str:
        try:
            while text := os.read(self._pipe, 65_536):
                self._said += text
        except BlockingIOError:
            pass
        return self._said.decode(errors="replace")

    @property
    def end(self) -> str | None:
        """How it ended, if not as it should."""
        status = self.process.poll()
        if status is None or (status == 0 and self.said.startswith(READY)):
            return None
        if status >= 0:
            how = f"ended with status {status}"
        else:
            how = f"was ended by {signal.Signals(-status).name}"
            how += ", as the system does when memory runs out" if -status == signal.SIGKILL else ""
        error = self.said.removeprefix(READY).partition("\n")[0]
        return f"Process {self.rank} of this training {how}{f': {error}' if error else ''}".rstrip(".") + "."

    @property
    def traceback(self) -> str:
        return self.said.removeprefix(READY).partition("\n")[2]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._pipe)


@contextmanager
def _started(count: int, nodes: int, command: Sequence[str], share_cores: bool) -> Iterator[list[_Other]]:
    """Starts processes 1 to count - 1 of this machine, and waits until they are ready."""
    threads = torch.get_num_threads()
    each = max(1, threads // count) if share_cores else threads
    variables = {"WORLD_SIZE": str(count * nodes), "OMP_NUM_THREADS": str(each), **_meeting_point(nodes)}
    before = {name: os.environ.get(name) for name in (*variables, "LOCAL_RANK")}
    finished = threading.Event()
    others: list[_Other] = []
    try:
        for rank in range(1, count):
            others.append(_Other(rank, command, variables))
        os.environ.update(variables, LOCAL_RANK="0")
        torch.set_num_threads(each)
        # While this process waits in Python, it can tell that one of the others is gone, and be interrupted.
        while not all(other.is_ready(0.1) for other in others):
            if any(other.end for other in others):
                raise _loss(others)
        threading.Thread(target=_watch, args=(others, finished), daemon=True).start()
        yield others
        finished.set()
        _let_end(others)
    finally:
        finished.set()
        for other in others:
            other.close()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        torch.set_num_threads(threads)


def _meeting_point(nodes: int) -> dict[str, str]:
    if nodes == 1:
        return {"NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    if missing := [variable for variable in launch.NODES if not os.environ.get(variable)]:
        raise ConfigError(
            f"trainer.num_nodes={nodes}, but {', '.join(missing)} are not set, so that the machines cannot meet.",
            "Start all processes by torchrun or srun, or set these on each machine: see docs/multi-node.md.",
        )
    return {variable: os.environ[variable] for variable in launch.NODES}


@contextmanager
def _own_group() -> Iterator[None]:
    """Ends torch's process group in the end; Lightning leaves it."""
    try:
        yield
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


@contextmanager
def _explaining_loss(others: Sequence[_Other]) -> Iterator[None]:
    """Says which process is gone, where torch says that a connection is."""
    try:
        yield
    except RuntimeError as error:
        if not _is_about_a_connection(error):
            raise
        deadline = time.monotonic() + 2
        while others and not any(other.end for other in others) and time.monotonic() < deadline:
            time.sleep(0.05)
        raise _loss(others, error) from error


def _is_about_a_connection(error: RuntimeError) -> bool:
    """Gloo's errors have no class of their own."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


def _loss(others: Sequence[_Other], error: Exception | None = None) -> UserError:
    gone = [other for other in others if other.end]
    if not gone:  # it is another machine's, or a launcher's
        said = str(error).strip().partition("\n")[0]
        return UserError(
            f"Another process of this training is gone, or cannot be reached: {said}",
            f"It may have said why. {GOES_ON}",
        )
    loss = UserError(str(gone[0].end), GOES_ON)
    if gone[0].traceback:
        loss.add_note(f"\nIn process {gone[0].rank}:\n{gone[0].traceback}")
    return loss


def _watch(others: Sequence[_Other], finished: threading.Event) -> None:
    """Without its peers, a process may wait for them in native code, where no exception reaches it."""
    while not finished.wait(0.5):
        if any(other.end for other in others):
            if not finished.wait(10):  # during a step torch notices by itself, which is recorded as it should be
                print(f"error: {_loss(others)}", file=sys.stderr)
                os._exit(1)
            return


def _let_end(others: Sequence[_Other], seconds: float = 30.0) -> None:
    """The training is done; nothing that happens to another process now changes it."""
    deadline = time.monotonic() + seconds
    for other in others:
        try:
            other.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return


def _free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])
