"""Runs as a polars frame, chosen by what one has at hand: an id, an experiment, a sweep, a folder, a condition."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.errors import UserError, did_you_mean
from expkit.records.columns import columns, stacked
from expkit.records.dense_rows import dense_rows, dense_sweeps
from expkit.records.index import Index
from expkit.records.reading import DAMAGED, read_row
from expkit.records.store import Store
from expkit.records.where import condition

if TYPE_CHECKING:
    import polars

FIRST = ("run_id", "experiment", "state", "started", "seconds", "path", "step")


class DamagedRecordWarning(UserWarning):
    """Records were left out because their files cannot be read."""


def select_runs(which: Sequence[str], root: Path | str | None = None, where: str | None = None) -> polars.DataFrame:
    """What `expkit.records.runs` returns.

    Raises:
        UserError: something named is not there, or is more than one thing.
        ConfigError: the condition is not understood.
    """
    import polars

    damaged: list[str] = []
    frame = _arranged(stacked(_parts(which, Store(root), damaged)), is_whole=not which)
    broken = frame.filter(polars.col("state") == DAMAGED)
    if len(broken):
        damaged += broken["path"].to_list()
        frame = frame.filter(polars.col("state") != DAMAGED)
    if damaged:
        warnings.warn(_complaint(damaged), DamagedRecordWarning, stacklevel=3)
    if where is not None and len(frame):
        frame = frame.filter(condition(where, frame.schema))
    return frame


def _parts(which: Sequence[str], store: Store, damaged: list[str]) -> list[polars.DataFrame]:
    if not which:
        dense = [dense_rows(folder, damaged) for folder in dense_sweeps(store.root)]
        return [_of_store(store.root), *dense]
    chosen = _Chosen(store)
    for name in which:
        chosen.add(str(name))
    return chosen.parts(damaged)


class _Chosen:
    """What was asked for, of a store and of folders elsewhere."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.experiments = {path.name for path in store.root.glob("[!.]*") if path.is_dir()}
        self.whole: list[str] = []  # experiments
        self.single: dict[str, set[str]] = {}  # run ids by experiment
        self.folders: list[Path] = []  # of runs that are not in the store
        self.stores: list[tuple[Path, list[str] | None]] = []  # other stores, and which experiments of theirs
        self.dense: list[Path] = []
        self._ids: dict[str, list[str]] | None = None

    def add(self, name: str) -> None:
        if name in self.experiments:
            self.whole.append(name)
        elif not (
            self._add_run(name, exact=True)
            or self._add_sweep(name, exact=True)
            or self._add_folder(name)
            or self._add_run(name, exact=False)
            or self._add_sweep(name, exact=False)
        ):
            raise self._not_there(name)

    def parts(self, damaged: list[str]) -> list[polars.DataFrame]:
        import polars

        parts = []
        if needed := {*self.whole, *self.single}:
            frame = _of_store(self.store.root, needed)
            ids = {run_id for own in self.single.values() for run_id in own}
            wanted = polars.col("experiment").is_in(self.whole) | polars.col("run_id").is_in(list(ids))
            parts.append(frame.filter(wanted))
        for root, experiments in self.stores:
            parts.append(_of_store(root, experiments))
        if self.folders:
            rows = [{**read_row(path), "experiment": path.parent.name, "path": str(path)} for path in self.folders]
            parts.append(columns(rows))
        parts += [dense_rows(folder, damaged) for folder in self.dense]
        return parts

    def _add_run(self, name: str, exact: bool) -> bool:
        wanted = name.rpartition("/")[2] if name.rpartition("/")[0] in self.experiments else name
        found = [
            (experiment, run_id)
            for experiment, ids in self._run_ids().items()
            for run_id in ids
            if (run_id == wanted if exact else run_id.startswith(wanted))
        ]
        if len({run_id for _, run_id in found}) > 1:
            raise UserError(f"'{name}' is the beginning of {len(found)} runs.", did_you_mean("", (i for _, i in found)))
        for experiment, run_id in found:
            self.single.setdefault(experiment, set()).add(run_id)
        return bool(found)

    def _run_ids(self) -> dict[str, list[str]]:
        if self._ids is None:
            self._ids = {name: _names(self.store.root / name) for name in self.experiments}
        return self._ids

    def _add_sweep(self, name: str, exact: bool) -> bool:
        if not (self.store.root / ".sweeps").is_dir():
            return False
        from expkit.sweeps.sweep import FOLDER, find

        if exact and not (self.store.root / FOLDER / name / "sweep.json").exists():
            return False
        try:
            sweep = find(self.store, name)
        except UserError as error:
            if "part of" in error.message:
                raise
            return False
        if (sweep.folder / "columns").is_dir():
            self.dense.append(sweep.folder)
        for entry in sweep.entries.values():
            if entry.run and (self.store.root / entry.run).is_dir():
                experiment, _, run_id = entry.run.rpartition("/")
                self.single.setdefault(experiment, set()).add(run_id)
        return True

    def _add_folder(self, name: str) -> bool:
        folder = Path(name).absolute()
        if not folder.is_dir():
            return False
        if (folder / "status.json").exists():
            self.folders.append(folder)
        elif (folder / "sweep.json").exists():
            other = _Chosen(Store(folder.parents[1]))
            other._add_sweep(folder.name, exact=True)
            self.dense += other.dense
            self.folders += [other.store.root / e / i for e, ids in other.single.items() for i in sorted(ids)]
        elif any(folder.glob("*/status.json")):
            self.stores.append((folder.parent, [folder.name]))
        elif any(folder.glob("*/*/status.json")):
            self.stores.append((folder, None))
        else:
            return False
        return True

    def _not_there(self, name: str) -> UserError:
        from expkit.sweeps.sweep import sweeps

        known = {*self.experiments, *(sweep.id for sweep in sweeps(self.store))}
        hint = did_you_mean(name, known) if known else "`expkit train +experiment=grokking_xor` makes a run."
        return UserError(f"There is no run, experiment, sweep or folder '{name}' in {self.store.root}.", hint)


