"""The base of all views: shows nothing but warnings, which go to standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from expkit.engines.observer import Observer

if TYPE_CHECKING:
    from expkit.compose import Composed
    from expkit.outcome import Outcome
    from expkit.records.record import Record


class View(Observer):
    """Follows one run."""

    record: Record | None = None
    max_steps = 0

    def waiting(self, status: dict[str, Any]) -> None:
        self.note(f"this run is being run by process {status.get('pid')}; waiting for it (Ctrl-C gives up)")

    def begun(self, record: Record, composed: Composed) -> None:
        self.record = record

    def started(self, step: int, max_steps: int) -> None:
        self.max_steps = max_steps

    def warn(self, message: str) -> None:
        self.note(f"warning: {message}")

    def failed(self, outcome: Outcome) -> None:
        """The run ended with an error."""
        print(f"error: {outcome.message}", file=sys.stderr)
        if outcome.record is not None and outcome.failure is not None and outcome.failure.traced:
            print(f"  The traceback is in {outcome.record.folder / 'status.json'}; --debug prints it.", file=sys.stderr)

    def close(self) -> None:
        """Nothing more will come."""

    def note(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)
