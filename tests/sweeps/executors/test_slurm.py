"""Work as Slurm tasks: really on this machine through submitit, and through Slurm's commands with a stand-in."""

from __future__ import annotations

import os
import re
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from hydra.test_utils.launcher_common_tests import LauncherTestSuite
from hydra.version import _UNSPECIFIED_, VersionBase

from expkit.errors import ConfigError, UserError
from expkit.sweeps.executors import slurm as module
from expkit.sweeps.executors.base import WorkerLostError
from expkit.sweeps.executors.slurm import Slurm

SOON = 20.0  # seconds


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def unspecified_version_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra's suites expect a process in which nobody has told Hydra which version to behave as."""
    monkeypatch.setattr(VersionBase.instance(), "version_base", _UNSPECIFIED_)


@pytest.fixture
def local(tmp_path: Path) -> Slurm:
    return Slurm(tmp_path / "slurm" / "%j", cluster="local", cpus_per_task=2, max_parallel=3)


def lose_some(chunk: tuple[str, int]) -> tuple[int, int]:
    how, number = chunk
    if how == "killed":
        print("the last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "preempted":  # what Slurm sends some time before it takes the node away
        os.kill(os.getpid(), signal.SIGUSR2)
        time.sleep(SOON)
    if how == "sleeps":
        time.sleep(2)
    return number**2, os.getpid()


def test_killed_and_preempted_tasks_are_lost_and_no_others(local: Slurm) -> None:
    chunks = [("", 0), ("killed", 1), ("preempted", 2), ("", 3), ("", 4)]
    came = dict(local.run(lose_some, chunks))
    killed, preempted = came.pop(1), came.pop(2)
    assert isinstance(killed, WorkerLostError)
    log = re.search(r"log: (.+?)\)", str(killed))
    assert log is not None
    assert "the last words" in Path(log[1]).read_text()
    assert isinstance(preempted, WorkerLostError)
    assert "asked to stop" in str(preempted)
    assert {place: value[0] for place, value in came.items()} == {0: 0, 3: 9, 4: 16}  # type: ignore[index]
    assert len({value[1] for value in came.values()} | {os.getpid()}) == 4  # type: ignore[index]


class FolderTakenError(Exception):
    """An error of this module."""


def fail(folder: Path) -> None:
    raise FolderTakenError(f"{folder} is taken")


def test_what_the_work_raises_is_raised_here(local: Slurm, tmp_path: Path) -> None:
    with pytest.raises(FolderTakenError, match="is taken") as caught:
        list(local.run(fail, [tmp_path]))
    assert "in fail" in caught.value.__notes__[0]


def look_around(name: str) -> tuple[str | None, str]:
    return os.environ.get(name), os.getcwd()


def test_a_task_has_the_folder_and_threads_that_it_should(
    local: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert dict(local.run(look_around, ["OMP_NUM_THREADS"])) == {0: ("2", str(tmp_path))}


def wait_for_the_end(chunk: tuple[Path, str]) -> str:
    folder, how = chunk
    if how == "quick":
        until(lambda: any(folder.glob("*.pid")))
        return how
    (folder / f"{os.getpid()}.pid").touch()
    try:
        time.sleep(SOON)
    except KeyboardInterrupt:
        (folder / f"{os.getpid()}.saved").touch()
        raise
    return how


def test_who_closes_early_has_the_tasks_stopped(tmp_path: Path) -> None:
    running = Slurm(tmp_path / "slurm", cluster="local", max_parallel=2).run(
        wait_for_the_end, [(tmp_path, "waits"), (tmp_path, "quick"), *[(tmp_path, "waits")] * 3]
    )
    assert next(running) == (1, "quick")
    running.close()  # type: ignore[attr-defined]
    pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
    assert len(pids) == 1, "no more than two at once"
    assert [path.stem for path in tmp_path.glob("*.saved")] == [str(pids[0])]
    until(lambda: all(map(is_gone, pids)))


def test_debugging_stays_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)}
    ((_, value),) = Slurm(tmp_path, cluster="debug").run(lose_some, [("", 3)])
    assert value == (9, os.getpid())
    assert {number: signal.getsignal(number) for number in before} == before


def test_settings_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'slurm'"):
        Slurm(tmp_path, cluster="slrm")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="max_parallel"):
        Slurm(tmp_path, max_parallel=0)


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no Slurm on this machine"):
        list(Slurm(tmp_path).run(abs, [1]))
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'expkit\[slurm\]'"):
        list(Slurm(tmp_path).run(abs, [1]))


