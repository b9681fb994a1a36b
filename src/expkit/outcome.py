"""How one run ended, for whoever asked for it. Plain data: it comes back from other processes."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import Any

from expkit.errors import UserError
from expkit.memory_error import memory_error
from expkit.records.record import Record
from expkit.storage_error import storage_error


@dataclass(frozen=True)
class Failure:
    """What went wrong.

    Args:
        message: in a line or two.
        exit_status: that a command ends with because of it.
        traced: whether the record has a traceback that says more.
    """

    message: str
    exit_status: int = 1
    traced: bool = False

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        error = storage_error(error) or memory_error(error) or error
        if isinstance(error, UserError):
            return cls(str(error).replace("\n", "\n  "), error.exit_code)
        return cls(f"{type(error).__name__}: {error}\n  at {_where(error)}", traced=True)


@dataclass(frozen=True)
class Outcome:
    """A run's record, where it came that far, and its failure, where there was one; neither if it was not begun."""

    record: Record | None
    failure: Failure | None = None
    overrides: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        if self.failure is not None:
            return "failed"
        return "not run" if self.record is None else self.record.state

    @property
    def exit_status(self) -> int:
        if self.failure is not None:
            return self.failure.exit_status
        return {"complete": 0, "pruned": 0, "interrupted": 130}.get(self.state, 1)

    @property
    def message(self) -> str:
        """What went wrong, in a line or two."""
        if self.failure is not None:
            return self.failure.message
        return {"diverged": "the loss is not finite any more"}.get(self.state, "")

    def as_json(self) -> dict[str, Any]:
        """The stable fields of `--json`."""
        if self.record is not None:
            return self.record.as_json()
        return {
            "run_id": None,
            "experiment": None,
            "status": self.state,
            "path": None,
            "summary": {},
            "error": self.message,
            "overrides": self.overrides,
        }


def _where(error: BaseException) -> str:
    """The innermost line that is not an installed library's."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    return f"{own[-1].filename}:{own[-1].lineno}" if own else "?"
