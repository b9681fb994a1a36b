from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from expkit.records.files import read_json, replacing, write_json
from expkit.records.metrics import MetricLog, read


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})
    with contextlib.suppress(RuntimeError), replacing(path) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["file.json"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    code = f"""
import itertools
from pathlib import Path
from expkit.records.files import write_json
for number in itertools.count():
    write_json(Path({str(path)!r}), {{"number": number, "filling": "x" * 200_000, "again": number}})
"""
    writer = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 30
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    seen = set()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        value = json.loads(path.read_text())
        assert value["number"] == value["again"]
        seen.add(value["number"])
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert len(seen) > 3
    assert json.loads(path.read_text())["number"] >= max(seen)


def test_json_is_strict(tmp_path: Path) -> None:
    write_json(tmp_path / "file.json", {"a": math.nan, "b": [math.inf, 1.5]})
    assert json.loads((tmp_path / "file.json").read_text(), parse_constant=pytest.fail) == {"a": None, "b": [None, 1.5]}


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
def test_what_is_no_json_object_reads_as_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "file.json").write_text(text)
    assert read_json(tmp_path / "file.json") is None
    assert read_json(tmp_path / "none.json") is None


def test_metrics_have_a_row_per_step_and_nothing_where_nothing_was_logged(tmp_path: Path) -> None:
    log = MetricLog(tmp_path / "metrics.parquet")
    log.add(0, {"loss": 1.0})
    log.add(3, {"loss": 0.5, "acc": 0.25})
    log.add(4, {"acc": math.nan})
    log.flush()
    frame = read(tmp_path / "metrics.parquet")
    assert frame.columns == ["step", "loss", "acc"]
    assert frame["step"].to_list() == [0, 3, 4]
    assert frame["loss"].to_list() == [1.0, 0.5, None]
    assert frame["acc"].to_list()[:2] == [None, 0.25]
    assert math.isnan(frame["acc"].to_list()[2])
    assert log.last["loss"] == 0.5


def test_resuming_takes_up_the_rows_to_a_step_bit_for_bit(tmp_path: Path) -> None:
    log = MetricLog(tmp_path / "metrics.parquet")
    rows = [{"step": step, "loss": math.exp(-step / 7), **({"acc": step / 3} if step % 2 else {})} for step in range(9)]
    for row in rows:
        log.add(row["step"], {name: value for name, value in row.items() if name != "step"})
    log.flush()
    resumed = MetricLog(tmp_path / "metrics.parquet")
    resumed.resume(5)
    assert resumed.rows == rows[:6]
    assert 5 in resumed
    assert 6 not in resumed
