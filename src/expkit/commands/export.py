"""`expkit export`: runs in one file, for another machine or another person."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

EPILOG = """\
  expkit export 3f2a                          to <experiment>-<run id>.expkit
  expkit export 3f2a 81bc -o both.expkit --no-checkpoint
  expkit import both.expkit                   elsewhere
The file has configuration, environment, uncommitted code changes, metrics, summary, status and checkpoints; no
environment variables, no folders of this machine beyond those that the configuration itself names. It is a gzipped tar
archive. Look at the code changes first if they may have secrets in them: expkit diff RUN RUN --code.
"""


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("run", nargs="+", metavar="RUN", help="a run id, the beginning of one, or a run's folder")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="the file (default: named after the run)")
    parser.add_argument("--no-checkpoint", action="store_true", help="leave the checkpoints out")
    parser.add_argument("--runs", metavar="DIR", help="where records are (default: $EXPKIT_RUNS, or ./runs)")


def export(options: argparse.Namespace) -> None:
    from expkit.errors import UserError
    from expkit.records.bundle import pack
    from expkit.records.store import Store

    store = Store(options.runs)
    records = list({record.folder: record for record in map(store.find, options.run)}.values())
    first = records[0]
    name = f"{first.experiment}-{first.run_id}" if len(records) == 1 else f"{len(records)}-runs-{first.run_id}"
    target = options.output or Path(f"{name}.expkit")
    try:
        pack(records, target, checkpoint=not options.no_checkpoint)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror or error}.") from error
    size = target.stat().st_size
    if options.json:
        print(json.dumps({"file": str(target), "bytes": size, "runs": [r.run_id for r in records]}, indent=2))
    else:
        what = f"{first.experiment} {first.run_id}" if len(records) == 1 else f"{len(records)} runs"
        print(f"{what} -> {target} ({size / 2**20:.1f} MiB)")
        print(f"  read it elsewhere: expkit import {target.name}")