def _of_store(root: Path, experiments: set[str] | list[str] | None = None) -> polars.DataFrame:
    import polars

    frame = Index(root).frame(experiments, select=lambda name: name == "_began" or not name.startswith("_"))
    path = polars.concat_str(polars.lit(f"{root.absolute()}/"), "experiment", polars.lit("/"), "run_id")
    return frame.with_columns(path=path).drop("_signature", strict=False)


def _arranged(frame: polars.DataFrame, is_whole: bool) -> polars.DataFrame:
    """Facts, then the configuration, then metrics; newest first, and each run once."""
    import polars

    kinds = {"seconds": polars.Float64(), "step": polars.Int64(), "_began": polars.Int64()}
    frame = frame.with_columns(
        polars.lit(None, kinds.get(name, polars.String())).alias(name)
        for name in (*FIRST, "_began")
        if name not in frame.columns
    ).with_columns(polars.col(name).cast(kind, strict=False) for name, kind in kinds.items())
    config = [name for name in frame.columns if "/" not in name and name not in FIRST and not name.startswith("_")]
    metrics = [name for name in frame.columns if "/" in name]
    # By their folders, not ids: a run and its copy in another store are two records.
    if not is_whole and len(frame):
        frame = frame.unique(("path", "run_id"), maintain_order=True)
    newest = frame.sort("started", "_began", descending=True, nulls_last=True, maintain_order=True)
    return newest.select(*FIRST, *config, *metrics)


def _names(folder: Path) -> list[str]:
    import os

    try:
        return os.listdir(folder)
    except OSError:
        return []


def _complaint(damaged: list[str]) -> str:
    shown = ", ".join(damaged[:3]) + (", ..." if len(damaged) > 3 else "")
    count = "1 damaged record is" if len(damaged) == 1 else f"{len(damaged)} damaged records are"
    return f"{count} left out: {shown}"
