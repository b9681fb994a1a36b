"""`expkit runs`: the recorded runs."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expkit.records.record import Record
    from expkit.records.store import Store


def add_runs_arguments(parser: argparse.ArgumentParser) -> None:
    from expkit.records.record import STATES

    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="only runs of these")
    parser.add_argument("--status", choices=STATES, help="only runs in this state")
    parser.add_argument("--sweep", metavar="SWEEP", help="only runs of this sweep; a part of its name will do")
    parser.add_argument("--limit", type=int, default=30, help="at most so many, newest first; 0 for all (default: 30)")
    parser.add_argument("--runs", metavar="DIR", help="where records are (default: $EXPKIT_RUNS, or ./runs)")


def runs(options: argparse.Namespace) -> None:
    from expkit.records.store import Store

    store = Store(options.runs)
    of_sweep = _runs_of(store, options.sweep) if options.sweep else None
    found = [
        (record, status)
        for record in (store if of_sweep is None else of_sweep)
        if not options.experiments or record.experiment in options.experiments
        if (status := record.status) and options.status in (None, status["status"])
    ]
    shown = found if options.limit == 0 or options.json else found[: options.limit]
    if options.json:
        print(json.dumps([record.as_json() for record, _ in shown], indent=2))
    else:
        _print(shown, len(found), str(store.root))


def _runs_of(store: Store, name: str) -> list[Record]:
    from expkit.sweeps.dense import row_records
    from expkit.sweeps.sweep import find

    sweep = find(store, name)
    if rows := row_records(sweep):
        return list(rows.values())
    records = [sweep.record(sweep.entries[number]) for number in sorted(sweep.entries)]
    return [record for record in records if record is not None and (record.folder / "status.json").exists()]


def _print(shown: list[tuple[Record, dict[str, Any]]], total: int, root: str) -> None:
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
    for record, status in shown:
        summary = record.summary
        metrics = "  ".join(f"{name} {text.number(summary[name])}" for name in text.main_metrics(summary)[-2:])
        table.add_row(
            record.run_id,
            record.experiment,
            Text(status["status"], style=COLOURS.get(status["status"], "yellow")),
            str(status.get("started", "")).replace("T", " ")[:16],
            text.duration(status.get("seconds", 0.0)),
            text.number(summary.get("step")),
            Text(metrics),
            Text(" ".join(status.get("overrides", []))),
        )
    console.print(table)
    if total > len(shown):
        console.print(f"{len(shown)} of {total} runs; --limit 0 shows all.")
