"""Records as frames, read again only when something on disk has changed since."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars
import streamlit as st

from expkit.records import history, runs
from expkit.records.record import Record
from expkit.records.store import Store
from expkit.sweeps import results as sweep_results
from expkit.sweeps.sweep import FOLDER, Sweep
from expkit.sweeps.sweep import sweeps as stored_sweeps

BESIDE = ("run_id", "experiment", "state", "started", "seconds", "path", "step")
"""Columns of a frame of runs that are neither settings nor metrics."""
FIRST = ("data.name", "model.name", "optimizer.name", "optimizer.lr", "seed")
"""Configuration keys that tables begin with."""
BESIDE_SWEPT = ("number", "state", "run", "error", "step")
"""The same of a sweep's frame."""
MOST_RUNNING = 64
"""Runs whose metrics are read from their own files while they are running."""
LOOK_AGAIN = 10.0
"""Seconds after which runs that say they are running are looked at again: a killed one changes no file."""


def root() -> Path:
    """The run store that this dashboard shows."""
    return Store().root


def all_runs(where: str | None = None, dense: bool = False) -> polars.DataFrame:
    """One row a run (see `expkit.records.runs`), newest first.

    Args:
        where: a condition, as in `runs`.
        dense: also the runs that are rows of a dense sweep's table.

    Raises:
        UserError: `where` is not a condition.
    """
    return _runs(str(root()), _fresh(), where, dense)[0]


def complaints() -> list[str]:
    """What is to be said of records that cannot be read."""
    return _runs(str(root()), _fresh(), None, False)[1]


def histories(frame: polars.DataFrame, metrics: Sequence[str]) -> polars.DataFrame:
    """The metrics of some runs over their steps, long (see `expkit.records.history`)."""
    return _histories(_token(frame["path"].to_list()), tuple(metrics), frame)


def is_dense(sweep: Sweep) -> bool:
    """Whether a sweep's runs are rows of one table."""
    return (sweep.folder / "columns").is_dir()


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
    """The columns that are configuration keys which a person sets, those most asked for first."""
    keys = [name for name in frame.columns if "/" not in name and name not in BESIDE and not _is_derived(name)]
    return sorted(keys, key=lambda key: FIRST.index(key) if key in FIRST else len(FIRST))


def differing(frame: polars.DataFrame) -> list[str]:
    """The configuration keys with more than one value, missing ones counted as a value."""
    keys = settings(frame)
    if frame.is_empty() or not keys:
        return []
    changes = frame.select(polars.col(key).ne_missing(polars.col(key).first()).any() for key in keys).row(0)
    found = [key for key, changed in zip(keys, changes, strict=True) if changed]
    # Data and the rest draw from `seed` unless told otherwise; a second column of the same numbers says nothing.
    return [key for key in found if not (is_seed(key) and key != "seed" and frame[key].equals(frame["seed"]))]


def is_seed(key: str) -> bool:
    """Whether runs that differ in this key alone are repetitions."""
    return key == "seed" or key.endswith(".seed")


def _is_derived(key: str) -> bool:
    """Said by other keys already: the class of an option, the shapes of data."""
    return key.endswith("._target_") or ".spec." in key or key.startswith("_")


def metrics(frame: polars.DataFrame) -> list[str]:
    """The columns that are metrics and have a value somewhere: the splits' own first, those that most runs have."""
    missing = {name: frame[name].null_count() for name in frame.columns if "/" in name}
    split = {"test": 0, "val": 1, "train": 2}

    def order(name: str) -> tuple[int, int, bool, bool]:
        first, _, last = name.partition("/")
        return split.get(first, 3), missing[name], "_" in last, last != "loss"

    return sorted((name for name, count in missing.items() if count < len(frame)), key=order)


def swept(frame: polars.DataFrame) -> list[str]:
    """The keys of a sweep's frame, those with most values first, seeds last."""
    keys = [name for name in frame.columns if "/" not in name and name not in BESIDE_SWEPT]
    counts = (
        dict(zip(keys, frame.select(polars.col(key).n_unique() for key in keys).row(0), strict=True)) if keys else {}
    )
    return sorted((key for key in keys if counts[key] > 1), key=lambda key: (is_seed(key), -counts[key]))


