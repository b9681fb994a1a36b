"""Memory that a step has freed is there for the next one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

STEPS = """
import resource, sys
import torch
from expkit.freed_memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step():
    made = [torch.zeros(2**20).add_(1) for _ in range(16)]  # 4 MiB each
step()
before = faults()
for _ in range(10):
    step()
print(faults() - before)
"""


def page_faults(how: str, **variables: str) -> int:
    """Of ten steps of 64 MiB."""
    command = [sys.executable, "-c", STEPS, how]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    return int(subprocess.run(command, env=ours | variables, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's")
def test_steps_take_up_the_memory_of_earlier_ones() -> None:
    of_a_step = 64 * 2**20 // os.sysconf("SC_PAGESIZE")
    assert page_faults("keep") < of_a_step
    assert page_faults("leave") > 5 * of_a_step
    assert page_faults("keep", MALLOC_TRIM_THRESHOLD_="0") > 5 * of_a_step  # as the user says
