"""Work in processes of this machine: all of it is done, and no process outlives its use."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from expkit.errors import ConfigError, UserError
from expkit.sweeps.executors import processes
from expkit.sweeps.executors.base import WorkerLostError
from expkit.sweeps.executors.calling import THREADS
from expkit.sweeps.executors.processes import Processes, gpus

SOON = 10.0  # seconds


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture
def no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)


def until(condition: Callable[[], bool], seconds: float = SOON) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def write(path: Path, text: object) -> None:
    """So that readers see all of it or nothing."""
    part = path.with_suffix(".part")
    part.write_text(str(text))
    part.rename(path)


def test_all_chunks_come_back_with_their_places_and_the_quick_do_not_wait_for_the_slow() -> None:
    def work(chunk: tuple[float, int]) -> tuple[int, int]:  # has no name to be pickled by
        time.sleep(chunk[0])
        return chunk[1] ** 2, os.getpid()

    chunks = [(1.0, 0), *((0.0, number) for number in range(1, 8))]
    came = list(Processes(2).run(work, chunks))
    assert {place: value[0] for place, value in came} == {n: n**2 for n in range(8)}  # type: ignore[index]
    assert came[-1][0] == 0
    pids = {value[1] for _, value in came}  # type: ignore[index]
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_no_chunks_need_no_process() -> None:
    assert list(Processes(2).run(abs, [])) == []


def threads_of_torch(_: int) -> int:
    import torch

    return torch.get_num_threads()


@pytest.mark.usefixtures("no_limits")
def test_cores_are_divided_among_the_processes() -> None:
    cores = len(os.sched_getaffinity(0))
    assert dict(Processes(1).run(threads_of_torch, [0])) == {0: cores}
    assert dict(Processes(2).run(os.getenv, ["MKL_NUM_THREADS"])) == {0: str(max(1, cores // 2))}


def test_threads_are_as_many_as_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dict(Processes(1, threads=1).run(threads_of_torch, [0])) == {0: 1}
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert dict(Processes(1).run(os.getenv, ["OMP_NUM_THREADS"])) == {0: "5"}


def die_or_count(chunk: tuple[Path, int, str]) -> int:
    folder, number, how = chunk
    with (folder / f"{number}.begun").open("a") as file:
        file.write(f"{os.getpid()}\n")
    if how == "forked":  # a child that keeps the pipe open must not hide that its parent is gone
        multiprocessing.get_context("fork").Process(target=time.sleep, args=(4,)).start()
    if how in ("killed", "forked"):
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exits":
        os._exit(7)
    if how == "slow":
        until(lambda: len(list(folder.glob("*.begun"))) == 7)
    return number


@pytest.mark.parametrize(
    ("how", "says"), [("killed", "SIGKILL"), ("exits", "ended with status 7"), ("forked", "SIGKILL")]
)
def test_a_lost_worker_costs_its_chunk_and_no_other(tmp_path: Path, how: str, says: str) -> None:
    ways = ["slow", how, "", how, "", how, ""]
    chunks = [(tmp_path, number, way) for number, way in enumerate(ways)]
    came = dict(Processes(2).run(die_or_count, chunks))
    lost = {place: value for place, value in came.items() if isinstance(value, WorkerLostError)}
    assert list(lost) == [1, 3, 5]
    assert all(says in str(error) for error in lost.values())
    assert {place: value for place, value in came.items() if place not in lost} == {0: 0, 2: 2, 4: 4, 6: 6}
    # The one that worked all the while was left in peace.
    assert len((tmp_path / "0.begun").read_text().split()) == 1


def wait_for_the_end(chunk: tuple[Path, str]) -> str:
    """Counts the times it is asked to stop; the stubborn do not care."""
    folder, how = chunk
    asked = []

    def count(number: int, frame: object) -> None:
        asked.append(number)

    signal.signal(signal.SIGINT, count)
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    write(folder / f"{os.getpid()}.pids", f"{os.getpid()} {child.pid} {os.getpgrp()}")
    while not asked or how == "stubborn":
        time.sleep(0.02)
    time.sleep(0.3)
    write(folder / f"{os.getpid()}.saved", len(asked))
    return "saved"


def quick_or_waiting(chunk: tuple[Path, str]) -> str:
    if chunk[1] == "quick":
        until(lambda: any(chunk[0].glob("*.pids")))
        return "quick"
    return wait_for_the_end(chunk)


def test_who_closes_early_leaves_no_process_and_lets_what_has_begun_save(tmp_path: Path) -> None:
    chunks = [(tmp_path, "waits"), (tmp_path, "quick"), *[(tmp_path, "waits")] * 3]
    running = Processes(2).run(quick_or_waiting, chunks)
    assert next(running) == (1, "quick")
    until(lambda: len(list(tmp_path.glob("*.pids"))) == 2)
    running.close()  # type: ignore[attr-defined]
    pids = [list(map(int, path.read_text().split())) for path in tmp_path.glob("*.pids")]
    assert len(pids) == 2, "the others had not begun, and do not"
    assert [path.read_text() for path in tmp_path.glob("*.saved")] == ["1", "1"], "each is asked once"
    for worker, child, group in pids:
        assert is_gone(worker)
        assert is_gone(child)
        assert group != os.getpgrp(), "Ctrl-C on the terminal must not reach it as well"


def test_who_does_not_stop_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "SAVE_SECONDS", 0.3)
    monkeypatch.setattr(processes, "END_SECONDS", 0.1)
    running = Processes(2).run(quick_or_waiting, [(tmp_path, "stubborn"), (tmp_path, "quick")])
    assert next(running) == (1, "quick")
    started = time.monotonic()
    running.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 3
    (path,) = tmp_path.glob("*.pids")
    worker, child, _ = map(int, path.read_text().split())
    assert is_gone(worker)
    until(lambda: is_gone(child))


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""\
        import sys
        from pathlib import Path
        sys.path.append({str(Path(__file__).parent)!r})
        from expkit.sweeps.executors.processes import Processes
        from test_processes import wait_for_the_end
        list(Processes(2).run(wait_for_the_end, [(Path({str(tmp_path)!r}), "waits")] * 2))
        """)
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    try:
        until(lambda: len(list(tmp_path.glob("*.pids"))) == 2, 30)
    finally:
        parent.kill()
        parent.wait()
    pids = [int(pid) for path in tmp_path.glob("*.pids") for pid in path.read_text().split()[:2]]
    until(lambda: all(map(is_gone, pids)))
    assert [path.read_text() for path in tmp_path.glob("*.saved")] == ["1", "1"]


