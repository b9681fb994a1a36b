"""`expkit diff`: what differs between two runs."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from expkit.records.differences import Pair
    from expkit.records.record import Record

EPILOG = """\
  expkit diff 3f2a 81bc                what differs in configuration, environment, code and results
  expkit diff 3f2a 81bc --code         with the uncommitted changes of both
A run is named by its id, the beginning of it, or its folder.
"""


def add_diff_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("first", metavar="RUN")
    parser.add_argument("second", metavar="RUN")
    parser.add_argument("--code", action="store_true", help="print the uncommitted changes that each run was made with")
    parser.add_argument("--runs", metavar="DIR", help="where records are (default: $EXPKIT_RUNS, or ./runs)")


def diff(options: argparse.Namespace) -> None:
    from expkit.records.store import Store

    store = Store(options.runs)
    records = store.find(options.first), store.find(options.second)
    found = differences(*records)
    if options.json:
        print(json.dumps(found, indent=2, default=str))
        return
    _print(records, found)
    if options.code:
        _print_changes(records)


def differences(first: Record, second: Record) -> dict[str, Any]:
    """The fields of `--json`: 'runs', then 'config', 'environment', 'code' and 'results', by key a pair each."""
    from expkit.identity import NOT_HASHED
    from expkit.records import differences

    environments = differences.recorded_environment(first), differences.recorded_environment(second)
    config = differences.config_differences(first.config, second.config)
    same_computation = all(key.partition(".")[0] in NOT_HASHED for key in config)
    return {
        "runs": [record.as_json() for record in (first, second)],
        "config": config,
        "environment": differences.environment_differences(*environments),
        "code": differences.code_differences(*environments),
        "pieces_changed": same_computation and first.run_id != second.run_id,
        "results": differences.result_differences(first.summary, second.summary),
    }


def changed_files(changes: str) -> list[str]:
    """The files of a git diff, each with the numbers of lines that were added and removed."""
    counts: dict[str, list[int]] = {}
    name, in_hunk = "", False
    for line in changes.splitlines():
        if line.startswith("diff --git "):
            name, in_hunk = line.rpartition(" b/")[2], False
            counts[name] = [0, 0]
        elif line.startswith("@@"):
            in_hunk = True
        elif in_hunk and line[:1] in ("+", "-") and name:
            counts[name]["+-".index(line[0])] += 1
    return [f"{name} +{added} -{removed}" for name, (added, removed) in counts.items()]


def describe_code(code: Mapping[str, Pair]) -> dict[str, Pair]:
    """The differences in code as a table has them: short commits, and files instead of whole diffs."""
    described: dict[str, Pair] = {}
    for key, pair in code.items():
        if key == "diff":
            described["uncommitted"] = {which: ", ".join(changed_files(text)) or "none" for which, text in pair.items()}
        elif key == "untracked":
            described["untracked"] = {which: ", ".join(files) or "none" for which, files in pair.items()}
        else:
            described[key] = {which: value[:12] for which, value in pair.items()}
    return described


def print_pairs(console: Console, title: str, pairs: Mapping[str, Pair], columns: tuple[str, str]) -> None:
    """A table of what two runs have differently; nothing where there is nothing."""
    from rich.table import Table
    from rich.text import Text

    if not pairs:
        return
    table = Table(title, *columns, box=None, header_style="dim", padding=(0, 3, 0, 0))
    for key, pair in pairs.items():
        table.add_row(Text(key), *(Text(_value(pair, which)) for which in ("first", "second")))
    console.print(table)
    console.print()


def _print(records: tuple[Record, Record], found: Mapping[str, Any]) -> None:
    from rich.text import Text

    from expkit.views.console import new_console

    console = new_console()
    names = records[0].run_id, records[1].run_id
    for record in records:
        console.print(Text(f"{record.run_id}  {record.experiment}  {record.state}"))
    console.print()
    print_pairs(console, "configuration", found["config"], names)
    print_pairs(console, "environment", found["environment"], names)
    print_pairs(console, "code", describe_code(found["code"]), names)
    if found["pieces_changed"]:
        console.print(Text("The ids differ and the configurations do not: the source of a piece has changed.\n"))
    same = [what for what in ("config", "environment", "code") if not found[what]]
    if same:
        spelled = {"config": "configuration", "environment": "environment", "code": "code (commit and changes)"}
        console.print(Text(f"The same: {', '.join(spelled[what] for what in same)}.\n"))
    _print_results(console, found["results"], names)


def _print_results(console: Console, results: Mapping[str, Pair], names: tuple[str, str]) -> None:
    from rich.table import Table

    from expkit.views import text

    table = Table(box=None, header_style="dim", padding=(0, 3, 0, 0))
    table.add_column("result")
    for name in (*names, "change"):
        table.add_column(name, justify="right")
    for name, pair in results.items():
        table.add_row(name, *(text.number(pair.get(which)) for which in ("first", "second", "change")))
    console.print(table)


def _print_changes(records: tuple[Record, Record]) -> None:
    from expkit.records.differences import recorded_environment

    for record in records:
        git = recorded_environment(record).get("git") or {}
        print(f"\n{record.run_id}: uncommitted changes on {git.get('commit', 'no commit')}")
        print(git.get("diff") or "none")


def _value(pair: Pair, which: str) -> str:
    if which not in pair:
        return "-"
    value = pair[which]
    return value if isinstance(value, str) else json.dumps(value, default=str)
