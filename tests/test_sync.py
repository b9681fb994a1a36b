"""Uploading kept runs: against a server that takes them, one that refuses them, and none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from filelock import FileLock
from tests.wandb_stand_in import KEY, Server, closed_port, isolate, part, parts

from expkit.errors import UserError
from expkit.loggers.wandb_session import WandbSession
from expkit.loggers.wandb_writer import PENDING
from expkit.records.files import write_json
from expkit.sync import Synced, sync, unsynced


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    isolate(monkeypatch, tmp_path)
    return tmp_path / "runs"


def keep(runs: Path, name: str, steps: range = range(3), resume: bool = False) -> Path:
    folder = runs / "experiment" / name
    session = WandbSession(folder, name, mode="offline", resume=resume)
    for step in steps:
        session.log({"loss": float(step)}, step)
    session.finish("finished")
    write_json(folder / "status.json", {"status": "complete", "run_id": name})
    return folder


def login(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """As `wandb login` would have it, also for a process that has asked W&B before."""
    import wandb

    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", url)
    wandb.teardown()


def test_kept_runs_arrive_whole_and_only_once(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [keep(runs, "aaa"), keep(runs, "bbb")]
    server = Server()
    heard: list[Synced] = []
    with server.running() as url:
        login(monkeypatch, url)
        done = sync(runs, report=heard.append)
        assert [(one.run_id, one.status, one.folder) for one in done] == [
            ("aaa", "uploaded", folders[0]),
            ("bbb", "uploaded", folders[1]),
        ]
        assert done == heard
        assert done[0].url == f"{url}/me/expkit/runs/aaa"
        for name in ("aaa", "bbb"):
            assert [(row["_step"], row["loss"]) for row in server.history[name]] == [(0, 0), (1, 1), (2, 2)]
        assert server.exit_codes == {"aaa": 0, "bbb": 0}
        assert sync(runs) == []


def test_the_parts_of_a_resumed_run_become_one(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = keep(runs, "aaa", range(4))
    time.sleep(1.1)  # W&B names a part by the second it begins
    keep(runs, "aaa", range(4, 6), resume=True)
    assert len(parts(folder)) == 2
    server = Server()
    with server.running() as url:
        login(monkeypatch, url)
        assert [one.status for one in sync(runs)] == ["uploaded"]
        assert [row["_step"] for row in server.history["aaa"]] == [0, 1, 2, 3, 4, 5]
        # As if the second part had been online: it has to follow the first there once more.
        for marker in parts(folder)[0].glob("*.synced"):
            marker.unlink()
        assert unsynced(folder) == parts(folder)
        sync(runs)
    assert [row["_step"] for row in server.history["aaa"]] == [0, 1, 2, 3, 4, 5]


def test_a_run_that_was_cut_off_online_is_uploaded_to_its_end(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = keep(runs, "aaa")
    online = part(folder).rename(part(folder).with_name(part(folder).name.removeprefix("offline-")))
    assert unsynced(folder) == []
    (online / PENDING).touch()
    assert unsynced(folder) == [online]
    server = Server()
    with server.running() as url:
        login(monkeypatch, url)
        assert [one.status for one in sync(runs)] == ["uploaded"]
    assert len(server.history["aaa"]) == 3
    assert unsynced(folder) == []


def test_a_damaged_run_is_reported_and_kept_and_the_others_go_on(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = keep(runs, "aaa")
    keep(runs, "bbb")
    (log,) = part(damaged).glob("*.wandb")
    log.write_bytes(b"garbage")
    server = Server()
    with server.running() as url:
        login(monkeypatch, url)
        done = {one.run_id: one for one in sync(runs)}
    assert {name: one.status for name, one in done.items()} == {"aaa": "failed", "bbb": "uploaded"}
    assert "bad header" in done["aaa"].message
    assert unsynced(damaged) == [part(damaged)]
    assert set(server.history) == {"bbb"}


def test_a_server_that_refuses_leaves_every_run_kept(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = keep(runs, "aaa")
    with Server(refuses=True).running() as url:
        login(monkeypatch, url)
        (failed,) = sync(runs)
    assert failed.status == "failed"
    assert "wandb login" in failed.message
    assert unsynced(folder) == [part(folder)]


def test_only_the_runs_that_were_asked_for(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(runs, "aaa")
    other = keep(runs, "bbb")
    server = Server()
    with server.running() as url:
        login(monkeypatch, url)
        assert [one.run_id for one in sync(runs, ["aa"])] == ["aaa"]
        with pytest.raises(UserError, match="no run 'zzz'"):
            sync(runs, ["zzz"])
    assert unsynced(other)


def test_a_run_that_still_runs_is_left_for_another_time(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = keep(runs, "aaa")
    with FileLock(folder / ".lock"):
        (left,) = sync(runs)
    assert left.status == "running"
    assert unsynced(folder)


def test_without_a_login_the_error_says_how_to_log_in(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    wandb.teardown()
    keep(runs, "aaa")
    with pytest.raises(UserError, match="wandb login"):
        sync(runs)


def test_a_server_that_is_away_is_an_error_that_names_it(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(runs, "aaa")
    port = closed_port()
    login(monkeypatch, f"http://127.0.0.1:{port}")
    with pytest.raises(UserError, match=f"127.0.0.1:{port} does not answer"):
        sync(runs)


def test_nothing_kept_needs_no_login(runs: Path) -> None:
    assert sync(runs) == []
