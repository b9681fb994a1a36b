"""What a run tells while it works."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expkit.compose import Composed
    from expkit.records.record import Record


class Observer:
    """Is told of a run's progress; this one ignores it. `advanced` is called at every step: it must be quick."""

    def waiting(self, status: dict[str, Any]) -> None:
        """Another process is running this very run; this one waits for it."""

    def cached(self, record: Record) -> None:
        """The run is done already."""

    def begun(self, record: Record, composed: Composed) -> None:
        """The run is this process's to run."""

    def started(self, step: int, max_steps: int) -> None:
        """Training begins, at `step` if it is resumed."""

    def advanced(self, step: int) -> None:
        """An optimizer step was made."""

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        """Metrics were measured."""

    def finished(self, record: Record) -> None:
        """The record is written."""

    def warn(self, message: str) -> None:
        """Something beside the training went wrong."""
        warnings.warn(message, stacklevel=2)
