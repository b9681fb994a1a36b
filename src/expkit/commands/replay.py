"""`expkit replay`: a recorded run's exact configuration again, and whether its metrics are the same to the bit."""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.errors import UserError

if TYPE_CHECKING:
    from expkit.records.differences import Comparison
    from expkit.records.record import Record
    from expkit.views.view import View

EPILOG = """\
  expkit replay 3f2a                   run it again, and compare all metrics at all steps
  expkit replay 3f2a --engine fused    by the fused engine, as a stack of one
The run is made in a scratch folder, without loggers; nothing is recorded in the run store. Metrics that measure time
(time/...) are left out. Two engines round differently: across them, agreement within --tolerance is what is asked.
Exit status: 0 identical, or in agreement across engines; 1 not.
"""
TOLERANCE = {"64-true": 1e-8, "32-true": 1e-3}
"""Default of --tolerance by the trainer's precision; coarser arithmetic has `COARSE`."""
COARSE = 3e-2


def add_replay_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("run", metavar="RUN", help="a run id, the beginning of one, or a run's folder")
    parser.add_argument(
        "--engine", choices=("own", "fused"), default="own", help="what runs it (default: the config's)"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        help="largest |a - b| / max(1, |a|, |b|) across engines (default: 1e-3, in double precision 1e-8)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder, and say where it is")
    parser.add_argument("--runs", metavar="DIR", help="where records are (default: $EXPKIT_RUNS, or ./runs)")


def replay(options: argparse.Namespace) -> int:
    from expkit.records.store import Store

    record = Store(options.runs).find(options.run)
    with _scratch(options.keep) as scratch, redirect_stdout(sys.stderr) if options.json else nullcontext():
        again = run_again(record, scratch, options.engine, _view(options.json))
        if again.state == "interrupted":
            raise KeyboardInterrupt
        found = findings(record, again, options.tolerance)
    if options.keep:
        found["path"] = str(again.folder)
    if options.json:
        print(json.dumps(found, indent=2, default=str))
    else:
        _print(record, found)
    return int(found["verdict"] == "differs")


def run_again(record: Record, scratch: Path, engine: str, view: View) -> Record:
    """Runs a record's configuration, as it is recorded, in a run store of its own.

    Args:
        record: of a run that came to its end.
        scratch: the store.
        engine: 'own', the configuration's; or 'fused'.
        view: is told of the progress.

    Raises:
        UserError: the run did not come to its end, or cannot be run by that engine.
    """
    from expkit.compose import Composed, check
    from expkit.records.record import FINISHED
    from expkit.run import run

    if record.state not in FINISHED:
        raise UserError(
            f"Run {record.run_id} is {record.state}; there is no whole run to compare with.",
            "`expkit train` with the same overrides goes on with an interrupted run.",
        )
    if not record.metrics_file.exists():
        raise UserError(f"Run {record.run_id} has no metrics in {record.folder}.")
    composed = Composed(replayable(record.config, scratch))
    check(composed.config)  # a record may come from anybody
    try:
        return _run_fused(composed, view) if engine == "fused" else run(composed, view)
    finally:
        view.close()


def replayable(config: Mapping[str, Any], store: Path) -> dict[str, Any]:
    """A recorded configuration without what acts outside the run: no loggers, and no search that it reports to."""
    again = copy.deepcopy(dict(config))
    again["paths"] = {"runs": str(store)}
    again["logger"] = {}
    if isinstance(again.get("sweep"), dict):
        again["sweep"].pop("trial", None)
    return again


def findings(record: Record, again: Record, tolerance: float | None = None) -> dict[str, Any]:
    """The fields of `--json`: 'run_id', 'verdict' (identical, agrees or differs), the comparison, what may explain it.

    Args:
        record, again: the run, and its replay.
        tolerance: across engines; by default by the precision.
    """
    from expkit.records import differences

    comparison = differences.compare_metrics(_metrics(record), _metrics(again))
    then, now = differences.recorded_environment(record), differences.recorded_environment(again)
    engines = [one.get("engine") for one in (then, now)]
    precision = str(record.config.get("trainer", {}).get("precision", "32-true"))
    tolerance = TOLERANCE.get(precision, COARSE) if tolerance is None else tolerance
    explanations: dict[str, Any] = (
        {}
        if comparison.identical and record.state == again.state
        else {
            "environment": differences.environment_differences(then, now),
            "code": differences.code_differences(then, now),
            "pieces_changed": again.run_id != record.run_id,
        }
    )
    return {
        "run_id": record.run_id,
        "experiment": record.experiment,
        "status": [record.state, again.state],
        "engines": engines,
        "verdict": _verdict(comparison, record.state == again.state, engines, tolerance),
        "tolerance": tolerance,
        **comparison.as_json(),
        "seconds": again.status.get("seconds"),
        "explanations": explanations,
    }