# Reads a batch script as Slurm does: `#SBATCH --array=0-3%2`, then its command once for each number. The number in
# the file `taken` is taken away with no warning, as a node that fails or is preempted takes it.
SBATCH = """\
#!{python}
import os, re, subprocess, sys
from pathlib import Path
folder = Path(__file__).parent
script = Path(sys.argv[1]).read_text()
with (folder / "scripts").open("a") as file:
    file.write(script)
array = re.search(r"--array=0-(\\d+)%(\\d+)", script)
job = 100 * (1 + sum(1 for path in folder.glob("job-*")))
(folder / f"job-{{job}}").touch()
states = ["JobID|State|NodeList"]
if os.fork() == 0:
    os.setsid()
    for name in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), name)
    for task in range(int(array[1]) + 1) if array else [None]:
        name = f"{{job}}_{{task}}" if array else str(job)
        taken = task is not None and str(task) == os.environ.get("TAKEN")
        environment = {{**os.environ, "SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": str(job), "SLURM_PROCID": "0"}}
        if array:
            environment |= {{"SLURM_ARRAY_JOB_ID": str(job), "SLURM_ARRAY_TASK_ID": str(task)}}
        if not taken:
            subprocess.run(["sh", sys.argv[1]], env=environment)
        states.append(f"{{name}}|{{'PREEMPTED' if taken else 'COMPLETED'}}|node1")
        part = folder / "states.part"
        part.write_text("\\n".join(states))
        part.rename(folder / "states")
    os._exit(0)
print(f"Submitted batch job {{job}}")
"""

# Runs what comes after its options, here.
SRUN = """\
#!{python}
import os, sys
command = sys.argv[1:]
while command[0].startswith("-"):
    command.pop(0) if "=" in command[0] or command[0] == "--unbuffered" else command.__delitem__(slice(2))
os.execvp(command[0], command)
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a stand-in for Slurm's commands."""
    folder = tmp_path / "bin"
    folder.mkdir()
    tools = {
        "sbatch": SBATCH,
        "srun": SRUN,
        "sacct": f"#!/bin/sh\ncat {folder}/states 2> /dev/null || true\n",
        "scancel": f"#!/bin/sh\necho $@ >> {folder}/cancelled\n",
    }
    for name, text in tools.items():
        (folder / name).write_text(textwrap.dedent(text.format(python=sys.executable)) if "{python}" in text else text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setitem(module.POLL_SECONDS, "slurm", 0.1)
    return folder


def test_the_chunks_are_one_array_and_a_task_that_slurm_takes_away_is_lost(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAKEN", "1")
    executor = Slurm(
        tmp_path / "slurm" / "%j",
        partition="gpu",
        timeout_min=90,
        cpus_per_task=4,
        mem_gb=8,
        gpus_per_node=1,
        max_parallel=2,
        additional_parameters={"account": "lab"},
    )
    came = dict(executor.run(lose_some, [("", number) for number in range(3)]))
    lost = came.pop(1)
    assert isinstance(lost, WorkerLostError)
    assert "PREEMPTED" in str(lost)
    assert "100_1_0_log.err" in str(lost)
    assert {place: value[0] for place, value in came.items()} == {0: 0, 2: 4}  # type: ignore[index]
    script = (cluster / "scripts").read_text()
    assert script.count("--array=0-2%2") == 1
    wanted = {"partition=gpu", "time=90", "cpus-per-task=4", "mem=8GB", "gpus-per-node=1", "account=lab", "no-requeue"}
    assert wanted <= set(re.findall(r"#SBATCH --(\S+)", script))


def test_who_closes_early_cancels_what_is_left_of_the_array(cluster: Path, tmp_path: Path) -> None:
    running = Slurm(tmp_path / "slurm").run(lose_some, [("", 3), ("sleeps", 1)])
    place, value = next(running)
    assert place == 0
    assert value[0] == 9  # type: ignore[index]
    running.close()  # type: ignore[attr-defined]
    assert (cluster / "cancelled").read_text().split() == ["100_1"]


@pytest.mark.usefixtures("unspecified_version_base")
@pytest.mark.parametrize(("launcher_name", "overrides"), [("slurm", ["hydra.launcher.cluster=local"])])
class TestSlurmLauncher(LauncherTestSuite):
    """Jobs of other Hydra applications."""
