"""A run that is a row of its sweep's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expkit.records.record import Record


class Row(Record):
    """Reads like the record of a run that has a folder; its folder is the sweep's.

    Args:
        folder: of the sweep.
        run: `<experiment>/<run id>`.
        state: how the run ended.
        summary: the last value of every metric, by name, and the last step.
        overrides: the numbers that are the run's own, as `key=value`.
    """

    def __init__(
        self, folder: Path, run: str, state: str, summary: Mapping[str, Any], overrides: Sequence[str]
    ) -> None:
        super().__init__(folder)
        self._experiment, _, self._run_id = run.rpartition("/")
        self._state, self._summary, self.overrides = state, dict(summary), list(overrides)

    @property
    def run_id(self) -> str:
        return self._run_id

    @property
    def experiment(self) -> str:
        return self._experiment

    @property
    def status(self) -> dict[str, Any]:
        return {"status": self._state, "overrides": self.overrides}

    @property
    def summary(self) -> dict[str, Any]:
        return self._summary
