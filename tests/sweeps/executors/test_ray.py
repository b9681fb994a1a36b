"""Work on a Ray cluster of two nodes, one of which goes away."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.test_utils.launcher_common_tests import LauncherTestSuite
from hydra.version import _UNSPECIFIED_, VersionBase

from expkit.errors import ConfigError, UserError
from expkit.records.record import Record
from expkit.records.store import Store
from expkit.sweeps.executors.base import WorkerLostError
from expkit.sweeps.executors.ray import RayCluster
from support import train

SOON = 20.0  # seconds


def until(condition: Callable[[], bool], seconds: float = SOON) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster whose first node has one core; one for all tests of this file, as a process can join only one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        import ray
        from ray.cluster_utils import Cluster

        small = {"object_store_memory": 80 * 2**20}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **small})
        try:
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


@pytest.fixture
def unspecified_version_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra's suites expect a process in which nobody has told Hydra which version to behave as."""
    monkeypatch.setattr(VersionBase.instance(), "version_base", _UNSPECIFIED_)


def square_somewhere(chunk: tuple[Path, int]) -> tuple[int, str]:
    """The first two stay until their node is let go."""
    import ray

    folder, number = chunk
    node = ray.get_runtime_context().get_node_id()
    with (folder / f"{number}.begun").open("a") as file:
        file.write(f"{node}\n")
    if number < 2:
        until((folder / f"{node}.go").exists)
    return number**2, node


def test_chunks_of_a_node_that_dies_are_lost_and_can_be_done_again(cluster: Any, tmp_path: Path) -> None:
    second = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    executor = RayCluster(cluster.address)
    assert executor.workers == 2
    chunks = [(tmp_path, number) for number in range(6)]
    running = executor.run(square_somewhere, chunks)

    def remove() -> None:
        until(lambda: all((tmp_path / f"{number}.begun").exists() for number in (0, 1)))
        cluster.remove_node(second, allow_graceful=False)
        (tmp_path / f"{cluster.head_node.node_id}.go").touch()

    remover = threading.Thread(target=remove)
    remover.start()
    came = dict(running)
    remover.join()
    on_second = [n for n in (0, 1) if (tmp_path / f"{n}.begun").read_text().split() == [second.node_id]]
    assert len(on_second) == 1, "each node had one"
    lost = {place for place, value in came.items() if isinstance(value, WorkerLostError)}
    # Those that the node was given just before it was known to be dead may be lost, too; never the other node's.
    assert set(on_second) <= lost
    assert 1 - on_second[0] not in lost
    again = sorted(lost)
    for place, value in executor.run(square_somewhere, [chunks[place] for place in again]):
        came[again[place]] = value
    assert {place: value[0] for place, value in came.items()} == {n: n**2 for n in range(6)}  # type: ignore[index]


def test_a_sweep_completes_though_a_node_dies(cluster: Any, tmp_path: Path) -> None:
    """Nothing is lost, and what was complete is not run twice."""
    second = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    runs = tmp_path / "runs"

    def complete() -> list[Record]:
        return [record for record in Store(runs) if record.state == "complete"]

    before: dict[str, int] = {}

    def remove() -> None:
        until(lambda: len(complete()) >= 3, seconds=60)
        before.update({record.run_id: record.status["attempts"] for record in complete()})
        cluster.remove_node(second, allow_graceful=False)

    remover = threading.Thread(target=remove)
    remover.start()
    # Other widths are other structures, so that there are eight chunks of two for two nodes.
    sweep = ["-m", "data=two_moons", "data.n_train=200", "model=mlp", "model.width=4,5,6,7,8,9,10,11", "seed=0,1"]
    sweep += ["trainer.max_steps=400", "logger=none", "hydra/launcher=ray"]
    printed = train(*sweep, f"hydra.launcher.address={cluster.address}", f"paths.runs={runs}")
    remover.join()
    assert len({run["run_id"] for run in printed}) == 16
    assert [run["status"] for run in printed] == ["complete"] * 16
    assert len(before) >= 3
    after = {record.run_id: record.status["attempts"] for record in Store(runs)}
    assert {run: after[run] for run in before} == before


def misbehave(how: str) -> object:
    if how == "exits":
        os._exit(1)
    if how == "raises":
        raise UserError("the message", "the hint")
    return os.environ.get("OMP_NUM_THREADS"), os.getcwd(), os.environ.get("EXPKIT_RUNS")


def test_a_worker_that_ends_costs_its_chunk_and_what_the_work_raises_is_raised_here(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("EXPKIT_RUNS", "elsewhere")
    monkeypatch.chdir(tmp_path)
    executor = RayCluster(cluster.address, max_in_flight=1)
    lost, there = (value for _, value in executor.run(misbehave, ["exits", "looks"]))
    assert isinstance(lost, WorkerLostError)
    assert "WorkerCrashedError" in str(lost)
    assert there == ("3", str(tmp_path), "elsewhere")
    with pytest.raises(UserError, match="the message") as caught:
        list(executor.run(misbehave, ["raises"]))
    assert caught.value.hint == "the hint"


def wait_for_the_end(chunk: tuple[Path, str]) -> str:
    folder, how = chunk
    if how == "quick":
        return how
    (folder / "begun").touch()
    try:
        for _ in range(int(SOON * 50)):
            time.sleep(0.02)
    except KeyboardInterrupt:
        (folder / "saved").touch()
        raise
    return how


def test_who_closes_early_has_the_tasks_stopped(cluster: Any, tmp_path: Path) -> None:
    running = RayCluster(cluster.address).run(wait_for_the_end, [(tmp_path, "quick"), (tmp_path, "waits")])
    assert next(running) == (0, "quick")
    until((tmp_path / "begun").exists)
    running.close()  # type: ignore[attr-defined]
    assert (tmp_path / "saved").exists()


def test_what_is_missing_is_said(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert RayCluster(cluster.address, max_in_flight=1).workers == 1  # connected
    with pytest.raises(UserError, match="0 GPUs"):
        _ = RayCluster(gpus_per_worker=1).workers
    with pytest.raises(ConfigError, match="0 CPUs"):
        RayCluster(cpus_per_worker=0)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'expkit\[ray\]'"):
        list(RayCluster().run(abs, [1]))


@pytest.mark.usefixtures("cluster", "unspecified_version_base")
@pytest.mark.parametrize(("launcher_name", "overrides"), [("ray", [])])
class TestRayLauncher(LauncherTestSuite):
    """Jobs of other Hydra applications."""
