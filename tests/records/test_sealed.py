"""A record says when it is not what was written."""

from __future__ import annotations

import json
import random
import warnings
from pathlib import Path

import numpy as np
import polars
import pytest
import torch

from expkit.errors import UserError
from expkit.records import history
from expkit.records.arrays import ARRAYS
from expkit.records.checkpoint import read_checkpoint
from expkit.records.index import Index
from expkit.records.metrics import MetricLog, read
from expkit.records.record import RESULTS, Record
from expkit.records.sealed import read_sealed, write_sealed

TABLE = polars.DataFrame({"step": list(range(60)), "seal:x": [number / 7 for number in range(60)]})


def flipped(data: bytes, place: int, bit: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def test_a_sealed_table_is_read_by_anybody(tmp_path: Path) -> None:
    write_sealed(TABLE, tmp_path / "table.parquet")
    assert polars.read_parquet(tmp_path / "table.parquet").equals(TABLE)
    assert read_sealed(tmp_path / "table.parquet").equals(TABLE)


def test_no_flipped_bit_is_read_as_another_number(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_sealed(TABLE, path)
    data = path.read_bytes()
    draw = random.Random(0)
    noticed = 0
    for _ in range(400):
        path.write_bytes(flipped(data, draw.randrange(len(data)), draw.randrange(8)))
        try:
            same = read_sealed(path).equals(TABLE)
        except UserError:
            noticed += 1
        else:
            assert same, "the bit was not one of the word before the hash"
    assert noticed > 380


@pytest.mark.parametrize("length", [0, 3, 200, -1])
def test_a_table_that_is_cut_off_is_damaged(tmp_path: Path, length: int) -> None:
    path = tmp_path / "table.parquet"
    write_sealed(TABLE, path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match="is damaged"):
        read_sealed(path)


def test_a_table_of_others_is_read_as_it_is(tmp_path: Path) -> None:
    own = TABLE.rename({"seal:x": "x"})
    own.write_parquet(tmp_path / "table.parquet")
    assert read_sealed(tmp_path / "table.parquet").equals(own)


def test_a_flipped_bit_in_a_checkpoint_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    weights = torch.arange(500.0)
    torch.save({"weights": weights}, path)
    assert torch.equal(read_checkpoint(path)["weights"], weights)
    data = path.read_bytes()
    place = data.index(weights.numpy().tobytes()) + 1000
    path.write_bytes(flipped(data, place, 2))
    assert not torch.equal(torch.load(path, weights_only=True)["weights"], weights), "torch does not notice"
    with pytest.raises(UserError, match=r"last\.ckpt is damaged"):
        read_checkpoint(path)
    path.write_bytes(data[:-100])
    with pytest.raises(UserError, match="is damaged"):
        read_checkpoint(path)


def test_a_checkpoint_is_not_unpickled_into_code(tmp_path: Path) -> None:
    torch.save({"path": tmp_path}, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match="is damaged"):
        read_checkpoint(tmp_path / "last.ckpt")


@pytest.fixture
def record(tmp_path: Path) -> Record:
    record = Record(tmp_path / "e" / "0123456789ab")
    with record.claim(waiting=lambda status: None):
        record.begin({"seed": 1}, ["seed=1"])
        log = MetricLog(record.metrics_file)
        log.add(0, {"train/loss": 0.5})
        log.add(1, {"train/loss": 0.25})
        log.flush()
        np.savez(record.folder / ARRAYS, spectrum=np.arange(9.0))
        record.finish("complete", log.last)
    return record


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("how", ["missing", "another"])
def test_a_finished_run_whose_results_are_not_what_it_wrote_is_damaged(record: Record, name: str, how: str) -> None:
    root = record.folder.parents[1]
    assert record.state == "complete"
    assert Index(root).frame()["state"].to_list() == ["complete"]
    path = record.folder / name
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(flipped(path.read_bytes(), path.stat().st_size // 2, 0))
    assert record.state == "damaged"
    assert not record.is_finished
    assert name in record.as_json()["error"]
    Index(root).forget()
    (row,) = Index(root).frame().iter_rows(named=True)
    assert row["state"] == "damaged"
    assert name in row["_error"]


def test_other_files_of_a_record_may_change(record: Record) -> None:
    (record.folder / "environment.json").write_text("{}")
    assert record.state == "complete"


def test_records_of_before_are_taken_as_they_are(record: Record) -> None:
    status = json.loads((record.folder / "status.json").read_text())
    del status["written"]
    (record.folder / "status.json").write_text(json.dumps(status))
    (record.folder / "summary.json").write_text('{"step": 7}')
    assert record.state == "complete"


def test_a_damaged_curve_is_left_out_with_a_warning(record: Record) -> None:
    frame = polars.DataFrame({"run_id": [record.run_id], "path": [str(record.folder)]})
    assert len(history(frame)) == 2
    record.metrics_file.write_bytes(flipped(record.metrics_file.read_bytes(), 40, 3))
    with pytest.warns(UserWarning, match="is damaged"):
        assert history(frame).is_empty()


def test_metrics_that_are_damaged_are_not_gone_on_with(record: Record) -> None:
    record.metrics_file.write_bytes(flipped(record.metrics_file.read_bytes(), 40, 3))
    assert not MetricLog(record.metrics_file).resume(1)
    with pytest.raises(UserError, match="is damaged"):
        read(record.metrics_file)


def test_a_record_that_is_half_cleared_does_not_pass_for_a_finished_one(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink, gone = Path.unlink, []

    def unlink_one(path: Path, missing_ok: bool = False) -> None:
        if gone:
            raise KeyboardInterrupt
        gone.append(path)
        unlink(path, missing_ok)

    with record.claim(waiting=lambda status: None):
        monkeypatch.setattr(Path, "unlink", unlink_one)
        with pytest.raises(KeyboardInterrupt):
            record.clear()
        monkeypatch.undo()
    assert not record.is_finished
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Index(record.folder.parents[1]).frame().is_empty()
