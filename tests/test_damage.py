"""What a user sees when the disk is full, or what is on it is not what was written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from expkit.records.record import Record
from expkit.storage_error import storage_error
from support import train, try_train

RUN = ("model=linear", "data=wine", "trainer.max_steps=12", "trainer.eval_at=3", "callbacks=none", "logger=none")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["metrics.parquet", "summary.json"])
def test_a_damaged_record_is_made_again(runs: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    record = Record(Path(train(*RUN)["path"]))
    expected, summary = record.metrics, record.summary
    flip(record.folder / name)
    assert record.state == "damaged"
    capsys.readouterr()
    train(*RUN)
    assert f"the record is damaged: {name} is not what the run wrote; the run is done again" in capsys.readouterr().err
    assert record.state == "complete"
    assert record.metrics.equals(expected)
    assert record.summary == summary


def test_a_damaged_checkpoint_is_not_gone_on_from(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = Record(Path(train(*RUN)["path"]))
    expected = record.metrics
    weights = next(iter(torch.load(record.checkpoint, weights_only=True)["state_dict"].values())).numpy().tobytes()
    saved = record.checkpoint.read_bytes()
    record.checkpoint.write_bytes(saved.replace(weights, weights[:-1] + b"x"))
    (record.folder / "status.json").unlink()
    train(*RUN)
    said = capsys.readouterr().err
    assert "last.ckpt is damaged" in said
    assert "starts from the beginning" in said
    assert record.metrics.equals(expected)


@pytest.mark.usefixtures("runs")
def test_a_finished_run_can_be_looked_at_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = train(*RUN)

    @contextmanager
    def read_only(*_: object, **__: object) -> Iterator[None]:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        yield

    monkeypatch.setattr(Record, "claim", read_only)
    assert train(*RUN) == printed


@pytest.mark.parametrize("several", [(), ("-m", "seed=0,1,2", "hydra/launcher=serial")])
def test_a_full_disk_is_one_message(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, several: tuple[str, ...]
) -> None:
    for files in (0, 2, 4):
        room = iter(range(files))

        def full_after_some(file: int, room: Iterator[int] = room) -> None:
            if next(room, None) is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full_after_some)
            _, status = try_train(*RUN, *several)
        said = capsys.readouterr().err
        assert status == 1
        assert said.count("No space left on device") == 1, said
        assert "Make room" in said
    assert try_train(*RUN, *several)[1] == 0


def test_errors_that_are_among_their_own_causes_have_an_end() -> None:
    one, other = ValueError(), KeyError()
    one.__cause__, other.__context__ = other, one
    assert storage_error(one) is None
    other.__cause__ = OSError(errno.ENOSPC, "No space left on device", "/some/file")
    explained = storage_error(one)
    assert explained is not None
    assert "No space left on device (/some/file)" in explained.message
    assert storage_error(FileNotFoundError(errno.ENOENT, "no such file")) is None


def test_ctrl_c_at_the_end_of_the_process_is_quiet(tmp_path: Path) -> None:
    code = """
import atexit, os, signal
from expkit.cli import main
atexit.register(os.kill, os.getpid(), signal.SIGINT)
raise SystemExit(main(["runs", "--runs", "nowhere"]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
