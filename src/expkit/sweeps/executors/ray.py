"""The chunks of a sweep as tasks on a Ray cluster."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from expkit.errors import ConfigError, UserError
from expkit.sweeps.executors.base import Chunk, Executor, Result, WorkerLostError
from expkit.sweeps.executors.calling import Call, cores, result

END_SECONDS = 10.0  # for tasks to stop, once they were asked to


class RayCluster(Executor):
    """A Ray task for each chunk; Ray's own retries are off, so that whoever uses the executor knows what was lost.

    The nodes must have this machine's Python environment and, at the same paths, its working directory, modules and
    run store: they are this machine, or share a file system with it. A process connects to one cluster, and remains
    connected.

    Args:
        address: of a running cluster ("auto", "10.0.0.1:6379", "ray://10.0.0.1:10001"); None starts one on this
            machine, or uses the one that this process is connected to.
        cpus_per_worker: cores that a chunk takes, and the threads that it uses.
        gpus_per_worker: GPUs that a chunk takes; 0.5 has two chunks share one.
        max_in_flight: chunks that are submitted at once; None is all of them, and lets a cluster grow as it wants to.
    """

    def __init__(
        self,
        address: str | None = None,
        cpus_per_worker: float = 1.0,
        gpus_per_worker: float = 0.0,
        max_in_flight: int | None = None,
    ) -> None:
        if cpus_per_worker < 0 or gpus_per_worker < 0 or not (cpus_per_worker or gpus_per_worker):
            raise ConfigError(
                f"A worker of {cpus_per_worker:g} CPUs and {gpus_per_worker:g} GPUs cannot work.",
                "Set hydra.launcher.cpus_per_worker or hydra.launcher.gpus_per_worker.",
            )
        self.address = address
        self.cpus_per_worker = cpus_per_worker
        self.gpus_per_worker = gpus_per_worker
        self.max_in_flight = max_in_flight

    @property
    def workers(self) -> int:
        """How many the cluster has room for now, by its resources in all."""
        there = self._ray().cluster_resources()
        wanted = {"CPU": self.cpus_per_worker, "GPU": self.gpus_per_worker}
        room = min(int(there.get(name, 0) // amount) for name, amount in wanted.items() if amount)
        if not room and self.address is None:  # it will not grow
            has = " and ".join(f"{there.get(name, 0):g} {name}s" for name in wanted)
            raise UserError(
                f"The Ray cluster on this machine has {has}: not enough for one worker.",
                "Lower hydra.launcher.cpus_per_worker or gpus_per_worker, or name a larger cluster: "
                "hydra.launcher.address=HOST:PORT.",
            )
        return max(1, room if self.max_in_flight is None else min(room, self.max_in_flight))

    def run(
        self, work: Callable[[Chunk], Result], chunks: Sequence[Chunk]
    ) -> Iterator[tuple[int, Result | WorkerLostError]]:
        ray = self._ray()
        task = ray.remote(num_cpus=self.cpus_per_worker, num_gpus=self.gpus_per_worker, max_retries=0)(_make)
        threads = max(1, int(self.cpus_per_worker))
        at_once = min(self.max_in_flight or len(chunks), len(chunks)) if self.workers else 0
        waiting = deque(range(len(chunks)))
        begun: dict[Any, int] = {}
        try:
            while waiting or begun:
                while waiting and len(begun) < at_once:
                    place = waiting.popleft()
                    begun[task.remote(Call.of(work, chunks[place], threads))] = place
                for reference in ray.wait(list(begun))[0]:
                    yield begun.pop(reference), _came_of(reference)
        finally:
            _cancel(list(begun))

    def _ray(self) -> Any:
        """The module, connected."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise UserError("hydra/launcher=ray needs Ray.", "pip install 'expkit[ray]'") from error
        if not ray.is_initialized():
            own: dict[str, Any] = {"num_cpus": cores(), "include_dashboard": False} if self.address is None else {}
            try:
                # "local": without an address, Ray would join a cluster that happens to be around.
                ray.init(self.address or "local", logging_level=logging.ERROR, log_to_driver=False, **own)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise UserError(
                    f"Ray cannot be reached at {self.address or 'this machine'}: {error}",
                    "hydra.launcher.address is HOST:PORT, auto, or ray://HOST:PORT; `ray status` looks for one.",
                ) from error
        return ray


def _make(call: Call) -> bytes:
    return call()


def _came_of(reference: Any) -> Any:
    import ray
    from ray import exceptions

    lost = (
        exceptions.WorkerCrashedError,
        exceptions.NodeDiedError,
        exceptions.LocalRayletDiedError,
        exceptions.ObjectLostError,
        exceptions.OutOfMemoryError,
        exceptions.TaskCancelledError,
    )
    try:
        packed = ray.get(reference)
    except lost as error:
        what = str(error).strip().partition("\n")[0]
        return WorkerLostError(f"a Ray worker was lost ({type(error).__name__}): {what}")
    except exceptions.RayTaskError as error:  # what the work raises does not come this way
        raise UserError(
            f"A Ray worker could not begin: {type(error.cause).__name__}: {error.cause}",
            "Nodes need the same Python environment and the same folders as this machine.",
        ) from error
    return result(packed, "a Ray worker")


def _cancel(references: list[Any]) -> None:
    import ray

    if not references or not ray.is_initialized():
        return
    left = references
    try:
        for reference in references:
            ray.cancel(reference, force=False)
        _, left = ray.wait(references, num_returns=len(references), timeout=END_SECONDS)
    finally:  # also after another Ctrl-C
        for reference in left:
            ray.cancel(reference, force=True)
