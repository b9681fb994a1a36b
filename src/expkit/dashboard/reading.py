"""Records as frames, read again only when something on disk has changed since."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars
import streamlit as st

try:
    from expkit.records import history, runs
except ImportError:
    from expkit.dashboard._adapter import history, runs
from expkit.records.record import Record
from expkit.records.store import Store
from expkit.sweeps import results as sweep_results
from expkit.sweeps.sweep import FOLDER, Sweep
from expkit.sweeps.sweep import sweeps as stored_sweeps

BESIDE = ("run_id", "experiment", "state", "started", "seconds", "path", "step")
"""Columns of a frame of runs that are neither settings nor metrics."""
BESIDE_SWEPT = ("number", "state", "run", "error", "step")
"""The same of a sweep's frame."""
MOST_RUNNING = 64
"""Runs whose metrics are read from their own files while they are running."""
LOOK_AGAIN = 10.0
"""Seconds after which runs that say they are running are looked at again: a killed one changes no file."""


def root() -> Path:
    """The run store that this dashboard shows."""
    return Store().root


def all_runs(where: str | None = None) -> polars.DataFrame:
    """One row a run (see `expkit.records.runs`), newest first.

    Raises:
        UserError: `where` is not a condition.
    """
    frame = _runs(str(root()), _fresh(), None)
    if where:
        return _runs(str(root()), _fresh(), where)
    return frame


def histories(frame: polars.DataFrame, metrics: Sequence[str]) -> polars.DataFrame:
    """The metrics of some runs over their steps, long (see `expkit.records.history`)."""
    return _histories(_token(frame["path"].to_list()), tuple(metrics), frame)


def record(row: dict[str, Any]) -> Record:
    """The record of a row of a frame of runs."""
    return Record(Path(row["path"]))


def all_sweeps() -> list[Sweep]:
    """The one that was started last first."""
    return stored_sweeps(Store())


def sweep_frame(sweep: Sweep) -> polars.DataFrame:
    """One row a run of a sweep (see `expkit.sweeps.results`)."""
    return _sweep_frame(str(sweep.folder), sweep_state(sweep), sweep)


def sweep_counts(sweep: Sweep) -> dict[str, int]:
    """How many runs of a sweep are in which state."""
    info = sweep.info
    if info.get("state") in ("complete", "failed") and info.get("counts"):
        return dict(info["counts"])
    return _sweep_counts(str(sweep.folder), sweep_state(sweep), sweep)


def settings(frame: polars.DataFrame) -> list[str]:
    """The columns that are configuration keys, those that differ between runs first."""
    keys = [name for name in frame.columns if "/" not in name and name not in BESIDE and not name.startswith("_")]
    return sorted(keys, key=lambda key: frame[key].n_unique() < 2)


def differing(frame: polars.DataFrame) -> list[str]:
    """The configuration keys with more than one value, missing ones counted as a value."""
    return [name for name in settings(frame) if frame[name].n_unique() > 1]


def metrics(frame: polars.DataFrame) -> list[str]:
    """The columns that are metrics and have a value somewhere, the splits' own first."""
    names = [name for name in frame.columns if "/" in name and frame[name].null_count() < len(frame)]
    order = {"test": 0, "val": 1, "train": 2}
    return sorted(names, key=lambda name: (order.get(name.split("/")[0], 3), "_" in name.split("/")[-1]))


def swept(frame: polars.DataFrame) -> list[str]:
    """The keys of a sweep's frame, those with most values first, seeds last."""
    keys = [name for name in frame.columns if "/" not in name and name not in BESIDE_SWEPT]
    keys = [key for key in keys if frame[key].n_unique() > 1]
    return sorted(keys, key=lambda key: (key == "seed" or key.endswith(".seed"), -frame[key].n_unique()))


def store_state(folder: Path) -> str:
    """A text that is another one once a run has been added, has ended, or has logged something.

    Files of a record are replaced as a whole, which changes the time of their folder: one look per run is enough.
    """
    count, latest, total = 0, 0, 0
    for experiment in _folders(folder):
        for run in _folders(experiment.path):
            try:
                changed = run.stat().st_mtime_ns
            except OSError:
                continue
            count, latest, total = count + 1, max(latest, changed), (total + changed) & 0xFFFFFFFFFFFF
    tables = [_changed(path) for path in (folder / FOLDER).glob("*/columns")]
    return f"{count}-{latest}-{total}-{sum(tables)}"


def sweep_state(sweep: Sweep) -> str:
    """A text that is another one once something has happened in a sweep."""
    watched = [sweep.folder / "sweep.json", sweep.folder / "jobs.jsonl", sweep.folder / "columns"]
    sizes = [entry.stat().st_size for entry in os.scandir(sweep.events)] if sweep.events.is_dir() else []
    return f"{[_changed(path) for path in watched]}-{sum(sizes)}"


def _folders(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        return []


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _fresh() -> str:
    """The state of the store, with the time where something runs that might have been killed."""
    state = _store_state(str(root()))
    known = _runs(str(root()), state, None)
    running = "state" in known.columns and (known["state"] == "running").any()
    return f"{state}@{int(time.time() / LOOK_AGAIN)}" if running else state


@st.cache_data(ttl=0.7, show_spinner=False)
def _store_state(folder: str) -> str:
    return store_state(Path(folder))


def _token(paths: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(f"{path} {_changed(Path(path) / 'metrics.parquet')}\n".encode())
    return digest.hexdigest()


# Frames are shared, not copied, between visitors and clicks: polars never changes one in place.


@st.cache_resource(max_entries=8, show_spinner=False)
def _runs(folder: str, state: str, where: str | None) -> polars.DataFrame:
    return _with_latest(runs(root=folder, where=where))


def _with_latest(frame: polars.DataFrame) -> polars.DataFrame:
    """The same, in which runs that are running have the metrics they have logged so far."""
    running = frame.filter(polars.col("state") == "running").head(MOST_RUNNING)
    if running.is_empty():
        return frame
    logged = history(running)
    names = [name for name in logged.columns if name not in ("run_id", "step")]
    last = logged.sort("step").group_by("run_id").agg(polars.col("step").max(), *(polars.col(name).drop_nulls().last() for name in names))
    return frame.update(last, on="run_id", how="left")


@st.cache_resource(max_entries=8, show_spinner=False)
def _histories(token: str, metrics: tuple[str, ...], _frame: polars.DataFrame) -> polars.DataFrame:
    return history(_frame, metrics=list(metrics))


@st.cache_resource(max_entries=6, show_spinner=False)
def _sweep_frame(folder: str, state: str, _sweep: Sweep) -> polars.DataFrame:
    return sweep_results.results(_sweep)


@st.cache_data(max_entries=100, show_spinner=False)
def _sweep_counts(folder: str, state: str, _sweep: Sweep) -> dict[str, int]:
    return sweep_results.counts(_sweep)
