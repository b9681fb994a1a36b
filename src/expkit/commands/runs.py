"""`expkit runs`: the recorded runs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars

    from expkit.records.store import Store

SHOWN = ("started", "seconds", "_began", "_overrides", "_summary", "_error")


def add_runs_arguments(parser: argparse.ArgumentParser) -> None:
    from expkit.records.record import STATES

    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="only runs of these")
    parser.add_argument("--status", choices=STATES, help="only runs in this state")
    parser.add_argument("--sweep", metavar="SWEEP", help="only runs of this sweep; a part of its name will do")
    parser.add_argument(
        "--where", metavar="CONDITION", help="such as \"optimizer.lr>0.01 and seed<5 and data=='wine'\""
    )
    parser.add_argument("--limit", type=int, default=30, help="at most so many, newest first; 0 for all (default: 30)")
    parser.add_argument("--runs", metavar="DIR", help="where records are (default: $EXPKIT_RUNS, or ./runs)")
    parser.add_argument("--rebuild", action="store_true", help="read every record anew, and say which are damaged")


def runs(options: argparse.Namespace) -> None:
    from expkit.records.store import Store

    store = Store(options.runs)
    if options.rebuild:
        _rebuild(store)
    limit = None if options.limit == 0 or options.json else options.limit
    rows, total = _of_sweep(store, options, limit) if options.sweep else _of_store(store, options, limit)
    shown = [_decoded(row) for row in rows]
    if options.json:
        print(json.dumps([_as_json(row) for row in shown], indent=2))
    else:
        _print(shown, total, str(store.root))


Row = dict[str, Any]
"""The fields of `Record.as_json`, with 'started', 'seconds' and 'overrides'."""


def _of_store(store: Store, options: argparse.Namespace, limit: int | None) -> tuple[list[Row], int]:
    """The newest runs, at most so many, and how many there are."""
    import polars

    select: Callable[[str], bool] | None = None if options.where else SHOWN.__contains__
    frame = _index_frame(store, options.experiments or None, select)
    if options.where and len(frame):
        from expkit.records.where import condition

        frame = frame.filter(condition(options.where, frame.schema))
    if options.status:
        frame = frame.filter(polars.col("state") == options.status)
    if "_began" in frame.columns:
        frame = frame.sort("_began", descending=True, nulls_last=True)
    return _rows(frame.head(len(frame) if limit is None else limit), store.root), len(frame)


def _of_sweep(store: Store, options: argparse.Namespace, limit: int | None) -> tuple[list[Row], int]:
    """The same of a sweep, in its order."""
    from expkit.sweeps.dense import row_records
    from expkit.sweeps.sweep import find

    sweep = find(store, options.sweep)
    rows: list[Row]
    if dense := row_records(sweep):
        rows = [
            {**record.as_json(), "overrides": record.status["overrides"]}
            for record in dense.values()
            if not options.experiments or record.experiment in options.experiments
        ]
    else:
        runs = [entry.run for _, entry in sorted(sweep.entries.items()) if entry.run]
        experiments = _experiments(runs) & set(options.experiments or _experiments(runs))
        known = {
            f"{row['experiment']}/{row['run_id']}": row
            for row in _rows(_index_frame(store, experiments, SHOWN.__contains__), store.root)
        }
        rows = [known[run] for run in runs if run in known]
    if options.where:
        from expkit.records import runs as selected

        chosen = set(selected(sweep.id, root=store.root, where=options.where)["run_id"].to_list())
        rows = [row for row in rows if row["run_id"] in chosen]
    rows = [row for row in rows if options.status in (None, row["status"])]
    return rows[:limit], len(rows)


def _experiments(runs: Sequence[str]) -> set[str]:
    """The experiments of runs that are named as `<experiment>/<run id>`."""
    return {run.rpartition("/")[0] for run in runs}


def _index_frame(store: Store, experiments: Any, select: Callable[[str], bool] | None) -> polars.DataFrame:
    from expkit.records.index import Index

    return Index(store.root).frame(experiments, select=select)


def _rows(frame: polars.DataFrame, root: Path) -> list[Row]:
    def column(name: str) -> list[Any]:
        return frame[name].to_list() if name in frame.columns else [None] * len(frame)

    folder = root.absolute()
    names = ("run_id", "experiment", "state", "started", "seconds", "_overrides", "_summary", "_error")
    return [
        {
            "run_id": run_id,
            "experiment": experiment,
            "status": state,
            "path": f"{folder}/{experiment}/{run_id}",
            "started": started,
            "seconds": seconds,
            "overrides": overrides,
            "summary": summary,
            "error": error,
        }
        for run_id, experiment, state, started, seconds, overrides, summary, error in zip(
            *map(column, names), strict=True
        )
    ]


def _decoded(row: Row) -> Row:
    """With the JSON text of the index as what it says."""
    for name in ("summary", "overrides"):
        if not isinstance(row.get(name), dict | list):
            row[name] = json.loads(row.get(name) or ("{}" if name == "summary" else "[]"))
    return row


def _as_json(row: Row) -> dict[str, Any]:
    fields = {name: row[name] for name in ("run_id", "experiment", "status", "path", "summary")}
    return {**fields, **({"error": row["error"]} if row.get("error") else {})}


def _rebuild(store: Store) -> None:
    from expkit.records.index import Index

    def progress(done: int, total: int) -> None:
        if total > 5000:
            print(f"  {done:,} of {total:,} records", file=sys.stderr, flush=True)

    index = Index(store.root)
    index.forget()
    frame = index.frame(select=("_error",).__contains__, progress=progress)
    print(f"{len(frame):,} records in {store.root} were read anew.", file=sys.stderr)
    for row in frame.iter_rows(named=True):
        if row["state"] == "damaged":
            print(f"damaged: {store.root / row['experiment'] / row['run_id']}: {row['_error']}", file=sys.stderr)


def _print(shown: list[Row], total: int, root: str) -> None:
    from rich.table import Table
    from rich.text import Text

    from expkit.views import text
    from expkit.views.console import new_console
    from expkit.views.terminal import COLOURS

    console = new_console()
    if not shown:
        console.print(Text(f"No runs in {root}. Make one: expkit train +experiment=grokking_xor"))
        return
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("run", "experiment", "state", "started", "time", "step", "result", "overrides"):
        table.add_column(column, justify="right" if column in ("time", "step") else "left", no_wrap=column == "run")
    for row in shown:
        summary = row["summary"]
        metrics = "  ".join(f"{name} {text.number(summary[name])}" for name in text.main_metrics(summary)[-2:])
        table.add_row(
            row["run_id"],
            row["experiment"],
            Text(row["status"], style=COLOURS.get(row["status"], "yellow")),
            str(row.get("started") or "").replace("T", " ")[:16],
            text.duration(row.get("seconds") or 0.0),
            text.number(summary.get("step")),
            Text(metrics),
            Text(" ".join(row["overrides"])),
        )
    console.print(table)
    if total > len(shown):
        console.print(f"{len(shown)} of {total} runs; --limit 0 shows all.")
