"""A sweep, as a person sees it: a line for each run that ends, one bar for all, and a table of what went wrong."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.records.record import Record
from expkit.views import text
from expkit.views.heard import Heard
from expkit.views.view import View

if TYPE_CHECKING:
    from rich.progress import Progress

    from expkit.outcome import Outcome

LINES = 100
"""Up to so many runs, each gets a line when it ends; of more, only those that fail."""
PLAIN_EVERY = 10.0
"""Seconds between two lines on how far a large sweep is, where there is no terminal."""
ORDER = ("complete", "pruned", "diverged", "failed", "interrupted", "running")


class SweepView:
    """Follows a sweep by its events (see `expkit.sweeps.events`), which may come from another thread.

    Args:
        runs: the run store, to read the results of runs that end.
        quiet: say only what went wrong, on standard error.
    """

    def __init__(self, runs: Path, quiet: bool) -> None:
        self.runs = runs
        self.quiet = quiet
        self.total = 0
        self.labels: dict[int, str] = {}
        self._heard = Heard()
        self._cached = 0
        self._began = time.monotonic()
        self._said = self._began
        self._lock = threading.RLock()
        self._progress: Progress | None = None
        self._task: Any = None

    def add(self, labels: Mapping[int, str]) -> None:
        """More runs to come, by number, each with the overrides that are its own."""
        with self._lock:
            self.total += len(labels)
            self.labels |= labels
            if not self.quiet and self._progress is None and sys.stdout.isatty():
                self._start()
            self._update()

    def cached(self, count: int) -> None:
        """So many of them are done already."""
        with self._lock:
            self._cached += count
            if count:
                self.say(f"{count} of {self.total} runs were done already")
            self._update()

    def hear(self, event: Mapping[str, Any]) -> None:
        """An event of the sweep."""
        with self._lock:
            self._heard.hear(event)
            if event["kind"] == "note":
                self.note(str(event["text"]))
            elif event["kind"] == "run":
                if event["state"] == "failed":
                    self._failed(event)
                elif event["state"] != "running":
                    self._ended(event)
            self._update()

    def note(self, message: str) -> None:
        """Something beside the runs, or about how they are run."""
        self._print(message, file=sys.stderr, style="yellow")

    def say(self, message: str) -> None:
        if not self.quiet:
            self._print(message)

    def close(self) -> None:
        with self._lock:
            if self._progress is not None:
                self._progress.stop()
                self._progress = None

    def _ended(self, event: Mapping[str, Any]) -> None:
        if self.quiet or (self.total > LINES and event["state"] == "complete"):
            return
        summary = Record(self.runs / event["run"]).summary
        metrics = "  ".join(f"{name} {text.number(summary[name])}" for name in text.main_metrics(summary))
        how = "done already" if event.get("cached") else text.duration(event.get("seconds", 0.0))
        run_id = str(event["run"]).rpartition("/")[2]
        self.say(f"{self._label(event['number'])}  {event['state']} ({how})  {metrics}  {run_id}")

    def _failed(self, event: Mapping[str, Any]) -> None:
        message = "\n".join(f"    {line}" for line in str(event["error"]).splitlines())
        self._print(f"{self._label(event['number'])}  failed\n{message}", file=sys.stderr, style="red")

    def _label(self, number: int) -> str:
        return f"#{number}  {self.labels.get(number, '')}".rstrip()

    def _print(self, message: str, file: Any = None, style: str | None = None) -> None:
        if self._progress is not None:
            from rich.text import Text

            self._progress.console.print(Text(message, style=style or ""))
        else:
            print(message, file=file, flush=True)

    def _start(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        from expkit.views.console import new_console

        self._progress = Progress(
            TextColumn("[bold]{task.fields[done]}[/]/{task.fields[runs]} runs"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[counts]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[left]}[/]"),
            console=new_console(),
            transient=True,
            refresh_per_second=8,
        )
        self._task = self._progress.add_task("", total=1.0, done=0, runs=0, counts="", left="")
        self._progress.start()

    def _update(self) -> None:
        counts, ended = self._heard.counts, self._heard.ended
        under_way = min(self._heard.begun, float(self.total - self._cached - ended))
        elapsed = time.monotonic() - self._began
        work = ended + under_way  # in runs; what was done already says nothing about the time that is left
        left = elapsed * (self.total - self._cached - work) / work if work > 0 else None
        parts = [f"{self._cached} done already"] if self._cached else []
        parts += [f"{counts[state]} {state}" for state in ORDER if counts[state]]
        rate = f"{text.number(work / elapsed)} runs/s" if work > 0 and elapsed > 1 else ""
        remaining = f"{rate}  {text.duration(left)} left" if left is not None and elapsed > 1 else rate
        if self._progress is not None:
            self._progress.update(
                self._task,
                completed=(self._cached + work) / max(self.total, 1),
                done=self._cached + ended,
                runs=self.total,
                counts=", ".join(parts),
                left=remaining,
            )
        elif self.total > LINES and not self.quiet and time.monotonic() - self._said > PLAIN_EVERY:
            self._said = time.monotonic()
            done = f"{self._cached + ended} of {self.total} runs"
            self.say("  ".join(filter(None, [done, ", ".join(parts), remaining])))


class RunOfSweep(View):
    """One run of a sweep that another launcher than expkit's runs: a line when it is done."""

    def __init__(self, number: int, overrides: Sequence[str], quiet: bool) -> None:
        self.label = f"#{number}  {'  '.join(overrides)}"
        self._quiet = quiet
        self._began = time.monotonic()

    def cached(self, record: Record) -> None:
        self.record = record
        self._line(record, "done already")

    def finished(self, record: Record) -> None:
        self._line(record, text.duration(time.monotonic() - self._began))

    def failed(self, outcome: Outcome) -> None:
        message = "\n".join(f"    {line}" for line in outcome.message.splitlines())
        print(f"{self.label}  failed\n{message}", file=sys.stderr, flush=True)

    def _line(self, record: Record, how: str) -> None:
        summary = record.summary
        metrics = "  ".join(f"{name} {text.number(summary[name])}" for name in text.main_metrics(summary))
        if not self._quiet:
            print(f"{self.label}  {record.state} ({how})  {metrics}  {record.run_id}", flush=True)


def result(outcomes: Sequence[Outcome], sweep: str | None) -> None:
    """How many runs ended how, and those that did not complete, with the reason."""
    counts = Counter(outcome.state for outcome in outcomes)
    print(f"{len(outcomes)} runs: " + ", ".join(f"{count} {state}" for state, count in counts.most_common()))
    rest = [outcome for outcome in outcomes if outcome.state not in ("complete", "pruned")]
    if rest:
        from rich.table import Table
        from rich.text import Text

        from expkit.views.console import new_console

        common = set.intersection(*(set(outcome.overrides) for outcome in outcomes)) if len(outcomes) > 1 else set()
        table = Table("overrides", "state", "why", title="Not complete", title_justify="left")
        for outcome in rest[:LINES]:
            own = " ".join(override for override in outcome.overrides if override not in common)
            table.add_row(Text(own), outcome.state, Text(outcome.message.split("\n")[0]))
        if len(rest) > LINES:
            table.add_row(f"... {len(rest) - LINES} more", "", "")
        new_console().print(table)
    if sweep:
        print(f"sweep {sweep}\n  expkit sweeps {sweep}    its runs")
        if any(outcome.state not in ("complete", "pruned", "diverged") for outcome in outcomes):
            print(f"  expkit resume {sweep}    goes on with it")
