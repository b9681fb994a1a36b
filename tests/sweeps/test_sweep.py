"""A sweep's numbers and folders are stable, whatever happens to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from expkit.errors import ConfigError, UserError
from expkit.records.store import Store
from expkit.sweeps.results import counts
from expkit.sweeps.sweep import Entry, Sweep, find, sweep_id


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    one = Sweep(tmp_path / "runs" / ".sweeps" / "x")
    one.folder.mkdir(parents=True)
    one.add([Entry(n, (f"seed={n}",), f"e/{n:012x}") for n in range(3)])
    return one


def test_the_id_is_of_what_is_run_not_of_how() -> None:
    base = sweep_id("e", ["+experiment=e", "seed=0,1"])
    how = ["paths.runs=/x", "hydra/launcher=ray", "hydra.launcher.n_jobs=2", "sweep.retries=1", "logger=none"]
    assert sweep_id("e", ["+experiment=e", *how, "seed=0,1"]) == base
    others = [["+experiment=e", "seed=0,2"], ["+experiment=e", "seed=0,1", "hydra/sweeper=optuna"], ["seed=0,1"]]
    assert len({base, *(sweep_id("e", other) for other in others)}) == 4


def test_numbers_are_found_again_in_any_order(sweep: Sweep) -> None:
    again = Sweep(sweep.folder)
    assert again.number([["seed=2"], ["seed=9"], ["seed=0"], ["seed=8"]]) == [2, 3, 0, 4]


def test_equal_jobs_have_numbers_of_their_own(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    sweep.add([Entry(n, ("seed=1",), "e/1") for n in range(2)])
    assert sorted(sweep.number([["seed=1"], ["seed=1"], ["seed=1"]])) == [0, 1, 2]


def test_what_a_killed_process_did_not_finish_writing_is_written_again(sweep: Sweep) -> None:
    file = sweep.folder / "jobs.jsonl"
    file.write_text(file.read_text()[:-20])
    again = Sweep(sweep.folder)
    assert sorted(again.entries) == [0, 1]
    again.add([Entry(2, ("seed=2",), "e/2")])
    assert sorted(Sweep(sweep.folder).entries) == [0, 1, 2]


def test_another_definition_is_refused_or_extends(sweep: Sweep) -> None:
    assert sweep.define([[f"seed={n}"] for n in (2, 1, 0)], named=True) is None
    assert "extended by 1 run to 4" in str(sweep.define([[f"seed={n}"] for n in (3, 2, 1, 0)], named=True))
    with pytest.raises(ConfigError, match=r"1 run not named by this command, such as seed=2"):
        sweep.define([["seed=0"], ["seed=1"]], named=True)
    assert sorted(sweep.entries) == [0, 1, 2]
    assert "1 gone, 1 new" in str(sweep.define([["seed=0"], ["seed=1"], ["seed=5"]], named=False))
    assert sweep.number([["seed=0"], ["seed=1"], ["seed=5"]]) == [0, 1, 2]


def test_changed_code_is_noticed(sweep: Sweep) -> None:
    assert sweep.add([Entry(0, ("seed=0",), "e/000000000000"), Entry(1, ("seed=1",), "e/ffffffffffff")]) == 1
    assert Sweep(sweep.folder).entries[1].run == "e/ffffffffffff"


def test_one_process_at_a_time(sweep: Sweep) -> None:
    with sweep.claim():
        sweep.begin(overrides=["seed=0"])
        assert Sweep(sweep.folder).info["state"] == "running"
        with pytest.raises(UserError, match="is being run by process"), Sweep(sweep.folder).claim():
            pass
    assert Sweep(sweep.folder).info["state"] == "interrupted"
    sweep.finish("complete")
    assert Sweep(sweep.folder).info["state"] == "complete"


def test_states_are_those_of_the_records(sweep: Sweep) -> None:
    folder = sweep.runs / "e" / f"{1:012x}"
    folder.mkdir(parents=True)
    (folder / "status.json").write_text('{"status": "diverged"}')
    sweep.add([Entry(3, ("seed=x",), None)])
    assert sweep.states() == {0: "waiting", 1: "diverged", 2: "waiting", 3: "failed"}
    assert counts(sweep) == {"waiting": 2, "diverged": 1, "failed": 1}


def test_a_part_of_the_name_will_do(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in ("moons-1a2b", "moons-3c4d", "wine-5e6f"):
        one = Sweep(tmp_path / ".sweeps" / name)
        one.folder.mkdir(parents=True)
        one.begin()
    assert find(store, "wine").id == "wine-5e6f"
    assert find(store, "3c").id == "moons-3c4d"
    with pytest.raises(UserError, match="2 sweeps"):
        find(store, "moons")
    with pytest.raises(UserError, match="no sweep 'digits'"):
        find(store, "digits")