def _verdict(comparison: Comparison, same_end: bool, engines: list[str | None], tolerance: float) -> str:
    if comparison.identical and same_end:
        return "identical"
    across = "fused" in engines  # a stack of one rounds otherwise than a stack of many
    return "agrees" if across and same_end and comparison.within(tolerance) else "differs"


def _run_fused(composed: Any, view: View) -> Record:
    from expkit.engines.fused.not_fusable import NotFusable
    from expkit.run_fused import run_fused

    try:
        (record,) = run_fused([composed], [view], force=False)
    except NotFusable as error:
        raise UserError(f"This run cannot be fused: {error}.", "Leave out --engine fused.") from error
    assert record is not None, "nobody else has a run in a scratch folder"
    return record


def _metrics(record: Record) -> Any:
    import polars

    try:
        return record.metrics
    except (OSError, polars.exceptions.PolarsError) as error:
        raise UserError(f"The metrics of {record.folder} cannot be read: {error}") from error


@contextmanager
def _scratch(keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="expkit-replay-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _view(as_json: bool) -> View:
    from expkit.views.view import View

    if as_json or not sys.stdout.isatty():
        return View()
    from expkit.views.replay import ReplayView

    return ReplayView()


def _print(record: Record, found: Mapping[str, Any]) -> None:
    from rich.text import Text

    from expkit.views import text
    from expkit.views.console import new_console

    console = new_console()
    what = f"{record.experiment} {record.run_id}"
    amount = f"{found['metrics']} metrics at {found['steps']} steps, {text.duration(found['seconds'] or 0.0)}"
    match found["verdict"]:
        case "identical":
            console.print(Text.assemble(("identical", "bold green"), f"  {what}: the same bits ({amount})"))
        case "agrees":
            engines = " and ".join(dict.fromkeys(str(engine) for engine in found["engines"]))
            console.print(
                Text.assemble(("agrees", "bold green"), f"  {what}: within {found['tolerance']:g} ({amount})")
            )
            console.print(Text(f"Engines ({engines}) and stacks of other sizes round differently.\n"))
        case _:
            end = found["status"]
            then = f"; it was {end[0]}, and is {end[1]} now" if end[0] != end[1] else ""
            since = f" from step {found['first_step']:,} on" if found["first_step"] is not None else ""
            console.print(Text.assemble(("differs", "bold red"), f"  {what}:{since}{then} ({amount})\n"))
    if found["differing"]:
        _print_differing(found["differing"])
    if found["verdict"] == "differs":
        _print_explanations(found["explanations"])
    if "path" in found:
        console.print(Text(f"kept in {found['path']}"))


def _print_differing(differing: Mapping[str, Mapping[str, Any]]) -> None:
    from rich.table import Table

    from expkit.views.console import new_console

    table = Table(box=None, header_style="dim", padding=(0, 3, 0, 0))
    table.add_column("metric")
    for column in ("from step", "largest difference", "relative", "at step"):
        table.add_column(column, justify="right")
    for name, one in differing.items():
        table.add_row(
            name,
            f"{one['first_step']:,}",
            *("not finite" if one[key] is None else f"{one[key]:.2e}" for key in ("largest", "relative")),
            f"{one['at_step']:,}",
        )
    console = new_console()
    console.print(table)
    console.print()


def _print_explanations(explanations: Mapping[str, Any]) -> None:
    from rich.text import Text

    from expkit.commands.diff import describe_code, print_pairs
    from expkit.views.console import new_console

    console = new_console()
    columns = ("then", "now")
    print_pairs(console, "what may explain it", explanations["environment"], columns)
    print_pairs(console, "code", describe_code(explanations["code"]), columns)
    if explanations["pieces_changed"]:
        console.print(Text("The source of a piece that the run uses has changed: it would have another id now."))
    if not any(explanations.values()):
        console.print(Text("Packages, machine and code are those of the record, as far as it tells."))
