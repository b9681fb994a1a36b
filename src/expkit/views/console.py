"""The console that tables are printed on."""

from __future__ import annotations

import os
import sys

from rich.console import Console

WIDTH_OF_A_PIPE = 160


def new_console() -> Console:
    """As wide as the terminal; into a pipe, wide enough that a line of a table stays one line."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH_OF_A_PIPE
    return Console(highlight=False, width=width)
