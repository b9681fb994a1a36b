"""A call of a sweep's work in another process: how it gets there, and how what comes of it gets back."""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from expkit.sweeps.executors.base import WorkerLostError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
"""Variables that are read when torch, numpy and polars are imported, so they must be set before."""

PASSED_ON = ("EXPKIT_RUNS", "WANDB_MODE")
"""Variables of this process that hold for work on another machine, too."""


def pack(work: Callable[..., Any], chunk: Any) -> bytes:
    """The call as bytes; functions of a script or of a notebook go by value."""
    import cloudpickle

    return cloudpickle.dumps((work, chunk))


def answer(call: bytes) -> bytes:
    """Makes the call and packs what comes of it, whatever that is."""
    import cloudpickle

    try:
        work, chunk = pickle.loads(call)
        return cloudpickle.dumps(("returned", work(chunk)))
    except KeyboardInterrupt:
        return STOPPED
    except BaseException as error:
        text = "".join(traceback.format_exception(error))
        error.add_note(f"\nIn a worker:\n{text}")
        try:
            packed = cloudpickle.dumps(("raised", error))
            pickle.loads(packed)  # many an exception can be written but not read
            return packed
        except Exception:
            return cloudpickle.dumps(("raised", RuntimeError(f"a worker failed\n{text}")))


STOPPED = pickle.dumps(("stopped", None))
"""The answer of a worker that was asked to stop."""


def result(packed: bytes, worker: str) -> Any:
    """What the work returned, or a WorkerLostError if `worker` was asked to stop; raises what the work raised."""
    kind, value = pickle.loads(packed)
    if kind == "raised":
        raise value
    return WorkerLostError(f"{worker} was asked to stop") if kind == "stopped" else value


def thread_limits(threads: int, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that hold numerical libraries to a number of threads, but for those that the user has set."""
    return {name: (given or {}).get(name, str(threads)) for name in THREADS}


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Call:
    """A call that can be made anywhere where this process's files and packages are to be found at the same paths.

    It brings along the working directory, the module search path, and how many threads to use.
    """

    packed: bytes
    folder: str
    path: tuple[str, ...]
    variables: dict[str, str]

    @classmethod
    def of(cls, work: Callable[..., Any], chunk: Any, threads: int) -> Call:
        variables = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        limits = thread_limits(threads, os.environ)
        return cls(pack(work, chunk), os.getcwd(), tuple(sys.path), {**variables, **limits})

    def __call__(self) -> bytes:
        os.chdir(self.folder)
        sys.path[:] = self.path
        os.environ.update(self.variables)
        return answer(self.packed)
