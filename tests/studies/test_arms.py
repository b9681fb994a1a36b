"""Arms of a study that run side by side, in processes of their own."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from expkit.studies.arms import MOST, at_a_time
from expkit.sweeps.events import EventWriter
from expkit.sweeps.executors import processes
from expkit.sweeps.sweep import Entry, Sweep
from expkit.views.arms import ArmProgress
from tiny_project import Project, tiny_project


@pytest.fixture
def project(runs: Path, tmp_path: Path) -> Iterator[Project]:
    with tiny_project(tmp_path) as made:
        yield made


def test_they_measure_what_they_do_one_after_the_other(project: Project) -> None:
    (beside,), status, said = project.expkit("reproduce", "tiny", "--jobs", "2", "--json")
    assert status == 0, said
    assert "tiny: 2 arms, 2 at a time" in said
    records = [folder.parent for folder in project.folder.glob("runs/tiny/*/status.json")]
    pids = [json.loads((record / "status.json").read_text())["pid"] for record in records]
    assert len(records) == 6
    assert len(set(pids)) == 2
    assert os.getpid() not in pids
    (after,), status, said = project.expkit("reproduce", "tiny", "--json", "--runs", "others")
    assert status == 0, said
    for one, other in zip(beside["claims"][:2], after["claims"][:2], strict=True):
        assert (one["verdict"], one["seeds"]) == (other["verdict"], other["seeds"])
        assert one["interval"] == pytest.approx(other["interval"], rel=1e-6)


def test_one_that_is_killed_is_told_of_and_goes_on(project: Project) -> None:
    refusal = 'raise RuntimeError(f"seed {seed} is refused")'
    undo = project.edit("tiny_lab/net.py", refusal, "__import__('os').kill(__import__('os').getpid(), 9)")
    _, status, said = project.expkit("reproduce", "tiny", "model.refused=1", "--jobs", "2")
    assert status == 1
    assert "of tiny was not finished: process" in said
    assert "was killed (SIGKILL)" in said
    assert "The same command goes on" in said
    undo()
    project.edit("tiny_lab/net.py", refusal, "pass")
    (done,), status, said = project.expkit("reproduce", "tiny", "model.refused=1", "--jobs", "2", "--json")
    assert status == 0, said
    assert done["runs"] == 6


def test_one_whose_last_worker_is_still_saving_waits_for_it(project: Project) -> None:
    assert project.expkit("reproduce", "tiny")[1] == 0
    (sweep, _) = project.folder.glob("runs/.sweeps/*")
    held, saved = threading.Event(), threading.Event()

    def worker() -> None:
        with Sweep(sweep).claim():
            held.set()
            saved.wait(1)

    threading.Thread(target=worker).start()
    assert held.wait(10)
    _, status, said = project.expkit("reproduce", "tiny")
    assert status == 0, said


def test_a_mistake_of_an_arm_is_told_as_it_is_without_processes(project: Project) -> None:
    project.edit("conf/experiment/tiny.yaml", "untrained: {optimizer.lr: 0}", "untrained: {optimizer.lrr: 0}")
    _, status, said = project.expkit("reproduce", "tiny", "--jobs", "2")
    assert (status, said) == project.expkit("reproduce", "tiny")[1:]
    assert "optimizer.lrr" in said


def test_how_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("expkit.studies.arms.cores", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert at_a_time(["seed=1"]) == 2
    assert at_a_time(["hydra/launcher=processes"]) == 1
    assert at_a_time(["hydra.launcher.n_jobs=3"]) == 1
    monkeypatch.setattr("expkit.studies.arms.cores", lambda: 64)
    assert at_a_time([]) == MOST
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    assert processes.gpus() == ["0", "1", "2"]
    assert at_a_time([]) == 3


def test_how_far_an_arm_is_by_its_events(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "runs" / ".sweeps" / "x")
    arm = ArmProgress(sweep)
    arm.look()
    assert arm.fraction == 0
    sweep.folder.mkdir(parents=True)
    sweep.add([Entry(number, (f"seed={number}",), f"x/{number}") for number in range(10)])
    events = EventWriter(sweep.events)
    for number in range(4):
        events.write("run", number=number, state="running", run=f"x/{number}")
    events.write("progress", chunk=0, runs=4, fraction=0.5)
    arm.look()
    assert arm.fraction == pytest.approx(0.2)
    events.write("progress", chunk=0, runs=4, fraction=None)
    for number in range(4):
        events.write("run", number=number, state="complete", run=f"x/{number}")
    arm.look()
    assert arm.fraction == pytest.approx(0.4)
    events.close()
