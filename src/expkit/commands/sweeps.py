"""`expkit sweeps`: the sweeps there are, or the runs of one; `expkit resume`: go on with one."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.overrides import recorded_in, without_runs

if TYPE_CHECKING:
    from expkit.sweeps.sweep import Sweep

COLOURS = {"complete": "green", "running": "blue", "interrupted": "yellow", "failed": "red"}


def add_sweeps_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", nargs="?", metavar="SWEEP", help="the runs of this one; a part of its name will do")
    parser.add_argument("--limit", type=int, default=30, help="at most so many lines; 0 for all (default: 30)")
    parser.add_argument("--runs", metavar="DIR", help="where records are (default: $EXPKIT_RUNS, or ./runs)")


def sweeps(options: argparse.Namespace) -> None:
    from expkit.records.store import Store
    from expkit.sweeps import sweep as stored

    store = Store(options.runs)
    if options.sweep:
        _show(stored.find(store, options.sweep), options)
        return
    found = stored.sweeps(store)
    shown = found if options.limit == 0 or options.json else found[: options.limit]
    described = [_described(one) for one in shown]
    if options.json:
        print(json.dumps(described, indent=2))
    else:
        _list(described, len(found), store.root)


def add_resume_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", metavar="SWEEP", help="its name, or a part of it; see `expkit sweeps`")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="OVERRIDE",
        help="how to go on, such as hydra/launcher=processes sweep.retries=1",
    )
    parser.add_argument("--runs", metavar="DIR", help="where records are (default: $EXPKIT_RUNS, or ./runs)")


def resume(options: argparse.Namespace) -> int:
    """Runs what is missing, failed or was interrupted."""
    from expkit.commands.train import train_many
    from expkit.errors import ConfigError, UserError
    from expkit.records.store import Store
    from expkit.sweeps.sweep import NOT_OF_THE_DEFINITION, find, sweep_id

    sweep = find(Store(options.runs), options.sweep)
    info = sweep.info
    if not isinstance(info.get("overrides"), list):
        raise UserError(f"{sweep.folder / 'sweep.json'} is damaged: it does not say what the sweep was.")
    if sweep_id("", options.overrides) != sweep_id("", []):
        raise ConfigError(
            "A sweep is resumed as it is.", f"What may be set: keys below {', '.join(NOT_OF_THE_DEFINITION)}."
        )
    runs = sweep.runs.absolute()
    if isinstance(info.get("cwd"), str) and Path(info["cwd"]).is_dir():
        os.chdir(info["cwd"])  # the overrides may name files, and the project's own configs are found from there
    options.force = False
    return train_many([*without_runs(info["overrides"]), *options.overrides, recorded_in(runs)], options)


def _described(sweep: Sweep) -> dict[str, Any]:
    """The stable fields of `--json` for a sweep."""
    from expkit.sweeps.results import counts

    info = sweep.info
    ended = info.get("state") in ("complete", "failed")
    counted = info["counts"] if ended and "counts" in info else counts(sweep)
    return {
        "sweep": sweep.id,
        "experiment": info.get("experiment"),
        "status": info.get("state", "damaged"),
        "runs": sum(counted.values()),
        "counts": counted,
        "launcher": info.get("launcher"),
        "sweeper": info.get("sweeper"),
        "started": info.get("started"),
        "ended": info.get("ended"),
        "path": str(sweep.folder),
        "overrides": info.get("overrides", []),
    }


def _list(described: list[dict[str, Any]], total: int, root: Path) -> None:
    from rich.table import Table
    from rich.text import Text

    from expkit.views.console import new_console

    console = new_console()
    if not described:
        console.print(Text(f"No sweeps in {root}. Make one: expkit train -m +experiment=grokking_xor seed=0,1,2"))
        return
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("sweep", "state", "started", "runs", "of which", "launcher", "overrides"):
        table.add_column(column, justify="right" if column == "runs" else "left", no_wrap=column == "sweep")
    for one in described:
        overrides = without_runs(one["overrides"])
        table.add_row(
            one["sweep"],
            Text(one["status"], style=COLOURS.get(one["status"], "yellow")),
            str(one["started"] or "").replace("T", " ")[:16],
            str(one["runs"]),
            _counted(one["counts"]),
            str(one["launcher"] or ""),
            Text(" ".join(overrides)),
        )
    console.print(table)
    if total > len(described):
        console.print(f"{len(described)} of {total} sweeps; --limit 0 shows all.")


def _show(sweep: Sweep, options: argparse.Namespace) -> None:
    """One sweep, with its runs."""
    from rich.table import Table
    from rich.text import Text

    from expkit.sweeps.results import results
    from expkit.views import text
    from expkit.views.console import new_console
    from expkit.views.terminal import COLOURS as RUN_COLOURS

    frame = results(sweep)
    if options.json:
        print(json.dumps({**_described(sweep), "jobs": frame.to_dicts()}, indent=2))
        return
    console = new_console()
    info = sweep.info
    command = " ".join(without_runs(info.get("overrides", [])))
    console.print(
        Text.assemble((sweep.id, "bold"), f"  {info.get('state', 'damaged')}  {text.short_path(sweep.folder)}")
    )
    console.print(Text(f"expkit train -m {command}", style="dim"))
    shown = frame if options.limit == 0 else frame.head(options.limit)
    keys = [
        name for name in frame.columns if name not in ("number", "run", "state", "error", "step") and "/" not in name
    ]
    metrics = text.main_metrics(dict.fromkeys(name for name in frame.columns if "/" in name))[-4:]
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("", *keys, "state", *metrics, "run"):
        table.add_column(column, justify="right" if column in ("", *metrics) else "left")
    for row in shown.to_dicts():
        table.add_row(
            str(row["number"]),
            *(_cell(row[key]) for key in keys),
            Text(row["state"], style=RUN_COLOURS.get(row["state"], "yellow")),
            *(text.number(row[name]) for name in metrics),
            Text((row["run"] or "").rpartition("/")[2] or (row.get("error") or "").split("\n")[0]),
        )
    console.print(table)
    if len(shown) < len(frame):
        console.print(f"{len(shown)} of {len(frame)} runs; --limit 0 shows all.")
    console.print(_counted(Counter(frame["state"])) if len(frame) else "It has no runs.")


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items())
