"""The processes of a training on several devices of one machine.

Lightning would start them by running the command line again, which inside a sweep means the whole sweep. Here each is
started with the one run it belongs to, and Lightning finds them as it finds those of torchrun.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from expkit.errors import UserError

VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@contextmanager
def local_ranks(count: int, command: Sequence[str], share_cores: bool) -> Iterator[None]:
    """Starts processes 1 to count - 1; this one is process 0.

    Args:
        count: number of processes in all.
        command: starts one of the others; it learns its number from the variable LOCAL_RANK.
        share_cores: divide the CPU cores among the processes, rather than give all to each.
    """
    if "LOCAL_RANK" in os.environ:  # started by torchrun, Slurm, or by the lines below
        yield
        return
    threads = torch.get_num_threads()
    each = max(1, threads // count) if share_cores else threads
    environment = {"NODE_RANK": "0", "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    others = [
        subprocess.Popen(
            list(command), env={**os.environ, **environment, "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": str(each)}
        )
        for rank in range(1, count)
    ]
    finished = threading.Event()
    threading.Thread(target=_watch, args=(others, finished), daemon=True).start()
    os.environ.update(environment, LOCAL_RANK="0")
    torch.set_num_threads(each)
    try:
        yield
        finished.set()
        for process in others:
            process.wait(timeout=60)
    except RuntimeError as error:  # how torch tells that a peer is gone
        time.sleep(1)
        if gone := _gone(others):
            raise UserError(gone, "What it said itself is above.") from error
        raise
    finally:
        finished.set()
        for process in others:
            if process.poll() is None:
                process.kill()
        for variable in VARIABLES:
            os.environ.pop(variable, None)
        torch.set_num_threads(threads)
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def end_with_parent() -> None:
    """Ends this process when the one that started it is gone, however it went."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _watch(processes: Sequence[subprocess.Popen[bytes]], finished: threading.Event) -> None:
    """Without its peers, a process may wait for them in native code, where no exception reaches it."""
    while not finished.wait(0.5):
        if gone := _gone(processes):
            if not finished.wait(10):  # during a step torch notices by itself, which is recorded as it should be
                print(f"error: {gone}", file=sys.stderr)
                os._exit(1)
            return


def _gone(processes: Sequence[subprocess.Popen[bytes]]) -> str | None:
    for rank, process in enumerate(processes, start=1):
        if process.poll():
            return f"Process {rank} of this training ended with status {process.returncode}."
    return None


def _free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])
