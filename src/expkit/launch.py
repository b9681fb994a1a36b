"""What the environment says of the processes of one training: who starts them, and which of them this one is.

`torchrun` and `srun` start all of them with the same command. Without a launcher the first process of a machine starts
the others there; where there are several machines, MASTER_ADDR, MASTER_PORT and NODE_RANK say which one this is.
"""

from __future__ import annotations

import os

NODES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
"""What has to be set on each of several machines, where no launcher sets it."""

_IDENTIFYING = (
    "TORCHELASTIC_RUN_ID",
    "TORCHELASTIC_RESTART_COUNT",
    "SLURM_JOB_ID",
    "SLURM_STEP_ID",
    "SLURM_RESTART_COUNT",
    "MASTER_PORT",
)


def is_first() -> bool:
    """Whether this is the process that records the run and shows its progress; the only one is."""
    if "RANK" in os.environ:
        return _number("RANK") == 0
    if started_by_slurm():
        return _number("SLURM_PROCID") == 0
    return node() == 0 and _number("LOCAL_RANK") == 0


def node() -> int:
    """Which of several machines this is."""
    return _number("NODE_RANK") or _number("GROUP_RANK")


def all_are_started() -> bool:
    """Whether the other processes of this machine are started already; else the first of them starts them."""
    return "LOCAL_RANK" in os.environ or started_by_slurm()


def started_by_slurm() -> bool:
    """Whether this is one of several tasks that `srun` has started; a batch script or a shell of a job is not."""
    return _number("SLURM_STEP_NUM_TASKS") > 1


def name() -> str:
    """The same in all processes that were launched together; nearly always another one in others."""
    return " ".join(f"{variable}={os.environ[variable]}" for variable in _IDENTIFYING if variable in os.environ)


def _number(variable: str) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() else 0
