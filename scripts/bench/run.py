"""Measures how quick expkit is: `make bench`, or this script, with --quick for few repeats.

Prints one table. A row is a ratio or a difference within this run, so that it can be compared between machines; rows
in plain seconds, for commands that a person waits for, come with the same as a multiple of Python's own start.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from side_by_side import Row

from expkit.records.environment import hardware

MEASUREMENTS = ("light_commands", "refusal", "complete_run", "startup", "step", "compose_jobs")
"""Modules of this folder, each with `rows(repeats)`, and how many `REPEATS` it makes, or `QUICK` ones."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure how quick expkit is.")
    parser.add_argument("--quick", action="store_true", help="few repeats: a first impression")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=MEASUREMENTS, help="leave out the others")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there as well")
    options = parser.parse_args(arguments)
    facts = machine()
    rows: list[Row] = []
    for name in options.only:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        measurement = import_module(name)
        rows += measurement.rows(measurement.QUICK if options.quick else measurement.REPEATS)
    show(rows, facts)
    if options.json:
        options.json.write_text(
            json.dumps({"machine": facts, "rows": [row.as_json() for row in rows]}, indent=2) + "\n"
        )
    return 0


def machine() -> dict[str, Any]:
    facts = hardware()
    return {
        "cpu": facts["cpu"],
        "cores": facts["cores"],
        "threads": facts["threads"],
        "load": os.getloadavg()[0],  # of other programs: before anything is measured
        "python": platform.python_version(),
        "torch": metadata.version("torch"),
        "lightning": metadata.version("lightning"),
        "date": datetime.now(UTC).date().isoformat(),
    }


def show(rows: list[Row], facts: dict[str, Any]) -> None:
    table = Table("what", "median", "lowest to highest", "repeats", "goal", "met", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(
            row.what,
            number(row.value, row.unit),
            f"{number(min(row.values), row.unit)} to {number(max(row.values), row.unit)}",
            str(len(row.values)),
            "" if row.goal is None else f"{row.goal:g} {row.unit}",
            {None: "", True: "yes", False: "NO"}[row.met],
        )
    console = Console() if sys.stdout.isatty() else Console(width=160, color_system=None)
    console.print(table)
    console.print(
        "\n{cpu}, {cores} cores ({threads} threads), load {load:.1f}; "
        "Python {python}, torch {torch}, lightning {lightning}; {date}".format(**facts),
        highlight=False,
    )


def number(value: float, unit: str) -> str:
    return f"{value:.3f} {unit}" if unit == "s" else f"{value:.2f} {unit}"


if __name__ == "__main__":
    raise SystemExit(main())
