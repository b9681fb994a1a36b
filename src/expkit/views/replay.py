"""The progress of a run that is made again: its live line, and nothing of its record, which does not stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expkit.views.terminal import TerminalView
from expkit.views.view import View

if TYPE_CHECKING:
    from expkit.compose import Composed
    from expkit.records.record import Record


class ReplayView(TerminalView):
    """A terminal's."""

    def begun(self, record: Record, composed: Composed) -> None:
        View.begun(self, record, composed)
        self.status = self.console.status("loading torch")
        self.status.start()

    def finished(self, record: Record) -> None:
        self.close()
