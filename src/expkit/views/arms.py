"""A study whose arms run side by side, as a person at a terminal sees it: one bar for all of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from expkit.sweeps.events import EventReader
from expkit.sweeps.sweep import Sweep
from expkit.views.console import new_console
from expkit.views.heard import Heard

LOOK = 0.5  # seconds between two looks at what the sweeps tell


class ArmsView:
    """As a context, shows how far the arms are; what is printed meanwhile appears above.

    Args:
        sweeps: of each arm, by its name, whether it has begun or not.
    """

    def __init__(self, sweeps: Mapping[str, Sweep]) -> None:
        self._arms = {name: ArmProgress(sweep) for name, sweep in sweeps.items()}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="arms", daemon=True)
        self._open = ExitStack()
        self._progress = Progress(
            TextColumn("[bold]{task.fields[done]}[/]/{task.total:.0f} arms"),
            BarColumn(bar_width=None),
            TimeElapsedColumn(),
            console=new_console(),
            transient=True,
        )
        self._task = self._progress.add_task("", total=len(self._arms), done=0)

    def __enter__(self) -> ArmsView:
        self._open.enter_context(self._progress)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self._open.close()

    def ended(self, name: str) -> None:
        """An arm is done."""
        self._arms[name].fraction = 1.0

    def _follow(self) -> None:
        while not self._over.wait(LOOK):
            for arm in self._arms.values():
                arm.look()
            fractions = [arm.fraction for arm in self._arms.values()]
            self._progress.update(self._task, completed=sum(fractions), done=sum(each == 1.0 for each in fractions))


class ArmProgress:
    """How far one arm is, by the events of its sweep."""

    def __init__(self, sweep: Sweep) -> None:
        self.fraction = 0.0
        self._sweep = sweep
        self._reader = EventReader(sweep.events)
        self._reader.skip()
        self._heard = Heard()

    def look(self) -> None:
        if self.fraction == 1.0:
            return
        events = list(self._reader.new())
        for event in events:
            self._heard.hear(event)
        if events:  # by now its sweep is written down
            runs = len(Sweep(self._sweep.folder).entries)
            self.fraction = min(0.99, (self._heard.ended + self._heard.begun) / max(runs, 1))
