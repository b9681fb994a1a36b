"""`expkit compare`: what differs between runs, and what came of it."""

from __future__ import annotations

import argparse
import atexit
import gc
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from expkit.comparing.report import Report

EXAMPLES = """\
  expkit compare SWEEP                               groups that differ only by seed, best first
  expkit compare grokking_xor --where "optimizer.lr>0.01 and seed<5"
  expkit compare SWEEP --metric test/acc,train/loss:max --step 100
  expkit compare SWEEP --plot curves.png             curves with bands; heat map for two numbers
"""


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("which", nargs="*", metavar="RUN|SWEEP|EXPERIMENT", help="what to compare; none for all runs")
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help="such as test/acc, or probe/norm:min; several by ,",
    )
    parser.add_argument("--group-by", action="append", default=[], metavar="KEY", help="keys to group by; several by ,")
    parser.add_argument("--where", metavar="CONDITION", help="only runs such as \"optimizer.lr>0.01 and data=='wine'\"")
    parser.add_argument("--sort", metavar="KEY", help="order groups by a key or a metric (default: best first)")
    parser.add_argument("--step", type=int, metavar="N", help="compare at this step, instead of at the end")
    parser.add_argument("--curves", action="store_true", help="best values and curves also of more than 1000 runs")
    parser.add_argument("--limit", type=int, default=30, help="at most so many groups; 0 for all (default: 30)")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write the table; - for standard output")
    parser.add_argument("--parquet", metavar="FILE", type=Path, help="write the table")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw it: .png, .pdf or .svg")
    parser.add_argument("--runs", metavar="DIR", help="where records are (default: $EXPKIT_RUNS, or ./runs)")


def compare(options: argparse.Namespace) -> None:
    # What is imported and read makes millions of objects, which all stay until the end: neither now nor then is there
    # anything among them to be found. Frozen now, the garbage of whatever a long process did before would stay as well.
    atexit.register(gc.freeze)
    gc.disable()
    try:
        _compare(options)
    finally:
        gc.enable()


def _compare(options: argparse.Namespace) -> None:
    from expkit.comparing.report import report
    from expkit.records import runs

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame = runs(*options.which, root=options.runs, where=options.where)
    for warning in caught:
        print(f"warning: {warning.message}", file=sys.stderr)
    found = report(
        frame,
        metrics=options.metric,
        by=[key.strip() for one in options.group_by for key in one.split(",")],
        step=options.step,
        curves=True if options.curves else None,
        sort=options.sort,
        shown=options.limit or None,
    )
    written = _write(found, options)
    if options.json:
        print(json.dumps(found.as_json(), indent=2, default=str))
    elif str(options.csv) != "-":
        _show(found, options.limit)
        for path in written:
            print(f"written: {path}")


def _show(found: Report, limit: int) -> None:
    from expkit.comparing.terminal import show
    from expkit.views.console import new_console

    show(found, new_console(), limit)


def _write(found: Report, options: argparse.Namespace) -> list[Path]:
    """Writes the files that were asked for."""
    from expkit.errors import UserError

    written = []
    try:
        if options.csv:
            text = found.table().write_csv()
            if str(options.csv) == "-":
                print(text, end="")
            else:
                options.csv.write_text(text)
                written.append(options.csv)
        if options.parquet:
            found.table().write_parquet(options.parquet)
            written.append(options.parquet)
        if options.plot:
            from expkit.comparing.plot import draw

            draw(found, options.plot)
            written.append(options.plot)
    except OSError as error:
        raise UserError(f"The file cannot be written: {error}.") from error
    return written
