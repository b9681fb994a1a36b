"""How one run ended, for whoever asked for it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import Any

from expkit.errors import UserError
from expkit.records.record import Record


@dataclass(frozen=True)
class Outcome:
    """A run's record, where it came that far, and its error, where there was one."""

    record: Record | None
    error: Exception | None = None
    overrides: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        return "failed" if self.error is not None or self.record is None else self.record.state

    @property
    def exit_status(self) -> int:
        if isinstance(self.error, UserError):
            return self.error.exit_code
        return {"complete": 0, "interrupted": 130}.get(self.state, 1)

    @property
    def message(self) -> str:
        """What went wrong, in a line or two."""
        if isinstance(self.error, UserError):
            return str(self.error).replace("\n", "\n  ")
        if self.error is not None:
            return f"{type(self.error).__name__}: {self.error}\n  at {self._where}"
        return {"diverged": "the loss is not finite any more"}.get(self.state, "")

    @property
    def _where(self) -> str:
        """The innermost line that is not an installed library's."""
        assert self.error is not None
        frames = traceback.extract_tb(self.error.__traceback__)
        own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
        return f"{own[-1].filename}:{own[-1].lineno}" if own else "?"

    def as_json(self) -> dict[str, Any]:
        """The stable fields of `--json`."""
        if self.record is not None:
            return self.record.as_json()
        return {
            "run_id": None,
            "experiment": None,
            "status": "failed",
            "path": None,
            "summary": {},
            "error": self.message,
            "overrides": self.overrides,
        }
