"""`expkit sync`: uploads runs that W&B kept offline."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from expkit.sync import Synced


def add_sync_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("which", nargs="*", metavar="RUN", help="only these runs (default: all that were kept)")
    parser.add_argument("--runs", metavar="DIR", help="where records are (default: $EXPKIT_RUNS, or ./runs)")


def sync(options: argparse.Namespace) -> int:
    from expkit.records.store import Store
    from expkit.sync import sync as upload

    root = Store(options.runs).root
    uploads = upload(root, options.which or None, report=_ignore if options.json else _print)
    if options.json:
        print(json.dumps([asdict(one) for one in uploads], indent=2, default=str))
    elif not uploads:
        print(f"Nothing to upload in {root}.")
    return int(any(one.status == "failed" for one in uploads))


def _print(one: Synced) -> None:
    print(f"{one.run_id}  {one.status}  {one.url or one.message}".rstrip(), flush=True)


def _ignore(one: Synced) -> None:
    pass
