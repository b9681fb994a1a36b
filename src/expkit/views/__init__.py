"""What a person sees of runs: in a terminal, or as plain lines where there is none."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from expkit.views.view import View

if TYPE_CHECKING:
    from expkit.outcome import Outcome


def one_run(as_json: bool) -> View:
    """The view of a single run."""
    if as_json:
        return View()
    if sys.stdout.isatty():
        from expkit.views.terminal import TerminalView

        return TerminalView()
    from expkit.views.plain import PlainView

    return PlainView()


def run_of_sweep(number: int, overrides: Sequence[str], as_json: bool) -> View:
    """The view of one run among many."""
    if as_json:
        return View()
    from expkit.views.sweep import RunOfSweep

    return RunOfSweep(number, overrides)


def sweep_result(outcomes: Sequence[Outcome]) -> None:
    """The end of a sweep: how many of what, and a table of what did not complete."""
    from expkit.views.sweep import result

    result(outcomes)
