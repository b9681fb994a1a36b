"""What a person sees of runs: in a terminal, or as plain lines where there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from expkit.views.view import View

if TYPE_CHECKING:
    from pathlib import Path

    from expkit.outcome import Outcome
    from expkit.sweeps.sweep import Sweep
    from expkit.views.sweep import SweepView


def one_run(as_json: bool) -> View:
    """The view of a single run."""
    if as_json:
        return View()
    if sys.stdout.isatty():
        from expkit.views.terminal import TerminalView

        return TerminalView()
    from expkit.views.plain import PlainView

    return PlainView()


def many_runs(runs: Path, quiet: bool) -> SweepView:
    """The view of a sweep."""
    from expkit.views.sweep import SweepView

    return SweepView(runs, quiet)


@contextmanager
def many_arms(sweeps: Mapping[str, Sweep], quiet: bool) -> Iterator[Callable[[str], None]]:
    """Shows how far the arms of a study are, each with its sweep; gives a function to call with one that has ended."""
    if quiet or not sys.stdout.isatty():
        yield lambda name: None
        return
    from expkit.views.arms import ArmsView

    with ArmsView(sweeps) as view:
        yield view.ended


def sweep_result(outcomes: Sequence[Outcome], sweep: str | None) -> None:
    """The end of a sweep: how many of what, and a table of what did not complete."""
    from expkit.views.sweep import result

    result(outcomes, sweep)
