"""`expkit dashboard`: the local web page."""

from __future__ import annotations

import argparse
import json


def add_dashboard_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, help="to listen on (default: the first free one from 8501 on)")
    parser.add_argument("--runs", metavar="DIR", help="where records are (default: $EXPKIT_RUNS, or ./runs)")


def dashboard(options: argparse.Namespace) -> int:
    """Serves until Ctrl-C; prints the address once the page answers."""
    from expkit.dashboard.server import serve
    from expkit.records.store import Store

    root = Store(options.runs).root

    def ready(address: str) -> None:
        if options.json:
            print(json.dumps({"address": address, "runs": str(root.absolute())}), flush=True)
        else:
            print(f"{address}   runs in {root}   Ctrl-C ends it", flush=True)

    return serve(root, options.port, ready)
