"""`expkit sync`: uploads runs that W&B kept offline."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict


def add_sync_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("which", nargs="*", metavar="RUN", help="only these runs (default: all that were kept)")
    parser.add_argument("--runs", metavar="DIR", help="where records are (default: $EXPKIT_RUNS, or ./runs)")


def sync(options: argparse.Namespace) -> int:
    from expkit.records.store import Store
    from expkit.sync import sync as upload

    uploads = upload(Store(options.runs).root, options.which or None)
    if options.json:
        print(json.dumps([asdict(one) for one in uploads], indent=2, default=str))
    return 0
