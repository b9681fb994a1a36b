"""What a run store holds, and whether what was in it is there still."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from expkit.records.index import Index
from expkit.records.record import Record
from expkit.records.sealed import read_sealed
from expkit.records.store import Store

LOSS = {"rtol": 1e-3, "atol": 1e-3}  # as docs/trust.md has it
COUNT = {"rtol": 0, "atol": 0.05}  # an accuracy is a count: of few examples, two that lie on an edge
SETTLING = 10
TABLES = ".sweeps/*/columns"

Contents = dict[str, str]
"""Of each file of a record a hash, by its path in the record."""


def finished(root: Path) -> dict[str, Contents]:
    """The contents of all records that are finished, by `<experiment>/<run id>`, and of the files of tables."""
    tables = {str(path.parent.relative_to(root)): contents(path.parent) for path in root.glob(f"{TABLES}/*.parquet")}
    return {name: contents(record.folder) for name, record in records(root).items() if record.is_finished} | tables


def records(root: Path) -> dict[str, Record]:
    return {f"{record.experiment}/{record.run_id}": record for record in Store(root)}


def contents(folder: Path) -> Contents:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def changed(root: Path, before: Mapping[str, Contents]) -> Iterator[str]:
    """What of the records that were finished is not as it was."""
    for name, files in before.items():
        now = contents(root / name)
        for path in sorted({*files, *now}):
            if files.get(path) != now.get(path):
                how = "is gone" if path not in now else "is new" if path not in files else "is another"
                yield f"{name}/{path} {how}, and the record was finished"


def unlisted(root: Path) -> list[str]:
    """What the index says of the store that is not so, or the other way round; workers may be ending still."""
    for _ in range(SETTLING):
        if not (found := list(_unlisted(root))):
            break
        time.sleep(0.5)
    return found


def _unlisted(root: Path) -> Iterator[str]:
    frame = Index(root).frame()
    listed = {f"{experiment}/{run_id}": state for run_id, experiment, state in zip(
        *(frame[name].to_list() for name in ("run_id", "experiment", "state")), strict=True
    )}  # fmt: skip
    there = {name: record.state for name, record in records(root).items()}
    for name in sorted({*listed, *there}):
        if listed.get(name) != there.get(name):
            yield f"{name} is {there.get(name)} and is listed as {listed.get(name)}"
        if there.get(name) == "damaged":
            yield f"{name} is damaged"


def differing(root: Path, reference: Path, rounding: bool = False) -> Iterator[str]:
    """Where the results of a store are not, bit for bit, those of another with the same runs.

    Args:
        root, reference: the stores.
        rounding: allow what another engine, or a stack of another size, rounds in another way.
    """
    own, expected = records(root), records(reference)
    for name in sorted({*own, *expected}):
        if name not in own or name not in expected:
            yield f"{name} is in one store only"
        elif own[name].state != expected[name].state:
            yield f"{name} is {own[name].state}, not {expected[name].state}"
        elif not same(own[name], expected[name], rounding):
            yield f"{name} has other metrics, or another summary"
    tables = {path.name: path for path in reference.glob(f"{TABLES}/*.parquet")}
    here = {path.name: path for path in root.glob(f"{TABLES}/*.parquet")}
    for name in sorted({*tables, *here}):
        if name not in here or name not in tables or not read_sealed(here[name]).equals(read_sealed(tables[name])):
            yield f"the table {name} is another"
    for path in root.glob("*/*/.*.tmp"):
        yield f"{path.relative_to(root)} was left"


def same(own: Record, expected: Record, rounding: bool) -> bool:
    if rounding:
        here, there = own.metrics, expected.metrics
        return here.columns == there.columns and all(
            np.allclose(here[name], there[name], **(LOSS if name.endswith("loss") else COUNT), equal_nan=True)
            for name in here.columns
        )
    return own.metrics.equals(expected.metrics) and own.summary == expected.summary