def state() -> str:
    """The `store_state` of this store as it was a moment ago: one look serves all that is drawn together."""
    return _store_state(str(root()))


def store_state(folder: Path) -> str:
    """A text that is another one once a run has been added, has ended, or has logged something.

    Files of a record are replaced as a whole, which changes the time of their folder: one look per run is enough.
    """
    count, latest, total = 0, 0, 0
    for experiment in _names(folder):
        for at in _times(folder / experiment):
            count, latest, total = count + 1, max(latest, at), (total + at) & 0xFFFFFFFFFFFF
    tables = [changed(path) for path in (folder / FOLDER).glob("*/columns")]
    return f"{count}-{latest}-{total}-{sum(tables)}"


def sweep_state(sweep: Sweep) -> str:
    """A text that is another one once something has happened in a sweep."""
    watched = [sweep.folder / "sweep.json", sweep.folder / "jobs.jsonl", sweep.folder / "columns"]
    sizes = [entry.stat().st_size for entry in os.scandir(sweep.events)] if sweep.events.is_dir() else []
    return f"{[changed(path) for path in watched]}-{sum(sizes)}"


def _names(folder: str | Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []


def _times(folder: Path) -> Iterator[int]:
    """When the folders in a folder were last changed."""
    try:
        here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        for name in os.listdir(here):
            with contextlib.suppress(OSError):
                yield os.stat(name, dir_fd=here).st_mtime_ns  # relative: a shorter way for the kernel
    finally:
        os.close(here)


def changed(path: Path) -> int:
    """When a file or a folder was last changed; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _fresh() -> str:
    """The state of the store, with the time where something runs that might have been killed."""
    seen = state()
    known, _ = _runs(str(root()), seen, None, False)
    running = (known["state"] == "running").any()
    return f"{seen}@{int(time.time() / LOOK_AGAIN)}" if running else seen


@st.cache_data(ttl=0.7, show_spinner=False)
def _store_state(folder: str) -> str:
    return store_state(Path(folder))


def _token(paths: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(f"{path} {changed(Path(path) / 'metrics.parquet')}\n".encode())
    return digest.hexdigest()


# Frames are shared, not copied, between visitors and clicks: polars never changes one in place.


@st.cache_resource(max_entries=8, show_spinner=False)
def _runs(folder: str, state: str, where: str | None, dense: bool) -> tuple[polars.DataFrame, list[str]]:
    experiments = [] if dense else [name for name in _names(folder) if (Path(folder) / name).is_dir()]
    if not dense and not experiments:
        return polars.DataFrame(schema=dict.fromkeys(BESIDE, polars.String)), []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        frame = runs(*experiments, root=folder, where=where)
    return _with_latest(frame), [str(one.message) for one in said]


def _with_latest(frame: polars.DataFrame) -> polars.DataFrame:
    """The same, in which runs that are running have the metrics they have logged so far."""
    running = frame.filter(polars.col("state") == "running").head(MOST_RUNNING)
    if running.is_empty():
        return frame
    logged = history(running)
    names = [name for name in logged.columns if "/" in name]
    last = (
        logged.sort("step")
        .group_by("run_id")
        .agg(polars.col("step").max(), *(polars.col(name).drop_nulls().last() for name in names))
    )
    known = [name for name in last.columns if name in frame.columns]
    new = [name for name in last.columns if name not in frame.columns]
    frame = frame.update(last.select(known), on="run_id", how="left")
    return frame.join(last.select("run_id", *new), on="run_id", how="left", maintain_order="left") if new else frame


@st.cache_resource(max_entries=8, show_spinner=False)
def _histories(token: str, metrics: tuple[str, ...], _frame: polars.DataFrame) -> polars.DataFrame:
    return history(_frame, metrics=list(metrics))


@st.cache_resource(max_entries=6, show_spinner=False)
def _sweep_frame(folder: str, state: str, _sweep: Sweep) -> polars.DataFrame:
    return sweep_results.results(_sweep)


@st.cache_data(max_entries=100, show_spinner=False)
def _sweep_counts(folder: str, state: str, _sweep: Sweep) -> dict[str, int]:
    return sweep_results.counts(_sweep)
