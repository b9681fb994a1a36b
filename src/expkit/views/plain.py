"""Plain lines, for pipes and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expkit.views import text
from expkit.views.view import View

if TYPE_CHECKING:
    from expkit.compose import Composed
    from expkit.records.record import Record

WIDTH = 120


class PlainView(View):
    """A line at the start, one for every evaluation, some at the end."""

    names: list[str] | None = None

    def begun(self, record: Record, composed: Composed) -> None:
        super().begun(record, composed)
        self.line(f"{composed.name} {record.run_id} -> {text.short_path(record.folder)}")

    def cached(self, record: Record) -> None:
        self.record = record
        self.line(f"{record.experiment} {record.run_id} is {record.state} already (--force runs it again)")
        self.result(record)

    def started(self, step: int, max_steps: int) -> None:
        super().started(step, max_steps)
        if step:
            self.line(f"resumed at step {step} of {max_steps}")

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        if self.names is None:
            self.names = text.fitting(list(metrics), WIDTH)
            self.line(text.metric_table_row("step", self.names, self.names))
        values = [text.number(metrics.get(name)) for name in self.names]
        self.line(text.metric_table_row(step, values, self.names))

    def finished(self, record: Record) -> None:
        self.line(f"{record.state} in {text.duration(record.status['seconds'])}")
        self.result(record)

    def result(self, record: Record) -> None:
        for name, value in record.summary.items():
            self.line(f"  {name:<28} {text.number(value)}")
        for name, fact in text.facts(record).items():
            self.line(f"  {name:<28} {fact}")

    def line(self, line: str) -> None:
        print(line, flush=True)
