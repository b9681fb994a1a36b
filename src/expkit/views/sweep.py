"""Many runs: a line for each as it ends, and a table of what did not complete."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from expkit.views import text
from expkit.views.view import View

if TYPE_CHECKING:
    from expkit.outcome import Outcome
    from expkit.records.record import Record


class RunOfSweep(View):
    """One run of a sweep: a line when it is done."""

    def __init__(self, number: int, overrides: Sequence[str]) -> None:
        self.label = f"#{number}  {'  '.join(overrides)}"
        self._began = time.monotonic()

    def cached(self, record: Record) -> None:
        self.record = record
        self._line(record, "done already")

    def finished(self, record: Record) -> None:
        self._line(record, text.duration(time.monotonic() - self._began))

    def failed(self, outcome: Outcome) -> None:
        print(f"{self.label}  failed", flush=True)
        print("\n".join(f"    {line}" for line in outcome.message.splitlines()), file=sys.stderr, flush=True)

    def _line(self, record: Record, how: str) -> None:
        summary = record.summary
        metrics = "  ".join(f"{name} {text.number(summary[name])}" for name in text.main_metrics(summary))
        print(f"{self.label}  {record.state} ({how})  {metrics}  {record.run_id}", flush=True)


def result(outcomes: Sequence[Outcome]) -> None:
    """How many runs ended how, and those that did not complete, with the reason."""
    counts = Counter(outcome.state for outcome in outcomes)
    print(f"{len(outcomes)} runs: " + ", ".join(f"{count} {state}" for state, count in counts.most_common()))
    rest = [outcome for outcome in outcomes if outcome.state != "complete"]
    if rest:
        from rich.table import Table
        from rich.text import Text

        from expkit.views.console import new_console

        common = set.intersection(*(set(outcome.overrides) for outcome in outcomes)) if len(outcomes) > 1 else set()
        table = Table("overrides", "state", "why", title="Not complete", title_justify="left")
        for outcome in rest:
            own = " ".join(override for override in outcome.overrides if override not in common)
            table.add_row(Text(own), outcome.state, Text(outcome.message.split("\n")[0]))
        new_console().print(table)
