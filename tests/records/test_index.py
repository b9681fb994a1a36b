"""The index answers what the folders say, whatever happens to it or to them."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from expkit.errors import UserError
from expkit.records import index as index_module
from expkit.records.index import Index
from expkit.records.record import Record
from expkit.records.store import Store
from record_files import write_record

Facts = dict[str, tuple[Any, ...]]


def indexed(root: Path) -> Facts:
    frame = Index(root).frame()
    for name in ("seed", "model.width", "test/acc"):
        if name not in frame.columns:
            frame = frame.with_columns(**{name: None})
    rows = frame.select("experiment", "run_id", "state", "seed", "model.width", "test/acc").iter_rows()
    found = {f"{experiment}/{run_id}": tuple(facts) for experiment, run_id, *facts in rows}
    assert len(found) == len(frame)
    return found


def direct(root: Path) -> Facts:
    return {f"{record.experiment}/{record.run_id}": _facts(record) for record in Store(root)}


def _facts(record: Record) -> tuple[Any, ...]:
    damaged = ("damaged", None, None, None)
    state = record.state
    try:
        config = record.config
        json.loads((record.folder / "summary.json").read_text())
    except (UserError, ValueError):
        return damaged
    if state == "damaged":
        return damaged
    return state, config["seed"], config.get("model", {}).get("width"), record.summary.get("test/acc")


def write_some(root: Path, count: int) -> None:
    for number in range(count):
        config = {"seed": number, "model": {"width": 8}}
        write_record(root, f"e{number % 3}/{number:012x}", config=config, summary={"step": 3, "test/acc": number / 7})


@pytest.mark.parametrize("seed", range(4))
def test_it_says_what_the_folders_say_after_anything(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    names = [f"e{number % 3}/{number:012x}" for number in range(12)]
    for _ in range(60):
        name = draw.choice(names)
        folder = tmp_path / name
        match draw.randrange(8):
            case 0:
                shutil.rmtree(folder, ignore_errors=True)
            case 1 if folder.is_dir():  # a file half written in place
                text = (folder / "status.json").read_text()
                (folder / "status.json").write_text(text[: draw.randrange(len(text) + 1)])
            case 2:
                write_record(tmp_path, name)
                (folder / "config.yaml").write_text("seed: [1, 2")
                (folder / "status.json").touch()
            case 3:
                shutil.rmtree(tmp_path / "e1", ignore_errors=True)
            case 4:
                Path(tmp_path / ".index.sqlite").write_bytes(draw.randbytes(draw.choice([0, 7, 9000])))
            case _:
                config = {"seed": draw.randrange(9), "model": draw.choice([{}, {"width": draw.randrange(9)}])}
                state = draw.choice(["complete", "running", "failed", "diverged", "interrupted"])
                write_record(tmp_path, name, state, config, {"step": 1, "test/acc": draw.choice([None, draw.random()])})
        assert indexed(tmp_path) == direct(tmp_path)


def test_a_record_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_some(tmp_path, 30)
    indexed(tmp_path)
    read: list[str] = []
    reader = index_module.read_row
    monkeypatch.setattr(index_module, "read_row", lambda folder: [read.append(Path(folder).name), reader(folder)][1])
    indexed(tmp_path)
    assert read == []
    write_record(tmp_path, f"e2/{5:012x}", "failed", {"seed": 5})
    assert indexed(tmp_path) == direct(tmp_path)
    assert read == [f"{5:012x}"]


def test_blobs_stay_few_while_records_come_one_by_one(tmp_path: Path) -> None:
    for number in range(40):
        write_record(tmp_path, f"e/{number:012x}", config={"seed": number})
        indexed(tmp_path)
    with sqlite3.connect(tmp_path / ".index.sqlite") as database:
        blobs = database.execute("SELECT rows FROM blobs").fetchall()
    assert len(blobs) <= 7  # about the logarithm of 40
    assert sum(rows for (rows,) in blobs) == 40


@pytest.mark.parametrize("damage", ["garbage", "truncated", "flipped", "emptied", "other version", "a folder"])
def test_a_damaged_index_is_made_anew(tmp_path: Path, damage: str) -> None:
    write_some(tmp_path, 200)
    expected = indexed(tmp_path)
    path = tmp_path / ".index.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    if damage == "garbage":
        path.write_bytes(b"no database" * 1000)
    elif damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        middle = len(content) // 2
        path.write_bytes(
            content[:middle] + bytes(byte ^ 0xFF for byte in content[middle : middle + 3000]) + content[middle + 3000 :]
        )
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "other version":
        with sqlite3.connect(path) as database:
            database.executescript("DROP TABLE blobs; CREATE TABLE blobs (other TEXT); PRAGMA user_version=99")
    else:
        path.unlink()
        path.mkdir()
    assert indexed(tmp_path) == expected
    assert indexed(tmp_path) == expected


def test_a_locked_index_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "PATIENCE", 0.05)
    write_some(tmp_path, 20)
    indexed(tmp_path)
    other = sqlite3.connect(tmp_path / ".index.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    write_some(tmp_path, 40)
    assert indexed(tmp_path) == direct(tmp_path)
    other.execute("ROLLBACK")
    other.close()
    assert indexed(tmp_path) == direct(tmp_path)


def test_an_index_that_cannot_be_written_is_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_some(tmp_path, 30)
    expected = indexed(tmp_path)

    def refuse(database: sqlite3.Connection) -> sqlite3.Connection:
        database.close()
        raise sqlite3.OperationalError("attempt to write a readonly database")

    read: list[object] = []
    monkeypatch.setattr(index_module, "_prepared", refuse)
    monkeypatch.setattr(index_module, "read_row", lambda folder: read.append(folder) or {"run_id": "", "state": ""})
    assert indexed(tmp_path) == expected
    assert read == []


def test_a_store_that_is_not_there_has_no_runs_and_is_not_made(tmp_path: Path) -> None:
    assert len(Index(tmp_path / "runs").frame()) == 0
    assert not (tmp_path / "runs").exists()


def test_running_lasts_as_long_as_the_process(tmp_path: Path) -> None:
    write_record(tmp_path, "e/1", "running")
    record = Record(tmp_path / "e" / "1")
    assert indexed(tmp_path)["e/1"][0] == "interrupted"
    with record.claim(waiting=lambda status: None):
        assert indexed(tmp_path)["e/1"][0] == "running"
    assert indexed(tmp_path)["e/1"][0] == "interrupted"


KILLED = """
import os, sys
from pathlib import Path
from expkit.records import index
index.CHUNK = 20
index.Index(Path(sys.argv[1])).frame(progress=lambda done, total: os._exit(9) if done >= 40 else None)
"""


def test_a_rebuild_that_is_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(100):
        write_record(tmp_path, f"e/{number:012x}", config={"seed": number})
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)]).returncode == 9
    read: list[str] = []
    reader = index_module.read_row
    monkeypatch.setattr(index_module, "read_row", lambda folder: [read.append(folder), reader(folder)][1])
    assert indexed(tmp_path) == direct(tmp_path)
    assert len(read) == 60


READER = """
import sys, time
from pathlib import Path
from expkit.records.index import Index
end = time.monotonic() + 3
while time.monotonic() < end:
    frame = Index(Path(sys.argv[1])).frame()
    assert frame["run_id"].is_unique().all()
    whole = frame.filter(frame["state"] != "damaged")  # one that is being deleted may look so for a moment
    known = dict(whole.select("run_id", "seed").iter_rows()) if len(whole) else {}
    assert all(seed in (int(run_id, 16), int(run_id, 16) + 1000) for run_id, seed in known.items()), known
"""


def test_several_processes_read_while_another_writes(tmp_path: Path) -> None:
    readers = [
        subprocess.Popen([sys.executable, "-c", READER, str(tmp_path)], stderr=subprocess.PIPE) for _ in range(2)
    ]
    draw, number = random.Random(0), 0
    while any(reader.poll() is None for reader in readers):
        number += 1
        write_record(tmp_path, f"e/{number:012x}", config={"seed": number})
        old = draw.randrange(1, number + 1)
        write_record(tmp_path, f"e/{old:012x}", config={"seed": old + 1000})
        if number > 300:
            shutil.rmtree(tmp_path / "e" / f"{number - 300:012x}", ignore_errors=True)
    for reader in readers:
        assert reader.returncode == 0, reader.communicate()[1].decode()
    assert indexed(tmp_path) == direct(tmp_path)
