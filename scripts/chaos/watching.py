"""What a process and all that it has started use, over time."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

EVERY = 0.5  # seconds between two looks
SLACK = 32 * 2**20
"""Bytes that memory may grow besides: allocators keep what they have had."""


@dataclass(frozen=True)
class Sample:
    """Seconds since the epoch, seconds of processor time so far, bytes, open files and threads: of all processes."""

    time: float
    cpu: float
    memory: int
    files: int
    threads: int


def watched(command: Sequence[str], folder: Path, limit: float) -> tuple[int, str, list[Sample]]:
    """Runs a command; its exit status, the end of what it said, and samples of it.

    Args:
        limit: seconds after which it is ended.
    """
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + limit
        samples = []
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.terminate()
                process.wait(timeout=60)
                break
            if one := sample(process.pid):
                samples.append(one)
            time.sleep(EVERY)
        said.seek(0)
        return process.returncode, said.read()[-500:], samples


def sample(pid: int) -> Sample | None:
    """None once the process is gone."""
    cpu, memory, files, threads = 0.0, 0, 0, 0
    try:
        first = psutil.Process(pid)
        every = [first, *first.children(recursive=True)]
        spent = first.cpu_times()
        cpu += spent.children_user + spent.children_system
    except psutil.Error:
        return None
    for one in every:
        with contextlib.suppress(psutil.Error), one.oneshot():
            cpu += sum(one.cpu_times()[:2])
            memory += one.memory_info().rss
            files += one.num_fds()
            threads += one.num_threads()
    return Sample(time.time(), cpu, memory, files, threads)


def growth(samples: Sequence[Sample]) -> list[str]:
    """What grew from the second quarter to the end; work begins and ends in the first and after the last sample."""
    early, late = samples[len(samples) // 4 : len(samples) // 2], samples[-max(1, len(samples) // 4) :]
    if not early:
        return []
    found = []
    for name, slack in (("memory", SLACK), ("files", 4), ("threads", 4)):
        before, after = (median(getattr(one, name) for one in part) for part in (early, late))
        if after > before * 1.1 + slack:
            found.append(f"{name} grew from {before:,.0f} to {after:,.0f}")
    return found


def reference() -> float:
    """Seconds of processor time that a fixed piece of work takes now; it makes nothing that is left behind.

    On a machine that others use, too, a second of processor time does up to a half more or less from minute to minute.
    """
    began = time.process_time()
    block, total = bytes(2**20), 0
    for number in range(200_000):
        total += number
    for _ in range(10):
        hashlib.blake2b(block).digest()
    return time.process_time() - began


def slowdown(
    samples: Sequence[Sample], ends: Sequence[float], references: Sequence[float] = ()
) -> tuple[float, list[str]]:
    """The rate in the last tenth by that in the first, per second of processor time: others may be using the machine.

    Args:
        ends: when each piece of work was done, in seconds since the epoch.
        references: what `reference` said after each; what it says of the machine is taken out.
    """
    marks = _marks(samples, sorted(ends))
    tenth = len(ends) / 10
    begun = [mark for mark in marks if mark[0] - marks[0][0] >= tenth]
    left = [mark for mark in marks if marks[-1][0] - mark[0] >= tenth]
    if not begun or not left or begun[0][1] <= marks[0][1] or marks[-1][1] <= left[-1][1]:
        return 1.0, []
    first = (begun[0][0] - marks[0][0]) / (begun[0][1] - marks[0][1])
    last = (marks[-1][0] - left[-1][0]) / (marks[-1][1] - left[-1][1])
    ratio = last / first
    if references:
        few = max(1, len(references) // 10)
        ratio *= median(references[-few:]) / median(references[:few])
    return ratio, [f"the rate in the last tenth is {ratio:.2f} of that in the first"] if ratio < 0.9 else []


def _marks(samples: Sequence[Sample], ends: Sequence[float]) -> list[tuple[int, float]]:
    """How many pieces were done at what processor time: of those that are done together, the last one counts."""
    together = [count for count in range(1, len(ends)) if ends[count] - ends[count - 1] > EVERY]
    counts = [*together, len(ends)] if len(together) > 3 else range(1, len(ends) + 1)
    return [(count, _cpu_at(samples, ends[count - 1])) for count in counts]


def _cpu_at(samples: Sequence[Sample], when: float) -> float:
    after = next((place for place, one in enumerate(samples) if one.time >= when), len(samples) - 1)
    here, before = samples[after], samples[max(0, after - 1)]
    if here.time <= before.time or when >= here.time:
        return here.cpu
    share = max(0.0, (when - before.time) / (here.time - before.time))
    return before.cpu + share * (here.cpu - before.cpu)
