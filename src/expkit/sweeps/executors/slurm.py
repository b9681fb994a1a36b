"""The chunks of a sweep as tasks of a Slurm array."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from expkit.errors import ConfigError, UserError, did_you_mean
from expkit.sweeps.executors.base import Chunk, Executor, Result, WorkerLostError
from expkit.sweeps.executors.calling import Call, result

POLL_SECONDS = {"slurm": 2.0, "local": 0.1, "debug": 0.0}
END_SECONDS = 5.0  # for tasks on this machine to stop, once they were asked to


class Slurm(Executor):
    """A task for each chunk, submitted by submitit; the tasks of one call of `run` are one array.

    A task that Slurm takes away (preempted, out of time) is told some time before (`signal_delay_s` of submitit, 90 s):
    then the run saves where it is and the task counts as lost, as does one that was killed. Tasks are not requeued by
    Slurm: whoever uses the executor does that.

    Args:
        folder: for scripts, logs and results, on a disk that all nodes share; %j stands for a task's id.
        cluster: "slurm"; "local" starts processes of this machine as Slurm would; "debug" works in this process.
        partition: where to submit to; None is Slurm's default.
        timeout_min: time limit of a task, in minutes.
        cpus_per_task: cores, and threads, of a task.
        mem_gb: memory of a task, in GB; None is Slurm's default.
        gpus_per_node: GPUs of a task.
        max_parallel: tasks that run at once, at most.
        additional_parameters: of `sbatch`, by their names there: {account: lab, constraint: a100}.

    Raises:
        ConfigError: no such kind of cluster, or a number that makes no sense.
    """

    def __init__(
        self,
        folder: str | Path,
        cluster: Literal["slurm", "local", "debug"] = "slurm",
        partition: str | None = None,
        timeout_min: int = 60,
        cpus_per_task: int = 1,
        mem_gb: float | None = None,
        gpus_per_node: int = 0,
        max_parallel: int = 64,
        additional_parameters: Mapping[str, Any] | None = None,
    ) -> None:
        if cluster not in POLL_SECONDS:
            raise ConfigError(
                f"There is no kind of cluster '{cluster}' (hydra.launcher.cluster).",
                did_you_mean(cluster, POLL_SECONDS),
            )
        if min(timeout_min, cpus_per_task, max_parallel) < 1:
            raise ConfigError(
                "A Slurm task needs at least a minute, a core, and leave to run.",
                "hydra.launcher.timeout_min, cpus_per_task and max_parallel are at least 1.",
            )
        self.folder = folder
        self.cluster = cluster
        self.partition = partition
        self.timeout_min = timeout_min
        self.cpus_per_task = cpus_per_task
        self.mem_gb = mem_gb
        self.gpus_per_node = gpus_per_node
        self.max_parallel = max_parallel
        self.additional_parameters = dict(additional_parameters or {})

    @property
    def workers(self) -> int:
        return 1 if self.cluster == "debug" else self.max_parallel

    def run(
        self, work: Callable[[Chunk], Result], chunks: Sequence[Chunk]
    ) -> Iterator[tuple[int, Result | WorkerLostError]]:
        submitter = self._submitter()
        # Slurm itself sees to it that no more than max_parallel tasks of an array run at once.
        at_once = len(chunks) if self.cluster == "slurm" else self.workers
        waiting = deque(range(len(chunks)))
        jobs: dict[int, Any] = {}
        try:
            while waiting or jobs:
                places = [waiting.popleft() for _ in range(min(len(waiting), at_once - len(jobs)))]
                if places:
                    calls = [Call.of(work, chunks[place], self.cpus_per_task) for place in places]
                    jobs |= zip(places, submitter.map_array(make, calls), strict=True)
                ended = [place for place, job in jobs.items() if self._has_ended(job)]
                for place in ended:
                    yield place, self._came_of(jobs.pop(place))
                if not ended:
                    time.sleep(POLL_SECONDS[self.cluster])
        finally:
            self._cancel(list(jobs.values()))

    def _submitter(self) -> Any:
        try:
            import submitit
        except ImportError as error:
            raise UserError("hydra/launcher=slurm needs submitit.", "pip install 'expkit[slurm]'") from error
        if self.cluster == "slurm" and not all(map(shutil.which, ("sbatch", "srun", "sacct", "scancel"))):
            raise UserError(
                "There is no Slurm on this machine: sbatch, srun, sacct or scancel is missing.",
                "Start the sweep where jobs are submitted, or use hydra/launcher=processes here.",
            )
        submitter = submitit.AutoExecutor(self.folder, cluster=self.cluster)
        submitter.update_parameters(
            name="expkit",
            timeout_min=self.timeout_min,
            cpus_per_task=self.cpus_per_task,
            mem_gb=self.mem_gb,
            gpus_per_node=self.gpus_per_node,
            slurm_partition=self.partition,
            slurm_array_parallelism=self.max_parallel,
            slurm_additional_parameters={"no-requeue": True, **self.additional_parameters},
        )
        return submitter

    def _has_ended(self, job: Any) -> bool:
        if job.done():
            return True
        # submitit takes it that whatever was preempted is requeued.
        return self.cluster == "slurm" and job.watcher.get_state(job.job_id, mode="cache").startswith("PREEMPTED")

    def _came_of(self, job: Any) -> Any:
        from submitit.core.utils import FailedJobError, UncompletedJobError

        task = f"task {job.job_id} (log: {job.paths.stderr})"
        if not job.done():  # and never will be, for submitit
            return WorkerLostError(f"{task} was taken away by Slurm (PREEMPTED)")
        if self.cluster == "local":
            job._results_timeout_s = 0  # how long to wait for a result that a network's disk may show late
        try:
            return result(job.result(), task)
        except UncompletedJobError:
            return WorkerLostError(f"{task} ended without a result, in state {job.state}")
        except FailedJobError as error:  # what the work raises does not come this way
            last = str(error).partition("-\n")[2].partition("\n-")[0].strip().splitlines()[-1:]
            raise UserError(
                f"{task[0].upper()}{task[1:]} could not begin: {''.join(last)}",
                "Nodes need the same Python environment and the same folders as this machine.",
            ) from error

    def _cancel(self, jobs: Sequence[Any]) -> None:
        if self.cluster == "slurm" and jobs:
            subprocess.run(["scancel", *(job.job_id for job in jobs)], check=False)
            return
        for job in jobs:
            job.cancel()
        until = time.monotonic() + END_SECONDS
        while self.cluster == "local" and time.monotonic() < until and not all(job.done() for job in jobs):
            time.sleep(POLL_SECONDS["local"])


def make(call: Call) -> bytes:
    """Makes the call in a task; takes Slurm's warnings as a request to stop, as Ctrl-C is one."""
    warnings = [signal.SIGTERM, signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"]]
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *warnings)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in warnings:
        signal.signal(number, _ask_to_stop)
    try:
        return call()
    finally:
        for number, handler in before.items():
            with contextlib.suppress(TypeError):  # one that Python does not know cannot be put back
                signal.signal(number, handler)


def _ask_to_stop(number: int, frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)