def asked_to_stop(chunk: int) -> int:
    if chunk == 0:
        signal.raise_signal(signal.SIGINT)
    return chunk


def test_a_worker_that_is_asked_to_stop_gives_its_chunk_back() -> None:
    came = dict(Processes(1).run(asked_to_stop, [0, 1, 2]))
    assert "asked to stop" in str(came.pop(0))
    assert came == {1: 1, 2: 2}


class NeedsTwoError(Exception):
    """Can be pickled, but not unpickled."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def fail(chunk: str) -> None:
    if chunk == "user":
        raise UserError("the message", "the hint")
    if chunk == "needs two":
        raise NeedsTwoError(1, 2)
    if chunk == "exit":
        sys.exit(3)


def test_what_the_work_raises_is_raised_here_with_its_traceback() -> None:
    with pytest.raises(UserError, match="the message") as caught:
        list(Processes(1).run(fail, ["user"]))
    assert caught.value.hint == "the hint"
    assert 'raise UserError("the message", "the hint")' in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="NeedsTwoError: 1 and 2"):
        list(Processes(1).run(fail, ["needs two"]))
    with pytest.raises(SystemExit, match="3"):
        list(Processes(1).run(fail, ["exit"]))


def in_a_pool(chunk: int) -> list[int]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(abs, [-chunk])


def test_workers_may_have_child_processes() -> None:
    assert dict(Processes(1).run(in_a_pool, [5])) == {0: [5]}


def device_once_all_are_here(folder: Path) -> str:
    (folder / str(os.getpid())).touch()
    until(lambda: len(list(folder.iterdir())) == 3)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def test_each_gpu_has_a_worker_and_further_ones_go_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7f,-1,5")
    assert gpus() == ["4", "GPU-7f"]  # what comes after an invalid one does not count, as CUDA's manual says
    assert Processes().workers == 2
    devices = [device for _, device in Processes(3).run(device_once_all_are_here, [tmp_path] * 3)]
    assert sorted(map(str, devices)) == ["4", "4", "GPU-7f"]


def test_gpus_are_counted_where_nobody_has_chosen_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-1)'\necho 'GPU 1: NVIDIA H200 (UUID: GPU-2)'\n")
    tool.chmod(0o755)
    assert gpus() == ["0", "1"]
    tool.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    assert gpus() == []


def test_numbers_of_processes_count_from_below_as_they_do_elsewhere() -> None:
    cores = len(os.sched_getaffinity(0))
    assert Processes().workers == cores
    assert Processes(-2).workers == max(1, cores - 1)
    with pytest.raises(ConfigError, match="n_jobs"):
        Processes(0)
    with pytest.raises(ConfigError, match="threads"):
        Processes(2, threads=0)
